"""Members that answer wrongly, members with another program, and clients that want everybody asked now."""

import concurrent.futures
import os
import time
import unittest

from cluster import AGENT, SOON, ask, give_token, master_config, metric, node_of, run_stub, wait_node
from harness import UNITS, Node, eventually

# A master shows each of them as unknown, and this is in why.
LIARS = {
    "garbage": "cannot read the node's answer: it is no JSON",
    "half": "the connection was closed in the middle of it",
    "drip": "nothing moved before the deadline",
    "huge": "its body has more than 4194304 bytes",
    "redirect": "it answers 307 and points to \"http://127.0.0.66:2050/api/v1/node\", where no member is",
    "silent": "nothing moved before the deadline",
    "deaf": "cannot connect to 127.0.0.17:2050: no answer in time",
    "empty": "the connection was closed",
    "reset": "Connection reset by peer",
}


class MembersThatLie(unittest.TestCase):
    """Members that answer wrongly in every way, beside one that answers rightly."""

    @classmethod
    def setUpClass(cls):
        cls.places = {mode: f"127.0.0.{11 + i}:2050" for i, mode in enumerate(LIARS)}
        cls.agent = Node("--unit", UNITS, name="agent1", config=AGENT, start=False)
        cls.master = Node("--unit", UNITS, name="master1", beside=cls.agent, start=False,
                          config=master_config([cls.agent.address(), *cls.places.values()]))
        for node in (cls.agent, cls.master):
            give_token(node)
        for mode, place in {**cls.places, "trap": "127.0.0.66:2050"}.items():
            address = place.split(":")[0]
            run_stub(cls.master, f"fake-{mode}", "fake_member.py", mode, address, "2050", port=2050, address=address)
        cls.agent.start()
        cls.master.start()

    @classmethod
    def tearDownClass(cls):
        cls.master.remove()
        cls.agent.remove()

    def test_who_answers_is_fresh_at_once_whatever_the_others_do(self):
        wait_node(self.master, self.agent.address(), SOON, freshness="fresh")

    def test_who_answers_wrongly_is_unknown_with_the_reason(self):
        for mode, place in self.places.items():
            with self.subTest(mode):
                node = eventually(lambda p=place: (n := node_of(self.master, p)) and n["freshness"] == "unanswered"
                                  and "not asked yet" not in n["why"] and n, 30)
                self.assertEqual(node["health"], 3)
                self.assertIn("cannot", node["why"])
                self.assertIn(LIARS[mode], node["why"])
                self.assertEqual(self.master.get(f"/system/health/v1/nodes/{place}", via="unix").json()["health"], 3)

    def test_the_master_stays_small_and_quick(self):
        eventually(lambda: "not asked yet" not in node_of(self.master, self.places["huge"])["why"], SOON)
        with open(f"/proc/{self.master.outside_pid()}/status", encoding="utf-8") as file:
            anonymous = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
        self.assertLess(anonymous, 60_000, "kB, while a member sends a gigabyte")
        began = time.monotonic()
        self.assertEqual(self.master.get("/system/health/v1/nodes", via="unix").status, 200)
        self.assertLess(time.monotonic() - began, 0.5)

    def test_nobody_follows_a_redirect_and_the_token_stays_here(self):
        self.assertIn("307", eventually(lambda: node_of(self.master, self.places["redirect"])["why"], SOON))
        self.assertFalse(os.path.exists(f"{self.master.root}/run/trap"), "where it points to nobody was asked")


class MembersOfOtherVersions(unittest.TestCase):
    """The opsd after this one, the one before it and the program of DC/OS in one cluster; ?cache asks them all."""

    @classmethod
    def setUpClass(cls):
        cls.at = {mode: f"127.0.0.{41 + i}" for i, mode in enumerate(("newer", "older", "dcos"))}
        cls.place = {mode: f"{address}:2050" for mode, address in cls.at.items()}
        cls.master = Node("--unit", UNITS, name="master1", start=False, config=master_config(
            cls.place.values(), cluster="  pull: {poll_interval: 1s, refresh_timeout: 4s}"))
        give_token(cls.master)
        for mode, address in cls.at.items():
            run_stub(cls.master, f"fake-{mode}", "other_member.py", mode, address, "2050", port=2050, address=address)
        cls.master.start()
        for place in cls.place.values():
            wait_node(cls.master, place, SOON, freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.master.remove()

    def setUp(self):
        self.open_gate()

    def path(self, name):
        return f"{self.master.root}/run/{name}"

    def close_gate(self):
        with open(self.path("gate"), "w", encoding="utf-8"):
            pass

    def open_gate(self):
        if os.path.exists(self.path("gate")):
            os.remove(self.path("gate"))

    def asked(self, mode):
        with open(self.path(f"asked-{self.at[mode]}"), encoding="utf-8") as file:
            return len(file.readlines())

    def units_of(self, mode):
        return {u["id"]: u["health"] for u in ask(self.master, f"/system/health/v1/nodes/{self.place[mode]}/units")["units"]}

    def test_a_each_is_served_as_what_it_says_and_nothing_more(self):
        self.assertEqual(self.units_of("newer"), {"ok-a.service": 0, "bad-b.service": 1, "odd-c.service": 3},
                         "a verdict that is not known here is not healthy")
        self.assertEqual(self.units_of("older"), {"ok-a.service": 0, "bad-b.service": 1})
        self.assertEqual(self.units_of("dcos"), {"ok-a.service": 0, "bad-b.service": 1})
        for mode, version, mesos_id in (("newer", "99.1.0", "S9"), ("older", "0.0.9", ""), ("dcos", "", "")):
            node = node_of(self.master, self.place[mode])
            shown = {k: node[k] for k in ("health", "role", "hostname", "opsd_version", "mesos_id", "freshness")}
            self.assertEqual(shown, {"health": 1, "role": "agent", "hostname": mode, "opsd_version": version, "mesos_id": mesos_id,
                                     "freshness": "fresh"})
        one = ask(self.master, f"/system/health/v1/units/bad-b.service/nodes/{self.place['newer']}")
        self.assertEqual(set(one), {"host_ip", "health", "role", "output", "help"}, "what is not known here is not passed on")
        self.assertIn("status 3", one["output"])
        report = ask(self.master, "/system/health/v1/report")
        self.assertEqual(report["Units"]["bad-b.service"]["Health"], 1)
        self.assertTrue(set(self.place.values()) <= set(report["Nodes"]))

    def test_b_what_happened_on_a_newer_one_is_taken_over(self):
        rows = eventually(lambda: [t for t in ask(self.master, "/api/v1/health/history")["transitions"]
                                   if t["address"] == self.place["newer"] and t["unit"]], SOON)
        self.assertEqual([(t["unit"], t["from"], t["to"], t["to_health"]) for t in rows], [("bad-b.service", "running", "failed", 1)])

    def test_c_a_change_on_each_is_seen(self):
        for mode, address in self.at.items():
            with open(self.path(f"mended-{address}"), "w", encoding="utf-8"):
                pass
            eventually(lambda m=mode: self.units_of(m)["bad-b.service"] == 0, SOON, what=f"{mode} is mended")
        self.assertEqual(self.units_of("newer"), {"ok-a.service": 0, "bad-b.service": 0, "odd-c.service": 3}, "by a partial answer")

    def test_d_cache_by_a_hundred_clients_at_once_asks_every_member_once(self):
        before = {mode: self.asked(mode) for mode in ("newer", "older")}
        rounds = metric(self.master, "opsd_cluster_refreshes_total")
        self.close_gate()
        request = b"GET /system/health/v1/report?cache HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        clients = [self.master.unix() for _ in range(100)]
        for client in clients:
            client.sendall(request)
        eventually(lambda: all(self.asked(m) > n for m, n in before.items()), SOON, what="the members are asked")
        self.master.get("/-/healthy", via="unix")  # it came after all of them
        self.open_gate()
        answers = [self.read_all(client) for client in clients]
        self.assertEqual({a[:15] for a in answers}, {b"HTTP/1.1 200 OK"})
        self.assertEqual(metric(self.master, "opsd_cluster_refreshes_total") - rounds, 1)
        self.assertEqual({mode: self.asked(mode) - n for mode, n in before.items()}, {"newer": 1, "older": 1}, "counted by them")

    @staticmethod
    def read_all(client):
        client.settimeout(20)
        received = b""
        while more := client.recv(1 << 16):
            received += more
        client.close()
        return received

    def test_e_cache_that_cannot_be_had_in_time_says_how_old_the_picture_is_and_holds_up_nobody(self):
        self.close_gate()

        def fetch(_):
            began = time.monotonic()
            return self.master.get("/system/health/v1/nodes?cache", via="unix", timeout=30), time.monotonic() - began
        slowest = 0.0
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            waiting = [pool.submit(fetch, i) for i in range(5)]
            while not all(w.done() for w in waiting):
                began = time.monotonic()
                self.assertEqual(self.master.get("/system/health/v1/nodes", via="unix").status, 200)
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.05)
        self.assertLess(slowest, 1, "without ?cache the answer is there all the time")
        for answer, seconds in (w.result() for w in waiting):
            self.assertEqual(answer.status, 504, answer)
            self.assertRegex(answer.text, r"cannot refresh within 4 s: 2 of 3 members have not answered; .* is [0-9.]+ m?s old and "
                                          r"is served without \?cache")
            self.assertGreaterEqual(int(answer.headers["Age"]), 0)
            self.assertIn("Last-Modified-3DT", answer.headers)
            self.assertTrue(3.5 < seconds < 9, f"{seconds} s")
        self.open_gate()
        eventually(lambda: self.master.get("/system/health/v1/nodes?cache", via="unix", timeout=30).status == 200, SOON)


if __name__ == "__main__":
    unittest.main()
