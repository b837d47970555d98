"""What a master keeps: the past of the cluster, events across its restarts, its members, and what operators did with them."""

import concurrent.futures
import http.client
import json
import os
import random
import signal
import threading
import time
import unittest

from cluster import GLOBS, OPEN, QUICK, SOON, Group, ask, give_token, health_on, master_config, metric, node_of, stamp, wait_node
from harness import UNITS, Answer, Connection, Events, Node, eventually, integrity

ONCE = """
[Unit]
Description=Fails once, %i
[Service]
ExecStart=/bin/sh -c 'sleep 0.1; exit 3'
"""
GONE = ("127.0.0.98:2050", "127.0.0.99:2050")   # nobody is there


class ThePast(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=1, agents=1, start=False)
        cls.master, cls.agent = cls.group["master1"], cls.group["agent1"]
        cls.address = cls.agent.address()
        cls.hosts = [cls.master.address(), cls.address]
        cls.agent.unit_file("bad-once@.service", ONCE)
        cls.agent.exec("systemctl", "start", "ok-simple.service")
        cls.master.configure(master_config([*cls.hosts, *GONE], QUICK))
        cls.master.start()
        wait_node(cls.master, cls.address, SOON, freshness="unanswered")
        time.sleep(0.1)
        cls.before = time.time()
        cls.agent.start()
        wait_node(cls.master, cls.address, SOON, freshness="fresh")

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def then(self, moment):
        """The agent as it was, and its units by name."""
        past = ask(self.master, f"/api/v1/health/at?time={stamp(moment)}&node={self.address}&full")
        self.assertEqual(len(past["members"]), 1, past)
        node = past["members"][0]
        return node, {u["id"]: u for u in node["units"]}

    def transitions(self, unit):
        return [t for t in ask(self.master, f"/api/v1/health/history?unit={unit}")["transitions"] if t["address"] == self.address]

    def test_a_what_was_red_and_is_green_was_red(self):
        unit = "bad-exit.service"
        self.agent.exec("systemctl", "start", unit, check=False)
        eventually(lambda: any(t["to"] == "failed" for t in self.transitions(unit)), SOON)
        red = time.time()
        time.sleep(0.05)
        self.agent.unit_file(f"{unit}.d/mend.conf", "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n")
        self.agent.exec("systemctl", "restart", unit)
        eventually(lambda: health_on(self.master, unit, self.address) == 0, SOON)
        eventually(lambda: self.transitions(unit)[0]["to"] == "running", SOON)
        node, units = self.then(red)
        self.assertEqual((node["health"], units[unit]["health"], units[unit]["state"]), (1, 1, "failed"))
        self.assertIn("status 3", units[unit]["reason"])
        self.assertEqual(units["ok-simple.service"]["health"], 0)
        self.assertEqual(self.then(time.time())[1][unit]["health"], 0)

    def test_b_what_was_dead_was_unknown_with_its_last_units(self):
        self.agent.exec("systemctl", "stop", "opsd")
        wait_node(self.master, self.address, freshness="stale")
        dead = time.time()
        time.sleep(0.05)
        self.agent.start()
        wait_node(self.master, self.address, freshness="fresh")
        node, units = self.then(dead)
        self.assertEqual(node["health"], 3)
        self.assertIn("it was stale", node["reason"])
        self.assertEqual(units["ok-simple.service"]["health"], 3, "the last known, of which nobody knew then")
        eventually(lambda: self.then(time.time())[1]["ok-simple.service"]["health"] == 0, SOON)

    def test_c_before_the_first_kept_transition_is_unknown(self):
        node, units = self.then(self.before)
        self.assertEqual(node["health"], 3)
        self.assertTrue(node["reason"])
        self.assertEqual({u["health"] for u in units.values()}, {3})
        day_before = ask(self.master, f"/api/v1/health/at?time={stamp(self.before - 86400)}")
        self.assertEqual((day_before["health"], day_before["nodes"]["healthy"]), (3, 0))
        self.assertNotIn(self.address, [m["address"] for m in day_before["members"]], "it was not known")

    def test_f_what_nobody_watched_is_unknown(self):
        watched = time.time()
        self.master.exec("systemctl", "stop", "opsd")
        down = time.time()
        time.sleep(0.05)
        self.master.start()
        wait_node(self.master, self.address, freshness="fresh")
        self.assertEqual(self.then(watched)[1]["ok-simple.service"]["health"], 0)
        node, units = self.then(down)
        self.assertEqual((node["health"], units["ok-simple.service"]["health"]), (3, 3))
        self.assertIn("opsd was not running on this node from", node["reason"])
        self.assertEqual(self.then(time.time())[1]["ok-simple.service"]["health"], 0)

    def fail_once(self, *names):
        for name in names:
            self.agent.exec("systemctl", "start", f"bad-once@{name}.service")

    def follow(self, after, last):
        """Failures of units that fail once, up to the unit `last`, as a client sees them that comes again with the id it saw
        last whenever the stream ends: [(id, unit)]."""
        seen = []
        while not seen or seen[-1][1] != f"bad-once@{last}.service":
            try:
                events = Events(self.master, headers={"Last-Event-ID": str(seen[-1][0] if seen else after)}, timeout=30)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
                continue
            try:
                self.read_failures(events, seen, f"bad-once@{last}.service")
            except (OSError, EOFError, http.client.HTTPException):
                pass
            finally:
                events.close()
        return seen

    def read_failures(self, events, seen, last):
        while not seen or seen[-1][1] != last:
            event = events.next()
            if event["event"] == "error":
                time.sleep(0.01)
                return
            if event["event"] == "missed":
                self.gaps.append(json.loads(event["data"]))
                continue
            self.assertEqual(event["event"], "transition", event)
            transition = json.loads(event["data"])
            if transition["unit"].startswith("bad-once@") and transition["to"] == "failed":
                seen.append((int(event["id"]), transition["unit"]))

    def test_d_a_reader_that_names_its_last_event_misses_and_doubles_none_across_a_restart(self):
        for how, restart in (("restart", lambda: self.master.exec("systemctl", "restart", "opsd")),
                             ("kill", lambda: self.master.kill_unit("opsd.service", signal.SIGKILL))):
            with self.subTest(how), concurrent.futures.ThreadPoolExecutor(1) as pool:
                names = [f"{how}{i}" for i in range(9)]
                self.gaps = []
                newest = ask(self.master, "/api/v1/health/history?limit=1")["transitions"][0]["id"]
                self.fail_once(*names[:3])
                seen = self.follow(newest, names[2])
                self.fail_once(names[3])  # the reader has left
                eventually(lambda n=names[3]: any(t["to"] == "failed" for t in self.transitions(f"bad-once@{n}.service")), SOON)
                eventually(lambda: metric(self.master, "opsd_cluster_archive_queue_length") == 0, SOON)
                restart()
                reader = pool.submit(self.follow, seen[-1][0], names[8])  # at once: what was kept is not yet read
                self.fail_once(*names[4:6])
                wait_node(self.master, self.address, hostname=self.agent.name)
                wait_node(self.master, self.address, freshness="fresh")
                self.fail_once(*names[6:8])
                eventually(lambda: all(self.transitions(f"bad-once@{n}.service") for n in names[:8]), SOON)
                self.fail_once(names[8])
                seen += reader.result(60)
                self.assertEqual(sorted(u for _, u in seen), sorted(f"bad-once@{n}.service" for n in names))
                ids = [i for i, _ in seen]
                self.assertEqual(ids, sorted(set(ids)), "ids ascend")
                # After a kill nobody can know that all was written; that it was is seen above.
                self.assertEqual((bool(self.gaps), [g for g in self.gaps if g != {"count": None}]), (how == "kill", []))

    def audited(self, path):
        with open(f"{self.master.root}/var/lib/opsd/audit.log", encoding="utf-8") as file:
            return [line for line in map(json.loads, file) if line["method"] == "DELETE" and line["path"] == path]

    def test_e_a_node_that_no_source_names_is_forgotten_and_it_is_written_down_by_whom(self):
        web, line = GONE
        answer = self.master.request("DELETE", f"/api/v1/nodes/{web}", via="unix")
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("still named by static", answer.text)
        self.assertEqual(node_of(self.master, web)["freshness"], "unanswered")
        self.master.configure(master_config(self.hosts, QUICK))
        self.master.exec("systemctl", "reload", "opsd")
        for place in GONE:
            eventually(lambda p=place: not any(s["current"] for s in node_of(self.master, p)["known_from"]), SOON)
        refused = self.master.opsd("node", "forget", line, user="daemon")
        self.assertNotEqual(refused.returncode, 0, "anybody may not")
        events = Events(self.master)
        self.assertEqual(self.master.request("DELETE", f"/api/v1/nodes/{web}", via="unix").status, 204)
        done = self.master.opsd("node", "forget", line)
        self.assertEqual((done.returncode, done.stdout), (0, f"{line} is forgotten. A source that names it again brings it back.\n"))
        for place in GONE:
            gone = events.until(lambda e, p=place: e.get("address") == p and e.get("to") == "gone")
            self.assertEqual(gone["json"]["reason"], "forgotten by an operator")
            entries = eventually(lambda p=place: [e for e in self.audited(f"/api/v1/nodes/{p}") if e.get("status") == 204], SOON)
            self.assertEqual(len(entries), 1)
            self.assertEqual((entries[0]["caller"]["name"], entries[0]["object"]), ("uid 0", {"node": place}))
        events.close()
        self.assertEqual([e["status"] for e in self.audited(f"/api/v1/nodes/{web}")], [409, 204])
        self.assertEqual(len([e for e in self.audited(f"/api/v1/nodes/{line}") if e["status"] in (401, 403)]), 1)
        self.master.exec("systemctl", "restart", "opsd")
        eventually(lambda: self.master.get("/-/healthy").status == 200, 20)
        wait_node(self.master, self.address, freshness="fresh")
        self.assertEqual([self.master.get(f"/api/v1/nodes/{place}", via="unix").status for place in GONE], [404, 404])


MEMBERS = [f"127.1.0.{i + 1}:2050" for i in range(40)]   # nobody is there; nobody names them after the first run
KILLS = 15


class Operator(threading.Thread):
    """Acknowledges, withdraws and forgets members, one after another, until opsd is gone: each a write of the list."""

    def __init__(self, node, members, kept, chance):
        super().__init__()
        self.node, self.members, self.kept, self.chance = node, members, kept, chance
        self.unsure = None   # (member, what was asked for) when the answer did not come
        self.refusal = None

    def run(self):
        connection = Connection(self.node.unix)
        try:
            while not self.refusal:
                self.change_one(connection)
        except (OSError, http.client.HTTPException):
            pass  # killed
        finally:
            connection.close()

    def change_one(self, connection):
        member, dice = self.chance.choice(self.members), self.chance.random()
        if dice < 0.02 and len(self.members) > 5:
            word, call = None, ("DELETE", f"/api/v1/nodes/{member}")
        elif dice < 0.2:
            word, call = "", ("DELETE", f"/api/v1/nodes/{member}/ack")
        else:
            word = f"work {dice}"
            call = "POST", f"/api/v1/nodes/{member}/ack", json.dumps({"for": "2h", "reason": word})
        self.unsure = member, word
        connection.request(*call)
        answer = Answer(connection.getresponse())
        if answer.status not in (200, 204):
            self.refusal = call, answer
            return
        self.kept[member] = word
        if word is None:
            self.members.remove(member)
        self.unsure = None


class KilledWhileItWrites(unittest.TestCase):
    """SIGKILL at any moment of a write of the member list: what was confirmed is there afterwards, and nothing half."""

    @classmethod
    def setUpClass(cls):
        cls.node = Node("--unit", UNITS, name="master1", config=master_config(MEMBERS), start=False)
        give_token(cls.node)
        cls.node.unit_file("opsd.service.d/fast.conf", "[Service]\nRestartSec=50ms\n")
        cls.node.start()
        eventually(lambda: len(ask(cls.node, "/api/v1/nodes")["nodes"]) == len(MEMBERS) + 1, SOON)
        eventually(lambda: metric(cls.node, "opsd_cluster_archive_unsaved") == 0, 20, what="all are written")
        cls.node.configure(OPEN + GLOBS + "node: {role: master}\ncluster: {watch: always}\n")
        cls.node.exec("systemctl", "restart", "opsd")

    @classmethod
    def tearDownClass(cls):
        cls.node.remove()

    def shown(self):
        """What the master knows: the reason of the acknowledgement of each member, "" without one."""
        nodes = ask(self.node, "/api/v1/nodes")["nodes"]
        return {n["address"]: (n["acknowledged"] or {}).get("reason", "") for n in nodes if not n["self"]}

    def test_the_list_is_whole_after_each_of_many_kills(self):
        seed = int(os.environ.get("OPSD_TEST_SEED") or random.randrange(1 << 32))
        print(f"seed {seed} (OPSD_TEST_SEED)")
        chance = random.Random(seed)
        kept = eventually(lambda: (s := self.shown()) and len(s) == len(MEMBERS) and s, SOON)
        unsure = 0
        for kill in range(KILLS):
            eventually(lambda: self.node.get("/-/ready", via="unix").status == 200, 20)
            there = [m for m, word in kept.items() if word is not None]
            operators = [Operator(self.node, there[i::3], kept, random.Random(chance.random())) for i in range(3)]
            pid = self.node.outside_pid()
            for operator in operators:
                operator.start()
            time.sleep(chance.uniform(0.02, 0.3))
            os.kill(pid, signal.SIGKILL)
            for operator in operators:
                operator.join()
                self.assertIsNone(operator.refusal)
            eventually(lambda p=pid: self.node.main_pid() not in (0, p) and self.node.get("/-/healthy").status == 200, 20)
            eventually(lambda: len(self.shown()) > 0, 20)
            open_ends = dict(o.unsure for o in operators if o.unsure)
            unsure += len(open_ends)
            shown = self.shown()
            for member, word in kept.items():
                allowed = {word, open_ends.get(member, word)}
                self.assertIn(shown.get(member), allowed, f"{member} after kill {kill + 1}")
                kept[member] = shown.get(member)
        self.assertGreater(unsure, 0, "some kill came while something was being written")
        self.assertNotIn("is begun anew", self.node.journal(), "no picture was unreadable")
        self.node.exec("systemctl", "stop", "opsd")
        self.assertEqual(integrity(self.node), "ok")


if __name__ == "__main__":
    unittest.main()
