"""What the proof of no loss is made of: journals of numbered entries, opsd that forwards them and is killed, and what
arrived. Used by test_no_loss.py and, a hundred times as large, by tests/bench/kill-matrix."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from bulk_server import BulkServer
from harness import OPSD, TOP, Connection, eventually, tool


REMOTE = tool("/lib/systemd/systemd-journal-remote")
BATCH = 500


def fill_program(directory):
    program = os.path.join(directory, "journal-fill")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libsystemd"], capture_output=True, text=True,
                           check=True).stdout.split()
    subprocess.run(["clang-19", "-O2", "-o", program, f"{TOP}/tests/testbed/bench/journal-fill.c", *flags], check=True)
    return program


def export_text(first, count, start, step=1000, boot="0123456789abcdef0123456789abcdef"):
    """Numbered entries in the export format, `step` microseconds apart (it may be negative)."""
    entries = []
    for i in range(count):
        entries.append(f"__REALTIME_TIMESTAMP={start + i * step}\n__MONOTONIC_TIMESTAMP={(first + i) * 1000}\n"
                       f"_BOOT_ID={boot}\n_MACHINE_ID=fedcba9876543210fedcba9876543210\n_HOSTNAME=node\n"
                       f"_SYSTEMD_UNIT=a{i % 5}.service\nPRIORITY=6\nMESSAGE=entry {first + i} xxxxxxxxxxxxxxxxxxxx\n\n")
    return "".join(entries)


class Rig:
    """A journal of its own, a far side, and an opsd that may be killed at any time."""

    def __init__(self, batch=BATCH):
        self.directory = tempfile.mkdtemp(prefix="opsd-no-loss.")
        self.journal = os.path.join(self.directory, "journal")
        self.state = os.path.join(self.directory, "state")
        os.mkdir(self.journal)
        os.mkdir(self.state)
        self.server = BulkServer()
        self.process = None
        self.inside = []    # what opsd is started through
        self.holder = None  # of a mount namespace
        self.most_mib = 0   # anonymous memory, as measured so far
        self.ended = threading.Event()
        self.log = os.path.join(self.directory, "log")
        self.kills = 0
        self.config = os.path.join(self.directory, "opsd.yaml")
        self.socket = os.path.join(self.directory, "opsd.sock")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"http: {{listen: [], socket: {self.socket}}}\n"
                       f"forward:\n  outputs:\n    - name: elk\n      type: elasticsearch\n"
                       f"      urls: [\"http://127.0.0.1:{self.server.port}\"]\n      start: beginning\n"
                       f"      timeout: 2s\n      batch: {{records: {batch}, age: 50ms}}\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.faults.hang = False
        try:
            self.kill()
        finally:
            if self.holder:
                self.holder.kill()
                self.holder.wait()
                self.holder.stdout.close()
            self.server.__exit__()
            shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, text, name="a"):
        """Into a journal file of that name, which is closed afterwards."""
        subprocess.run([REMOTE, "-o", f"{self.journal}/{name}.journal", "-"], input=text, text=True, check=True,
                       capture_output=True)

    def start(self):
        none = f"{self.directory}/none"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, OPSD, "daemon", "--config", self.config, "--config-dir", none, "--state-dir", self.state,
                 "--bus", f"unix:path={none}", "--units-dir", none, "--journal-dir", self.journal], stdout=log, stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("OPSD_")})

    def small_disk(self, size):
        """The state of outputs is on a file system of that size, which outlives opsd; only opsd sees it. Needs root."""
        forward = f"{self.state}/forward"
        os.mkdir(forward)
        script = f"mount -t tmpfs -o size={size} tmpfs {forward} && echo ready && exec sleep infinity"
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise AssertionError("cannot mount a small file system in a mount namespace")
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-m", "--"]
        return f"/proc/{self.holder.pid}/root{forward}"

    @staticmethod
    def fill_disk(directory):
        """Until not a byte more fits."""
        with open(f"{directory}/filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def watch_memory(self):
        """Measures from now on, whatever else is done and however often opsd is killed."""
        def watch():
            while not self.ended.wait(0.05):
                self.most_mib = max(self.most_mib, self.anonymous_mib())
        threading.Thread(target=watch, daemon=True).start()

    def kill(self):
        if self.process is None:
            return
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8") as file:
                raise AssertionError(f"opsd ended by itself with {self.process.returncode}:\n{file.read()[-3000:]}")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def killed_at_random(self, kills, total, seed=1, between=lambda rig: None):
        """Starts and kills it so often at random moments of its work; the last one is left running."""
        chance = random.Random(seed)
        for _ in range(kills):
            self.start()
            time.sleep(chance.uniform(0.02, 0.4))
            self.kill()
            self.kills += 1
            between(self)
            if len(self.server.documents) >= total:
                break   # nothing is left to be interrupted in
        self.start()

    def ask(self, path):
        def connect():
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.socket)
            return sock
        connection = Connection(connect)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body.decode()

    def status(self):
        return json.loads(self.ask("/api/v1/forward"))["outputs"][0]

    def settled(self, seconds):
        """Everything was read, and answered."""
        def done():
            status = self.status()
            idle = status["pending"] == 0 and status["state"] == "running" and status["lag_entries"] == 0
            return status if idle and status["in"] + status["lost"] > 0 or idle and self.server.documents else None
        return eventually(done, seconds)

    def anonymous_mib(self):
        """0 while it does not run."""
        process = self.process
        try:
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024
        except (AttributeError, OSError, StopIteration):
            return 0

    def judge(self, test, total, kills=None, poisoned=0, repeated_requests=0):
        """Nothing is lost; what came twice is at most a batch a kill (or torn request), and one document by its id."""
        server = self.server
        test.assertEqual(server.mistakes, [])
        counts = server.numbers()
        missing = sorted(set(range(total)) - set(counts))
        test.assertEqual(len(missing), poisoned, f"{len(missing)} are lost: {missing[:10]}")
        test.assertEqual([n for n, count in counts.items() if count > 1], [], "one entry has two ids")
        repeated = server.arrivals - len(server.documents)
        allowed = ((self.kills if kills is None else kills) + repeated_requests) * BATCH
        test.assertLessEqual(repeated, allowed, "more than a batch was sent again after a kill")
