"""Forwarding by the packaged opsd, in its sandbox: every line arrives, across kills; what an operator may do."""

import json
import time

from harness import NodeTest, eventually

OUT = "/var/lib/opsd/forward/out.log"
CONFIG = """\
forward:
  cluster: c1
  outputs:
    - name: disk
      type: file
      path: %s
      start: beginning
      filter: {matches: [SYSLOG_IDENTIFIER=numbers]}
      batch: {age: 100ms}
""" % OUT


class Forward(NodeTest):
    options = ("--journald", "RateLimitIntervalSec=0")
    config = CONFIG

    def documents(self):
        """What is in the file, without a torn line of a kill."""
        lines = self.node.sh(f"cat {OUT}.1 {OUT} 2>/dev/null", check=False).stdout.splitlines()
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found

    def status(self):
        return self.node.get("/api/v1/forward", via="unix").json()["outputs"][0]

    def say(self, first, last):
        self.node.sh(f"seq {first} {last} | systemd-cat -t numbers && journalctl --sync")

    def test_every_line_arrives_and_by_its_id_once_across_kills(self):
        for i in range(5):
            self.say(i * 200 + 1, i * 200 + 200)
            if i:
                self.node.exec("journalctl", "--rotate")
            pid = self.node.main_pid()
            self.node.exec("kill", "-9", str(pid))
            eventually(lambda: self.node.main_pid() not in (0, pid), 10)
        self.say(1001, 1010)
        wanted = {str(n) for n in range(1, 1011)}
        eventually(lambda: wanted <= {d["message"] for d in self.documents()}, 20)
        ids = {}
        ours = [d for d in self.documents() if d["message"] in wanted]
        for document in ours:
            self.assertEqual(ids.setdefault(document["message"], document["event"]["id"]), document["event"]["id"])
        self.assertEqual(len(set(ids.values())), 1010)
        document = ours[-1]
        self.assertEqual(document["labels"]["cluster"], "c1")
        self.assertEqual(document["labels"]["node"], document["host"]["name"])
        status = eventually(lambda: (s := self.status())["pending"] == 0 and s)
        self.assertEqual(status["in"], status["acknowledged"])
        self.assertEqual((status["lost"], status["lag_entries"], status["state"]), (0, 0, "running"))
        self.assertNotIn("forward", str(self.node.get("/-/ready").json()))
        self.assertNotRegex(self.node.journal(), r"Operation not permitted|Permission denied")

    def test_an_operator_pauses_tests_and_replays(self):
        self.say(2001, 2003)
        eventually(lambda: {"2001", "2002", "2003"} <= {d["message"] for d in self.documents()}, 20)
        done = self.node.opsd("forward", "pause", "disk")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.node.exec("systemctl", "restart", "opsd")
        eventually(lambda: self.status()["state"] == "paused")
        self.say(2004, 2005)
        time.sleep(1)
        self.assertNotIn("2004", {d["message"] for d in self.documents()})
        self.assertIn("paused", self.node.opsd("forward", "status").stdout)
        self.assertEqual(self.node.opsd("forward", "resume", "disk").returncode, 0)
        eventually(lambda: "2005" in {d["message"] for d in self.documents()}, 20)
        tested = self.node.opsd("forward", "test", "disk")
        self.assertEqual(tested.returncode, 0, tested.stderr)
        self.assertIn(OUT, tested.stdout)
        self.assertEqual(sum("opsd-probe" in d["event"]["id"] for d in self.documents()), 1)
        self.assertEqual(self.node.opsd("forward", "replay", "disk", "--from", "1h").returncode, 0)
        eventually(lambda: sum(d["message"] == "2005" for d in self.documents()) == 2, 20)
        self.assertEqual(json.loads(self.node.opsd("forward", "status", "disk", "-o", "json").stdout)["name"], "disk")
        self.assertEqual(self.node.opsd("forward", "status", "dusk").returncode, 1)
        self.assertEqual(self.node.opsd("forward", "pause", "dusk").returncode, 1)
        self.assertEqual(self.node.opsd("forward", "pause", "disk", user="daemon").returncode, 77)

    def test_a_file_that_cannot_be_written_loses_nothing(self):
        before = self.status()["acknowledged"]
        self.node.sh(f"rm -f {OUT} && mkdir {OUT}")
        self.say(3001, 3005)
        eventually(lambda: self.status()["error"], 20)
        self.assertEqual(self.status()["acknowledged"], before)
        self.node.sh(f"rmdir {OUT}")
        eventually(lambda: {str(n) for n in range(3001, 3006)} <= {d["message"] for d in self.documents()}, 90)
