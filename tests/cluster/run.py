#!/usr/bin/env python3
"""run.py [--without] [PATTERN...] - runs the system tests (those whose ids have a pattern; --without: all the others): the
built opsd, packaged, on real systemd nodes.

Writes one line per test to $TEST_RESULTS (status, suite, name, seconds, reason, with tabs between), for tests/run.sh.
Exit status: 0, 1 when a test failed, 77 when no node can be made here.
"""

import glob
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import harness  # noqa: E402


class Recorder(unittest.TextTestResult):
    """Prints a line per test and notes it for run.sh."""

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        sys.stdout.flush()

    def note(self, status, test, reason=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        name = test.id() if hasattr(test, "id") else str(test)
        print(f"{status:8} {name} ({seconds:.1f} s){': ' + reason if reason else ''}", flush=True)
        path = os.environ.get("TEST_RESULTS")
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write("\t".join([status, "cluster", name, f"{seconds:.2f}", reason.replace("\n", " ")]) + "\n")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("passed", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("failed", test, str(err[1]).splitlines()[0] if str(err[1]) else "failed")

    def addError(self, test, err):
        super().addError(test, err)
        self.note("failed", test, f"{err[0].__name__}: {err[1]}".splitlines()[0])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skipped", test, reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note("failed", subtest, str(err[1]).splitlines()[0])


def main():
    check = subprocess.run([harness.SYSTEMD_NODE, "check"], capture_output=True, text=True, check=False)
    if check.returncode != 0:
        print(check.stderr.strip(), file=sys.stderr)
        return 77
    here = os.path.dirname(os.path.realpath(__file__))
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for path in sorted(glob.glob(os.path.join(here, "test_*.py"))):
        suite.addTests(loader.loadTestsFromName(os.path.basename(path)[:-3]))
    patterns = [word for word in sys.argv[1:] if word != "--without"]
    if patterns:
        suite = select(suite, patterns, wanted="--without" not in sys.argv)
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Recorder, verbosity=0).run(suite)
    return 0 if result.wasSuccessful() else 1


def select(suite, patterns, wanted):
    chosen = unittest.TestSuite()
    for test in flatten(suite):
        if any(pattern in test.id() for pattern in patterns) == wanted:
            chosen.addTest(test)
    return chosen


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


if __name__ == "__main__":
    sys.exit(main())
