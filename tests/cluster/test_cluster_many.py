"""Ten nodes, three of them masters: how soon a failure is on every master, and 30 % of the nodes that come and go."""

import concurrent.futures
import json
import os
import signal
import threading
import time
import unittest

from cluster import FRESH, QUICK, SOON, Group, ask, health_on, wait_node
from harness import Connection, eventually

FAILURES = 50
ROUNDS = 3


class Watcher(threading.Thread):
    """Asks one master again and again how a unit is, as a client would, and notes when it is first said to be unhealthy."""

    def __init__(self, master, address, units):
        super().__init__()
        self.connection = Connection(master.unix)
        self.address, self.units = address, units
        self.seen = {}
        self.news = threading.Condition()

    def run(self):
        for unit in self.units:
            while unit not in self.seen:
                self.connection.request("GET", f"/system/health/v1/units/{unit}/nodes")
                nodes = json.loads(self.connection.getresponse().read())["nodes"]
                if any(n["host_ip"] == self.address and n["health"] == 1 for n in nodes):
                    with self.news:
                        self.seen[unit] = time.monotonic()
                        self.news.notify()
                else:
                    time.sleep(0.01)
        self.connection.close()

    def wait(self, unit):
        with self.news:
            if not self.news.wait_for(lambda: unit in self.seen, 30):
                raise AssertionError(f"{unit} is not shown as failed after 30 s")
        return self.seen[unit]


def pids_outside(node, inside):
    """{pid in the node: pid here}."""
    wanted = os.readlink(f"/proc/{node.pid}/ns/pid")
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/ns/pid") != wanted:
                continue
            with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                here = next(line for line in file if line.startswith("NSpid:")).split()[-1]
        except (OSError, StopIteration):
            continue
        if int(here) in inside:
            found[int(here)] = int(entry)
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def questions(master):
    """Questions to members that have ended, one way or another."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in master.get("/metrics", via="unix").text.splitlines()
               if line.startswith(("opsd_cluster_answers_total", "opsd_cluster_failures_total")))


class TenNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=3, agents=7, cluster=QUICK)
        cls.masters = cls.group.masters()
        cls.at = cls.group.addresses
        for master in cls.masters:
            for address in cls.at.values():
                wait_node(master, address, freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def test_a_a_failure_on_an_agent_is_on_every_master_within_two_seconds(self):
        agent, address = self.group["agent1"], self.at["agent1"]
        units = [f"ok-instance@{i}.service" for i in range(FAILURES)]
        agent.exec("systemctl", "start", *units)
        for master in self.masters:
            eventually(lambda m=master: all(health_on(m, u, address) == 0 for u in (units[0], units[-1])), SOON)
        lines = agent.exec("systemctl", "show", "-P", "MainPID", *units).stdout.split()
        outside = pids_outside(agent, {int(line) for line in lines})
        watchers = [Watcher(master, address, units) for master in self.masters]
        for watcher in watchers:
            watcher.start()
        seconds = []
        for unit, inside in zip(units, lines):
            began = time.monotonic()
            os.kill(outside[int(inside)], signal.SIGKILL)
            seconds += [watcher.wait(unit) - began for watcher in watchers]
        for watcher in watchers:
            watcher.join()
        seconds.sort()
        p99 = seconds[int(0.99 * len(seconds))]
        print(f"from the death of a process to the answer of a master: p50 {seconds[len(seconds) // 2] * 1e3:.0f} ms, "
              f"p99 {p99 * 1e3:.0f} ms of {FAILURES} failures on {len(self.masters)} masters")
        self.assertLess(p99, FRESH)
        agent.exec("systemctl", "reset-failed")

    def times_lost(self, master, node):
        rows = ask(master, f"/api/v1/health/history?node={self.at[node.name]}&limit=1000")["transitions"]
        return sum(t["to"] == "stale" for t in rows)

    def flap(self, node, down, up):
        """Each time until every master has noticed."""
        for _ in range(ROUNDS):
            down()
            for master in self.masters if up else ():
                wait_node(master, self.at[node.name], freshness="stale")
            if up:
                up()
            time.sleep(1)
            for master in self.masters:
                wait_node(master, self.at[node.name], freshness="fresh")

    def test_b_nodes_that_come_and_go_cost_little_and_end_as_they_are(self):
        cable, killed, frozen = (self.group[f"agent{i}"] for i in (5, 6, 7))
        pid = frozen.outside_pid()
        flappers = [
            (cable, lambda: cable._testbed("net", "down", cable.name), lambda: cable._testbed("net", "up", cable.name)),
            (killed, lambda: killed.exec("systemctl", "kill", "-s", "KILL", "opsd"), None),  # systemd starts it again
            (frozen, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT)),
        ]
        pids = [m.outside_pid() for m in self.masters]
        before = [(cpu_seconds(p), questions(m)) for p, m in zip(pids, self.masters)]
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(flappers)) as pool:
            flapping = [pool.submit(self.flap, *flapper) for flapper in flappers]
            while not all(f.done() for f in flapping):
                for master in self.masters:
                    nodes = ask(master, "/system/health/v1/nodes")["nodes"]
                    self.assertEqual({n["host_ip"] for n in nodes}, set(self.at.values()), "nobody is lost meanwhile")
                time.sleep(0.2)
        for one in flapping:
            one.result()
        took = time.monotonic() - began
        for master, p, (cpu, asked) in zip(self.masters, pids, before):
            share, rate = 100 * (cpu_seconds(p) - cpu) / took, (questions(master) - asked) / took
            lost = [self.times_lost(master, node) for node in (cable, killed, frozen)]
            print(f"{master.name}: {share:.1f} % of a core, {rate:.0f} questions/s, the flapping nodes were stale {lost} times")
            self.assertGreaterEqual(min(lost[0], lost[2]), ROUNDS, "they did flap")
            self.assertLess(share, 15, "% of a core, this test's own questions included")
            self.assertLess(rate, 30)
        self.final_state(cable, killed, frozen, pid)

    def final_state(self, cable, killed, frozen, pid):
        for node in (cable, killed, frozen):  # a change that comes at the end of it all
            node.exec("systemctl", "start", "bad-exit.service", check=False)
        for master in self.masters:
            for node in (cable, killed, frozen):
                wait_node(master, self.at[node.name], freshness="fresh")
        os.kill(pid, signal.SIGSTOP)
        try:
            for master in self.masters:
                wait_node(master, self.at[frozen.name], freshness="stale", health=3)
                for node, health in ((cable, 1), (killed, 1), (frozen, 3)):
                    eventually(lambda m=master, n=node, h=health: health_on(m, "bad-exit.service", self.at[n.name]) == h, SOON,
                               what=f"{node.name} on {master.name}")
                fresh = {n["address"] for n in ask(master, "/api/v1/nodes?freshness=fresh")["nodes"]}
                self.assertEqual(fresh, set(self.at.values()) - {self.at[frozen.name]})
                for agent in set(self.group.agents()) - {frozen}:
                    own = {u["id"]: u["health"] for u in agent.get("/api/v1/node", via="unix").json()["units"]}
                    seen = {u["id"]: u["health"] for u in ask(master, f"/api/v1/nodes/{self.at[agent.name]}/units")["units"]}
                    self.assertEqual(seen, own, f"{agent.name} on {master.name}")
                counts = ask(master, "/api/v1/cluster/units/bad-exit.service")["counts"]
                self.assertEqual(counts, {"healthy": 7, "unhealthy": 2, "unknown": 1}, "loaded, and well, on the others")
        finally:
            os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
