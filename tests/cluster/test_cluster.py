"""Several real nodes, one view: what masters say of agents, and what operators do with nodes."""

import shutil
import subprocess
import tempfile
import unittest

from cluster import AGENT, FRESH, SOON, Group, ask, health_on, node_of, wait_node
from harness import Events, eventually


class OneMasterTwoAgents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=2, agents=2)
        cls.master, cls.second = cls.group["master1"], cls.group["master2"]
        cls.agent, cls.other = cls.group["agent1"], cls.group["agent2"]
        cls.address = cls.agent.address()
        for agent in (cls.agent, cls.other):
            agent.exec("systemctl", "start", "ok-simple.service")
        for master in cls.group.masters():
            for node in cls.group.nodes.values():
                wait_node(master, node.address(), freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def get(self, path):
        return ask(self.master, path)

    def test_every_master_answers_for_every_node(self):
        for master in self.group.masters():
            nodes = master.get("/system/health/v1/nodes", via="unix").json()["nodes"]
            self.assertEqual([n["host_ip"] for n in nodes], [n.address() for n in self.group.nodes.values()])
            self.assertEqual({n["role"] for n in nodes}, {"master", "agent"})
            self.assertEqual(set(nodes[0]), {"host_ip", "health", "role"})

    def test_a_changed_unit_reaches_every_master_at_once(self):
        self.agent.exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: all(health_on(m, "bad-exit.service", self.address) == 1 for m in self.group.masters()), FRESH)
        unit = eventually(lambda: (u := self.get(f"/api/v1/nodes/{self.address}/units/bad-exit.service")) and
                          "cannot open the configuration" in u["output"] and u, SOON)
        self.assertEqual(unit["state"], "failed")
        rolled = self.get("/api/v1/cluster/units/bad-exit.service")
        self.assertEqual(rolled["health"], 1)
        explained = self.master.get(f"/api/v1/nodes/{self.address}/units/bad-exit.service/explain", via="unix")
        self.assertEqual(explained.status, 200, explained)
        self.assertIn("verdict", explained.json())

    def test_the_command_line_shows_the_cluster(self):
        listed = self.master.opsd("node", "list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for node in self.group.nodes.values():
            self.assertIn(node.address(), listed.stdout)
        shown = self.master.opsd("node", "show", self.address)
        self.assertIn("known from", shown.stdout)
        self.assertIn(shown.returncode, (0, 2))
        nodes = self.master.opsd("unit", "nodes", "ok-simple.service")
        self.assertEqual(nodes.stdout.count("healthy  running "), 2, nodes.stdout)
        self.assertIn(self.master.opsd("health", "--cluster").returncode, (0, 2))
        self.assertEqual(self.master.opsd("node", "show", "nobody").returncode, 3)

    def test_the_events_of_all_nodes_are_on_a_master(self):
        events = Events(self.master)
        try:
            self.other.exec("systemctl", "start", "bad-signal.service", check=False)
            event = events.until(lambda e: e.get("unit") == "bad-signal.service" and e.get("to") == "failed")
            self.assertEqual(event["json"]["address"], self.other.address())
        finally:
            events.close()
        self.other.exec("systemctl", "reset-failed", "bad-signal.service")

    def test_a_node_is_named_by_address_host_name_or_not_at_all(self):
        self.assertEqual(node_of(self.master, "agent1")["address"], self.address)
        self.assertEqual(self.master.get("/api/v1/nodes/nobody", via="unix").status, 404)
        self.assertEqual(self.master.get("/system/health/v1/nodes/nobody", via="unix").text, "nobody not found\n")

    def test_a_node_that_a_source_names_cannot_be_forgotten(self):
        answer = self.master.request("DELETE", f"/api/v1/nodes/{self.address}", via="unix")
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("still named by static", answer.text)

    def test_planned_work_on_a_node(self):
        done = self.master.opsd("node", "ack", self.address, "--for", "2h", "--reason", "new disk")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(wait_node(self.master, self.address)["acknowledged"]["reason"], "new disk")
        self.master.exec("systemctl", "restart", "opsd")
        eventually(lambda: node_of(self.master, self.address)["acknowledged"]["reason"] == "new disk", 10)
        self.assertEqual(self.master.opsd("node", "unack", self.address).returncode, 0)

    def test_two_nodes_with_one_name_are_two_nodes(self):
        for agent in (self.agent, self.other):
            agent.configure(AGENT.replace("node: {role: agent}", "node: {role: agent, hostname: twin}"))
            agent.exec("systemctl", "reload", "opsd")
        try:
            for agent in (self.agent, self.other):
                wait_node(self.master, agent.address(), hostname="twin")
            answer = self.master.get("/api/v1/nodes/twin", via="unix")
            self.assertEqual(answer.status, 409, answer)
            self.assertIn(self.address, answer.text)
        finally:
            for agent in (self.agent, self.other):
                agent.configure(AGENT)
                agent.exec("systemctl", "reload", "opsd")
                wait_node(self.master, agent.address(), hostname=agent.name)

    def test_an_agent_under_a_new_mesos_id_is_the_same_member(self):
        count = len(self.get("/api/v1/nodes")["nodes"])
        for mesos_id in ("S1", "S7"):
            self.agent.configure(AGENT.replace("node: {role: agent}", f"node: {{role: agent, mesos_id: {mesos_id}}}"))
            self.agent.exec("systemctl", "restart", "opsd")
            wait_node(self.master, self.address, mesos_id=mesos_id, freshness="fresh")
        self.assertEqual(len(self.get("/api/v1/nodes")["nodes"]), count)
        self.assertEqual(node_of(self.master, "S7")["address"], self.address)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not there")
    def test_the_clusters_series_are_for_prometheus(self):
        text = self.master.get("/api/v1/metrics/cluster", via="unix").text
        self.assertIn(f'opsd_cluster_node_health{{node="{self.address}",hostname="agent1",role="agent"}}', text)
        with tempfile.NamedTemporaryFile("w", suffix=".prom") as file:
            file.write(text)
            file.flush()
            with open(file.name, encoding="utf-8") as page:
                done = subprocess.run(["promtool", "check", "metrics"], stdin=page, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
