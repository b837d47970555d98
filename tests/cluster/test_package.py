"""The Debian package on a real system: install, upgrade, remove, purge; and what the metrics look like to Prometheus."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import TOP, UNITS, Node, NodeTest, eventually, run

RELEASE = os.path.join(TOP, "build/release")


def make_package(directory, version):
    run("cpack", "--config", f"{RELEASE}/CPackConfig.cmake", "-B", directory, "-D", f"CPACK_PACKAGE_VERSION={version}", timeout=300)
    return glob.glob(f"{directory}/opsd_{version}_*.deb")[0]


@unittest.skipUnless(os.path.exists(f"{RELEASE}/CPackConfig.cmake"), "build/release is not configured")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="opsd-deb.")
        cls.first = make_package(f"{cls.directory}/1", "0.1.0")
        cls.second = make_package(f"{cls.directory}/2", "0.1.1")
        cls.node = Node("--bind", cls.directory, opsd=False)
        # the first is there on a machine that is a container: no service may start; the other rebuilds all man pages
        cls.node.exec("rm", "-f", "/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update")

    @classmethod
    def tearDownClass(cls):
        cls.node.remove()
        shutil.rmtree(cls.directory, ignore_errors=True)

    def dpkg(self, *words):
        return self.node.exec("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *words, timeout=120)

    def serves(self):
        return eventually(lambda: self.node.get("/-/ready").status == 200, 15)

    def test_install_upgrade_remove_purge(self):
        before = self.files()
        self.dpkg("--install", self.first)
        self.serves()
        self.assertEqual(self.node.show("opsd", "ActiveState"), "active")
        self.assertEqual(self.node.show("opsd", "User"), "opsd")
        self.settings_of_the_unit_are_in_force()
        self.assertEqual(self.node.exec("systemctl", "is-enabled", "opsd").stdout.strip(), "enabled")
        self.assertEqual(self.node.exec("systemctl", "is-enabled", "opsd.socket", check=False).stdout.strip(), "disabled")
        self.assertEqual(self.node.opsd("unit", "list").returncode, 0)
        self.assertEqual(self.node.opsd("config", "check").returncode, 0)
        self.node.opsd("token", "create", "kept", "--role", "viewer")
        self.assertEqual(self.node.sh("bash -n /usr/share/bash-completion/completions/opsd").returncode, 0)
        self.assertTrue(self.node.exec("zcat", "/usr/share/man/man1/opsd.1.gz").stdout.startswith(".\\\""))
        self.assertIn("AmbientCapabilities=CAP_DAC_READ_SEARCH", self.node.exec("cat", "/usr/share/opsd/task-logs.conf").stdout)
        self.assertIn("stripped", self.node.exec("file", "/usr/bin/opsd").stdout)

        self.node.sh("echo '# mine' >>/etc/opsd/opsd.yaml; printf 'log: {level: debug}\\n' >/etc/opsd/conf.d/mine.yaml")
        pid = self.node.main_pid()
        self.dpkg("--force-confold", "--install", self.second)
        self.serves()
        self.assertNotEqual(self.node.main_pid(), pid, "an upgrade restarts it")
        self.assertIn("# mine", self.node.exec("cat", "/etc/opsd/opsd.yaml").stdout)
        self.assertIn("kept", self.node.opsd("token", "list").stdout)
        self.assertIn("0.1.1", self.dpkg("--status", "opsd").stdout)

        self.dpkg("--remove", "opsd")
        self.assertEqual(self.node.show("opsd", "ActiveState"), "inactive")
        self.assertEqual(self.node.sh("ls /etc/opsd/opsd.yaml /var/lib/opsd").returncode, 0, "state and settings stay")
        self.assertNotEqual(self.node.sh("ls /usr/bin/opsd", check=False).returncode, 0)
        self.dpkg("--install", self.second)
        self.serves()
        self.assertIn("kept", self.node.opsd("token", "list").stdout)

        self.dpkg("--purge", "opsd")
        left = self.files() - before
        self.assertEqual({name for name in left if "/var/lib/dpkg" not in name and "/var/cache" not in name}, set())
        self.assertEqual(self.node.sh("pgrep -u opsd", check=False).stdout, "")

    def settings_of_the_unit_are_in_force(self):
        wanted = {"Type": "notify", "Restart": "always", "RestartPreventExitStatus": "78", "WatchdogUSec": "30s",
                  "MemoryHigh": str(384 << 20), "MemoryMax": str(512 << 20), "OOMScoreAdjust": "-500",
                  "LimitNOFILE": "16384", "LimitNOFILESoft": "16384", "TasksMax": "64", "StartLimitIntervalUSec": "0",
                  "StateDirectory": "opsd", "RuntimeDirectory": "opsd", "SupplementaryGroups": "systemd-journal"}
        self.assertEqual({name: self.node.show("opsd", name) for name in wanted}, wanted)
        pid = self.node.main_pid()
        self.assertRegex(self.node.exec("cat", f"/proc/{pid}/limits").stdout, r"Max open files +16384 +16384 ")
        security = self.node.exec("systemd-analyze", "security", "opsd", check=False).stdout
        score = float(re.search(r"exposure level for opsd.service: ([0-9.]+)", security).group(1))
        self.assertLessEqual(score, 2.0, security)

    def test_a_disabled_service_stays_disabled_over_an_upgrade(self):
        self.dpkg("--install", self.first)
        self.node.exec("systemctl", "disable", "--now", "opsd")
        self.dpkg("--install", self.second)
        self.assertEqual(self.node.exec("systemctl", "is-enabled", "opsd", check=False).stdout.strip(), "disabled")
        self.dpkg("--purge", "opsd")

    def files(self):
        """All paths with our name where packages put things."""
        found = self.node.sh("find /etc /lib/systemd /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d "
                             "/usr/share/doc /usr/share/man /usr/share/opsd /usr/share/bash-completion /usr/share/zsh /usr/share/fish /run /var "
                             "-name '*opsd*'", check=False)
        return {line for line in found.stdout.splitlines() if "opsd-testbed" not in line and "journal" not in line}


class Metrics(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service", "--enable", "bad-exit.service")

    def test_prometheus_can_read_them_and_finds_nothing_to_improve(self):
        promtool = shutil.which("promtool", path=os.environ["PATH"] + f":{TOP}/build/tools/usr/bin")
        if promtool is None:
            self.skipTest("promtool is not there")
        eventually(lambda: "bad-exit.service" in self.node.get("/metrics").text)
        text = self.node.get("/metrics").text
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
