"""What opsd lives through: systemd, the bus and journald in trouble, clocks, disks and a sudden death."""

import datetime
import itertools
import json
import os
import time

from harness import LIBFAKETIME, UNITS, Connection, NodeTest, eventually, integrity

VIEWER = "http: {anonymous: viewer}\n"


class BusAndSystemd(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service", "--enable", "ok-notify.service")
    config = VIEWER + "health: {globs: ['ok-*']}\n"

    def states(self):
        return {u["id"]: u["health"] for u in self.node.health()["units"]}

    def test_a_killed_bus_daemon_costs_nothing_but_a_moment(self):
        self.node.exec("systemctl", "kill", "-s", "KILL", "dbus.service")
        self.node.kill_unit("ok-notify.service")
        self.node.wait_unit("ok-notify.service", 15, health=1, state="failed")
        eventually(lambda: self.node.get("/-/ready").status == 200, 15)
        self.node.exec("systemctl", "start", "ok-notify.service")
        self.node.wait_unit("ok-notify.service", health=0)

    def test_without_a_bus_the_node_is_unknown_with_a_reason_and_keeps_its_units(self):
        before = self.states()
        self.node.exec("systemctl", "stop", "dbus.socket", "dbus.service")
        ready = eventually(lambda: (lambda a: a if a.status == 503 else None)(self.node.get("/-/ready")), 15)
        self.assertIn("systemd", str(ready.json()["reasons"]))
        node = self.node.get("/api/v1/health").json()
        self.assertEqual(node["health"], 3)
        self.assertTrue(node["reason"])
        self.assertEqual(set(self.states()), set(before), "no unit vanishes")
        self.assertNotIn(0, self.states().values(), "nothing that cannot be read is shown as healthy")
        self.assertEqual(self.node.opsd("health").returncode, 3)
        self.assertEqual(self.node.get("/-/healthy").status, 200)
        self.assertEqual(self.node.get("/system/health/v1").status, 200)
        self.node.sh("systemctl --no-block stop ok-reload.service; systemctl start dbus.socket")
        eventually(lambda: self.node.get("/-/ready").status == 200, 20)
        eventually(lambda: self.states().get("ok-simple.service") == 0)

    def test_daemon_reexec_and_daemon_reload_lose_nothing(self):
        pid = self.node.main_pid()
        for verb in ("daemon-reexec", "daemon-reload", "daemon-reexec"):
            self.node.exec("systemctl", verb)
            self.node.exec("systemctl", "restart", "ok-notify.service")
            self.node.wait_unit("ok-notify.service", 15, health=0, state="running")
            self.node.kill_unit("ok-notify.service")
            self.node.wait_unit("ok-notify.service", 15, health=1, state="failed")
        self.assertEqual(self.node.main_pid(), pid)
        self.node.exec("systemctl", "restart", "ok-notify.service")
        eventually(lambda: self.node.get("/-/ready").status == 200, 15)


class Journald(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")
    config = VIEWER + "health: {globs: ['ok-*', 'bad-exit*']}\n"

    def test_without_journald_states_are_right_and_output_says_what_is_missing(self):
        pid = self.node.main_pid()
        self.node.exec("systemctl", "stop", "systemd-journald.socket", "systemd-journald-dev-log.socket",
                       "systemd-journald-audit.socket", "systemd-journald.service", check=False)
        self.node.sh("rm -rf /var/log/journal /run/log/journal")
        self.node.kill_unit("ok-simple.service")
        unit = self.node.wait_unit("ok-simple.service", health=1, state="failed")
        self.assertIn("KILL", unit["reason"])
        output = {u["id"]: u["output"] for u in self.node.health()["units"]}["ok-simple.service"]
        self.assertIn("KILL", output.splitlines()[0])
        self.assertEqual(self.node.main_pid(), pid, "its own log going nowhere does not end it")
        self.node.sh("mkdir -m 2755 /var/log/journal; chgrp systemd-journal /var/log/journal")
        self.node.exec("systemctl", "start", "systemd-journald.socket", "systemd-journald.service")
        self.node.exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: "cannot open the configuration" in str(self.node.health()), 20)


class Flapping(NodeTest):
    config = VIEWER + "health: {globs: ['flap-*', 'fast.service', 'calm.service']}\n"
    many = 1000
    ends = {"well": "active", "over": "failed", "gone": "inactive"}   # how a third of them ends each

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for end in cls.ends:
            cls.node.unit_file(f"flap-{end}@.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\n"
                                                       "RestartSec=8s\nExecStart=/bin/false\n", reload=False)
        cls.node.unit_file("fast.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=0\n"
                                           "ExecStart=/bin/false\n", reload=False)
        cls.node.unit_file("calm.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        cls.node.exec("systemctl", "start", "calm.service")

    def anonymous_memory(self):
        with open(f"/proc/{self.node.outside_pid()}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) * 1024

    def test_a_unit_that_flaps_faster_than_it_can_be_read(self):
        self.node.exec("systemctl", "start", "--no-block", "fast.service")
        self.node.wait_unit("fast.service", 20, health=1, state="flapping")
        begin = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.node.get("/system/health/v1").status, 200)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(self.node.unit("calm.service")["health"], 0)
        self.node.exec("systemctl", "stop", "fast.service")
        eventually(lambda: self.node.unit("fast.service")["state"] in ("failed", "stopped", "off"), 15)
        self.assertEqual(self.node.unit("fast.service")["properties"]["active_state"],
                         self.node.show("fast.service", "ActiveState"))
        rows = self.node.get("/api/v1/units/fast.service/history?limit=1000").json()["transitions"]
        self.assertLess(len(rows), 50, "repetitions are folded")

    def bring_to_an_end(self, names):
        """One third runs, one third gives up, one third is stopped: {name: active state}."""
        self.node.unit_file("flap-well@.service.d/end.conf", "[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n", reload=False)
        self.node.unit_file("flap-over@.service.d/end.conf", "[Service]\nRestartPreventExitStatus=1\n", reload=False)
        self.node.exec("systemctl", "daemon-reload", timeout=120)
        self.node.exec("systemctl", "stop", "flap-gone@*.service", timeout=180)
        return {name: self.ends[name[5:9]] for name in names}

    def active_states(self, names):
        """{name: what systemd says}"""
        text = self.node.exec("systemctl", "show", "-p", "Id", "-p", "ActiveState", *names, timeout=120).stdout
        fields = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
        return {block["Id"]: block["ActiveState"] for block in fields}

    def served_states(self, names):
        """{name: what opsd says}; it does not list an instance that systemd has unloaded."""
        listed = {u["id"] for u in self.node.get("/api/v1/units").json()["units"]}
        states = {}
        connection = Connection(self.node.tcp)
        for name in names:
            connection.request("GET", f"/api/v1/units/{name}")
            answer = connection.getresponse()
            unit = json.loads(answer.read())
            if answer.status == 200:
                states[name] = unit["properties"]["active_state"]
            elif answer.status == 404 and name not in listed:
                states[name] = "inactive"
        connection.close()
        return states

    def every_end_state_is_that_of_systemd(self, names, wanted):
        """`wanted` is what systemd says, and goes on to say."""
        def different():
            served = self.served_states(names)
            return {name: (served.get(name), state) for name, state in wanted.items() if served.get(name) != state}
        try:
            eventually(lambda: not different(), 60, 0.5)
        except AssertionError:
            self.fail(f"opsd and systemd differ: {different()}")
        self.assertEqual(self.active_states(names), wanted)

    def test_a_thousand_units_flapping_at_once(self):
        names = [f"flap-{end}@{i:04}.service" for i, end in zip(range(self.many), itertools.cycle(self.ends))]
        self.node.exec("systemctl", "start", "--no-block", *names, timeout=300)
        pid = self.node.main_pid()

        def sick():
            states = [u["health"] for u in self.node.health()["units"] if u["id"].startswith("flap-")]
            return len(states) == self.many and states.count(1) >= self.many * 9 // 10
        eventually(sick, 90, 0.5)
        slowest = 0
        for _ in range(30):
            begin = time.monotonic()
            self.assertEqual(self.node.get("/system/health/v1").status, 200)
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.1)
        self.assertLess(slowest, 2.0)
        self.assertLess(self.anonymous_memory(), 128 << 20)
        wanted = self.bring_to_an_end(names)
        eventually(lambda: self.active_states(names) == wanted, 180, 1, what="every unit has come to its end")
        self.every_end_state_is_that_of_systemd(names, wanted)
        self.node.exec("systemctl", "stop", "flap-*.service", timeout=180)
        self.node.exec("systemctl", "reset-failed", "flap-*.service", check=False)
        self.every_end_state_is_that_of_systemd(names, dict.fromkeys(names, "inactive"))
        eventually(lambda: self.node.unit("calm.service")["health"] == 0, 15)
        self.assertEqual(self.node.main_pid(), pid)
        eventually(lambda: self.node.get("/-/ready").status == 200, 15)


class Clock(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")
    config = VIEWER + "health: {globs: ['ok-*']}\n"
    start = False

    def step(self, offset):
        self.node.configure(offset + "\n", name="faketime")

    def clock_of_opsd(self):
        """Seconds that its wall clock, as it last told it, is before ours."""
        told = self.node.get("/api/v1/health").json()["read_at"]
        return datetime.datetime.fromisoformat(told).timestamp() - time.time()

    def test_steps_of_an_hour_change_no_verdict_and_lose_no_history(self):
        if not os.path.exists(LIBFAKETIME):
            self.skipTest("libfaketime is not installed")
        self.step("+0")
        self.node.unit_file("opsd.service.d/clock.conf",
                            f"[Service]\nEnvironment=LD_PRELOAD={LIBFAKETIME} FAKETIME_TIMESTAMP_FILE=/etc/opsd/faketime "
                            "FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1\n")
        self.node.start()
        pid = self.node.main_pid()
        self.node.wait_unit("ok-simple.service", health=0, state="running")
        for offset, seconds in (("+1h", 3600), ("-1h", -3600), ("+0", 0)):
            self.step(offset)
            self.node.kill_unit("ok-simple.service")
            self.node.wait_unit("ok-simple.service", health=1, state="failed")
            self.node.exec("systemctl", "start", "ok-simple.service")
            self.node.wait_unit("ok-simple.service", health=0, state="running")
            eventually(lambda: self.node.get("/-/ready").status == 200, 5, what="ready, unit files listed")
            self.assertAlmostEqual(self.clock_of_opsd(), seconds, delta=120, msg=f"its clock was set to {offset}")
        self.assertEqual(self.node.main_pid(), pid)
        rows = self.node.get("/api/v1/units/ok-simple.service/history").json()["transitions"]
        kept = sum(row["count"] for row in rows if row["to"] == "failed")
        self.assertEqual(kept, 3, rows)
        ids = [row["id"] for row in rows]
        self.assertEqual(ids, sorted(ids, reverse=True), "order is by id, whatever the clock said")


class SuddenDeath(NodeTest):
    # Every change is a row of its own: none is folded, and none is hidden by "flapping", a state that lasts.
    config = VIEWER + "health: {globs: ['w@*'], flapping: {restarts: 10000}, history: {fold_window: 0s}}\n"

    def rows(self):
        """{id: what changed, and when} of all transitions that are served."""
        rows, after, page = {}, 0, range(1000)
        while len(page) == 1000:
            page = self.node.get(f"/api/v1/health/history?after={after}&limit=1000").json()["transitions"]
            rows |= {row["id"]: (row["unit"], row["from"], row["to"], row["at"]) for row in page}
            after = max(rows, default=0)
        return rows

    def test_killed_in_the_middle_of_writes_nothing_committed_is_lost(self):
        self.node.unit_file("w@.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=200ms\n"
                                          "ExecStart=/bin/sh -c 'sleep 0.$$(($$$$ %% 5))'\n")
        names = [f"w@{i}.service" for i in range(20)]
        self.node.exec("systemctl", "start", "--no-block", *names)
        for round_ in range(8):
            eventually(lambda: len({unit for unit, *_ in self.rows().values()}) == len(names), 15)
            committed = self.rows()   # by the time of the kill: a row waits 0.1 s for others to be written with it
            time.sleep(1.5 + 0.17 * round_)
            pid = self.node.main_pid()
            seen = self.rows()
            self.assertGreater(len(seen), len(committed) + 20, "rows are being written when it is killed")
            self.node.exec("kill", "-9", str(pid))
            eventually(lambda: self.node.main_pid() not in (0, pid) and self.node.get("/-/healthy").status == 200, 15)
            kept = eventually(self.rows, 15, what="the history is open")
            self.assertEqual({i: row for i, row in committed.items() if kept.get(i) != row}, {}, "what was written is there")
            self.assertEqual([i for i in kept if i not in seen and i <= max(seen)], [], "ids never go back")
            modules = self.node.get("/api/v1/modules").json()
            self.assertEqual(modules["degraded"], [])
        self.node.exec("systemctl", "stop", "w@*.service")
        self.node.exec("systemctl", "stop", "opsd")
        self.assertEqual(integrity(self.node), "ok")


class FullDisk(NodeTest):
    config = VIEWER + "health: {units: [often.service]}\n"
    start = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.unit_file("often.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n")
        cls.node.exec("systemctl", "start", "often.service")

    def test_a_full_disk_costs_history_not_health_and_heals(self):
        self.node.exec("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700,uid=opsd,gid=opsd", "tmpfs", "/var/lib/opsd")
        self.node.start()
        pid = self.node.main_pid()
        self.node.wait_unit("often.service", health=0)
        self.node.sh("dd if=/dev/zero of=/var/lib/opsd/filler bs=4k status=none; true", check=False)
        for _ in range(30):
            self.node.kill_unit("often.service")
            self.node.wait_unit("often.service", health=1, state="failed")
            self.node.exec("systemctl", "start", "often.service")
            self.node.wait_unit("often.service", health=0)
        self.assertEqual(self.node.main_pid(), pid)
        said = eventually(lambda: self.node.get("/-/ready").json()["degraded"], 15, what="degraded")
        self.assertRegex(json.dumps(said), r"(?i)disk|space|full")
        self.node.exec("rm", "/var/lib/opsd/filler")

        def writes_again():
            self.node.exec("systemctl", "restart", "often.service")
            return self.node.get("/-/ready").json()["degraded"] == []
        eventually(writes_again, 90, 1)

    def test_it_starts_with_a_full_disk_too(self):
        self.node.exec("systemctl", "stop", "opsd")
        self.node.sh("umount /var/lib/opsd 2>/dev/null; mount -t tmpfs -o size=64k,mode=0700,uid=opsd,gid=opsd tmpfs "
                     "/var/lib/opsd; dd if=/dev/zero of=/var/lib/opsd/filler bs=4k status=none; true")
        self.node.start()
        self.node.wait_unit("often.service", health=0)
        pid = self.node.main_pid()
        self.assertTrue(self.node.get("/-/ready").json()["degraded"])
        self.node.kill_unit("often.service")
        self.node.wait_unit("often.service", health=1, state="failed")
        said = self.node.opsd("unit", "ack", "often.service", "--for", "1h", "--reason", "bigger disk")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("lost when opsd restarts", said.stderr)
        self.assertIn("auth: ", str(self.node.get("/-/ready").json()["degraded"]), "no tokens could be made room for")
        self.node.sh("rm /var/lib/opsd/filler; mount -o remount,size=4m /var/lib/opsd")
        eventually(lambda: self.node.get("/-/ready").json()["degraded"] == [], 90, 1)
        self.assertEqual(self.node.main_pid(), pid, "no restart was needed")
        self.node.exec("systemctl", "restart", "opsd")
        self.node.wait_unit("often.service", health=1)
        unit = self.node.get("/api/v1/units/often.service").json()
        self.assertEqual(unit["acknowledged"]["reason"], "bigger disk", "what waited for the disk was written")
        rows = self.node.get("/api/v1/units/often.service/history").json()["transitions"]
        self.assertIn("failed", [row["to"] for row in rows])
