"""The reader of task files, by the packaged unit with task-logs.conf: what it may and the daemon may not, and how long it lives."""

import json
import os
import re
import time
import unittest

from harness import TOP, NodeTest, eventually

READING = 1 << 2   # CAP_DAC_READ_SEARCH
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
SLAVES = "/var/lib/mesos/slave/slaves"
TASKS = ("forward:\n  outputs: [{name: tasks, type: file, path: /var/lib/opsd/tasks.ndjson, input: tasks, start: beginning}]\n"
         "  tasks:\n    work_dir: /var/lib/mesos/slave\n")

# What the daemon does with its reader, for the files of a task that belong to root alone; in the unit's sandbox.
DRIVER = r"""
import array, json, os, socket, struct, subprocess
ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
reader = subprocess.Popen(["/usr/bin/opsd", "task-reader"], stdin=its, env={})
its.close()
ours.settimeout(10)
def ask(kind, number, path):
    ours.send(kind + struct.pack("=Q", number) + path)
def answer():
    packet, more, _, _ = ours.recvmsg(8192, socket.CMSG_SPACE(4))
    if not packet:
        return "ended"
    if packet[8]:
        return "refused: " + packet[9:].decode()
    descriptor = struct.unpack("=i", more[0][2])[0]
    try:
        return sorted(os.listdir(descriptor)) if os.path.isdir(f"/proc/self/fd/{descriptor}") else os.read(descriptor, 100).decode()
    finally:
        os.close(descriptor)
said = {"uid": os.getuid()}
ask(b"F", 1, SLAVES)
for number, path in enumerate((b"", b"a", b"a/stdout", b"a/link", b"a/hard", b"a/pipe", b"a/null", b"up/stdout", b"a/none"), 2):
    ask(b"O", number, path)
    said[path.decode()] = answer()
said["status"] = open(f"/proc/{reader.pid}/status").read()
ask(b"F", 99, b"/etc")
said["second folder"] = answer()
said["exit"] = reader.wait(10)
print("SAID " + json.dumps(said), flush=True)
"""


def packaged(name):
    with open(os.path.join(TOP, "packaging", name), encoding="utf-8") as file:
        return file.read()


class ReaderTest(NodeTest):
    start = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.unit_file("opsd.service.d/task-logs.conf", packaged("task-logs.conf"))

    def capabilities(self, pid):
        text = self.node.exec("cat", f"/proc/{pid}/status").stdout
        return {name: int(re.search(rf"^{name}:\t(\w+)", text, re.M).group(1), 16) for name in SETS}

    def readers(self):
        """The process ids of readers that run."""
        found = self.node.sh("pgrep -r S,R,D -fx '.*task-reader'", check=False).stdout.split()
        return [int(pid) for pid in found]

    def no_thread_may_read(self, pid):
        for thread in self.node.exec("ls", f"/proc/{pid}/task").stdout.split():
            self.assertEqual(self.capabilities(f"{pid}/task/{thread}"), dict.fromkeys(SETS, 0))


class Reader(ReaderTest):
    def test_it_opens_what_only_root_may_read_and_nothing_that_a_task_puts_in_its_way(self):
        self.node.sh(f"""
            umask 077; mkdir -p {SLAVES}/a && cd {SLAVES} && echo secret >/var/lib/mesos/slave/secret && echo one >a/stdout
            ln -s ../../secret a/link && ln /var/lib/mesos/slave/secret a/hard && mkfifo a/pipe && mknod a/null c 1 3 && ln -s a up
            """)
        unit = re.sub(r"^(Type|NotifyAccess|WatchdogSec|ExecReload|Restart|RestartPreventExitStatus)=.*\n", "",
                      packaged("opsd.service"), flags=re.M)
        unit = unit.replace("ExecStart=/usr/bin/opsd daemon", "Type=oneshot\nExecStart=/usr/bin/python3 /etc/opsd/driver.py")
        unit = unit.replace("ProtectProc=invisible\n", "")   # the driver looks at the reader; opsd cannot
        with open(os.path.join(self.node.etc, "driver.py"), "w", encoding="utf-8") as file:
            file.write(f"SLAVES = b{SLAVES!r}\n" + DRIVER)
        self.node.unit_file("driver.service.d/task-logs.conf", packaged("task-logs.conf"))
        self.node.unit_file("driver.service", unit)
        done = self.node.exec("systemctl", "start", "driver.service", check=False)
        journal = self.node.exec("journalctl", "--no-pager", "-o", "cat", "-u", "driver.service").stdout
        self.assertEqual(done.returncode, 0, journal)
        said = json.loads(re.search(r"^SAID (.*)$", journal, re.M).group(1))
        self.assertNotEqual(said["uid"], 0)
        self.assertEqual(said[""], ["a", "up"])
        self.assertIn("stdout", said["a"])
        self.assertEqual(said["a/stdout"], "one\n")
        for path, why in {"a/link": "symbolic link", "a/hard": "hard link", "a/pipe": "neither a plain file", "a/null": "neither a plain file",
                          "up/stdout": "symbolic link", "a/none": "No such file"}.items():
            self.assertIn(f"refused: cannot open {SLAVES}/{path}", said[path])
            self.assertIn(why, said[path])
        self.assertRegex(said["status"], r"CapPrm:\t0{15}4\nCapEff:\t0{15}4\n")
        self.assertRegex(said["status"], r"CapInh:\t0{16}\n")
        self.assertRegex(said["status"], r"CapAmb:\t0{16}\n")
        self.assertEqual((said["second folder"], said["exit"]), ("ended", 1))
        self.assertIn("the folder is fixed", journal)


class WithoutTasks(ReaderTest):
    def test_nobody_keeps_the_right(self):
        self.node.start()
        self.no_thread_may_read(self.node.main_pid())
        self.assertEqual(self.readers(), [])
        security = self.node.exec("systemd-analyze", "security", "opsd", check=False).stdout
        self.assertLessEqual(float(re.search(r"exposure level for opsd.service: ([0-9.]+)", security).group(1)), 2.0, security)
        self.assertEqual(self.node.sh(f"pgrep -P {self.node.main_pid()}", check=False).stdout, "", "nothing is left of it")
        self.assertEqual(self.node.exec("systemctl", "reload", "opsd").returncode, 0)

    def test_without_the_drop_in_there_is_nothing_to_keep(self):
        self.node.exec("rm", "/run/systemd/system/opsd.service.d/task-logs.conf")
        self.node.exec("systemctl", "daemon-reload")
        self.node.exec("systemctl", "restart", "opsd")
        self.no_thread_may_read(self.node.main_pid())
        self.node.unit_file("opsd.service.d/task-logs.conf", packaged("task-logs.conf"))
        self.node.exec("systemctl", "restart", "opsd")


class WithTasks(ReaderTest):
    config = TASKS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.start()

    def reader(self):
        """The only one, which is a child of the daemon."""
        found = self.readers()
        self.assertEqual(len(found), 1)
        self.assertEqual(self.node.exec("ps", "-o", "ppid=", "-p", str(found[0])).stdout.strip(), str(self.node.main_pid()))
        return found[0]

    def test_it_reads_the_names_of_tasks_that_the_agent_has_checkpointed(self):
        run = "S0/frameworks/f/executors/ticker/runs/c"
        info = os.path.join(TOP, "tests", "fixtures", "mesos", "agent", "task.info")
        with open(info, "rb") as file:
            octal = "".join(f"\\{byte:03o}" for byte in file.read())
        self.node.sh(f"""
            umask 077; cd /var/lib/mesos/slave 2>/dev/null || {{ mkdir -p /var/lib/mesos/slave && cd /var/lib/mesos/slave; }}
            mkdir -p meta/slaves/{run}/tasks/ticker && printf '{octal}' >meta/slaves/{run}/tasks/ticker/task.info
            mkdir -p slaves/{run} && echo 'a line of a task' >slaves/{run}/stdout
            """)
        line = eventually(lambda: self.node.sh("grep 'a line of a task' /var/lib/opsd/tasks.ndjson", check=False).stdout, 30)
        self.assertRegex(line, r'"task_name": ?"ticker"')

    def test_the_daemon_has_no_right_and_the_reader_that_one_alone(self):
        self.no_thread_may_read(self.node.main_pid())
        reader = self.reader()
        self.assertEqual(self.capabilities(reader), {"CapInh": 0, "CapPrm": READING, "CapEff": READING, "CapAmb": 0})
        status = self.node.exec("cat", f"/proc/{reader}/status").stdout
        self.assertRegex(status, r"NoNewPrivs:\t1")
        self.assertRegex(status, r"Seccomp:\t2")
        self.assertNotRegex(status, r"Uid:\t0\b")
        eventually(lambda: len(self.node.exec("ls", f"/proc/{reader}/fd").stdout.split()) == 3, what="no file is open in it")
        self.assertEqual(self.node.exec("cat", f"/proc/{reader}/environ").stdout, "")
        self.assertIn(f"by process {reader}", self.node.journal())

    def test_the_account_of_the_daemon_cannot_get_into_it(self):
        reader = self.reader()
        for what in ("fd", "mem", "environ"):
            done = self.node.sh(f"setpriv --reuid opsd --regid opsd --clear-groups cat /proc/{reader}/{what}/* /proc/{reader}/{what}", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(done.stdout, "")

    def test_a_reload_keeps_it_also_a_refused_one(self):
        reader = self.reader()
        self.node.exec("systemctl", "reload", "opsd")
        self.assertEqual(self.reader(), reader)
        self.node.configure(TASKS + "log: {level: debug}\n")
        self.node.exec("systemctl", "reload", "opsd")
        self.assertEqual(self.reader(), reader)
        self.node.configure("forward: nonsense\n")
        self.assertNotEqual(self.node.exec("systemctl", "reload", "opsd", check=False).returncode, 0)
        self.node.configure(TASKS)
        self.assertEqual(self.reader(), reader)

    def test_it_ends_with_a_daemon_that_is_killed_and_the_next_one_starts_another(self):
        reader, daemon = self.reader(), self.node.main_pid()
        self.node.exec("kill", "-9", str(daemon))
        eventually(lambda: self.node.main_pid() not in (0, daemon) and self.node.get("/-/ready").status == 200)
        self.assertNotEqual(self.reader(), reader)
        self.no_thread_may_read(self.node.main_pid())

    def test_a_stop_is_as_quick_as_before_and_leaves_nothing(self):
        begin = time.monotonic()
        self.node.exec("systemctl", "stop", "opsd")
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(self.node.show("opsd", "Result"), "success")
        self.assertEqual(self.readers(), [])
        self.node.start()

    def test_when_it_is_killed_the_daemon_serves_on_without_another(self):
        daemon = self.node.main_pid()
        self.node.exec("kill", "-9", str(self.reader()))
        eventually(lambda: self.readers() == [])
        self.assertEqual(self.node.get("/-/healthy").status, 200)
        self.node.exec("systemctl", "reload", "opsd")
        self.assertEqual((self.readers(), self.node.main_pid()), ([], daemon))
        self.node.exec("systemctl", "restart", "opsd")
        self.reader()

    def test_another_folder_needs_a_restart(self):
        reader = self.reader()
        self.node.configure(TASKS.replace("/slave\n", "/other\n"))
        self.node.exec("systemctl", "reload", "opsd")
        self.assertEqual(self.reader(), reader)
        self.node.configure(TASKS)
        self.node.exec("systemctl", "reload", "opsd")
