"""Figures of serving logs, systemd-journal-gatewayd and journalctl beside it: a journal of 500,000 entries that
systemd-journal-remote made, read over HTTP; and a live journal in a systemd node, followed. Needs build/release (target
opsd), and root for the systemd node.

    log_figures.py [--short] [figure ...]      figures: tail export task follow followers forward
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "cluster"))
from harness import Connection, Node, eventually, tool  # noqa: E402
from bulk_server import BulkServer  # noqa: E402
from no_loss import Rig  # noqa: E402

TOP = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))
OPSD = os.path.join(os.environ.get("OPSD_BUILD", os.path.join(TOP, "build/release")), "src/opsd")
SHORT = "--short" in sys.argv[1:]
ENTRIES = 100_000 if SHORT else 500_000
GATEWAYD = tool("/lib/systemd/systemd-journal-gatewayd")
REMOTE = tool("/lib/systemd/systemd-journal-remote")
MODULE = f"/usr/lib/{os.uname().machine}-linux-gnu/rsyslog/imjournal.so"   # of rsyslog itself
PORT, PEER_PORT = 19061, 19062
MISSED = []


def row(what, target, value, met, peer=""):
    if met is False:
        MISSED.append(what)
    verdict = "" if met is None else "ok" if met else "MISSED"
    print(f"  {what:<58} {value:>30}   target {target:<14} {verdict:<7} {peer}", flush=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu(pid):
    """Seconds on a CPU of all threads, those that have ended among them."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_journal(directory):
    fill = os.path.join(directory, "journal-fill")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libsystemd"], capture_output=True, text=True,
                           check=True).stdout.split()
    subprocess.run(["clang-19", "-O2", "-o", fill, f"{TOP}/tests/testbed/bench/journal-fill.c", *flags], check=True)
    journal = os.path.join(directory, "journal")
    os.mkdir(journal)
    with subprocess.Popen([fill, "--export", str(ENTRIES)], stdout=subprocess.PIPE) as source:
        subprocess.run([REMOTE, "-o", f"{journal}/big.journal", "-"], stdin=source.stdout, check=True, capture_output=True)
    return journal


@contextlib.contextmanager
def daemon(directory, journal, settings=""):
    """opsd on this machine's loopback, reading that journal alone."""
    config = os.path.join(directory, "opsd.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"http: {{listen: [{{address: 127.0.0.1, port: {PORT}}}], socket: {directory}/opsd.sock, "
                   "anonymous: viewer}\n" + settings)
    none = f"{directory}/none"
    command = [OPSD, "daemon", "--config", config, "--config-dir", none, "--state-dir", f"{directory}/state", "--bus",
               f"unix:path={none}", "--units-dir", none, "--journal-dir", journal]
    with open(f"{directory}/log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log,
                                   env={k: v for k, v in os.environ.items() if not k.startswith("OPSD_")})
    try:
        eventually(lambda: answers(PORT, "/-/healthy"))
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def gatewayd(journal):
    process = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{PEER_PORT}", GATEWAYD, "-D", journal],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(PEER_PORT, "/machine"))
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def answers(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


def timed(connection, path, headers):
    begin = time.perf_counter()
    connection.request("GET", path, headers=headers)
    body = connection.getresponse().read()
    return (time.perf_counter() - begin) * 1e3, body


def last_sixty(port, path, headers, rounds):
    """Milliseconds of each request on one connection; the first ones warm up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(10):
        timed(connection, path, headers)
    took = []
    for _ in range(rounds):
        milliseconds, body = timed(connection, path, headers)
        lines = body.count(b"\n")
        if lines != 60:
            raise RuntimeError(f"{path}: {lines} lines instead of 60")
        took.append(milliseconds)
    return took


JSON = {"Accept": "application/json"}
OURS = "/system/v1/logs/v2/component"


def tail(directory, journal):
    rounds = 200 if SHORT else 2_000
    with daemon(directory, journal):
        ours = statistics.median(last_sixty(PORT, f"{OURS}?cursor=END&skip=-60", JSON, rounds))
    with gatewayd(journal):
        theirs = statistics.median(last_sixty(PEER_PORT, "/entries", {**JSON, "Range": "entries=:-59:60"}, rounds // 10))
    row(f"last 60 of {ENTRIES:,} entries as JSON, p50", "< 0.4 ms", f"{ours:.2f} ms", ours < 0.4,
        f"gatewayd {theirs:.2f} ms, {theirs / ours:.0f} times")


def drain(port, path, headers):
    """Lines of a large answer, read as cheaply as Python can."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    lines = 0
    while piece := response.read(1 << 20):
        lines += piece.count(b"\n")
    return lines


def per_cpu_second(pid, port, path, headers, count):
    before = cpu(pid)
    lines = drain(port, path, headers)
    if lines != count:
        raise RuntimeError(f"{path}: {lines} lines instead of {count}")
    return count / (cpu(pid) - before)


def export(directory, journal):
    with daemon(directory, journal) as pid:
        ours = max(per_cpu_second(pid, PORT, f"{OURS}?cursor=BEG&limit={ENTRIES}", JSON, ENTRIES) for _ in range(3))
    few = ENTRIES // 5
    with gatewayd(journal) as pid:
        theirs = per_cpu_second(pid, PEER_PORT, "/entries", {**JSON, "Range": f"entries=:0:{few}"}, few)
    begin = os.times()
    subprocess.run(["journalctl", "-D", journal, "-o", "json", "--no-pager", "-n", str(few)], stdout=subprocess.DEVNULL,
                   check=True)
    end = os.times()
    journalctl = few / (end.children_user - begin.children_user + end.children_system - begin.children_system)
    row("JSON entries per CPU second over HTTP", ">= 250,000", f"{ours:,.0f}", ours >= 250_000,
        f"gatewayd {theirs:,.0f} ({ours / theirs:.1f} times), journalctl {journalctl:,.0f}")


class TaskFiles(http.server.BaseHTTPRequestHandler):
    """The files API of a Mesos agent, for one file."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20   # head and body at once, as a real agent sends them
    file, reads = None, 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        offset, length = int(query.get("offset", 0)), min(int(query.get("length", 65536)), 65536)
        data = ""
        if offset >= 0:
            self.file.seek(offset)
            data = self.file.read(length).decode("latin-1")
        else:
            offset = os.fstat(self.file.fileno()).st_size
        TaskFiles.reads += 1
        body = json.dumps({"data": data, "offset": offset}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def task(directory, journal):
    """The last lines of a file of 1 GB in a task's sandbox."""
    rounds = 100 if SHORT else 1_000
    os.makedirs(f"{directory}/mesos/meta/slaves/S1")
    os.symlink(f"{directory}/mesos/meta/slaves/S1", f"{directory}/mesos/meta/slaves/latest")
    with open(f"{directory}/stdout", "wb+") as file:
        file.truncate(1_000_000_000 - 1_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"".join(b"line %d of a task that writes much\n" % i for i in range(30_000)))
        file.flush()
        TaskFiles.file = file
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TaskFiles)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        agent = f"http://127.0.0.1:{server.server_address[1]}"
        path = "/system/v1/logs/v2/task/frameworks/f/executors/e/runs/c/stdout?cursor=END&skip=-60"
        with daemon(directory, journal, f"logs: {{tasks: {{agent: '{agent}', work_dir: {directory}/mesos}}}}\n"):
            eventually(lambda: answers(PORT, path))
            TaskFiles.reads = 0
            took = statistics.median(last_sixty(PORT, path, {}, rounds))
            reads = TaskFiles.reads / (rounds + 10)
        server.shutdown()
        server.server_close()
    row("last 60 lines of a task's file of 1 GB, p50; reads", "< 10 ms", f"{took:.2f} ms; {reads:.1f}", took < 10,
        "with the agent's API in Python")


# Writes numbered entries to the node's journald, each with the time at which it was written.
WRITER = """
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/run/systemd/journal/socket")
for i in range(int(sys.argv[1])):
    s.send(f"MESSAGE=figure {time.monotonic_ns()}\\nPRIORITY=6\\n".encode())
    time.sleep(0.03 + i % 7 / 1000)
"""


class Follower(threading.Thread):
    """Delays of the numbered entries, in milliseconds, as a reader of a stream sees them."""

    def __init__(self, sock, request, count):
        super().__init__(daemon=True)
        self.sock, self.count, self.delays = sock, count, []
        sock.settimeout(30)
        sock.sendall(request.encode())
        self.start()

    def run(self):
        rest = b""
        while len(self.delays) < self.count:
            piece = self.sock.recv(65536)
            if not piece:
                return
            now = time.monotonic_ns()
            found = list(re.finditer(rb"figure (\d+)\b[^0-9]", rest + piece))
            self.delays += [(now - int(match.group(1))) / 1e6 for match in found]
            rest = (rest + piece)[found[-1].end() if found else -200:]


def follow_request(path, headers=""):
    return f"GET {path} HTTP/1.1\r\nHost: node\r\nAccept: text/event-stream\r\n{headers}\r\n"


def follow_delays(node, port, request, count):
    follower = Follower(node.tcp(port), request, count)
    time.sleep(1)
    node.exec("python3", "-c", WRITER, str(count), timeout=count)
    follower.join(10)
    if len(follower.delays) < count:
        raise RuntimeError(f"{len(follower.delays)} of {count} entries came")
    return follower.delays


@contextlib.contextmanager
def live_node():
    node = Node(config="http: {anonymous: viewer}\n")
    try:
        yield node
    finally:
        node.remove()


def follow(node):
    count = 150 if SHORT else 1_000
    ours = follow_delays(node, 1050, follow_request(f"{OURS}?cursor=END"), count)
    node.exec("systemd-run", "--unit=peer", "--", "systemd-socket-activate", "-l", "127.0.0.1:19531", GATEWAYD)
    eventually(lambda: node.sh("ss -Hltn sport = :19531").stdout.strip())
    theirs = follow_delays(node, 19531, follow_request("/entries?follow", "Range: entries=:-1:\r\n"), count)
    node.exec("systemctl", "stop", "peer")
    p50, p95 = percentile(ours, 0.5), percentile(ours, 0.95)
    row("follow latency, p50 / p95", "< 15 / 30 ms", f"{p50:.1f} / {p95:.1f} ms", p50 < 15 and p95 < 30,
        f"gatewayd {percentile(theirs, 0.5):.0f} / {percentile(theirs, 0.95):.0f} ms")


def pid_of_opsd(node):
    """As this machine numbers it."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/status", encoding="utf-8") as file:
            text = file.read()
            if re.search(r"^Name:\s+opsd$", text, re.M) and os.readlink(f"/proc/{entry}/ns/pid") == os.readlink(
                    f"/proc/{node.pid}/ns/pid"):
                return int(entry)
    raise RuntimeError("opsd does not run in the node")


def followers(node):
    window = 20 if SHORT else 120
    pid = pid_of_opsd(node)
    time.sleep(2)
    before, begin = cpu(pid), time.monotonic()
    time.sleep(window)
    alone = 100 * (cpu(pid) - before) / (time.monotonic() - begin)
    connections = []
    for _ in range(100):
        connection = Connection(node.tcp, 30)
        connection.request("GET", f"{OURS}?cursor=END", headers={"Accept": "text/event-stream"})
        if connection.getresponse().status != 200:
            raise RuntimeError("a follower was refused")
        connections.append(connection)
    time.sleep(2)
    before, begin = cpu(pid), time.monotonic()
    time.sleep(window)
    share = 100 * (cpu(pid) - before) / (time.monotonic() - begin)
    for connection in connections:
        connection.close()
    row("100 idle followers", "< 0.5 % of a core", f"{share:.2f} %", share < 0.5, f"without any: {alone:.2f} %")


class Counter:
    """A far side that takes everything and looks at nothing, so that it does not hold the sender up."""

    def __init__(self):
        self.items = 0

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        count = body.count(b"\n") // 2
        self.items += count
        BulkServer.send(handler, 200, b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * count) + b"]}")


def rsyslog(directory, journal):
    """Entries per CPU second of the peer. imjournal reads the machine's journal only: it is given ours as that."""
    server, counter = BulkServer(), Counter()
    server.answer = counter.answer
    server.listener.RequestHandlerClass.do_GET = lambda handler: BulkServer.send(handler, 200, b"{}")
    modules = os.path.dirname(tool(f"/usr/lib/{os.uname().machine}-linux-gnu/rsyslog/omelasticsearch.so"))
    home = f"{directory}/rsyslog"
    os.mkdir(home)
    with open(f"{home}/conf", "w", encoding="utf-8") as file:
        file.write(f"""global(workDirectory="{home}")
module(load="imjournal" StateFile="{home}/state" PersistStateInterval="1000" ratelimit.interval="0"
       IgnorePreviousMessages="off")
module(load="omelasticsearch")
action(type="omelasticsearch" server="127.0.0.1" serverport="{server.port}" bulkmode="on" searchIndex="logs" searchType="_doc"
       queue.type="linkedlist" queue.size="100000" queue.dequeuebatchsize="1000" action.resumeretrycount="-1")
""")
    with open("/etc/machine-id", encoding="utf-8") as file:
        machine = file.read().strip()
    script = (f"mount -t tmpfs none /var/log && mkdir -p /var/log/journal/{machine} && "
              f"mount --bind {journal} /var/log/journal/{machine} && exec {tool('/usr/sbin/rsyslogd')} -n -i {home}/pid "
              f"-f {home}/conf -M {modules}:{os.path.dirname(tool(MODULE))}")
    with open(f"{home}/log", "wb") as log:
        process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=log, stderr=log)
    try:
        eventually(lambda: counter.items >= ENTRIES, 300, 0.05, what="rsyslog has forwarded all")
        return ENTRIES / cpu(process.pid)
    finally:
        process.terminate()
        process.wait(60)
        server.__exit__()


def written(pid):
    with open(f"/proc/{pid}/io", encoding="utf-8") as file:
        return int(re.search(r"^write_bytes: (\d+)", file.read(), re.M).group(1))


def forward(directory, journal):
    window = 10 if SHORT else 60
    with Rig(batch=2000) as rig:
        # There is no bus here, which opsd tells its log now and then: that is in memory, to be no write of a disk.
        rig.log = f"/proc/{os.getpid()}/fd/{os.memfd_create('log')}"
        counter = Counter()
        rig.server.answer = counter.answer
        os.rmdir(rig.journal)
        os.symlink(journal, rig.journal)
        rig.start()
        most = 0.0
        while counter.items < ENTRIES:
            if rig.process.poll() is not None:
                raise RuntimeError(f"opsd ended after {counter.items} of {ENTRIES} entries")
            time.sleep(0.05)
            most = max(most, rig.anonymous_mib())
        used = cpu(rig.process.pid)
        status = eventually(lambda: (found := rig.status())["pending"] == 0 and found, 30)
        if status["acknowledged"] != ENTRIES:
            raise RuntimeError(f"{status['acknowledged']} of {ENTRIES} entries are acknowledged")
        rate = ENTRIES / used
        peer = rsyslog(directory, journal)
        row("forwarded to _bulk, entries per CPU second", ">= 150,000", f"{rate:,.0f}", rate >= 150_000,
            f"rsyslog imjournal+omelasticsearch {peer:,.0f} ({rate / peer:.1f} times)")
        row("  RssAnon at most, all of opsd", "<= 64 MiB", f"{most:.1f} MiB", most <= 64)
        time.sleep(5)
        before = written(rig.process.pid)
        time.sleep(window)
        more = written(rig.process.pid) - before
        row(f"  disk writes of {window} s idle", "0", f"{more} bytes", more == 0)


def main():
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or ["tail", "export", "task", "follow", "followers",
                                                                              "forward"]
    directory = tempfile.mkdtemp(prefix="opsd-log-figures.")
    try:
        if {"tail", "export", "task", "forward"} & set(wanted):
            journal = make_journal(directory)
            for figure in (tail, export, task, forward):
                if figure.__name__ in wanted:
                    figure(directory, journal)
        if {"follow", "followers"} & set(wanted):
            with live_node() as node:
                for figure in (follow, followers):
                    if figure.__name__ in wanted:
                        figure(node)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if MISSED:
        print(f"missed: {', '.join(MISSED)}")
    sys.exit(1 if MISSED and not SHORT else 0)


if __name__ == "__main__":
    main()
