"""Several real nodes, one view, while cables, nodes, clocks and masters fail."""

import unittest

from cluster import FRESH, SOON, Group, ask, health_on, node_of, wait_node
from harness import LIBFAKETIME, eventually


class NodesThatFail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=2, agents=2)
        cls.master, cls.second = cls.group["master1"], cls.group["master2"]
        cls.agent, cls.other = cls.group["agent1"], cls.group["agent2"]
        cls.addresses = cls.group.addresses
        for node in cls.group.nodes.values():
            node.exec("systemctl", "start", "ok-simple.service")
        for address in cls.addresses.values():
            wait_node(cls.master, address, freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def test_a_pulled_cable_makes_a_node_stale_and_plugging_it_fresh(self):
        address = self.agent.address()
        eventually(lambda: len(ask(self.master, f"/api/v1/nodes/{address}/units")["units"]) >= 1, SOON)
        self.agent._testbed("net", "down", "agent1")
        try:
            node = wait_node(self.master, address, freshness="stale")
            self.assertEqual(node["health"], 3)
            self.assertTrue(node["why"])
            units = ask(self.master, f"/api/v1/nodes/{address}/units")["units"]
            self.assertTrue(units)
            self.assertTrue(all(u["health"] == 3 for u in units))
            one = ask(self.master, "/system/health/v1/units/ok-simple.service")
            self.assertEqual(one["health"], 3)
            counts = ask(self.master, "/api/v1/cluster/units/ok-simple.service")["counts"]
            self.assertEqual(counts, {"healthy": 3, "unhealthy": 0, "unknown": 1})
        finally:
            self.agent._testbed("net", "up", "agent1")
        node = wait_node(self.master, address, 40, freshness="fresh")
        self.assertEqual((node["health"], node["why"]), (1, ""), "its own verdict again: bad-setting.service is loaded")

    def test_b_another_machine_at_the_same_address_is_said(self):
        address = self.other.address()
        before = node_of(self.master, address)["node_id"]
        self.other.exec("systemctl", "stop", "opsd")
        wait_node(self.master, address, freshness="stale")
        self.other.sh("echo 0123456789abcdef0123456789abcde0 > /tmp/id && mount --bind /tmp/id /etc/machine-id")
        self.other.exec("systemctl", "start", "opsd")
        node = wait_node(self.master, address, 40, freshness="fresh")
        self.assertNotEqual(node["node_id"], before)
        self.assertEqual(node["replaced"]["previous_node_id"], before)

    def test_c_a_clock_ten_minutes_off_is_shown_and_harms_nothing(self):
        address = self.other.address()
        self.other.unit_file("opsd.service.d/clock.conf", f"[Service]\nEnvironment=LD_PRELOAD={LIBFAKETIME} FAKETIME=+600s "
                             "FAKETIME_DONT_FAKE_MONOTONIC=1\nMemoryDenyWriteExecute=no\nSystemCallFilter=\n")
        self.other.exec("systemctl", "restart", "opsd")

        def off():
            node = node_of(self.master, address)
            return node["freshness"] == "fresh" and 590_000 < node["clock_offset_ms"] < 610_000
        eventually(off, 40, what="the offset is shown")
        self.other.exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: health_on(self.master, "bad-exit.service", address) == 1, FRESH)

    def test_d_a_killed_node_stays_in_every_answer(self):
        address = self.agent.address()
        self.agent._testbed("kill", "agent1")
        for master in self.group.masters():
            wait_node(master, address, freshness="stale", health=3)
            self.assertIn(address, [n["host_ip"] for n in ask(master, "/system/health/v1/nodes")["nodes"]])
            self.assertEqual(master.get(f"/system/health/v1/nodes/{address}", via="unix").status, 200)

    def test_e_one_master_alone_answers(self):
        self.master._testbed("kill", "master1")
        wait_node(self.second, self.addresses["master1"], freshness="stale")
        self.assertEqual(self.second.get("/system/health/v1/report", via="unix").status, 200)
        self.assertEqual(node_of(self.second, self.addresses["agent2"])["freshness"], "fresh")


if __name__ == "__main__":
    unittest.main()
