"""packaging/quickstart.sh as a newcomer runs it, with the build that is there; and that it leaves nothing behind."""

import glob
import os
import re
import signal
import tempfile
import unittest

from harness import TOP, UNITS, Node, Terminal

QUICKSTART = os.path.join(TOP, "packaging/quickstart.sh")
GROUP = f"quick-{os.getpid()}"
RED = "\x1b[31m"
BUILD = 900   # seconds; it is a matter of two when build/release is up to date


def traces():
    """What a run with GROUP has on this machine: processes, mounts, control groups, state."""
    found = glob.glob(f"/run/opsd-testbed/{GROUP}")
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/*"):
        found += glob.glob(f"{root}/opsd-testbed/{GROUP}.*")
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        found += [line for line in file if f"/{GROUP}/" in line]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                ours = f"OPSD_TESTBED_GROUP={GROUP}".encode() in file.read().split(b"\0")
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                ours = ours or f"/{GROUP}." in file.read()
        except OSError:
            continue   # it has ended meanwhile
        if ours:
            found.append(f"process {pid}")
    return found


@unittest.skipUnless(os.path.exists(f"{TOP}/build/release/src/opsd"), "build/release/src/opsd is not built")
class Quickstart(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="opsd-quickstart-test.")
        self.addCleanup(self.scratch.cleanup)

    def begin(self, *words):
        if os.path.isdir("/run/systemd/system"):
            self.skipTest("PID 1 is systemd here: no cluster is booted")
        return Terminal(QUICKSTART, *words, OPSD_TESTBED_GROUP=GROUP, TMPDIR=self.scratch.name)

    def nothing_is_left(self):
        self.assertEqual(traces(), [])
        self.assertEqual(os.listdir(self.scratch.name), [])

    def test_a_small_cluster_shows_its_health_and_why_a_unit_is_red(self):
        with self.begin("--once") as terminal:
            terminal.until("4. The cluster, as its master sees it", BUILD)
            self.assertTrue(traces(), "what is looked for at the end is there now")
            status = terminal.end(120)
        text = terminal.shown
        self.assertEqual(status, 0, text)
        for node in ("master", "agent1", "agent2"):
            self.assertRegex(text, rf"(?m)^\S+ +{node} .* fresh\b", "the master's view")
        red = next(line for line in text.splitlines() if " agent2 " in line and RED in line)
        self.assertIn("unhealthy", red)
        one_unit, why = text.split("One unit on all nodes")[1].split("Why is it unhealthy on agent2?")
        self.assertTrue(any(RED in line and "agent2" in line for line in one_unit.splitlines()), one_unit)
        why, said = why.split("What does it say, on all nodes?")
        self.assertRegex(said.split("What to try")[0], "(?m)^.*agent2.*cannot open the configuration", "the log of all nodes")
        self.assertIn("bad-exit.service", why)
        self.assertRegex(why, "status 3")
        self.assertIn("cannot open the configuration", why, "the unit's own words")
        for path in ("/system/health/v1/nodes", "/api/v1/nodes/agent2/units/bad-exit.service/explain", "/api/v1/events"):
            self.assertRegex(text, rf"exec master curl -sN? http://127\.0\.0\.1:1050{re.escape(path)}", path)
        self.nothing_is_left()

    def test_ctrl_c_ends_it_and_removes_everything(self):
        with self.begin() as terminal:
            terminal.until("Ctrl-C ends it and removes everything", BUILD)
            self.assertTrue(traces())
            os.killpg(terminal.process.pid, signal.SIGINT)
            self.assertEqual(terminal.end(180), 130, terminal.shown)
        self.nothing_is_left()

    def test_where_systemd_runs_it_watches_the_machine_itself(self):
        node = Node("--bind", TOP, "--unit", UNITS, "--enable", "ok-simple.service", "--enable", "bad-exit.service", opsd=False)
        self.addCleanup(node.remove)
        done = node.sh(f"mkdir /run/scratch && TMPDIR=/run/scratch {QUICKSTART} --once", timeout=BUILD, check=False)
        text = done.stdout
        self.assertEqual(done.returncode, 0, text + done.stderr)
        self.assertNotIn("\x1b", text, "a pipe has no colours")
        self.assertRegex(text, r"(?m)^bad-exit\.service +unhealthy +failed ")
        why, said = text.split("Why is bad-exit.service unhealthy?")[1].split("What does it say?")
        self.assertIn("cannot open the configuration", said.split("What to try")[0])
        self.assertIn("cannot open the configuration", why)
        self.assertRegex(said, r"curl -s http://127\.0\.0\.1:\d+/api/v1/units/bad-exit\.service \|")
        self.assertEqual(node.sh("ls /run/scratch; pgrep -x opsd", check=False).stdout, "")
