"""The unit health of a node, end to end: every state that a unit can be in, seen over HTTP and by the CLI."""

import json
import os
import signal
import statistics
import time

from harness import UNITS, Events, NodeTest, eventually

WATCHED = """
health:
  globs: ["ok-*", "bad-*", "odd-*", "many.*"]
  units: [missing.service, odd-masked.service, bad-setting.service, bad-dependency.service, odd-condition.service,
          ok-oneshot-done.service, bad-unmounted.mount, bad-idle.target]
  stuck_after: {activating: 2s, deactivating: 2s, reloading: 2s}
"""

# Beside those of the test bed.
MORE = {
    "many.dots.in.its.name.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "many.dots@.service": "[Service]\nExecStart=/bin/sh -c 'test %i != x.y.z && exec sleep infinity'\n",
    "ok-mounted.mount": "[Mount]\nWhat=tmpfs\nWhere=/ok/mounted\nType=tmpfs\n",
    "bad-device.mount": "[Mount]\nWhat=/dev/nonexistent\nWhere=/bad/device\nType=ext4\n",
    "bad-unmounted.mount": "[Mount]\nWhat=tmpfs\nWhere=/bad/unmounted\nType=tmpfs\n",
    "ok-group.target": "[Unit]\nDescription=Some units\n",
    "bad-idle.target": "[Unit]\nDescription=A group that nobody started\n",
    "ok-served.socket": "[Socket]\nListenStream=/run/ok-served\n",
    "ok-served.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "ok-late.timer": "[Timer]\nOnActiveSec=1h\nUnit=ok-late.service\n",
    "ok-late.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "bad-tick.timer": "[Timer]\nOnActiveSec=100ms\n",
    "bad-tick.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    "odd-masked-alive.service": "[Service]\nExecStart=/bin/sleep infinity\n",
}

# unit: (health, state words that are right)
EXPECTED = {
    "ok-simple.service": (0, "running"),
    "ok-notify.service": (0, "running"),
    "ok-watchdog.service": (0, "running"),
    "ok-reload.service": (0, "running"),
    "ok-instance@a.service": (0, "running"),
    "ok-oneshot.service": (0, "done"),
    "ok-oneshot-done.service": (0, "waiting"),
    "ok-tick.timer": (0, "waiting"),
    "ok-echo.socket": (0, "listening"),
    "ok-watch.path": (0, "waiting"),
    "bad-exit.service": (1, "failed"),
    "bad-signal.service": (1, "failed"),
    "bad-exec.service": (1, "failed"),
    "bad-exec-oneshot.service": (1, "failed"),
    "bad-start-timeout.service": (1, "failed"),
    "bad-watchdog.service": (1, "failed"),
    "bad-start-limit.service": (1, "failed"),
    "bad-flapping.service": (1, "flapping"),
    "bad-dependency.service": (1, "blocked"),
    "bad-setting.service": (1, "broken"),
    "odd-masked.service": (1, "masked"),
    "missing.service": (1, "missing"),
    "odd-condition.service": (0, "skipped"),
    "odd-activating.service": (1, "stuck"),
    "odd-deactivating.service": (1, "stuck"),
    "odd-reloading.service": (1, "stuck"),
    "many.dots.in.its.name.service": (0, "running"),
    "many.dots@a.b.c.service": (0, "running"),
    "many.dots@x.y.z.service": (1, "failed"),
    "ok-mounted.mount": (0, "mounted"),
    "bad-device.mount": (1, "failed"),
    "bad-unmounted.mount": (1, "stopped"),         # was there, is expected, and is not any more
    "ok-group.target": (0, "active"),
    "bad-idle.target": (1, "not-started"),
    # inactive is healthy when something starts it and its last run, if there was one, went well
    "ok-tick.service": (0, "waiting"),
    "ok-served.socket": (0, "listening"),
    "ok-served.service": (0, "waiting"),
    "ok-late.timer": (0, "waiting"),
    "ok-late.service": (0, "waiting"),
    "bad-tick.service": (1, "failed"),
    "odd-masked-idle.service": (0, "masked"),      # nothing expects it
    "odd-masked-alive.service": (1, "masked"),
}
NOT_STARTED = ("missing.service", "odd-masked.service", "odd-masked-idle.service", "bad-setting.service", "bad-idle.target",
               "ok-tick.service", "ok-served.service", "ok-late.service", "bad-tick.service")
STARTED = [name for name in (*EXPECTED, "bad-tick.timer") if name not in NOT_STARTED]


KILLS = int(os.environ.get("OPSD_TEST_KILLS", "5"))   # how often the time to the evidence is measured


def figures(seconds):
    ordered = sorted(seconds)
    return f"min {ordered[0]:.3f}, median {statistics.median(ordered):.3f}, max {ordered[-1]:.3f} s"


class UnitsOfEveryState(NodeTest):
    options = ("--unit", UNITS)
    config = WATCHED

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in MORE.items():
            cls.node.unit_file(name, text, reload=False)
        cls.node.exec("ln", "-s", "/dev/null", "/run/systemd/system/odd-masked-idle.service")
        cls.node.exec("systemctl", "daemon-reload")
        cls.node.exec("systemctl", "start", "--no-block", *STARTED)
        eventually(lambda: cls.node.show("odd-deactivating.service", "SubState") == "running")
        eventually(lambda: cls.node.show("odd-reloading.service", "SubState") == "running")
        cls.node.exec("systemctl", "stop", "--no-block", "odd-deactivating.service")
        cls.node.exec("systemctl", "reload", "--no-block", "odd-reloading.service")
        cls.node.exec("systemctl", "mask", "odd-masked-alive.service")
        eventually(lambda: cls.node.show("bad-unmounted.mount", "SubState") == "mounted")
        cls.node.exec("systemctl", "stop", "bad-unmounted.mount")

    def test_every_state_has_its_verdict(self):
        wrong = {}

        def look():
            wrong.clear()
            seen = {u["id"]: u for u in self.node.get("/api/v1/units", via="unix").json()["units"]}
            for name, (health, state) in EXPECTED.items():
                unit = seen.get(name, {})
                if (unit.get("health"), unit.get("state")) != (health, state):
                    wrong[name] = f"{unit.get('health')} {unit.get('state')}, not {health} {state}: {unit.get('reason')}"
            return not wrong

        try:
            eventually(look, 20)
        except AssertionError:
            self.fail(json.dumps(wrong, indent=1))

    def test_a_unit_between_the_runs_of_its_timer_is_never_red(self):
        unit = self.node.wait_unit("ok-tick.service", health=0, state="waiting")
        self.assertEqual(unit["properties"]["triggered_by"], ["ok-tick.timer"])
        eventually(lambda: self.node.journal("ok-tick.service").count("tick\n") > 3)
        rows = self.node.get("/api/v1/units/ok-tick.service/history?limit=1000", via="unix").json()["transitions"]
        self.assertTrue(rows)
        self.assertNotIn(1, [row["to_health"] for row in rows], rows)

    def test_node_health_has_the_seven_fields_of_dcos(self):
        answer = self.node.health()
        self.assertEqual(list(answer), ["units", "hostname", "ip", "dcos_version", "node_role", "mesos_id",
                                        "dcos_diagnostics_version"])
        self.assertEqual(answer["hostname"], "node1")
        ids = [unit["id"] for unit in answer["units"]]
        self.assertEqual(ids, sorted(ids))
        for unit in answer["units"]:
            self.assertEqual(list(unit), ["id", "health", "output", "description", "help", "name"])
            self.assertIn(unit["health"], (0, 1, 3))
            self.assertEqual(bool(unit["output"]), unit["health"] != 0, unit["id"])

    def test_each_unhealthy_unit_says_why(self):
        wanted = {"bad-exit.service": "3", "bad-signal.service": "SEGV", "bad-exec.service": "203",
                  "bad-start-timeout.service": "time", "bad-watchdog.service": "watchdog",
                  "missing.service": "no unit file", "bad-setting.service": "ExecStart"}

        def all_say_it():
            units = {u["id"]: u["reason"] for u in self.node.get("/api/v1/units", via="unix").json()["units"]}
            silent = {name: units[name] for name, text in wanted.items() if text not in units[name]}
            if silent:
                raise ValueError(silent)
            return True
        eventually(all_say_it, 15)

    def test_output_has_the_units_own_words_and_those_of_pid_1(self):
        def complete():
            output = {u["id"]: u["output"] for u in self.node.health(via="unix")["units"]}["bad-exit.service"]
            return output if "cannot open the configuration" in output and "Failed with result" in output else None
        self.assertIn("exit", eventually(complete, 10).splitlines()[0])

    def test_loopback_without_credentials_sees_causes_but_no_journal_lines(self):
        eventually(lambda: "cannot open" in str(self.node.health(via="unix")), 10)
        answer = {u["id"]: u["output"] for u in self.node.health()["units"]}
        self.assertIn("3", answer["bad-exit.service"])
        self.assertNotIn("cannot open the configuration", json.dumps(answer))

    def test_the_cli_shows_the_same_and_is_a_nagios_plugin(self):
        table = self.node.opsd("unit", "list")
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertIn("bad-exit.service", table.stdout)
        self.assertNotIn("\x1b", table.stdout)
        listed = json.loads(self.node.opsd("unit", "list", "-o", "json").stdout)
        self.assertIn("ok-simple.service", [u["id"] for u in listed["units"]])
        node = self.node.opsd("health")
        self.assertEqual(node.returncode, 2)
        self.assertTrue(node.stdout.startswith("CRITICAL"), node.stdout)
        self.assertEqual(self.node.opsd("unit", "show", "ok-simple.service").returncode, 0)
        self.assertEqual(self.node.opsd("unit", "show", "bad-exit.service").returncode, 2)
        for wrong in (("unit", "show", "nobody-knows.service"), ("unit", "show"), ("health", "--url", "unix:/nowhere"),
                      ("health", "--no-such-option")):
            done = self.node.opsd(*wrong)
            self.assertEqual(done.returncode, 3, wrong)
            self.assertTrue(done.stdout.startswith("UNKNOWN"), done.stdout)
        self.assertEqual(self.node.opsd("unit", "list", "--url", "unix:/nowhere").returncode, 69)
        self.assertEqual(self.node.opsd("unit", "list", "--no-such-option").returncode, 64)

    def test_an_unchanged_answer_costs_a_304(self):
        def unchanged():
            first = self.node.get("/api/v1/units/ok-simple.service")
            again = self.node.get("/api/v1/units/ok-simple.service", headers={"If-None-Match": first.headers["ETag"]})
            return (again.status, again.body) == (304, b"")
        eventually(unchanged, 10)

    def test_metrics_show_every_unit(self):
        text = self.node.get("/metrics").text
        for name in ("ok-simple.service", "bad-exit.service"):
            self.assertIn(f'"{name}"', text)
        self.assertRegex(text, r'opsd_unit_health\{[^}]*unit="bad-exit.service"[^}]*\} 1')


class WhatHappensToUnits(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")
    config = 'health:\n  globs: ["ok-*", "work-*"]\n  units: [work-stop.service]\n'

    def new_unit(self, name, body="ExecStart=/bin/sleep infinity"):
        self.node.unit_file(name, f"[Service]\n{body}\n")
        self.node.exec("systemctl", "start", name)
        return self.node.wait_unit(name, health=0, state="running")

    def killed(self, number):
        """Kills a new unit; seconds until it is shown as failed, and until its output has all of its evidence."""
        name = f"work-kill-{number}.service"
        self.new_unit(name, "ExecStart=/bin/sh -c 'echo my last words; exec sleep infinity'")
        process = int(self.node.show(name, "MainPID"))
        begin = time.monotonic()
        self.node.exec("kill", "-9", str(process))
        unit = self.node.wait_unit(name, health=1, state="failed")
        visible = time.monotonic() - begin
        self.assertIn("KILL", unit["reason"])
        evidence = ("my last words", "code=killed, status=9/KILL", "Failed with result 'signal'")

        def complete():
            unit = self.node.unit(name)
            return unit["output_complete"] and all(line in unit["output"] for line in evidence)
        eventually(complete)
        return visible, time.monotonic() - begin

    def test_a_killed_process_is_visible_at_once_and_its_evidence_within_a_second(self):
        visible, complete = zip(*(self.killed(number) for number in range(KILLS)))
        print("  visible after " + figures(visible) + "; output complete after " + figures(complete), flush=True)
        self.assertLess(sorted(visible)[-2], 0.5, "all but the slowest")
        self.assertLess(sorted(complete)[-2], 1.0, "all but the slowest")

    def test_transitions_are_history_and_events_and_a_reader_resumes_by_id(self):
        self.new_unit("work-events.service")
        events = Events(self.node)
        self.node.kill_unit("work-events.service")
        seen = events.until(lambda e: e["unit"] == "work-events.service" and e["to"] == "failed")
        events.close()
        self.node.exec("systemctl", "start", "work-events.service")
        self.node.wait_unit("work-events.service", health=0)
        rows = self.node.get("/api/v1/units/work-events.service/history", via="unix").json()["transitions"]
        self.assertIn("failed", [row["to"] for row in rows])
        failed = next(row for row in rows if row["to"] == "failed")
        self.assertEqual((failed["from"], failed["result"], failed["to_health"]), ("running", "signal", 1))
        self.assertRegex(failed["invocation_id"], "^[0-9a-f]{32}$")
        resumed = Events(self.node, headers={"Last-Event-ID": seen["id"]})
        event = resumed.until(lambda e: e["unit"] == "work-events.service")
        resumed.close()
        self.assertGreater(int(event["id"]), int(seen["id"]))
        self.assertEqual(event["json"]["to"], "running")

    def test_stopped_by_an_operator_is_not_a_crash(self):
        self.new_unit("work-stop.service")
        self.node.exec("systemctl", "stop", "work-stop.service")
        unit = self.node.wait_unit("work-stop.service", state="stopped")
        self.assertNotIn("fail", unit["reason"])

    def test_a_timer_that_is_loaded_later_makes_what_it_starts_wait(self):
        for name, text in {
                "work-later.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
                # Keeps it loaded.
                "other-holder.service": "[Unit]\nAfter=work-later.service\n[Service]\nExecStart=/bin/sleep infinity\n",
                "other-name.timer": "[Timer]\nOnActiveSec=1h\nUnit=work-later.service\n"}.items():
            self.node.unit_file(name, text)
        self.node.exec("systemctl", "start", "other-holder.service", "work-later.service")
        self.node.wait_unit("work-later.service", health=0, state="done")
        self.node.exec("systemctl", "start", "other-name.timer")
        unit = self.node.wait_unit("work-later.service", 15, health=0, state="waiting")
        self.assertIn("other-name.timer", unit["reason"])
        self.node.exec("systemctl", "stop", "other-name.timer")
        self.node.wait_unit("work-later.service", 15, health=0, state="done")

    def test_planned_work_is_shown_beside_the_state(self):
        self.new_unit("work-ack.service")
        self.node.kill_unit("work-ack.service")
        self.node.wait_unit("work-ack.service", health=1)
        done = self.node.opsd("unit", "ack", "work-ack.service", "--for", "2h", "--reason", "new disk")
        self.assertEqual(done.returncode, 0, done.stderr)
        unit = self.node.wait_unit("work-ack.service", health=1, state="failed")
        self.assertEqual(unit["acknowledged"]["reason"], "new disk")
        self.node.exec("systemctl", "restart", "opsd")
        unit = eventually(lambda: self.node.unit("work-ack.service"), 10)
        self.assertEqual(unit["acknowledged"]["reason"], "new disk", "an acknowledgement survives a restart")
        self.assertEqual(self.node.opsd("unit", "unack", "work-ack.service").returncode, 0)
        self.node.wait_unit("work-ack.service", acknowledged=None)

    def test_crash_loops_are_flapping_also_while_the_unit_runs(self):
        self.new_unit("work-flap.service", "Restart=always\nRestartSec=100ms\nExecStart=/bin/sleep infinity\n"
                                           "[Unit]\nStartLimitIntervalSec=0")
        for _ in range(4):
            self.node.kill_unit("work-flap.service")
            eventually(lambda: self.node.show("work-flap.service", "SubState") == "running")
        unit = self.node.wait_unit("work-flap.service", health=1, state="flapping")
        self.assertGreaterEqual(unit["restarts_in_window"], 3)
        rows = self.node.get("/api/v1/units/work-flap.service/history", via="unix").json()["transitions"]
        self.assertLess(len(rows), 12, "repeated flaps are folded")
        self.node.exec("systemctl", "restart", "opsd")
        again = self.node.wait_unit("work-flap.service", health=1, state="flapping")
        self.assertGreaterEqual(again["restarts_in_window"], 3, "a restart of opsd makes no flapper healthy")
        self.node.exec("systemctl", "kill", "-s", "KILL", "opsd")
        self.node.wait_unit("work-flap.service", 15, health=1, state="flapping")

    def test_history_survives_a_restart_of_opsd(self):
        self.new_unit("work-keep.service")
        self.node.kill_unit("work-keep.service", signal.SIGABRT)
        self.node.wait_unit("work-keep.service", health=1)

        def rows():
            return self.node.get("/api/v1/units/work-keep.service/history", via="unix").json()["transitions"]
        before = eventually(lambda: [r for r in rows() if r["to"] == "failed"])
        self.node.exec("systemctl", "restart", "opsd")
        after = eventually(rows)
        self.assertIn(before[0]["id"], [r["id"] for r in after])


class UnitsOfDcos(NodeTest):
    """Without a word of configuration opsd watches what dcos.target wants."""

    options = ("--unit", UNITS)
    start = False

    def test_units_of_dcos_target_are_watched_by_default(self):
        self.node.sh("mkdir -p /etc/systemd/system/dcos.target.wants && cd /etc/systemd/system/dcos.target.wants && "
                     "ln -s ../ok-simple.service dcos-ok.service && ln -s ../bad-exit.service . && "
                     "ln -s /nowhere dcos-gone.service && ln -s ../ok-simple.service dcos-setup.service && "
                     "cp ../ok-simple.service ../dcos-ok.service && systemctl daemon-reload && "
                     "systemctl start dcos-ok.service; systemctl start bad-exit.service; true")
        self.node.start()

        def seen():
            units = {u["id"]: u["health"] for u in self.node.health()["units"]}
            return units if units.get("bad-exit.service") == 1 and units.get("dcos-ok.service") == 0 else None
        units = eventually(seen, 10)
        self.assertEqual(units.get("dcos-gone.service"), 1, units)
        self.assertNotIn("dcos-setup.service", units)
        self.assertNotIn("dbus.service", units)

        self.node.sh("chmod 0 /etc/systemd/system/dcos.target.wants; systemctl daemon-reload")
        node = eventually(lambda: (lambda n: n if "not all expected" in n["reason"] else None)(
            self.node.get("/api/v1/health").json()))
        self.assertIn("dcos.target.wants: Permission denied", node["reason"])
        self.assertTrue(set(units) <= {u["id"] for u in self.node.health()["units"]}, "known units stay watched")
        self.node.sh("chmod 755 /etc/systemd/system/dcos.target.wants")
        eventually(lambda: "not all expected" not in self.node.get("/api/v1/health").json()["reason"], 15)


class AnOrdinaryHost(NodeTest):
    """No dcos.target and no configuration: units that are enabled or failed."""

    options = ("--unit", UNITS, "--enable", "ok-simple.service", "--enable", "bad-exit.service")

    def test_enabled_and_failed_units_are_watched(self):
        self.node.exec("systemctl", "start", "bad-signal.service", check=False)

        def seen():
            units = {u["id"]: u["health"] for u in self.node.health()["units"]}
            return units if "bad-signal.service" in units and "bad-exit.service" in units else None
        units = eventually(seen, 10)
        self.assertEqual((units["ok-simple.service"], units["bad-exit.service"], units["bad-signal.service"]), (0, 1, 1))
        self.assertNotIn("ok-notify.service", units)

    def test_a_unit_enabled_later_but_not_loaded_is_found(self):
        self.node.unit_file("late.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
        self.node.exec("systemctl", "enable", "late.service")
        self.node.wait_unit("late.service", health=1)
        self.node.exec("systemctl", "start", "late.service")
        self.node.wait_unit("late.service", health=0, state="running")
