"""Logs on real nodes: one node's journal by all its routes, a task's log through master and agent, several nodes merged."""

import json
import os
import shutil
import threading
import time
import unittest

from cluster import AGENT, SOON, TOKEN, Group, master_config, put, run_stub, wait_node
from harness import TOP, Connection, Events, eventually

SOURCES = """
    mesos: {masters: ["http://127.0.0.1:5050"], interval: 1s, timeout: 2s}
"""
ID = "54836ef5-80d6-4178-83cc-76db9ff61daf-S"   # with a number, an agent's Mesos id
RUN = "/system/v1/logs/v2/task/frameworks/f-1/executors/web.1/runs/c-1"
WORK = "/var/lib/mesos/slave"
SHOWN = "token=of-kim"                            # what the caller shows Mesos
ROOT = {"X-Opsd-Mesos-Authorization": SHOWN}
VIEWER = {"Authorization": f"Bearer {TOKEN}"}


def messages(text):
    """MESSAGE of each line of JSON."""
    return [json.loads(line)["fields"]["MESSAGE"] for line in text.splitlines() if '"MESSAGE"' in line]


class LogsOfACluster(unittest.TestCase):
    """master1 watches agent1 and agent2, whom Mesos names; task web.1 runs on agent1."""

    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=1, agents=2, start=False)
        cls.master, cls.agent, cls.other = (cls.group[n] for n in ("master1", "agent1", "agent2"))
        at = cls.group.addresses
        shutil.copytree(os.path.join(TOP, "tests/fixtures/mesos"), f"{cls.master.root}/run/fixtures")
        put(cls.master, "mesos", {
            "self": f"{at['master1']}:5050", "leader": f"{at['master1']}:5050", "id": "first-leader", "fixtures": "/run/fixtures",
            "agents": [{"id": ID + "1", "address": at["agent1"]}, {"id": ID + "2", "address": at["agent2"]}],
            "tasks": [{"id": "web.1", "name": "web", "agent": ID + "1", "container": "c-1"}]})
        run_stub(cls.master, "fake-mesos", "fake_sources.py", "mesos", "0.0.0.0", "5050", "/run/mesos", port=5050)
        cls.make_sandbox()
        cls.master.configure(master_config(at.values(), sources=SOURCES) + "logs: {nodes: {answer_timeout: 2s}}\n")
        cls.other.configure(AGENT + "logs: {allow: [{role: viewer, units: [ok-*]}]}\n")
        cls.group.start()
        for name in ("agent1", "agent2"):
            wait_node(cls.master, at[name], freshness="fresh", mesos_id=ID + name[-1])

    @classmethod
    def make_sandbox(cls):
        meta = f"{cls.agent.root}{WORK}/meta/slaves"
        cls.sandbox = f"{cls.agent.root}{WORK}/slaves/{ID}1/frameworks/f-1/executors/web.1/runs/c-1"
        os.makedirs(f"{meta}/{ID}1")
        os.symlink(f"{WORK}/meta/slaves/{ID}1", f"{meta}/latest")
        os.makedirs(f"{cls.sandbox}/logs/today")
        cls.write("stdout", "one\ntwo\nthree\nfour\nfive\n")
        cls.write("logs/today/x.log", "nested\n")
        put(cls.agent, "agent", {"work_dir": WORK, "authorization": SHOWN})
        run_stub(cls.agent, "fake-agent", "fake_sources.py", "agent", "127.0.0.1", "5051", "/run/agent", port=5051)

    @classmethod
    def write(cls, name, text, mode="w"):
        with open(f"{cls.sandbox}/{name}", mode, encoding="utf-8") as file:
            file.write(text)

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    @staticmethod
    def say(node, tag, *lines):
        """Lines of a program in the journal, and waits until they are there."""
        node.exec("systemd-cat", "-t", tag, "printf", "%s\\n", *lines)
        eventually(lambda: lines[-1] in node.exec("journalctl", "-t", tag, "-o", "cat").stdout, SOON)

    def get(self, path, node=None, status=200, **headers):
        answer = (node or self.master).get(path, via="unix", headers=headers)
        self.assertEqual(answer.status, status, f"{path}: {answer}")
        return answer

    def test_one_nodes_journal_by_all_routes(self):
        self.say(self.agent, "routes", "first", "second", "third")
        wanted = ["first", "second", "third"]
        mark = "filter=SYSLOG_IDENTIFIER:routes"
        accept = {"Accept": "application/json"}
        agent = self.agent
        here = [(agent, f"/system/v1/logs/v1/range/?{mark}", accept), (agent, f"/system/v1/logs/v2/component?{mark}", accept),
                (agent, f"/api/v1/logs?format=ndjson&{mark}", {})]
        there = [(self.master, f"/system/v1/agent/{ID}1/logs/v1/range/?{mark}", accept),
                 (self.master, f"/system/v1/agent/{ID}1/logs/v2/component?{mark}", accept),
                 (self.master, f"/api/v1/logs?node=agent1&format=ndjson&{mark}", {}),
                 (self.master, f"/api/v1/logs?node={agent.address()}&format=ndjson&{mark}", {})]
        for node, path, headers in here + there:
            with self.subTest(path=path, node=node.name):
                self.assertEqual(messages(self.get(path, node, **headers).text), wanted)
        leader = self.get("/system/v1/leader/mesos/logs/v2/component/opsd.service?skip=-1", **accept)
        self.assertIn("opsd", json.loads(leader.text)["fields"]["_SYSTEMD_UNIT"])
        self.assertEqual(self.get("/system/v1/agent/nobody-S9/logs/v2/component", status=404).text,
                         "404 Not Found: agent `nobody-S9` unknown.")
        self.assertEqual(self.get("/system/v1/leader/marathon/logs/v2/component", status=503).text,
                         "503 Service Unavailable: cache state is invalid")

    def test_a_follower_loses_and_doubles_nothing_over_rotation(self):
        self.say(self.agent, "turning", "begin")
        for node, path in ((self.agent, "/system/v1/logs/v2/component"), (self.master, f"/system/v1/agent/{ID}1/logs/v2/component")):
            with self.subTest(path):
                tag = f"turning-{node.name}"
                events = Events(node, f"{path}?skip=0&cursor=END&filter=SYSLOG_IDENTIFIER:{tag}", headers=VIEWER, timeout=30)
                try:
                    def write(tag=tag):
                        for turn in range(4):
                            self.agent.sh(f"for i in $(seq {turn * 50 + 1} {turn * 50 + 50}); do echo line $i; done | systemd-cat -t {tag}")
                            self.agent.exec("journalctl", "--rotate")
                    writer = threading.Thread(target=write)
                    writer.start()
                    seen = [json.loads(events.next()["data"])["fields"]["MESSAGE"] for _ in range(200)]
                    writer.join()
                finally:
                    events.close()
                self.assertEqual(seen, [f"line {i}" for i in range(1, 201)])

    def test_a_tasks_log_through_master_and_agent(self):
        answer = self.get("/system/v1/logs/v2/task/web/file/stdout?cursor=END&skip=-2", status=303, **ROOT)
        self.assertEqual(answer.headers["Location"], f"/system/v1/agent/{ID}1{RUN[10:]}/stdout?cursor=END&skip=-2")
        self.assertEqual(self.get(answer.headers["Location"], **ROOT).text, "four\nfive\n")
        direct = self.get(f"{RUN}/stdout?cursor=END&skip=-2", self.agent, **ROOT)
        self.assertEqual(direct.text, "four\nfive\n")
        nested = f"/system/v1/agent/{ID}1{RUN[10:]}/logs/today/x.log"
        self.assertEqual(self.get(nested, **ROOT).text, "nested\n")
        self.assertEqual(self.get(nested + "/download", **ROOT).body, b"nested\n")
        names = [os.path.basename(i["path"]) for i in self.get(f"{RUN}/files/browse", self.agent, **ROOT).json()]
        self.assertEqual(names, ["logs", "stdout"])
        self.get(f"{RUN}/none", self.agent, status=404, **ROOT)
        self.get(f"{RUN}/stdout", self.agent, status=403)  # Mesos is shown the caller's, not opsd's
        tasks = self.get("/api/v1/tasks").json()["tasks"]
        self.assertEqual([t["agent_id"] for t in tasks], [ID + "1"])

    def test_a_tasks_log_is_followed_through_the_master(self):
        connection = Connection(self.master.unix, 20)
        try:
            connection.request("GET", f"/system/v1/agent/{ID}1{RUN[10:]}/stdout?cursor=END&skip=-1",
                               headers={"Accept": "text/event-stream", **ROOT})
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            self.write("stdout", "grown\n", "a")
            seen = b""
            while b'"grown"' not in seen:
                seen += response.readline()
            self.assertIn(b'"MESSAGE":"five"', seen)
        finally:
            connection.close()
            self.write("stdout", "one\ntwo\nthree\nfour\nfive\n")

    def test_several_nodes_are_merged_and_who_is_unplugged_is_named(self):
        for i, node in enumerate((self.agent, self.master, self.agent, self.master)):
            self.say(node, "merged", f"number {i}")
        path = "/api/v1/logs?node=master1,agent1&format=ndjson&filter=SYSLOG_IDENTIFIER:merged"
        answer = self.get(path)
        self.assertEqual(messages(answer.text), [f"number {i}" for i in range(4)])
        self.assertIsNone(answer.headers["X-Opsd-Missing"])
        self.other._testbed("net", "down", self.other.name)
        try:
            began = time.monotonic()
            answer = self.get("/api/v1/logs?node=all&format=json&filter=SYSLOG_IDENTIFIER:merged")
            self.assertLess(time.monotonic() - began, 6)
            self.assertEqual(answer.headers["X-Opsd-Missing"], self.other.address())
            document = answer.json()
            self.assertEqual([e["fields"]["MESSAGE"] for e in document["entries"]], [f"number {i}" for i in range(4)])
            self.assertEqual([m["node"] for m in document["missing"]], [self.other.address()])
            shown = self.master.opsd("log", "--all", "--lines", "3")
            self.assertEqual(shown.returncode, 69, shown)
            self.assertIn(f"opsd: {self.other.address()} is missing: ", shown.stderr)
            self.assertEqual(len(shown.stdout.splitlines()), 3)
        finally:
            self.other._testbed("net", "up", self.other.name)
        eventually(lambda: self.get("/api/v1/logs?node=all&lines=1").headers["X-Opsd-Missing"] is None, SOON)

    def test_several_nodes_are_followed_and_gone_on_with(self):
        self.say(self.agent, "both", "old")
        path = "/api/v1/logs?node=master1,agent1&follow&format=sse&lines=1&filter=SYSLOG_IDENTIFIER:both"
        events = Events(self.master, path, headers=VIEWER)
        try:
            self.assertEqual(json.loads(events.next()["data"])["fields"]["MESSAGE"], "old")
            self.say(self.master, "both", "of the master")
            event = events.next()
            self.assertEqual(json.loads(event["data"])["fields"]["MESSAGE"], "of the master")
            self.assertEqual(json.loads(event["data"])["node"], self.master.address())
        finally:
            events.close()
        self.say(self.agent, "both", "meanwhile")
        again = Events(self.master, path, headers={**VIEWER, "Last-Event-ID": event["id"]})
        try:
            self.assertEqual(json.loads(again.next()["data"])["fields"]["MESSAGE"], "meanwhile")
        finally:
            again.close()

    def test_a_role_reads_its_units_only_also_by_way_of_a_master(self):
        self.other.exec("systemctl", "start", "ok-simple.service")
        self.say(self.other, "secret", "not for viewers")
        for node, path in ((self.other, "/api/v1/logs?format=ndjson&lines=all"),
                           (self.master, "/api/v1/logs?node=agent2&format=ndjson&lines=all")):
            answer = node.get(path, headers=VIEWER)
            self.assertEqual(answer.status, 200, answer)
            self.assertNotIn("not for viewers", answer.text)
            self.assertIn("ok-simple.service", answer.text)
        self.assertEqual(self.master.get("/api/v1/logs?node=agent2&unit=opsd", headers=VIEWER).status, 403)
        self.assertEqual(self.other.get(f"{RUN}/stdout", headers=VIEWER).status, 403)
        self.assertIn("not for viewers", self.get("/api/v1/logs?format=ndjson&lines=all", self.other).text)

    def test_the_command_line_shows_logs(self):
        self.say(self.agent, "shown", "on the agent")
        shown = self.master.opsd("log", "--node", "agent1", "--grep", "^on the agent$", "--lines", "1")
        self.assertEqual(shown.returncode, 0, shown)
        self.assertTrue(shown.stdout.rstrip().endswith("on the agent"), shown.stdout)
        self.assertIn(" agent1 ", shown.stdout)
        as_json = self.master.opsd("log", "--leader", "opsd", "--lines", "2", "-o", "json")
        self.assertEqual(len([json.loads(line) for line in as_json.stdout.splitlines()]), 2, as_json)
        self.assertEqual(self.master.opsd("log", "--node", "nobody").returncode, 1)
        listed = self.master.opsd("task", "list")
        self.assertIn("web.1", listed.stdout, listed)
        refused = self.master.opsd("task", "log", "web")
        self.assertNotEqual(refused.returncode, 0, "Mesos wants a token here")

    def test_the_command_line_follows_over_a_restart_of_opsd(self):
        self.say(self.agent, "kept", "before")
        with self.agent.terminal("log", "--follow", "--lines", "1", "--grep", "^(before|meanwhile|after)$") as terminal:
            terminal.until("before")
            self.agent.exec("systemctl", "restart", "opsd")
            self.say(self.agent, "kept", "meanwhile")
            terminal.until("meanwhile")
            self.say(self.agent, "kept", "after")
            terminal.until("after")
            self.assertEqual(terminal.shown.count("meanwhile"), 1)
        wait_node(self.master, self.agent.address(), freshness="fresh")


if __name__ == "__main__":
    unittest.main()
