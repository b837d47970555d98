"""The files of tasks by the packaged opsd, in its sandbox, to a strict far side: every line arrives, by its id once, across
rotations and kills, and says whose it is."""

import ctypes
import os
import random
import shutil
import threading
import unittest

from bulk_server import BulkServer
from cluster import put, run_stub
from harness import CLONE_NEWNET, Node, eventually

LIBC = ctypes.CDLL(None, use_errno=True)

WORK = "/var/lib/mesos/slave"
AGENT = "54836ef5-80d6-4178-83cc-76db9ff61daf-S1"
SHOWN = "token=of-opsd"
CONFIG = """\
node: {{role: agent}}
forward:
  cluster: c1
  tasks:
    agent: http://127.0.0.1:5051
    authorization: {{file: /etc/opsd/agent-token}}
    interval: 300ms
    poll: 100ms
    partial_timeout: 2s
    multiline: {{start: '^[a-z]', timeout: 500ms}}
  outputs:
    - name: elk
      type: elasticsearch
      input: tasks
      urls: ["http://127.0.0.1:{port}"]
      start: beginning
      timeout: 2s
      batch: {{records: 100, age: 50ms}}
"""


class Labelled(BulkServer):
    """It also keeps whose a document is."""

    def __init__(self):
        self.labels = {}   # id -> labels, with the file
        super().__init__()

    def take(self, items, faults):
        for name, document in items:
            self.labels[name] = {**document["labels"], "file": document["log"]["file"]["path"]}
        return super().take(items, faults)


def inside(node, make):
    """What make() makes in the network of the node."""
    made = []

    def go():
        with open(f"/proc/{node.pid}/ns/net", "rb") as namespace:
            if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        made.append(make())

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    return made[0]


class ForwardTasks(unittest.TestCase):
    def setUp(self):
        self.node = Node(start=False)
        self.addCleanup(self.node.remove)
        self.server = inside(self.node, Labelled)
        self.addCleanup(self.server.__exit__)
        self.runs = []
        self.tell()
        run_stub(self.node, "fake-agent", "fake_sources.py", "agent", "127.0.0.1", "5051", "/run/agent", port=5051)
        token = os.path.join(self.node.etc, "agent-token")
        with open(token, "w", encoding="utf-8") as file:
            file.write(SHOWN)
        os.chmod(token, 0o644)
        self.node.configure(CONFIG.format(port=self.server.port))

    def tell(self):
        put(self.node, "agent", {"work_dir": WORK, "authorization": SHOWN, "id": AGENT, "runs": self.runs})

    def task(self, name, **more):
        self.runs.append({"id": f"{name}.1", "name": name, "container": f"c-{name}", "running": True, **more})
        os.makedirs(self.path(name, ""), exist_ok=True)
        self.tell()

    def end(self, name):
        next(run for run in self.runs if run["id"] == f"{name}.1")["running"] = False
        self.tell()

    def path(self, name, file):
        return f"{self.node.root}{WORK}/slaves/{AGENT}/frameworks/f-1/executors/{name}.1/runs/c-{name}/{file}"

    def append(self, name, file, text):
        os.makedirs(os.path.dirname(self.path(name, file)), exist_ok=True)
        with open(self.path(name, file), "a", encoding="utf-8") as out:
            out.write(text)

    def shift(self, name, file, keep=5):
        at = self.path(name, file)
        for i in range(keep - 1, 0, -1):
            if os.path.exists(f"{at}.{i}"):
                os.rename(f"{at}.{i}", f"{at}.{i + 1}")

    def rotate(self, name, file):
        self.shift(name, file)
        os.rename(self.path(name, file), self.path(name, file) + ".1")

    def copy_and_truncate(self, name, file):
        self.shift(name, file)
        shutil.copyfile(self.path(name, file), self.path(name, file) + ".1")
        os.truncate(self.path(name, file), 0)

    def status(self):
        return self.node.get("/api/v1/forward", via="unix").json()["outputs"][0]

    def kill(self):
        pid = self.node.main_pid()
        self.node.exec("kill", "-9", str(pid))
        eventually(lambda: self.node.main_pid() not in (0, pid), 15)

    def arrived(self):
        with self.server.lock:
            return sorted(self.server.documents.values())

    def all_there(self, wanted):
        try:
            eventually(lambda: set(wanted) <= set(self.arrived()), 30)
        except AssertionError as error:
            missing = sorted(set(wanted) - set(self.arrived()))
            raise AssertionError(f"{len(missing)} lines are missing: {missing[:5]}; {self.status()}; {self.node.journal()[-2000:]}") from error

    def labels_of(self, message):
        with self.server.lock:
            return self.server.labels[next(i for i, m in self.server.documents.items() if m == message)]

    def judge(self, wanted):
        """All of them, each by one id, and nothing else."""
        eventually(lambda: len(self.arrived()) >= len(wanted), 60, 0.2, what="every line arrives")
        self.assertEqual(self.arrived(), sorted(wanted))
        self.assertEqual(self.server.mistakes, [])
        status = eventually(lambda: (s := self.status())["pending"] == 0 and s)
        self.assertEqual(status["in"], status["acknowledged"] + status["dead_lettered"] + status["lost"])
        self.assertEqual((status["lost"], status["unknown_losses"], status["tasks"]["behind_bytes"]), (0, 0, 0))
        return status

    def test_every_line_of_three_tasks_arrives_across_rotations_and_kills(self):
        dice = random.Random(1)
        wanted, left = [], {"web": 667, "db": 667, "batch": 666}
        for name in left:
            self.task(name)
            self.append(name, "stdout", f"{name} begins\n")
            wanted.append(f"{name} begins")
        self.node.start()
        eventually(lambda: len(self.arrived()) == 3, 20)   # and that is known after a kill
        eventually(lambda: self.status()["pending"] == 0)
        kills = 0
        while any(left.values()):
            name = dice.choice([n for n, count in left.items() if count])
            some = min(left[name], dice.randrange(1, 40))
            lines = [f"{name} line {left[name] - i}" for i in range(some)]
            left[name] -= some
            wanted += lines
            text = "".join(line + "\n" for line in lines)
            torn = dice.randrange(len(text))
            self.append(name, "stdout", text[:torn])
            self.append(name, "stdout", text[torn:])
            if dice.random() < 0.2:
                self.copy_and_truncate("db", "stdout") if name == "db" else self.rotate(name, "stdout")
                self.append(name, "stdout", "")
                self.all_there(wanted)   # five old files are kept, not fifty
            if kills < 8 and dice.random() < 0.12:
                kills += 1
                self.kill()
        self.assertEqual(kills, 8)
        status = self.judge(wanted)
        self.assertEqual(status["tasks"]["files"], 3)
        self.assertEqual(status["state"], "running")
        labels = self.labels_of("web begins")
        node = labels.pop("node")
        self.assertEqual(labels, {"role": "agent", "cluster": "c1", "agent": AGENT, "framework": "f-1", "executor": "web.1",
                                  "container": "c-web", "task_id": "web.1", "task_name": "web", "stream": "stdout",
                                  "file": "stdout"})
        self.assertTrue(node)
        self.assertNotIn("forward", str(self.node.get("/-/ready").json()))
        self.assertNotRegex(self.node.journal(), r"Operation not permitted|Permission denied")

    def test_tasks_end_while_nobody_looks_and_pods_and_traces_are_whole(self):
        self.task("web")
        self.append("web", "stdout", "trace\n  at a\n")
        self.task("pod", tasks=[{"id": "pod.a", "name": "first", "container": "in-a"}])
        self.append("pod", "tasks/pod.a/stderr", "of the pod\n")
        self.node.start()
        self.append("web", "stdout", "  at b\n")
        eventually(lambda: "of the pod" in self.arrived(), 20)
        self.node.exec("systemctl", "stop", "opsd")
        self.append("web", "stdout", "the last words")
        self.end("web")
        self.task("short")
        self.append("short", "stdout", "came\n")
        self.rotate("short", "stdout")
        self.append("short", "stdout", "went\n")
        self.end("short")
        self.node.start()
        status = self.judge(["trace\n  at a\n  at b", "of the pod", "the last words", "came", "went"])
        labels = self.labels_of("of the pod")
        self.assertEqual((labels["task_name"], labels["container"], labels["stream"], labels["file"]),
                         ("first", "c-pod.in-a", "stderr", "tasks/pod.a/stderr"))
        eventually(lambda: self.status()["tasks"]["runs"] == 1, 20)
        self.assertEqual(status["input"], "tasks")
        arrivals = self.server.arrivals
        self.node.exec("systemctl", "restart", "opsd")
        self.append("pod", "tasks/pod.a/stderr", "more\n")
        eventually(lambda: "more" in self.arrived(), 20)
        self.assertEqual(self.server.arrivals, arrivals + 1, "an orderly end repeats nothing")
        self.node.exec("systemctl", "stop", "fake-agent")   # it restarts, say
        self.append("pod", "tasks/pod.a/stderr", "and more\n")
        eventually(lambda: "and more" in self.arrived(), 20)
        eventually(lambda: self.status()["tasks"]["found_by"] == "folders", 20)
        shown = self.node.opsd("forward", "status", "elk").stdout
        self.assertIn("cannot ask the agent for its tasks", shown)
        self.assertIn("behind_bytes", shown)

    def test_what_opsd_may_not_open_comes_through_the_agent_or_is_named(self):
        self.task("web")
        self.append("web", "stdout", "a secret\n")
        os.chmod(self.path("web", "stdout"), 0o600)
        self.node.start()
        eventually(lambda: "a secret" in self.arrived(), 20)
        self.append("web", "stdout", "another\n")
        self.judge(["a secret", "another"])
        with open(os.path.join(self.node.etc, "agent-token"), "w", encoding="utf-8") as file:
            file.write("token=of-nobody")
        self.node.exec("systemctl", "restart", "opsd")
        status = eventually(lambda: (s := self.status())["state"] == "failed" and s, 30)
        self.assertIn("cannot open", status["error"])
        self.assertEqual(status["tasks"]["files_unreadable"], 1)
        eventually(lambda: "cannot read 1 files of tasks" in str(self.node.get("/-/ready").json()), 20)


if __name__ == "__main__":
    unittest.main()
