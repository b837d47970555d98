"""Figures of a node that watches a cluster: members are simulated by member_stub over real sockets on loopback, each with
an address of its own; what watching costs is measured on a real systemd node. Prints one line a figure with its target.
Needs build/release (targets opsd and member_stub), and root for the systemd node.

    cluster_figures.py [--short] [figure ...]      figures: fresh quiet answers readers seen agent large
"""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cluster"))
from harness import Node, eventually, run  # noqa: E402

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
BUILD = os.environ.get("OPSD_BUILD", os.path.join(TOP, "build/release"))
OPSD = os.path.join(BUILD, "src/opsd")
STUB = os.path.join(BUILD, "tests/bench/member_stub")
SHORT = "--short" in sys.argv[1:]
PORT = 19051
MISSED = []


def row(what, target, value, met):
    if not met:
        MISSED.append(what)
    print(f"  {what:<66} {value:>22}   target {target:<20} {'ok' if met else 'MISSED'}", flush=True)


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout=20):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Stub:
    def __init__(self, members, **options):
        words = [STUB, "--port", str(PORT), "--members", str(members)]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        self.addresses = subprocess.run(words + ["--list"], capture_output=True, text=True, check=True).stdout.split()
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Process:
    """What a process of this machine costs."""

    def __init__(self, pid):
        self.pid = pid

    def anonymous_mib(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"RssAnon:\s+(\d+) kB", file.read()).group(1)) / 1024

    def cpu(self):
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="utf-8") as file:
                total += int(file.read().split()[0])
        return total / 1e9


class Daemon(Process):
    """opsd without systemd, with a state directory of its own; `network`: a node of the test bed that it shares one with."""

    def __init__(self, name, members=(), port=0, config="", keep=None, network=None):
        self.directory = keep or tempfile.mkdtemp(prefix="opsd-figures-")
        self.socket = os.path.join(self.directory, "opsd.sock")
        listen = f"[{{address: 127.0.0.1, port: {port}}}]" if port else "[]"
        text = f"http: {{listen: {listen}, socket: {self.socket}}}\n"
        text += f"node: {{hostname: {name}, ip: 127.0.0.99, role: master}}\n"
        if members:
            text += f"cluster:\n  port: {PORT}\n{config}  sources: {{static: {{hosts: [{', '.join(members)}]}}}}\n"
        path = os.path.join(self.directory, "opsd.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.started = time.monotonic()
        where = ["nsenter", f"--net=/proc/{network.pid}/ns/net"] if network else []
        self.process = subprocess.Popen(
            where + [OPSD, "daemon", "--config", path, "--config-dir", self.directory + "/none", "--state-dir",
             self.directory + "/state", "--bus", f"unix:path={self.directory}/none", "--units-dir",
             self.directory + "/none"], stderr=self.log, stdout=self.log,
            env={k: v for k, v in os.environ.items() if not k.startswith("OPSD_")})
        super().__init__(self.process.pid)
        self.connection = None

    def get(self, path):
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = Unix(self.socket)
                self.connection.request("GET", path)
                return self.connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == 2:
                    raise
        return ""

    def metric(self, name):
        found = re.search("^" + re.escape(name) + r" (\S+)$", self.get("/metrics"), re.M)
        return float(found.group(1)) if found else None

    def fresh_after(self, count, limit):
        """Seconds from the start of the process until so many members are fresh."""
        seen = 0
        while time.monotonic() - self.started < limit and self.process.poll() is None:
            try:
                seen = self.metric('opsd_cluster_members{freshness="fresh"}') or 0
                if seen > count:  # the master itself is one, too
                    return time.monotonic() - self.started
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"{seen} of {count} members are fresh after {limit} s; see {self.directory}/log")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def share_of_a_core(process, seconds):
    before, begun = process.cpu(), time.monotonic()
    time.sleep(seconds)
    return 100 * (process.cpu() - before) / (time.monotonic() - begun)


def fresh(members, target):
    with Stub(members, silent=0.1) as stub, Daemon("master", stub.addresses) as master:
        answering = members - members // 10
        took = master.fresh_after(answering, 60)
        row(f"every answering member fresh: {members}, 10 % silent", f"<= {target} s", f"{took:.2f} s", took <= target)
        time.sleep(3)
        waits = master.metric("opsd_cluster_questions_held")
        row(f"  held answers after it, {members} members", "all", f"{waits:.0f} of {answering}", waits >= 0.97 * answering)
        memory = master.anonymous_mib()
        target = 100 * members / 1000
        row(f"RssAnon, {members} members x 38 units, one bad each", f"<= {target:.0f} MB", f"{memory:.1f} MiB",
            memory <= target)


def quiet():
    with Stub(1000) as stub, Daemon("master", stub.addresses) as master:
        master.fresh_after(1000, 60)
        time.sleep(10)
        share = share_of_a_core(master, 20 if SHORT else 60)
        row("CPU of a master with 1,000 quiet members", "<= 1 % of a core", f"{share:.2f} %", share <= 1)
        memory = master.anonymous_mib()
        row("RssAnon of it", "<= 100 MB", f"{memory:.1f} MiB", memory <= 100)
        keep = master.directory
        master.stop()
        again = Daemon("master", stub.addresses, keep=keep)
        took = again.fresh_after(1000, 60)
        row("every member fresh after a restart, 1,000", "<= 1 s", f"{took:.2f} s", took <= 1)
        again.stop()


def answers():
    """The report of 1,000 nodes x 38 units, and the lists under load."""
    port = PORT + 1
    with Stub(1000) as stub, Daemon("master", stub.addresses, port=port) as master:
        master.fresh_after(1000, 60)
        time.sleep(3)
        began = time.monotonic()
        body = master.get("/system/health/v1/report")
        first = time.monotonic() - began
        units = json.loads(body)
        assert len(units["Nodes"]) == 1001 and len(units["Units"]) >= 38
        began = time.monotonic()
        master.get("/system/health/v1/report")
        again = time.monotonic() - began
        row("/report, 1,000 nodes x 38 units", "<= 15 MB", f"{len(body) / 1e6:.1f} MB", len(body) <= 15e6)
        row("/report, the first time", "<= 1 s", f"{first * 1000:.0f} ms", first <= 1)
        row("/report, again", "<= 50 ms", f"{again * 1000:.0f} ms", again <= 0.05)
        for _ in range(3):
            master.get("/system/health/v1/report")
        memory = master.anonymous_mib()
        row("RssAnon after reports", "<= 100 MB", f"{memory:.1f} MiB", memory <= 100)
        for path in ("/system/health/v1/units", "/system/health/v1/nodes"):
            text = subprocess.run(["wrk", "-t1", "-c10", f"-d{4 if SHORT else 15}s", "--latency", f"http://127.0.0.1:{port}{path}"],
                                  capture_output=True, text=True, check=True).stdout
            assert "Non-2xx" not in text, text
            rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", text).group(1))
            value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", text).groups()
            p99 = float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]
            row(f"{path[17:]}, 10 clients", "p99 < 5 ms, >= 3,000/s", f"{p99:.2f} ms, {rate:,.0f}/s", p99 < 5 and rate >= 3000)


def read_slowly(port, end):
    """Asks for a report and takes 256 KiB of it in a second, again and again."""
    while time.monotonic() < end:
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)   # what the kernel holds is nobody's memory
            sock.settimeout(30)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /system/health/v1/report HTTP/1.1\r\nHost: opsd\r\nConnection: close\r\n\r\n")
            while time.monotonic() < end and sock.recv(64 * 1024):
                time.sleep(0.25)


def read_often(port, end, times, broken):
    """Asks for a report twice a second at most."""
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        began = time.monotonic()
        try:
            connection.request("GET", "/system/health/v1/report")
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                broken.append(body)
        except (OSError, http.client.HTTPException) as error:
            broken.append(error)
        times.append(time.monotonic() - began)
        connection.close()
        time.sleep(0.5)


def readers():
    """The report of a cluster that changes all the time, for ten at once of whom four are slow."""
    port = PORT + 1
    with Stub(1000, flapping=0.05, flap_ms=1000) as stub, Daemon("master", stub.addresses, port=port) as master:
        master.fresh_after(1000, 60)
        time.sleep(3)
        end = time.monotonic() + (25 if SHORT else 90)
        times, broken = [], []
        threads = [threading.Thread(target=read_slowly, args=(port, end)) for _ in range(4)]
        for thread in threads:
            thread.start()
            time.sleep(1.5)   # each begins with another version of the cluster
        often = [threading.Thread(target=read_often, args=(port, end, times, broken)) for _ in range(6)]
        for thread in often:
            thread.start()
        peak = 0
        while time.monotonic() < end:
            peak = max(peak, master.anonymous_mib())
            time.sleep(0.1)
        for thread in threads + often:
            thread.join()
        times.sort()
        row("RssAnon at most, 10 readers of /report, 4 slow, changing cluster", "<= 100 MB", f"{peak:.1f} MiB", peak <= 100)
        p99 = times[int(0.99 * len(times))]
        row(f"  /report for the others, p99 of {len(times)}", "<= 5 s", f"{p99:.2f} s", p99 <= 5)
        row("  of these refused or cut off", "none", f"{len(broken)} {broken[:1] or ''}", not broken)


def follow(daemon, latencies, end):
    """Reads events; the member and the master share this machine's clock."""
    connection = Unix(daemon.socket)
    connection.request("GET", "/api/v1/events")
    response = connection.getresponse()
    while time.monotonic() < end:
        line = response.readline().decode()
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        if event.get("unit"):
            latencies.append(seconds(event["seen_at"]) - seconds(event["last_at"]))


def seconds(text):
    base = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    return time.mktime(base) + float(text[19:-1])


def seen():
    members = 1000
    with Stub(members, silent=0.1, flapping=0.05, flap_ms=1000) as stub:
        masters = [Daemon(f"master{i}", stub.addresses) for i in range(3)]
        try:
            for master in masters:
                master.fresh_after(members - members // 10, 60)
            time.sleep(3)
            latencies = [[] for _ in masters]
            end = time.monotonic() + (10 if SHORT else 30)
            threads = [threading.Thread(target=follow, args=pair + (end,)) for pair in zip(masters, latencies)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for i, values in enumerate(latencies):
                values.sort()
                p99 = values[int(0.99 * len(values))]
                row(f"change of a unit until the event on master {i + 1} of 3, p99 of {len(values)}", "< 2 s",
                    f"{p99 * 1000:.0f} ms", p99 < 2)
        finally:
            for master in masters:
                master.__exit__()


def agent():
    """A real node with 38 units; its watchers share its network, nothing else."""
    time_each = 20 if SHORT else 60
    units = tempfile.mkdtemp(prefix="opsd-figures-")
    os.chmod(units, 0o755)
    run(f"{TOP}/tests/testbed/bench/make-units", "38", units)
    node = Node("--unit", units, start=False, binary=OPSD, config="health: {targets: [load.target]}\n")
    masters = []
    try:
        node.exec("systemctl", "start", "load.target", check=False)
        node.start()
        eventually(lambda: len(node.get("/api/v1/node").json()["units"]) >= 38 and
                   "details not read yet" not in node.get("/api/v1/units").text, 15)
        time.sleep(5)
        process = Process(node.outside_pid())
        alone = share_of_a_core(process, time_each)
        before = process.anonymous_mib()
        masters = [Daemon(f"master{i}", ["127.0.0.1:1050"], config="  watch: always\n", network=node) for i in range(3)]
        for master in masters:
            master.fresh_after(1, 20)
        time.sleep(5)
        watched = share_of_a_core(process, time_each)
        cost = max(0.0, watched - alone)
        row("cost on a quiet agent of 38 units of three masters watching", "<= 0.1 % of a core", f"{cost:.3f} %", cost <= 0.1)
        grown = process.anonymous_mib() - before
        row("memory on it of three masters watching", "<= 1 MB", f"{grown:.2f} MiB", grown <= 1)
    finally:
        for master in masters:
            master.__exit__()
        node.remove()
        shutil.rmtree(units)


FIGURES = {"fresh": lambda: fresh(1000, 1.0), "quiet": quiet, "answers": answers, "readers": readers, "seen": seen,
           "agent": agent, "large": lambda: fresh(10000, 10.0)}


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    names = [word for word in sys.argv[1:] if not word.startswith("-")] or list(FIGURES)
    print("Figures of a node that watches a cluster")
    for name in names:
        FIGURES[name]()
    # A short run shows the figures; whether one is met is decided by the long one, on a quiet machine.
    return 1 if MISSED and not SHORT else 0


if __name__ == "__main__":
    sys.exit(main())
