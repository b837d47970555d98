"""Whole-program figures of opsd beside Debian's node_exporter; see run.sh."""

import glob
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cluster"))
from harness import OPSD, TOP, Connection, Node, eventually, run  # noqa: E402

UNITS = 300
SHORT = "--short" in sys.argv[1:]
ROWS = []


def row(what, target, measured, missed, peer=""):
    """`missed` is how many times worse than its target a figure is: at most 1 is met; None has no target."""
    verdict = "" if missed is None else "ok" if missed <= 1 else "MISSED"
    ROWS.append((what, target, measured, peer, verdict, missed or 0))
    print(f"  {what}: {measured} {verdict}", flush=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Processes:
    """CPU time of processes of a node, read from outside."""

    def __init__(self, node):
        self.node = node

    def all(self):
        """{pid in the node: pid on this machine}, {name: pid on this machine}"""
        inside, names = {}, {}
        wanted = os.readlink(f"/proc/{self.node.pid}/ns/pid")
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != wanted:
                    continue
                with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                    text = file.read()
            except OSError:
                continue
            inside[int(re.search(r"NSpid:.*\s(\d+)\n", text).group(1))] = int(entry)
            names[re.search(r"Name:\s+(.*)", text).group(1)] = int(entry)
        return inside, names

    @staticmethod
    def cpu(pid):
        """Nanoseconds on a CPU of all threads; finer than the clock ticks of stat(5)."""
        total = 0
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path, encoding="utf-8") as file:
                total += int(file.read().split()[0])
        return total


class Meter:
    """CPU of a daemon, PID 1 and the bus between start and read, in milliseconds."""

    def __init__(self, daemon, systemd, bus):
        self.pids = (daemon, systemd, bus)
        self.before = [Processes.cpu(pid) for pid in self.pids]
        self.began = time.monotonic()

    def read(self):
        return [(Processes.cpu(pid) - before) / 1e6 for pid, before in zip(self.pids, self.before)]

    def seconds(self):
        return time.monotonic() - self.began


def wrk(node, url, seconds, connections=10):
    """(requests per second, p99 in ms) of wrk inside the node."""
    text = node.exec("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url, timeout=seconds + 30).stdout
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", text).group(1))
    value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", text).groups()
    if "Non-2xx" in text:
        raise RuntimeError(text)
    return rate, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


class Bench:
    def __init__(self):
        self.units = tempfile.mkdtemp(prefix="opsd-bench.")
        os.chmod(self.units, 0o755)
        run(f"{TOP}/tests/testbed/bench/make-units", str(UNITS), self.units)
        self.node = Node("--unit", self.units, start=False,
                         config="health: {targets: [load.target]}\n")
        self.node.exec("systemctl", "start", "load.target", check=False)
        eventually(lambda: self.node.sh("systemctl is-active load-0001.service", check=False).stdout.strip() == "active")
        time.sleep(1)
        self.processes = Processes(self.node)

    def close(self):
        self.node.remove()
        shutil.rmtree(self.units, ignore_errors=True)

    def meter(self, name="opsd"):
        _, names = self.processes.all()
        return Meter(names[name], self.node.pid, names["dbus-daemon"])

    # --- one method per row of the table

    def served_at_ready(self):
        """READY promises the state of every unit: no answer begun after it may lack one, or have another."""
        wanted = {f"load-{i:04}.service": {0: "failed", 9: "done"}.get(i % 10, "running") for i in range(1, UNITS + 1)}
        self.node.exec("systemctl", "stop", "opsd")
        self.node.exec("systemctl", "start", "--no-block", "opsd")
        answers = []   # (begun, what was wrong)
        while not answers or answers[-1][1]:
            begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e3
            try:
                units = {u["id"]: u["state"] for u in self.node.get("/api/v1/units").json().get("units", [])}
                answers.append((begun, {name: units.get(name) for name in wanted if units.get(name) != wanted[name]}))
            except OSError:   # it does not listen yet
                time.sleep(0.002)
            if answers and begun > answers[0][0] + 30e6:
                raise AssertionError(f"30 s after its first answer opsd lacks the states of {answers[-1][1]}")
        eventually(lambda: self.node.show("opsd", "ActiveState") == "active")
        ready = float(self.node.show("opsd", "ActiveEnterTimestampMonotonic"))
        late = [wrong for begun, wrong in answers if wrong and begun >= ready]
        if late:
            raise AssertionError(f"READY, but {len(late[0])} units are served without their state: {late[0]}")

    def start(self):
        for _ in range(3 if SHORT else 10):
            self.served_at_ready()
        ready, details = [], []
        for _ in range(3 if SHORT else 10):
            self.node.exec("systemctl", "stop", "opsd")
            self.node.exec("systemctl", "start", "opsd")
            done = None
            while done is None:
                answer = self.node.get("/api/v1/units")
                units = answer.json()["units"]
                if len(units) >= UNITS and "details not read yet" not in answer.text:
                    done = time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e3
            began = float(self.node.show("opsd", "ExecMainStartTimestampMonotonic"))
            ready.append((float(self.node.show("opsd", "ActiveEnterTimestampMonotonic")) - began) / 1e3)
            details.append((done - began) / 1e3)
        worst, median = max(ready), statistics.median(ready)
        row(f"start to READY, {UNITS} units", "<= 100 ms", f"median {median:.0f} ms, worst {worst:.0f} ms", worst / 100)
        worst, median = max(details), statistics.median(details)
        row("details of every unit", "<= 1 s", f"median {median:.0f} ms, worst {worst:.0f} ms", worst / 1000)

    def failures(self):
        count = 40 if SHORT else 200
        inside, _ = self.processes.all()
        names = [f"load-{i:04}.service" for i in range(1, UNITS + 1) if i % 10 not in (0, 9)][:count]
        shown = self.node.exec("systemctl", "show", "-P", "MainPID", *names).stdout.split()
        connection = Connection(self.node.tcp)
        times = []
        for name, pid in zip(names, shown):
            time.sleep(0.05)
            begin = time.monotonic()
            os.kill(inside[int(pid)], 9)
            while True:
                connection.request("GET", f"/api/v1/units/{name}")
                if json.loads(connection.getresponse().read())["health"] == 1:
                    break
                time.sleep(0.0005)
            times.append((time.monotonic() - begin) * 1e3)
        connection.close()
        p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
        row(f"unit failure: kill to visible in the HTTP answer ({len(times)} kills)", "p50 < 20 ms, p99 < 250 ms",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms", max(p50 / 20, p99 / 250), "at the next poll")
        self.node.exec("systemctl", "start", "load.target", *names, check=False)
        self.node.exec("systemctl", "start", *names, check=False)

    def requests(self):
        seconds = 4 if SHORT else 15
        size = len(self.node.get("/system/health/v1").body)
        meter = self.meter()
        rate, p99 = wrk(self.node, "http://127.0.0.1:1050/system/health/v1", seconds)
        per_core = rate * meter.seconds() / (meter.read()[0] / 1e3)
        row(f"/system/health/v1, {UNITS} units, {size / 1e3:.0f} kB, 10 clients", "p99 < 2 ms, >= 5,000 requests/s on a core",
            f"p99 {p99:.2f} ms, {rate:,.0f} requests/s, {per_core:,.0f} per CPU second", max(p99 / 2, 5000 / per_core),
            self.peer_requests)

    def idle(self):
        """CPU of an hour: an idle stretch, and what one comparison with systemd's list costs, twelve times."""
        window = 20 if SHORT else 600
        self.quiet()
        meter = self.meter()
        time.sleep(window)
        used, seconds = meter.read(), meter.seconds()
        an_hour = [ms / seconds * 3600 for ms in used]
        extra = [0.0, 0.0, 0.0]
        if SHORT:   # a window this small sees no resync, which is every five minutes: measured apart
            self.node.configure("health: {targets: [load.target], systemd: {resync: 10s}}\n")
            self.node.exec("systemctl", "restart", "opsd")
            self.quiet()
            meter = self.meter()
            time.sleep(30)
            often = meter.read()
            extra = [max(0.0, (a - b * meter.seconds() / seconds) / 3 * 12) for a, b in zip(often, used)]
            self.node.configure("health: {targets: [load.target]}\n")
            self.node.exec("systemctl", "restart", "opsd")
            self.quiet()
        total = sum(an_hour) + sum(extra)
        parts = ", ".join(f"{name} {a + b:.0f}" for name, a, b in zip(("own", "PID 1", "bus"), an_hour, extra))
        ratio = self.peer_hour / total
        row(f"CPU of an hour with {UNITS} idle units", ">= 50 times less than node_exporter scraped each 15 s",
            f"{total:.0f} ms ({parts}): {ratio:.0f} times less", 50 / ratio, f"{self.peer_hour:,.0f} ms")

    def flapping(self):
        window = 15 if SHORT else 60
        self.node.unit_file("flap.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=480ms\n"
                                            "ExecStart=/bin/false\n")
        self.node.configure("health: {targets: [load.target], units: [flap.service]}\n")
        self.node.exec("systemctl", "reload", "opsd")
        self.node.exec("systemctl", "start", "--no-block", "flap.service")
        eventually(lambda: self.node.unit("flap.service")["state"] == "flapping", 30)
        time.sleep(5)
        first = int(self.node.show("flap.service", "NRestarts"))
        meter = self.meter()
        time.sleep(window)
        used = meter.read()
        seconds = meter.seconds()
        rate = (int(self.node.show("flap.service", "NRestarts")) - first) / seconds
        percent = used[0] / seconds / 10
        row(f"one flapping unit, {rate:.1f} restarts a second", "<= 0.1 % of a core of our own",
            f"{percent:.3f} % (PID 1 {used[1] / seconds / 10:.2f} %, bus {used[2] / seconds / 10:.2f} %)", percent / 0.1)
        self.node.exec("systemctl", "stop", "flap.service")
        self.node.configure("health: {targets: [load.target]}\n")
        self.node.exec("systemctl", "reload", "opsd")

    def memory(self):
        _, names = self.processes.all()
        with open(f"/proc/{names['opsd']}/status", encoding="utf-8") as file:
            text = file.read()
        anonymous = int(re.search(r"RssAnon:\s+(\d+)", text).group(1)) / 1024
        resident = int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024
        row(f"anonymous memory, {UNITS} units, after all of the above", "<= 20 MB",
            f"{anonymous:.1f} MB (resident {resident:.1f} MB)", anonymous / 20, f"{self.peer_memory:.1f} MB")

    # --- the peer

    def peer(self):
        """Debian's node_exporter with its systemd collector only, in the same node, opsd stopped."""
        self.node.exec("systemctl", "stop", "opsd")
        self.node.exec("systemd-run", "--unit=peer", "-p", "User=nobody", "--", shutil.which("prometheus-node-exporter"),
                       "--collector.disable-defaults", "--collector.systemd", "--web.listen-address=127.0.0.1:9100")
        eventually(self.scrape)
        self.scrape()
        scrapes = 10 if SHORT else 40
        meter = self.meter("prometheus-node")
        for _ in range(scrapes):
            self.scrape()
            time.sleep(0.2)
        used = meter.read()
        self.peer_hour = sum(used) / scrapes * 240
        rate, p99 = wrk(self.node, "http://127.0.0.1:9100/metrics", 3)
        self.peer_requests = f"p99 {p99:.0f} ms, {rate:.0f} requests/s"
        _, names = self.processes.all()
        with open(f"/proc/{names['prometheus-node']}/status", encoding="utf-8") as file:
            self.peer_memory = int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1)) / 1024
        self.node.exec("systemctl", "stop", "peer")
        print(f"  peer: {sum(used) / scrapes:.1f} ms CPU per scrape", flush=True)

    def scrape(self):
        connection = Connection(lambda: self.node.tcp(9100), 30)
        connection.request("GET", "/metrics")
        body = connection.getresponse().read()
        connection.close()
        if b"load-0001.service" not in body:
            raise http.client.HTTPException("no unit in the peer's answer")
        return len(body)

    def quiet(self):
        eventually(lambda: self.node.get("/-/ready").status in (200, 503) and
                   "details not read yet" not in self.node.get("/api/v1/units").text, 15)
        time.sleep(3)


def program():
    with tempfile.NamedTemporaryFile() as file:
        run("strip", "-o", file.name, OPSD)
        size = os.path.getsize(file.name) / 1e6
    row("release binary, stripped", "<= 10 MB", f"{size:.1f} MB", size / 10,
        f"{os.path.getsize(shutil.which('prometheus-node-exporter')) / 1e6:.1f} MB")


def builds():
    path = f"{TOP}/build/release/build-seconds"
    if not SHORT:
        scratch = tempfile.mkdtemp(prefix="opsd-build.")
        begin = time.monotonic()
        environment = {**os.environ, "CCACHE_DISABLE": "1"}
        for command in (["cmake", "--preset", "release", "-B", scratch, "-DOPSD_TESTS=OFF"], ["cmake", "--build", scratch, "--target", "opsd"]):
            subprocess.run(command, cwd=TOP, env=environment, check=True, capture_output=True)
        seconds = time.monotonic() - begin
        shutil.rmtree(scratch)
        row("full release build", "<= 480 s on 2 cores", f"{seconds:.0f} s", seconds / 480)
    elif os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            seconds = int(file.read())
        row("full release build", "<= 480 s on 2 cores", f"{seconds} s", seconds / 480)
    health = sorted(glob.glob(f"{TOP}/src/modules/health/**/*.cpp", recursive=True), key=os.path.getsize)
    ninja = ["ninja", "-C", f"{TOP}/build/release", "opsd"]
    if subprocess.run(ninja, capture_output=True, check=False).returncode != 0:
        return
    touch_and_build(ninja, os.path.basename(health[-1]), health[-1:])
    # Everything of a module, as after a change of its header; a short run does not wait minutes for it.
    touch_and_build(ninja, f"all {len(health)} files of the module health", health, limit=60 if SHORT else None)


def touch_and_build(ninja, what, paths, limit=None):
    """A row for the build after touching files, compiled anew; beyond the limit, in seconds, it is broken off."""
    for path in paths:
        os.utime(path)
    begin = time.monotonic()
    build = subprocess.Popen(ninja, env={**os.environ, "CCACHE_DISABLE": "1"}, stdout=subprocess.PIPE)
    try:
        build.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        build.send_signal(signal.SIGINT)   # ninja ends its compilers, too
        build.communicate()
    else:
        if build.returncode != 0:
            raise RuntimeError(f"the build after touching {what} failed")
    seconds = time.monotonic() - begin
    broken_off = limit is not None and seconds >= limit
    row(f"build after touching {what}", "<= 30 s", f"more than {limit} s" if broken_off else f"{seconds:.1f} s", seconds / 30)
    if broken_off:
        subprocess.run(ninja, check=True, capture_output=True)   # what is left, out of the cache


def table():
    head = ("what", "target", "measured", "node_exporter 1.5.0", "")
    widths = [max(len(str(r[i])) for r in ROWS + [head + (0,)]) for i in range(5)]
    print()
    for line in [head] + [r[:5] for r in ROWS]:
        print("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths)) + " |")
        if line is head:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(f"\n{os.cpu_count()} cores, Linux {os.uname().release}, "
          f"{subprocess.run(['systemctl', '--version'], capture_output=True, text=True, check=False).stdout.splitlines()[0]}"
          f"{', short run' if SHORT else ''}")


def main():
    builds()
    program()
    bench = Bench()
    try:
        bench.peer()
        bench.start()
        bench.idle()
        bench.requests()
        bench.failures()
        bench.flapping()
        bench.memory()
    finally:
        bench.close()
    table()
    # A short run shows the figures; whether one is met is decided by the long one, on a quiet machine.
    return 0 if SHORT else int(any(missed > 1 for *_, missed in ROWS))


if __name__ == "__main__":
    sys.exit(main())
