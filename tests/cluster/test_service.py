"""opsd as a service: its sandbox, its watchdog, its configuration, its sockets."""

import os
import re
import time

from harness import UNITS, NodeTest, eventually


class TheService(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")
    config = "http:\n  anonymous: viewer\n"

    def test_the_sandbox_scores_two_or_less_and_everything_works_in_it(self):
        text = self.node.exec("systemd-analyze", "security", "opsd", check=False).stdout
        score = float(re.search(r"exposure level for opsd.service: ([0-9.]+)", text).group(1))
        self.assertLessEqual(score, 2.0, text)
        self.assertEqual(self.node.show("opsd", "User"), "opsd")
        pid = self.node.main_pid()
        status = self.node.exec("cat", f"/proc/{pid}/status").stdout
        self.assertRegex(status, r"CapEff:\t0{16}")
        self.assertRegex(status, r"NoNewPrivs:\t1")
        self.assertRegex(status, r"Seccomp:\t2")
        self.assertNotRegex(status, r"Uid:\t0\b")
        # units, the journal, the state on disk: each as that user, in that sandbox
        self.node.exec("systemctl", "start", "bad-exit.service", check=False)
        eventually(lambda: "cannot open the configuration" in str(self.node.health()))
        rows = eventually(lambda: self.node.get("/api/v1/units/bad-exit.service/history").json()["transitions"])
        self.assertTrue(rows)
        self.assertTrue(self.node.get("/-/ready").json()["ready"])
        self.assertEqual(self.node.get("/-/ready").json()["degraded"], [])
        self.assertNotRegex(self.node.journal(), r"Operation not permitted|Permission denied|denied")

    def test_limits_of_the_unit_are_in_force(self):
        pid = self.node.main_pid()
        limits = self.node.exec("cat", f"/proc/{pid}/limits").stdout
        self.assertGreaterEqual(int(re.search(r"Max open files +(\d+)", limits).group(1)), 10_100)
        self.assertEqual(self.node.show("opsd", "Restart"), "always")

    def test_ip_detect_runs_as_a_child_in_the_sandbox(self):
        script = os.path.join(self.node.etc, "ip-detect")
        with open(script, "w", encoding="utf-8") as file:
            file.write("#!/bin/bash\nset -e\nip route get 198.18.0.1 | grep -oE 'src [0-9.]+' | cut -d' ' -f2\n")
        os.chmod(script, 0o755)
        self.node.configure("http: {anonymous: viewer}\nnode: {ip_detect: [/etc/opsd/ip-detect]}\n")
        self.node.exec("systemctl", "reload", "opsd")
        address = self.node._testbed("addr", "node1").stdout.strip()
        eventually(lambda: self.node.health()["ip"] == address)

    def test_a_good_reload_takes_effect_without_a_restart(self):
        pid = self.node.main_pid()
        self.node.configure("http: {anonymous: viewer}\nhealth: {units: [expected-new.service]}\n")
        self.node.exec("systemctl", "reload", "opsd")
        eventually(lambda: "expected-new.service" in [u["id"] for u in self.node.health()["units"]])
        self.assertEqual(self.node.main_pid(), pid)
        self.assertEqual(self.node.show("opsd", "ActiveState"), "active")

    def test_a_bad_reload_fails_keeps_the_old_configuration_and_says_so(self):
        self.node.configure("http: {anonymous: viewer}\nhealth: {units: [kept.service]}\n")
        self.node.exec("systemctl", "reload", "opsd")
        eventually(lambda: "kept.service" in [u["id"] for u in self.node.health()["units"]])
        pid = self.node.main_pid()
        self.node.configure("http: {anonymous: viewer}\nhealth:\n  unitz: [other.service]\n")
        self.assertNotEqual(self.node.exec("systemctl", "reload", "opsd", check=False).returncode, 0)
        eventually(lambda: "refused" in self.node.status_text())
        modules = self.node.get("/api/v1/modules").json()
        self.assertFalse(modules["config"]["last_reload_ok"])
        self.assertIn("opsd.yaml:3", str(modules["config"]["mistakes"]))
        self.assertIn("units", str(modules["config"]["mistakes"]))
        self.assertIn("kept.service", [u["id"] for u in self.node.health()["units"]])
        self.assertEqual((self.node.main_pid(), self.node.show("opsd", "ActiveState")), (pid, "active"))
        self.assertIn("opsd_config_last_reload_ok 0", self.node.get("/metrics").text)
        self.node.configure(self.config)
        self.node.exec("systemctl", "reload", "opsd")
        eventually(lambda: self.node.get("/api/v1/modules").json()["config"]["last_reload_ok"])

    def test_killed_it_is_back_within_seconds(self):
        pid = self.node.main_pid()
        self.node.exec("kill", "-9", str(pid))
        eventually(lambda: self.node.main_pid() not in (0, pid) and self.node.get("/-/ready").status == 200, 10)

    def test_stopping_is_orderly(self):
        begin = time.monotonic()
        self.node.exec("systemctl", "stop", "opsd")
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(self.node.show("opsd", "Result"), "success")
        self.assertEqual(self.node.show("opsd", "ExecMainStatus"), "0")
        self.assertEqual(self.node.opsd("unit", "list").returncode, 69)
        self.node.start()


class Watchdog(NodeTest):
    start = False

    def test_a_daemon_that_hangs_is_killed_and_started_again(self):
        self.node.unit_file("opsd.service.d/watchdog.conf", "[Service]\nWatchdogSec=1s\n")
        self.node.start()
        pid = self.node.main_pid()
        time.sleep(2.5)
        self.assertEqual(self.node.main_pid(), pid, "a daemon that turns is left alone")
        self.node.exec("kill", "-STOP", str(pid))
        eventually(lambda: self.node.main_pid() not in (0, pid) and self.node.get("/-/healthy").status == 200, 15)
        self.assertIn("Watchdog timeout", self.node.journal())


class BrokenConfiguration(NodeTest):
    start = False

    def test_it_does_not_start_says_where_and_is_shown_as_failed(self):
        self.node.configure("http:\n  anonymus: viewer\nhealth:\n  publish_interval: 10 parsecs\n")
        self.assertNotEqual(self.node.exec("systemctl", "start", "opsd", check=False).returncode, 0)
        eventually(lambda: self.node.show("opsd", "ActiveState") == "failed")
        self.assertEqual(self.node.show("opsd", "ExecMainStatus"), "78")
        journal = self.node.journal()
        self.assertIn("opsd.yaml:2", journal)
        self.assertIn('"anonymous"', journal)
        self.assertIn("opsd.yaml:4", journal)
        check = self.node.opsd("config", "check")
        self.assertEqual(check.returncode, 78)
        self.assertIn("opsd.yaml:4", check.stderr)
        self.node.configure("")
        self.assertEqual(self.node.opsd("config", "check").returncode, 0)
        self.node.exec("systemctl", "reset-failed", "opsd")
        self.node.start()

    def test_listening_to_everybody_without_tls_is_refused(self):
        self.node.exec("systemctl", "stop", "opsd", check=False)
        self.node.configure("http:\n  listen:\n    - address: 0.0.0.0\n      port: 1050\n")
        self.assertNotEqual(self.node.exec("systemctl", "start", "opsd", check=False).returncode, 0)
        self.assertEqual(self.node.show("opsd", "ExecMainStatus"), "78")
        self.assertIn("insecure", self.node.journal())
        self.node.configure("")
        self.node.exec("systemctl", "reset-failed", "opsd")

    def test_a_certificate_that_is_not_there_is_a_mistake_too(self):
        self.node.exec("systemctl", "stop", "opsd", check=False)
        self.node.configure("http:\n  listen:\n    - port: 1443\n      certificate: /etc/opsd/gone.pem\n      key: /etc/opsd/gone.key\n")
        self.assertNotEqual(self.node.exec("systemctl", "start", "opsd", check=False).returncode, 0)
        eventually(lambda: self.node.show("opsd", "ActiveState") == "failed")
        self.assertEqual(self.node.show("opsd", "ExecMainStatus"), "78")
        check = self.node.opsd("config", "check")
        self.assertEqual(check.returncode, 78)
        self.assertIn("/etc/opsd/gone", check.stderr)
        self.node.configure("")
        self.node.exec("systemctl", "reset-failed", "opsd")


class SocketActivation(NodeTest):
    start = False

    def test_systemd_holds_the_sockets_and_a_restart_refuses_nobody(self):
        self.node.exec("systemctl", "start", "opsd.socket")
        self.assertEqual(self.node.get("/-/healthy").status, 200, "the first connection starts it")
        self.assertEqual(self.node.get("/-/healthy", via="unix").status, 200)
        self.node.exec("systemctl", "restart", "--no-block", "opsd")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.assertEqual(self.node.get("/-/healthy").status, 200)
        self.node.exec("systemctl", "stop", "opsd")
        self.assertEqual(self.node.get("/-/healthy", via="unix").status, 200)


class WhatTheProgramPrints(NodeTest):
    def test_generated_pages_and_completions_come_out_of_the_program(self):
        self.assertIn("_opsd", self.node.opsd("completion", "bash").stdout)
        done = self.node.sh("opsd completion bash >/tmp/c && bash -n /tmp/c && opsd completion fish | wc -l")
        self.assertGreater(int(done.stdout), 10)
        self.assertIn("/system/health/v1", self.node.opsd("docs", "api").stdout)
        self.assertEqual(self.node.sh("opsd docs example >/etc/opsd/opsd.yaml && opsd config check").returncode, 0)
