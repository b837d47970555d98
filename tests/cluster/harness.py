"""Real systemd nodes with the packaged opsd in them, and an HTTP client that reaches their loopback and sockets."""

import atexit
import ctypes
import fcntl
import http.client
import json
import os
import pty
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SYSTEMD_NODE = os.path.join(TOP, "tests/testbed/systemd-node")
OPSD_NODE = os.path.join(TOP, "tests/opsd-node")
UNITS = os.path.join(TOP, "tests/testbed/units")
OPSD = os.environ.get("OPSD_BINARY", os.path.join(TOP, "build/release/src/opsd"))
LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def environment(**more):
    """This one's, without the settings of the tests: they are none of opsd's, which refuses what it does not know."""
    return {k: v for k, v in os.environ.items() if not k.startswith("OPSD_") or k.startswith("OPSD_TESTBED_")} | more


def tool(path):
    """A program or module of Debian's, where its package is installed or where dependencies.sh unpacked it."""
    for place in (path, f"{TOP}/build/tools{path}"):
        if os.path.exists(place):
            return place
    raise FileNotFoundError(f"{path} is not there; run packaging/dependencies.sh")


def run(*command, check=True, timeout=60, stdin=None):
    """Runs a command and returns its result with text in stdout and stderr."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin, check=False,
                          env=environment())
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def eventually(check, timeout=10.0, interval=0.02, what=None):
    """Waits until check() returns something true and returns it; fails with the last answer after the timeout."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except (OSError, http.client.HTTPException, KeyError, ValueError, RuntimeError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"{what or 'condition'} not met in {timeout} s; last seen: {last!r}")
        time.sleep(interval)


class Terminal:
    """A command on a terminal of its own, 200 columns wide; `shown` is all that has been seen on it."""

    def __init__(self, *command, **env):
        self.shown = ""
        self._seen = b""
        self._read = 0   # of `shown`, by until()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        # Tests that run in the background of a script ignore Ctrl-C, and their children would, too.
        self.process = subprocess.Popen(["env", "--default-signal=INT", *command], stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, env=environment(**{"TERM": "xterm", **env}))
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        os.close(self._master)

    def _more(self, end):
        """Waits for more on the terminal; false when the last process has closed it."""
        if not select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
            raise AssertionError(f"no more came on the terminal after:\n{self.shown}")
        try:
            data = os.read(self._master, 65536)
        except OSError:   # EIO: nobody has it open any more
            return False
        self._seen += data
        self.shown = self._seen.decode("utf-8", "replace").replace("\r\n", "\n")
        return True

    def until(self, text, timeout=60):
        """Waits until the text appears below what earlier calls waited for."""
        end = time.monotonic() + timeout
        while text not in self.shown[self._read:]:
            if not self._more(end):
                raise AssertionError(f"ended without {text!r}:\n{self.shown}")
        self._read = self.shown.index(text, self._read) + len(text)

    def type(self, line):
        os.write(self._master, line.encode() + b"\n")

    def end(self, timeout=60):
        """Waits for the end and returns the exit status."""
        end = time.monotonic() + timeout
        while self._more(end):
            pass
        return self.process.wait(max(1.0, end - time.monotonic()))


class Answer:
    """A read HTTP response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:300]!r}>"


class Connection(http.client.HTTPConnection):
    """Over a socket made by a function."""

    def __init__(self, connect, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self._connect = connect

    def connect(self):
        self.sock = self._connect()
        self.sock.settimeout(self.timeout)


class Events:
    """Reads server-sent events of a path until closed."""

    def __init__(self, node, path="/api/v1/events", headers=None, timeout=15):
        self.connection = Connection(node.tcp, timeout)
        self.connection.request("GET", path, headers={"Accept": "text/event-stream", **(headers or {})})
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            raise AssertionError(f"{path}: {self.response.status} {self.response.read()!r}")

    def next(self):
        """The next event as {"id":, "event":, "data":}; comments are skipped."""
        fields = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if not line:
                if "data" in fields:
                    return fields
                if self.response.closed:
                    raise EOFError("the stream ended")
                continue
            if line.startswith(":"):
                continue
            name, _, value = line.partition(": ")
            fields[name] = fields[name] + "\n" + value if name in fields else value

    def until(self, wanted, limit=200):
        """Reads on to the first event whose decoded data makes wanted() true."""
        for _ in range(limit):
            event = self.next()
            event["json"] = json.loads(event["data"])
            if wanted(event["json"]):
                return event
        raise AssertionError(f"no such event among {limit}")

    def close(self):
        self.connection.close()


class Node:
    """One systemd node; opsd is installed as packaged and, unless start=False, started and ready."""

    _count = 0

    def __init__(self, *options, config="", start=True, binary=None, opsd=True, name="node1", beside=None):
        """`beside` is another node: the new one is of its group, and they reach each other by name."""
        Node._count += 1
        self.name = name
        self.beside = beside
        self.group = beside.group if beside else f"t{os.getpid()}-{Node._count}"
        self.etc = tempfile.mkdtemp(prefix="opsd-etc.")
        os.chmod(self.etc, 0o755)
        os.mkdir(os.path.join(self.etc, "conf.d"))
        self.configure(config)
        atexit.register(self.remove)
        if opsd:
            run(OPSD_NODE, self.group, name, binary or OPSD, self.etc, *options, timeout=120)
        else:
            run(SYSTEMD_NODE, "-g", self.group, "start", name, *options, timeout=120)
        self.pid = int(self._testbed("pid", name).stdout)
        self.root = f"/proc/{self.pid}/root"
        if opsd and start:
            self.start()

    def _testbed(self, *words, **more):
        return run(SYSTEMD_NODE, "-g", self.group, *words, **more)

    def remove(self):
        atexit.unregister(self.remove)
        run(SYSTEMD_NODE, "-g", self.group, "kill", *([self.name] if self.beside else ["--all"]), check=False)
        shutil.rmtree(self.etc, ignore_errors=True)

    # --- inside

    def exec(self, *command, **more):
        """Runs a command in the node as root."""
        return self._testbed("exec", self.name, *command, **more)

    def sh(self, script, **more):
        return self.exec("sh", "-c", script, **more)

    def opsd(self, *words, check=False, user=None, env=()):
        """Runs the CLI in the node."""
        become = ("setpriv", "--reuid", user, "--regid", user, "--init-groups") if user else ()
        return self.exec("env", *env, *become, "opsd", *words, check=check)

    def terminal(self, *words, **env):
        """The CLI in the node, on a terminal."""
        return Terminal(SYSTEMD_NODE, "-g", self.group, "exec", self.name, "opsd", *words, **env)

    def address(self):
        return self._testbed("addr", self.name).stdout.strip()

    def show(self, unit, prop):
        return self.exec("systemctl", "show", "-P", prop, unit).stdout.strip()

    def journal(self, unit="opsd.service"):
        return self.exec("journalctl", "--no-pager", "-o", "short-precise", "-u", unit).stdout

    def unit_file(self, name, text, reload=True):
        """Writes a unit file (or drop-in, with a slash in its name) and reloads systemd."""
        path = f"{self.root}/run/systemd/system/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if reload:
            self.exec("systemctl", "daemon-reload")

    def kill_unit(self, unit, number=signal.SIGKILL):
        """Signals the main process of a unit from outside, without systemd's help."""
        inside = int(self.show(unit, "MainPID"))
        self.exec("kill", f"-{int(number)}", str(inside))

    # --- opsd

    def configure(self, text, name="opsd.yaml"):
        with open(os.path.join(self.etc, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        done = self.exec("systemctl", "start", "opsd", check=False)
        if done.returncode != 0:
            raise AssertionError("opsd did not start:\n" + self.journal())
        eventually(lambda: self.get("/-/healthy").status == 200, what="opsd answers")

    def main_pid(self):
        return int(self.show("opsd", "MainPID"))

    def outside_pid(self):
        """The pid of opsd on this machine (the node has its own numbering)."""
        inside = self.main_pid()
        path = f"/proc/{self.pid}/ns/pid"
        wanted = os.readlink(path)
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != wanted:
                    continue
                with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                    numbers = next(line for line in file if line.startswith("NSpid:")).split()
            except (OSError, StopIteration):
                continue
            if int(numbers[-1]) == inside:
                return int(entry)
        raise AssertionError(f"no process {inside} in the node")

    def status_text(self):
        return self.show("opsd", "StatusText")

    # --- HTTP

    def tcp(self, port=1050, address="127.0.0.1"):
        """A connected TCP socket in the node's network namespace."""
        result = []

        def connect():
            descriptor = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
            try:
                if _libc.setns(descriptor, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.create_connection((address, port), timeout=10))
            except OSError as error:
                result.append(error)
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        result[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return result[0]

    def unix(self):
        """A connected socket to /run/opsd/opsd.sock: we are root, and so is our peer credential."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(f"{self.root}/run/opsd/opsd.sock")
        return sock

    def request(self, method, path, headers=None, body=None, via="tcp", timeout=10):
        connection = Connection(self.tcp if via == "tcp" else self.unix, timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def raw(self, data, timeout=10):
        """Sends bytes as they are and reads to the end or the timeout."""
        sock = self.tcp()
        sock.settimeout(timeout)
        received = b""
        try:
            sock.sendall(data)
            while True:
                chunk = sock.recv(65536)
                if not chunk:
                    break
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
        finally:
            sock.close()
        return received

    def health(self, via="tcp"):
        return self.get("/system/health/v1", via=via).json()

    def unit(self, name):
        """/api/v1/units/{unit} as viewer (by the Unix socket)."""
        return self.get(f"/api/v1/units/{name}", via="unix").json()

    def wait_unit(self, name, timeout=10, **wanted):
        """Waits until the unit's answer has these members."""
        def matches():
            unit = self.unit(name)
            return unit if all(unit.get(k) == v for k, v in wanted.items()) else None
        try:
            return eventually(matches, timeout, what=f"{name} {wanted}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nseen: {self.get(f'/api/v1/units/{name}', via='unix')!r}") from None


def integrity(node):
    """What SQLite says of the state of a node whose opsd is stopped: "ok", or what is broken."""
    with tempfile.TemporaryDirectory() as directory:  # SQLite cannot open it below /proc
        source = f"{node.root}/var/lib/opsd"
        for name in os.listdir(source):
            if name.startswith("state.db"):
                shutil.copy(os.path.join(source, name), directory)
        database = sqlite3.connect(os.path.join(directory, "state.db"))
        try:
            return database.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            database.close()


class NodeTest(unittest.TestCase):
    """A test class with one node for all its tests: what `options` and `config` say."""

    options = ()
    config = ""
    start = True
    node = None

    @classmethod
    def setUpClass(cls):
        cls.node = Node(*cls.options, config=cls.config, start=cls.start)

    @classmethod
    def tearDownClass(cls):
        if cls.node:
            cls.node.remove()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if self.node and len(result.failures) + len(result.errors) > before:
            print(f"--- journal of opsd in {self.id()}\n" + "\n".join(self.node.journal().splitlines()[-40:]), flush=True)
