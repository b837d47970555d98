#!/usr/bin/env python3
"""Collects what tests/run.sh ran: one line per test, `status<TAB>suite<TAB>name<TAB>seconds<TAB>reason`.

results.py ctest SUITE JUNIT GTEST_DIR   reads CTest's report and GoogleTest's beside it, prints lines
results.py summary FILE EXPECTED_SKIPS   prints failures, skips and, last, "N passed, N failed, N skipped"
"""

import fnmatch
import os
import sys
import xml.etree.ElementTree as xml


def line(status, suite, name, seconds, reason=""):
    print("\t".join([status, suite, name, f"{float(seconds):.2f}", " ".join(reason.split())[:300]]))


def gtest_cases(suite, program, path):
    """Prints the cases of one GoogleTest program; returns (cases, failures)."""
    failures = cases = 0
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.get("status") == "notrun":
            continue
        name = f"{program}.{case.get('classname')}.{case.get('name')}"
        failure, skipped = case.find("failure"), case.find("skipped")
        cases += 1
        if failure is not None:
            failures += 1
            line("failed", suite, name, case.get("time", 0), failure.get("message", ""))
        elif skipped is not None or case.get("result") == "skipped":
            line("skipped", suite, name, case.get("time", 0), skipped.get("message", "") if skipped is not None else "")
        else:
            line("passed", suite, name, case.get("time", 0))
    return cases, failures


def ctest(suite, junit, directory):
    for test in xml.parse(junit).getroot().iter("testcase"):
        program, seconds = test.get("name"), test.get("time", 0)
        report = os.path.join(directory, program + ".xml")
        failed = test.get("status") == "fail"
        if os.path.exists(report):
            cases, failures = gtest_cases(suite, program, report)
            if failed and not failures:     # died after, or outside, its cases
                line("failed", suite, program, seconds, "the program failed although no case did")
            elif not cases and not failed:
                line("failed", suite, program, seconds, "the program has no test")
        elif failed:
            line("failed", suite, program, seconds, "see its output above")
        elif test.get("status") == "run":
            line("passed", suite, program, seconds)
        else:
            skipped = test.find("skipped")
            line("skipped", suite, program, seconds, skipped.get("message", "") if skipped is not None else "")


def expected_skips(path):
    """Lines `PATTERN  # reason`; a pattern matches SUITE/NAME."""
    with open(path, encoding="utf-8") as file:
        lines = (text.partition("#")[0].strip() for text in file)
        return [text for text in lines if text]


def summary(path, expected_path):
    expected = expected_skips(expected_path)
    results = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            results = [text.rstrip("\n").split("\t") for text in file if text.strip()]
    by_status = {"passed": [], "failed": [], "skipped": []}
    for result in results:
        by_status[result[0]].append(result)
    unexpected = 0
    for _, suite, name, _, reason in by_status["skipped"]:
        known = any(fnmatch.fnmatch(f"{suite}/{name}", pattern) for pattern in expected)
        unexpected += not known
        print(f"SKIPPED{'' if known else ' (not expected)'} {suite}/{name}: {reason or 'no reason given'}")
    for _, suite, name, _, reason in by_status["failed"]:
        print(f"FAILED {suite}/{name}: {reason}")
    refuse = bool(by_status["failed"]) or not by_status["passed"]
    if unexpected and os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        print(f"{unexpected} skip(s) that tests/expected-skips.txt does not list: in CI that is a failure")
        refuse = True
    print(", ".join(f"{len(by_status[status])} {status}" for status in ("passed", "failed", "skipped")))
    return 1 if refuse else 0


def main():
    if sys.argv[1] == "ctest":
        return ctest(*sys.argv[2:5])
    return summary(*sys.argv[2:4])


if __name__ == "__main__":
    sys.exit(main())
