"""Who belongs to the cluster, by the word of DNS, Mesos, Exhibitor and ZooKeeper, and while these fail."""

import os
import shutil
import time
import unittest

from cluster import (AGENT, FRESH, GLOBS, SOON, Group, ask, give_token, health_on, master_config, module_reason, node_of, put,
                     run_stub, wait_node)
from harness import TOP, UNITS, Node, eventually

SOURCES = """
    dns: {{names: [agents.test], role: agent, interval: 1s, timeout: 1s}}
    mesos: {{masters: ["http://{standby}"], interval: 1s, timeout: 2s}}
    exhibitor: {{url: "http://127.0.0.33:8181/exhibitor/v1/cluster/status", interval: 1s, timeout: 1s}}
    zookeeper: {{address: "zk://127.0.0.34:2181/mesos", interval: 1s, timeout: 1s}}
"""
MESOS_ID = "54836ef5-80d6-4178-83cc-76db9ff61daf-S"   # with a number, an agent's Mesos id in the fixtures
STUBS = ("fake-dns", "fake-exhibitor", "fake-zookeeper", "fake-mesos")


class FoundBySources(unittest.TestCase):
    """master1 watches; nobody is written down. agent1 is in DNS, agent2 and agent3 are Mesos agents, master2 is in Exhibitor and
    in ZooKeeper and leads Mesos; master1 runs the standby, the only Mesos master that opsd is told of."""

    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=2, agents=3, start=False)
        cls.master, cls.second = cls.group.masters()
        cls.at = cls.group.addresses
        cls.mesos = {"leader": f"{cls.at['master2']}:5050", "id": "first-leader", "fixtures": "/run/fixtures", "recovered": [], "agents": [
            {"id": MESOS_ID + "2", "address": cls.at["agent2"]},
            {"id": MESOS_ID + "3", "address": cls.at["agent3"], "attributes": {"public_ip": "true"}}]}
        cls.start_stubs()
        for name, node in cls.group.nodes.items():
            node.configure(AGENT.replace("node: {role: agent}", ""))  # the sources say what they are
        cls.master.configure(master_config(sources=SOURCES.format(standby=f"{cls.at['master1']}:5050")))
        cls.group.start()

    @classmethod
    def start_stubs(cls):
        for node in (cls.master, cls.second):
            shutil.copytree(os.path.join(TOP, "tests/fixtures/mesos"), f"{node.root}/run/fixtures")
        cls.tell_mesos()
        put(cls.master, "exhibitor", [cls.at["master2"]])
        cls.tell_zookeeper("master2")
        put(cls.master, "dns", {"agents.test": [cls.at["agent1"]]})
        with open(f"{cls.master.root}/etc/resolv.conf", "w", encoding="utf-8") as file:
            file.write("nameserver 127.0.0.35\n")
        for kind, address, port in (("exhibitor", "127.0.0.33", 8181), ("zookeeper", "127.0.0.34", 2181), ("dns", "127.0.0.35", 53)):
            run_stub(cls.master, f"fake-{kind}", "fake_sources.py", kind, address, str(port), f"/run/{kind}", port=port, address=address,
                     udp=kind == "dns")
        for node in (cls.master, cls.second):
            run_stub(node, "fake-mesos", "fake_sources.py", "mesos", "0.0.0.0", "5050", "/run/mesos", port=5050)

    @classmethod
    def tell_mesos(cls):
        for node in (cls.master, cls.second):
            put(node, "mesos", {**cls.mesos, "self": f"{node.address()}:5050"})

    @classmethod
    def tell_zookeeper(cls, *names):
        put(cls.master, "zookeeper", {f"json.info_{i:010d}": {"id": n, "address": {"ip": cls.at[n], "port": 5050}}
                                      for i, n in enumerate(names)})

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def named_by(self, name):
        """The sources that name the node now."""
        return {s["source"] for s in node_of(self.master, self.at[name])["known_from"] if s["current"]}

    def nobody_is_missing(self):
        nodes = {n["address"]: n["freshness"] for n in ask(self.master, "/api/v1/nodes")["nodes"]}
        self.assertEqual(nodes, dict.fromkeys(self.at.values(), "fresh"))

    def signal_stubs(self, number, *names):
        self.master.exec("systemctl", "kill", "-s", number, *names)

    def test_a_every_source_names_its_members_with_what_it_knows(self):
        for name, role, sources, mesos_id in (("agent1", "agent", {"dns"}, ""), ("agent2", "agent", {"mesos"}, MESOS_ID + "2"),
                                              ("agent3", "agent_public", {"mesos"}, MESOS_ID + "3"),
                                              ("master2", "master", {"exhibitor", "zookeeper", "mesos"}, "")):
            with self.subTest(name):
                wait_node(self.master, self.at[name], freshness="fresh", role=role, mesos_id=mesos_id, hostname=name)
                eventually(lambda n=name, s=sources: self.named_by(n) == s, SOON, what=f"{name} is named by {sources}")
        roles = {n["host_ip"]: n["role"] for n in ask(self.master, "/system/health/v1/nodes")["nodes"]}
        self.assertEqual(roles[self.at["agent3"]], "agent_public")
        self.assertEqual(node_of(self.master, MESOS_ID + "3")["address"], self.at["agent3"], "found by its Mesos id")
        self.assertEqual([n["hostname"] for n in ask(self.master, "/api/v1/nodes")["nodes"] if n["leader"]], ["master2"])
        eventually(lambda: module_reason(self.master) == "", SOON, what="no source is complained of")

    def test_b_a_dead_leader_of_mesos_removes_nobody_and_the_next_one_is_followed(self):
        self.nobody_is_missing()
        self.second.exec("systemctl", "kill", "-s", "KILL", "fake-mesos")
        began = time.monotonic()
        eventually(lambda: "after the death of a leader this lasts about 11 s" in module_reason(self.master), SOON)
        while time.monotonic() - began < 11:  # so long a standby sends to the dead one
            self.nobody_is_missing()
            self.assertEqual([self.named_by(n) for n in ("agent2", "agent3")], [{"mesos"}] * 2, "by its last list")
            time.sleep(0.5)
        # The new leader knows the agents from its registry only, then the first is back, the second as another one.
        agents = self.mesos["agents"]
        self.mesos.update(leader=f"{self.at['master1']}:5050", id="second-leader", agents=[], recovered=agents)
        self.tell_mesos()
        self.tell_zookeeper("master1")
        eventually(lambda: module_reason(self.master) == "", 40, what="the new leader is followed")
        self.nobody_is_missing()
        self.assertEqual([self.named_by(n) for n in ("agent2", "agent3")], [{"mesos"}] * 2)
        self.mesos.update(agents=[agents[0], {**agents[1], "id": MESOS_ID + "4"}], recovered=[])
        self.tell_mesos()
        wait_node(self.master, self.at["agent3"], SOON, mesos_id=MESOS_ID + "4", role="agent_public", freshness="fresh")
        self.nobody_is_missing()
        eventually(lambda: [n["hostname"] for n in ask(self.master, "/api/v1/nodes")["nodes"] if n["leader"]] == ["master1"], SOON)

    def test_c_whom_a_source_lists_no_more_stays_as_long_as_he_answers(self):
        agents = self.mesos["agents"]
        self.mesos.update(agents=agents[:1])
        self.tell_mesos()
        eventually(lambda: self.named_by("agent3") == set(), SOON)
        self.nobody_is_missing()
        self.mesos.update(agents=agents)
        self.tell_mesos()
        eventually(lambda: self.named_by("agent3") == {"mesos"}, SOON)

    def test_d_sources_that_hang_remove_nobody_and_hold_up_no_other_source(self):
        before = {name: self.named_by(name) for name in self.at}
        self.signal_stubs("STOP", *STUBS[:3])
        reasons = ("cannot look up agents.test", "cannot ask Exhibitor", "zookeeper named last stay")
        eventually(lambda: all(r in module_reason(self.master) for r in reasons), 20, what="each says why")
        self.mesos["agents"].append({"id": MESOS_ID + "1", "address": self.at["agent1"]})
        self.tell_mesos()
        eventually(lambda: self.named_by("agent1") == {"dns", "mesos"}, SOON, what="Mesos is heard all the same")
        self.signal_stubs("STOP", STUBS[3])
        eventually(lambda: "cannot ask a Mesos master" in module_reason(self.master), 20, what="and now Mesos hangs, too")
        self.nobody_is_missing()
        named = {**before, "agent1": {"dns", "mesos"}}
        self.assertEqual({name: self.named_by(name) for name in self.at}, named)
        self.master.exec("systemctl", "restart", "opsd")
        eventually(lambda: self.master.get("/-/healthy").status == 200, 20)
        for address in self.at.values():
            wait_node(self.master, address, freshness="fresh")
        self.nobody_is_missing()
        del named["master1"]  # who names the node itself is not kept: it is there anyway
        self.assertEqual({name: self.named_by(name) for name in named}, named, "also after a restart")
        reason = ask(self.master, "/api/v1/cluster")["reason"]
        self.assertTrue(reason.endswith("; zookeeper has not named any member yet"), f"whom the others named is known: {reason}")
        self.group["agent2"].exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: health_on(self.master, "bad-exit.service", self.at["agent2"]) == 1, FRESH)
        eventually(lambda: self.master.get("/-/ready", via="unix").status == 200, 20, what="degraded, and serving")
        self.signal_stubs("CONT", *STUBS)
        eventually(lambda: module_reason(self.master) == "", 60, what="all sources are heard again")
        self.nobody_is_missing()


HEALTHY = 'health: {globs: ["ok-simple*"]}\n'
HANGING = """
    dns: {names: [members.invalid], interval: 1s, timeout: 1s}
    mesos: {masters: ["http://127.0.0.31:5050"], interval: 1s, timeout: 1s}
    exhibitor: {url: "http://127.0.0.32:8181/exhibitor/v1/cluster/status", interval: 1s, timeout: 1s}
    zookeeper: {address: "zk://127.0.0.33:2181/mesos", interval: 1s, timeout: 1s}
"""


class SourcesThatHangFromTheStart(unittest.TestCase):
    """Mesos, Exhibitor and ZooKeeper accept and never answer, DNS knows nothing: nobody is delayed, and who is known is watched,
    but as long as others may be missing the cluster is not healthy."""

    def test_members_of_other_sources_are_watched_and_the_reasons_are_said(self):
        agent = Node("--unit", UNITS, name="agent1", config=AGENT.replace(GLOBS, HEALTHY), start=False)
        config = master_config([agent.address()], sources=HANGING).replace(GLOBS, HEALTHY)
        master = Node("--unit", UNITS, name="master1", beside=agent, start=False, config=config)
        try:
            for node in (agent, master):
                give_token(node)
            for i, port in ((31, 5050), (32, 8181), (33, 2181)):
                run_stub(master, f"fake-{i}", "fake_member.py", "silent", f"127.0.0.{i}", str(port), port=port, address=f"127.0.0.{i}")
            agent.start()
            master.start()
            wait_node(master, agent.address(), SOON, freshness="fresh")
            reasons = ("members.invalid", "127.0.0.31", "127.0.0.32", "127.0.0.33")
            eventually(lambda: all(r in module_reason(master) for r in reasons), 20, what="each source says why")
            self.assertEqual(node_of(master, agent.address())["freshness"], "fresh")
            eventually(lambda: ask(master, "/api/v1/cluster")["nodes"] == {"healthy": 2, "unhealthy": 0, "unknown": 0}, SOON)
            for path in ("/api/v1/cluster", "/api/v1/nodes"):
                verdict = ask(master, path)
                self.assertEqual(verdict["health"], 3, path)
                self.assertEqual(verdict["reason"], "dns, exhibitor, mesos, zookeeper have not named any member yet", path)
            self.assertEqual(master.opsd("health", "--cluster").returncode, 3)
            eventually(lambda: master.get("/-/ready", via="unix").status == 200, SOON, what="degraded, and serving")
        finally:
            master.remove()
            agent.remove()


if __name__ == "__main__":
    unittest.main()
