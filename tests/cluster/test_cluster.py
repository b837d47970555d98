"""Several real nodes, one view: what masters say of agents while cables, nodes, masters and sources fail."""

import concurrent.futures
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import TOP, UNITS, Events, Node, eventually

TOKEN = "0123456789abcdef0123456789abcdef"
OPEN = """
http:
  listen:
    - {address: 0.0.0.0, port: 1050, insecure: true}
auth:
  cluster_token: {file: /etc/opsd/cluster-token}
"""
AGENT = OPEN + """
health: {globs: ["ok-*", "bad-*"]}
node: {role: agent}
"""
FRESH = 5        # seconds within which a change of a unit must be on every master, with room for a loaded machine
STALE = 30       # and the loss of a node


def master_config(members, more="", cluster=""):
    lines = "\n".join(f"      - {m}" for m in members)
    return OPEN + f"""
health: {{globs: ["ok-*", "bad-*"]}}
node: {{role: master}}
cluster:
  token: {{file: /etc/opsd/cluster-token}}
  insecure: true
  sources:
    static:
      hosts:
{lines}
      interval: 1s
{cluster}
{more}
"""


class Group:
    """Nodes that see each other; `masters` watch all."""

    def __init__(self, masters=1, agents=2, cluster="", start=True):
        names = [f"master{i + 1}" for i in range(masters)] + [f"agent{i + 1}" for i in range(agents)]
        self.nodes = {}
        first = None
        for name in names:
            node = Node("--unit", UNITS, name=name, beside=first, config="", start=False)
            first = first or node
            self.nodes[name] = node
        addresses = [node.address() for node in self.nodes.values()]
        for name, node in self.nodes.items():
            node.configure(TOKEN + "\n", "cluster-token")
            os.chmod(os.path.join(node.etc, "cluster-token"), 0o644)
            node.configure(master_config(addresses, cluster=cluster) if name.startswith("master") else AGENT)
            if start:
                node.start()

    def __getitem__(self, name):
        return self.nodes[name]

    def masters(self):
        return [node for name, node in self.nodes.items() if name.startswith("master")]

    def remove(self):
        for node in reversed(list(self.nodes.values())):
            node.remove()


def node_of(master, address):
    return master.get(f"/api/v1/nodes/{address}", via="unix").json()


def wait_node(master, address, timeout=STALE, **wanted):
    def look():
        node = node_of(master, address)
        return node if all(node.get(k) == v for k, v in wanted.items()) else None
    try:
        return eventually(look, timeout, what=f"{address} {wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}\nseen: {node_of(master, address)!r}") from None


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
        return self.master.get(path, via="unix").json()

    def test_every_master_answers_for_every_node(self):
        for master in self.group.masters():
            nodes = master.get("/system/health/v1/nodes", via="unix").json()["nodes"]
            self.assertEqual([n["host_ip"] for n in nodes], [n.address() for n in self.group.nodes.values()])
            self.assertEqual({n["role"] for n in nodes}, {"master", "agent"})
            self.assertEqual(set(nodes[0]), {"host_ip", "health", "role"})

    def test_a_changed_unit_reaches_every_master_at_once(self):
        self.agent.exec("systemctl", "start", "bad-exit.service", check=False)
        for master in self.group.masters():
            began = time.monotonic()
            eventually(lambda m=master: m.get(f"/system/health/v1/units/bad-exit.service/nodes/{self.address}",
                                              via="unix").json()["health"] == 1, FRESH)
            self.assertLess(time.monotonic() - began, FRESH)
        unit = eventually(lambda: (u := self.get(f"/api/v1/nodes/{self.address}/units/bad-exit.service")) and
                          "cannot open the configuration" in u["output"] and u, FRESH)
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

    def test_history_and_the_report_as_it_was(self):
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86400))
        past = self.get(f"/api/v1/health/at?time={before}")
        self.assertEqual(past["health"], 3, past)
        self.agent.exec("systemctl", "start", "bad-exec.service", check=False)
        eventually(lambda: any(t["unit"] == "bad-exec.service" and t["address"] == self.address
                               for t in self.get("/api/v1/health/history?limit=200")["transitions"]), FRESH)

    def test_cache_by_a_hundred_clients_at_once_is_one_round(self):
        def ask(_):
            return self.master.get("/system/health/v1/report?cache", via="unix", timeout=30).status
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(ask, range(100)))
        self.assertEqual(set(statuses), {200})

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


class NodesThatFail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=2, agents=2)
        cls.master, cls.second = cls.group["master1"], cls.group["master2"]
        cls.agent, cls.other = cls.group["agent1"], cls.group["agent2"]
        cls.addresses = {name: node.address() for name, node in cls.group.nodes.items()}
        for node in cls.group.nodes.values():
            node.exec("systemctl", "start", "ok-simple.service")
        for address in cls.addresses.values():
            wait_node(cls.master, address, freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def test_a_pulled_cable_makes_a_node_stale_and_plugging_it_fresh(self):
        address = self.agent.address()
        eventually(lambda: len(self.master.get(f"/api/v1/nodes/{address}/units", via="unix").json()["units"]) >= 1, FRESH)
        self.agent._testbed("net", "down", "agent1")
        try:
            node = wait_node(self.master, address, freshness="stale")
            self.assertEqual(node["health"], 3)
            self.assertTrue(node["why"])
            units = self.master.get(f"/api/v1/nodes/{address}/units", via="unix").json()["units"]
            self.assertTrue(units)
            self.assertTrue(all(u["health"] == 3 for u in units))
            one = self.master.get("/system/health/v1/units/ok-simple.service", via="unix").json()
            self.assertEqual(one["health"], 3)
            counts = self.master.get("/api/v1/cluster/units/ok-simple.service", via="unix").json()["counts"]
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
        self.other.unit_file("opsd.service.d/clock.conf", "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 "
                             "FAKETIME=+600s FAKETIME_DONT_FAKE_MONOTONIC=1\nMemoryDenyWriteExecute=no\nSystemCallFilter=\n")
        self.other.exec("systemctl", "restart", "opsd")
        def off():
            node = node_of(self.master, address)
            return node["freshness"] == "fresh" and 590_000 < node["clock_offset_ms"] < 610_000
        eventually(off, 40, what="the offset is shown")
        self.other.exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: self.master.get(f"/system/health/v1/units/bad-exit.service/nodes/{address}",
                                           via="unix").json()["health"] == 1, FRESH)

    def test_d_a_master_killed_while_it_writes_still_knows_everybody(self):
        wanted = {n.address() for n in self.group.nodes.values()}
        for _ in range(8):
            self.master.kill_unit("opsd.service", signal.SIGKILL)
            eventually(lambda: self.master.get("/-/healthy").status == 200, 20)
            seen = eventually(lambda: {n["address"] for n in self.master.get("/api/v1/nodes", via="unix").json()["nodes"]}, 10)
            self.assertGreaterEqual(seen, wanted - {self.master.address()})

    def test_e_a_killed_node_stays_in_every_answer(self):
        address = self.agent.address()
        self.agent._testbed("kill", "agent1")
        for master in self.group.masters():
            wait_node(master, address, freshness="stale", health=3)
            self.assertIn(address, [n["host_ip"] for n in master.get("/system/health/v1/nodes", via="unix").json()["nodes"]])
            self.assertEqual(master.get(f"/system/health/v1/nodes/{address}", via="unix").status, 200)

    def test_f_one_master_alone_answers(self):
        self.master._testbed("kill", "master1")
        wait_node(self.second, self.addresses["master1"], freshness="stale")
        self.assertEqual(self.second.get("/system/health/v1/report", via="unix").status, 200)
        self.assertEqual(node_of(self.second, self.addresses["agent2"])["freshness"], "fresh")


FAKES = ["garbage", "half", "drip", "huge", "redirect", "silent", "deaf", "empty", "reset"]


class MembersThatLie(unittest.TestCase):
    """Members that answer wrongly in every way, beside one that answers rightly."""

    @classmethod
    def setUpClass(cls):
        cls.places = {mode: f"127.0.0.{11 + i}:2050" for i, mode in enumerate(FAKES)}
        cls.agent = Node("--unit", UNITS, name="agent1", config=AGENT, start=False)
        cls.master = Node("--unit", UNITS, name="master1", beside=cls.agent, start=False,
                          config=master_config([cls.agent.address(), *cls.places.values()]))
        cls.script = f"{cls.master.root}/run/fake_member.py"
        shutil.copy(os.path.join(TOP, "tests/cluster/fake_member.py"), cls.script)
        for node in (cls.agent, cls.master):
            node.configure(TOKEN + "\n", "cluster-token")
            os.chmod(os.path.join(node.etc, "cluster-token"), 0o644)
        for mode, place in cls.places.items():
            address, port = place.split(":")
            cls.master.exec("systemd-run", f"--unit=fake-{mode}", "python3", "/run/fake_member.py", mode, address, port)
        for place in cls.places.values():
            eventually(lambda p=place: cls.master.tcp(2050, p.split(":")[0]).close() is None, 10)
        cls.agent.start()
        cls.began = time.monotonic()
        cls.master.start()

    @classmethod
    def tearDownClass(cls):
        cls.master.remove()
        cls.agent.remove()

    def test_who_answers_is_fresh_at_once_whatever_the_others_do(self):
        wait_node(self.master, self.agent.address(), 10, freshness="fresh")

    def test_who_answers_wrongly_is_unknown_with_the_reason(self):
        for mode, place in self.places.items():
            with self.subTest(mode):
                node = eventually(lambda p=place: (n := node_of(self.master, p)) and n["freshness"] == "unanswered"
                                  and "not asked yet" not in n["why"] and n, 30)
                self.assertEqual(node["health"], 3)
                self.assertIn("cannot", node["why"])

    def test_the_master_stays_small_and_quick(self):
        time.sleep(1)
        with open(f"/proc/{self.master.outside_pid()}/status", encoding="utf-8") as file:
            anonymous = next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
        self.assertLess(anonymous, 60_000, "kB, while a member sends a gigabyte")
        began = time.monotonic()
        self.assertEqual(self.master.get("/system/health/v1/nodes", via="unix").status, 200)
        self.assertLess(time.monotonic() - began, 0.5)

    def test_cache_ends_in_time(self):
        began = time.monotonic()
        answer = self.master.get("/system/health/v1/nodes?cache", via="unix", timeout=30)
        self.assertIn(answer.status, (200, 504))
        self.assertLess(time.monotonic() - began, 15)

    def test_no_credentials_follow_a_redirect(self):
        self.assertIn("307", eventually(lambda: node_of(self.master, self.places["redirect"])["why"], 10))


SOURCES = """
  sources:
    dns: {{names: [members.invalid], interval: 1s, timeout: 1s}}
    mesos: {{masters: ["http://127.0.0.31:5050"], interval: 1s, timeout: 1s}}
    exhibitor: {{url: "http://127.0.0.32:8181/exhibitor/v1/cluster/status", interval: 1s, timeout: 1s}}
    zookeeper: {{address: "zk://127.0.0.33:2181/mesos", interval: 1s, timeout: 1s}}
    static: {{hosts: ["{agent}"], interval: 1s}}
"""


class SourcesThatHang(unittest.TestCase):
    """Mesos, Exhibitor and ZooKeeper accept and never answer, DNS knows nothing: nobody is removed or delayed."""

    def test_members_of_other_sources_are_watched_and_the_reasons_are_said(self):
        agent = Node("--unit", UNITS, name="agent1", config=AGENT, start=False)
        config = OPEN + "node: {role: master}\ncluster:\n  token: {file: /etc/opsd/cluster-token}\n  insecure: true" + \
            SOURCES.format(agent=agent.address())
        master = Node("--unit", UNITS, name="master1", beside=agent, start=False, config=config)
        try:
            shutil.copy(os.path.join(TOP, "tests/cluster/fake_member.py"), f"{master.root}/run/fake_member.py")
            for node in (agent, master):
                node.configure(TOKEN + "\n", "cluster-token")
                os.chmod(os.path.join(node.etc, "cluster-token"), 0o644)
            for i, port in ((31, 5050), (32, 8181), (33, 2181)):
                master.exec("systemd-run", f"--unit=fake-{i}", "python3", "/run/fake_member.py", "silent", f"127.0.0.{i}", str(port))
                eventually(lambda i=i, port=port: master.tcp(port, f"127.0.0.{i}").close() is None, 10)
            agent.start()
            master.start()
            wait_node(master, agent.address(), 10, freshness="fresh")
            def reasons():
                modules = master.get("/api/v1/modules", via="unix").text
                return all(word in modules for word in ("members.invalid", "127.0.0.31", "127.0.0.32", "127.0.0.33")) and modules
            eventually(reasons, 20, what="each source says why")
            time.sleep(3)
            self.assertEqual(node_of(master, agent.address())["freshness"], "fresh")
            self.assertEqual(master.get("/-/ready", via="unix").status, 200, "degraded, and serving")
        finally:
            master.remove()
            agent.remove()


if __name__ == "__main__":
    unittest.main()
