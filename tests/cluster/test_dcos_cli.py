"""The dcos command line with opsd alone: every request of contract page 2.1, sent and read as the real one does."""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
import zipfile

from cluster import AGENT, OPEN, SOON, Group, master_config, metric, module_reason, put, run_stub
from dcos_client import GET_AGENTS, CliError, DcosCli
from fake_dcos import AGENT as AGENT_ID
from harness import TOP, NodeTest, eventually

RUN = "088b8a02-2fff-408e-a5d9-d738c7d38acc"   # of the captured task "ticker"
WORK = "/var/lib/mesos/slave"
SANDBOX = f"{WORK}/slaves/{AGENT_ID}/frameworks/{AGENT_ID[:-3]}-0000/executors/ticker/runs/{RUN}"
VIEWERS = OPEN.replace("http:\n", "http:\n  anonymous: viewer\n")
# Only the standby is written down; the leader is where it sends to.
SOURCES = """
    mesos: {masters: ["http://127.0.0.2:5050"], interval: 1s, timeout: 2s}
"""
DCOS = """
dcos:
  metadata: {cluster_id: test-cluster}
  plugins: {directory: /run/plugins}
  mesos: {probe_interval: 1s, timeout: 3s}
"""


def plugin_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("plugin.toml", "name = \"dcos-core-cli\"\n")
        file.writestr("bin/dcos", os.urandom(700_000))   # more than one block
    os.chmod(path, 0o644)


def succeeds(what):
    """For eventually(): the answer, or nothing as long as the command line would fail."""
    try:
        return what()
    except CliError:
        return None


class CommandLine(unittest.TestCase):
    """master1 runs opsd, the leading Mesos master with a standby, and Marathon; agent1 a Mesos agent. Nobody logs in."""

    @classmethod
    def setUpClass(cls):
        cls.group = Group(masters=1, agents=1, start=False)
        cls.master, cls.agent = cls.group["master1"], cls.group["agent1"]
        cls.at, cls.agent_at = cls.group.addresses["master1"], cls.group.addresses["agent1"]
        members = [cls.at, cls.agent_at]
        cls.master.configure(master_config(members, sources=SOURCES).replace(OPEN, VIEWERS) + DCOS)
        cls.agent.configure(AGENT.replace(OPEN, VIEWERS) + f"logs: {{tasks: {{agent: 'http://{cls.agent_at}:5051'}}}}\n")
        cls.mesos = {"leader": f"{cls.at}:5050", "fixtures": "/run/fixtures", "agent": cls.agent_at, "megabytes": 0,
                     "sandbox": SANDBOX, "run": RUN}
        cls.start_stubs()
        cls.group.start()
        eventually(lambda: module_reason(cls.master, "dcos") == "" and metric(cls.master, "opsd_dcos_mesos_reachable") == 1, SOON)

    @classmethod
    def start_stubs(cls):
        for node in (cls.master, cls.agent):
            shutil.copytree(os.path.join(TOP, "tests/fixtures/mesos"), f"{node.root}/run/fixtures")
        os.mkdir(f"{cls.master.root}/run/plugins")
        plugin_zip(f"{cls.master.root}/run/plugins/dcos-core-cli.zip")
        os.makedirs(f"{cls.agent.root}{SANDBOX}")
        os.makedirs(f"{cls.agent.root}{WORK}/meta/slaves/{AGENT_ID}")
        os.symlink(f"{WORK}/meta/slaves/{AGENT_ID}", f"{cls.agent.root}{WORK}/meta/slaves/latest")
        for name, text in (("stdout", "out line 1\n"), ("stderr", "err line 1\n"), ("odd;name", "odd\n"), ("grown", "first\n")):
            with open(f"{cls.agent.root}{SANDBOX}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        cls.tell()
        for name, kind, address, port in (("leader", "master", cls.at, 5050), ("standby", "master", "127.0.0.2", 5050),
                                          ("marathon", "marathon", cls.at, 8080)):
            run_stub(cls.master, f"fake-{name}", "fake_dcos.py", kind, address, str(port),
                     f"/run/{'standby' if name == 'standby' else 'mesos'}", port=port, address=address)
        run_stub(cls.agent, "fake-agent", "fake_dcos.py", "agent", cls.agent_at, "5051", "/run/mesos", port=5051, address=cls.agent_at)

    @classmethod
    def tell(cls, **changes):
        cls.mesos.update(changes)
        put(cls.master, "mesos", {**cls.mesos, "self": f"{cls.at}:5050"})
        put(cls.master, "standby", {**cls.mesos, "self": "127.0.0.2:5050"})
        put(cls.agent, "mesos", {**cls.mesos, "self": f"{cls.at}:5050"})

    @classmethod
    def tearDownClass(cls):
        cls.group.remove()

    def cli(self, token=""):
        return DcosCli(self.master.tcp, token=token)

    # --- setup

    def test_setup_without_login_and_with_the_plugin(self):
        cli = self.cli()
        cluster = cli.setup()
        self.assertEqual((cluster["id"], cluster["name"], cluster["token"]), ("test-cluster", "testbed", ""))
        with open(f"{self.master.root}/run/plugins/dcos-core-cli.zip", "rb") as file:
            self.assertEqual(cluster["plugin"], file.read())
        self.assertEqual([r for r in cli.requests if r[0] == "HEAD"],
                         [("HEAD", "/"), ("HEAD", "/pkgpanda/active.buildinfo.full.json")])

    def test_a_wrong_token_is_refused_everywhere_but_where_dcos_leaves_it_open(self):
        cli = self.cli(token="wrong")
        for path in ("/metadata", "/mesos/master/state", "/pkgpanda/active.buildinfo.full.json", "/mesos_dns/v1/hosts/leader.mesos"):
            self.assertEqual(cli.request("GET", path).status, 401, path)
        for path in ("/dcos-metadata/dcos-version.json", "/acs/api/v1/auth/providers"):
            self.assertEqual(cli.request("GET", path, auth=False).status, 200, path)

    # --- dcos task, dcos service

    def test_task_list_in_both_forms(self):
        for as_json in (False, True):
            self.assertEqual({t["name"] for t in self.cli().task_list(as_json)}, {"ticker", "pod-a", "pod-b"})

    def test_task_ls_and_download(self):
        cli = self.cli()
        self.assertEqual([f["path"].rsplit("/", 1)[1] for f in cli.task_ls("ticker")], ["grown", "odd;name", "stderr", "stdout"])
        self.assertEqual(cli.task_download("ticker")["stdout"], b"out line 1\n")
        self.assertIn(("GET", f"/agent/{AGENT_ID}/files/debug"), cli.requests)
        with self.assertRaisesRegex(CliError, "HTTP 404 error"):
            cli.task_ls("ticker", "missing")

    def test_service_list(self):
        self.assertEqual(len(self.cli().service_list()), 2)

    def test_operator_calls_that_do_more_than_read_are_403(self):
        kind = [("Content-Type", "application/x-protobuf"), ("Accept", "application/x-protobuf")]
        for body in (b"\x08\x1f", b"\x08\x20", b"\x08\x12"):
            reply = self.cli().request("POST", "/mesos/api/v1", kind, body)
            self.assertEqual(reply.status, 403, body)
            self.assertIn("cannot hand the call", reply.json()["detail"])
        reply = self.cli().request("POST", "/mesos/api/v1", kind, GET_AGENTS + b"\x08\x1f")
        self.assertEqual(reply.status, 400, "what Mesos would read as TEARDOWN")

    def test_service_of_a_package_is_found_by_marathon(self):
        cli = self.cli()
        self.assertEqual(cli.service_task("hdfs"), "ticker")
        self.assertEqual(cli.requests, [("GET", "/service/marathon/v2/apps"), ("GET", "/service/marathon/v2/apps/data/hdfs")])

    # --- dcos node

    def test_node_list_marks_the_leader(self):
        self.assertEqual(self.cli().node_list(), [{"ip": self.at, "type": "master (leader)"}, {"ip": self.agent_at, "type": "agent"}])

    def test_node_dns(self):
        cli = self.cli()
        self.assertEqual(cli.leader(), self.at)
        agent = eventually(lambda: succeeds(lambda: cli.hosts("agent1.mesos")), SOON, what="the node has told its name")
        self.assertEqual([h["ip"] for h in agent], [self.agent_at])
        self.assertEqual([h["ip"] for h in cli.hosts("marathon.mesos")], [self.at])
        with self.assertRaisesRegex(CliError, "HTTP 404 error"):
            cli.hosts("nobody.mesos")

    def test_node_list_components_of_the_leader_and_of_an_agent(self):
        def of_both():
            return self.cli().list_components_of_leader(), self.cli().list_components(AGENT_ID)
        for units in eventually(lambda: succeeds(of_both), SOON):
            self.assertTrue(any(u["id"].startswith("ok-") for u in units), units)

    def test_what_is_not_there_yet_is_501_in_the_shape_of_its_clients(self):
        agent = f"/system/v1/agent/{AGENT_ID}/metrics/v0"
        old, new, backup = "/system/health/v1/report/diagnostics", "/system/health/v1/diagnostics", "/system/v1/backup/v1"
        bundle = new + "/1f0c1a1e-7d0b-4a3c-9b0c-0d7b2d9f6a11"
        nodes, both = b'{"nodes":["all"]}\n', b'{"masters":true,"agents":true}'
        kind = [("Content-Type", "application/json")]
        container = self.cli().container(self.cli().task("ticker"))[0]
        for method, path, headers, body, field in (
                ("GET", agent + "/node", [], None, "detail"),
                ("GET", f"{agent}/containers/{container}", [], None, "detail"),
                ("GET", f"{agent}/containers/{container}/app", [], None, "detail"),
                ("GET", old + "/list/all", [], None, "status"),
                ("GET", old + "/status/all", [], None, "status"),
                ("POST", old + "/create", kind, nodes, "status"),
                ("POST", old + "/cancel", kind, None, "status"),
                ("POST", old + "/delete/B.zip", kind, None, "status"),
                ("GET", old + "/serve/B.zip", [], None, "status"),
                ("GET", new, [], None, "error"),
                ("GET", bundle, [], None, "error"),
                ("PUT", bundle, [], both, "error"),
                ("DELETE", bundle, [], None, "error"),
                ("GET", bundle + "/file", [], None, "error"),
                ("POST", backup + "/create", kind, b'{"label":"foo"}', "errors"),
                ("POST", backup + "/restore", kind, b'{"id":"x"}', "errors"),
                ("DELETE", backup + "/delete", kind, b'{"id":"x"}', "errors"),
                ("GET", backup + "/list", [], None, "errors")):
            with self.subTest(f"{method} {path}"):
                reply = self.cli().request(method, path, headers, body)
                self.assertEqual(reply.status, 501)
                said = reply.json()[field]
                self.assertRegex(said[0] if isinstance(said, list) else said, "^cannot [^.]*$")

    # --- logs

    def test_node_log_of_the_leader(self):
        self.assertEqual(len(self.cli().node_log("leader", lines=5)), 5)
        entries = self.cli().node_log("leader", component="opsd", lines=3, filters=("PRIORITY:6",))
        self.assertEqual({e["fields"]["_SYSTEMD_UNIT"] for e in entries if "_SYSTEMD_UNIT" in e["fields"]}, {"opsd.service"})

    def test_node_log_follow_brings_what_is_written(self):
        stream = self.cli().follow("leader", lines=1)
        next(stream)
        self.master.exec("logger", "--", "a line to follow")
        for _ in range(100):
            if next(stream)[1]["fields"].get("MESSAGE") == "a line to follow":
                break
        else:
            self.fail("the line never came")
        stream.close()

    def test_node_log_of_an_agent(self):
        self.assertEqual(len(self.cli().node_log(AGENT_ID, lines=3)), 3)

    def test_service_log_marathon(self):
        self.master.exec("systemd-run", "--wait", "--unit=dcos-marathon", "echo", "marathon speaks")
        entries = eventually(lambda: succeeds(self.cli().service_log_marathon), SOON)
        self.assertIn("marathon speaks", [e["fields"].get("MESSAGE") for e in entries])

    def test_task_log_is_found_at_the_agent(self):
        cli = self.cli()
        self.assertEqual(eventually(lambda: succeeds(lambda: cli.task_log("ticker")), SOON), "out line 1\n")
        self.assertEqual(cli.task_log("ticker", "stderr"), "err line 1\n")
        self.assertEqual(cli.service_log("hdfs"), "out line 1\n")
        with self.assertRaisesRegex(CliError, "HTTP 404 error"):
            cli.task_log("ticker", "missing")

    def test_task_log_follow_brings_what_is_written(self):
        eventually(lambda: succeeds(lambda: self.cli().task_log("ticker", "grown")), SOON)
        stream = self.cli().follow_task("ticker", "grown", lines=1)
        self.assertEqual(next(stream)[1]["fields"]["MESSAGE"], "first")
        with open(f"{self.agent.root}{SANDBOX}/grown", "a", encoding="utf-8") as file:
            file.write("second\n")
        self.assertEqual(next(stream)[1]["fields"]["MESSAGE"], "second")
        stream.close()

    def test_service_log_marathon_asks_marathon_and_stays_here(self):
        cli = self.cli()
        self.assertEqual(cli.request("GET", "/net/v1/nodes").status, 501)
        self.assertEqual(cli.get("/service/marathon/v2/leader").json(), {"leader": f"{self.at}:8080"})

    # --- under load and in trouble

    def test_passwords_do_not_leave_with_the_state(self):
        state = self.cli().state()
        self.assertEqual(state["flags"]["zk"], "zk://[redacted]@10.0.0.1:2181/mesos")

    def test_a_state_of_100_mb_is_passed_on_whole_and_costs_no_memory(self):
        self.tell(megabytes=100)
        try:
            before = metric(self.master, "opsd_process_anonymous_memory_bytes")
            peaks = []
            done = threading.Event()

            def watch():
                while not done.wait(0.05):
                    peaks.append(metric(self.master, "opsd_process_anonymous_memory_bytes"))
            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                reply = DcosCli(self.master.tcp).request("GET", "/mesos/master/state")
            finally:
                done.set()
                watcher.join()
            self.assertEqual(reply.status, 200)
            self.assertGreater(len(reply.body), 100 << 20)
            self.assertEqual(json.loads(reply.body)["cluster"], "testbed")
            self.assertLess(max(peaks) - before, 8 << 20)
        finally:
            self.tell(megabytes=0)

    def test_a_dead_leader_is_503_and_the_module_says_so_until_he_is_back(self):
        self.master.exec("systemctl", "kill", "-s", "STOP", "fake-leader")
        try:
            eventually(lambda: "cannot ask the Mesos leader" in module_reason(self.master, "dcos"), 20)
            with self.assertRaisesRegex(CliError, "could not connect to the leading mesos master|HTTP 50[34] error"):
                self.cli().agents()
            self.assertEqual(self.cli().request("GET", "/metadata").status, 200, "what needs no Mesos answers")
        finally:
            self.master.exec("systemctl", "kill", "-s", "CONT", "fake-leader")
        eventually(lambda: module_reason(self.master, "dcos") == "", SOON)
        self.assertEqual([a["id"] for a in self.cli().agents()], [AGENT_ID])
        self.assertEqual(self.cli().frameworks(), ["marathon"])


class Login(NodeTest):
    """Without credentials loopback is no viewer here: the command line has to log in. There is no Mesos."""

    config = "dcos: {metadata: {version: 1.12.0}}\n"

    def setUp(self):
        self.node.request("POST", "/api/v1/users", via="unix", headers={"Content-Type": "application/json"},
                          body=json.dumps({"name": "bob", "password": "password1", "role": "viewer"}))

    def test_setup_with_a_login(self):
        cli = DcosCli(self.node.tcp)
        cluster = cli.setup("bob", "password1", plugin=None)
        self.assertEqual(cluster["token"].count("."), 2)
        self.assertEqual(cluster["name"], cluster["id"], "Mesos gave no name")
        self.assertEqual(cluster["version"]["version"], "1.12.0")
        self.assertEqual(DcosCli(self.node.tcp, token=cluster["token"]).request("GET", "/metadata").status, 200)

    def test_a_wrong_password_is_told_in_the_servers_words(self):
        with self.assertRaisesRegex(CliError, "cannot log in: the name or the password is wrong"):
            DcosCli(self.node.tcp).setup("bob", "wrong", plugin=None)

    def test_both_spellings_of_the_users_name(self):
        for body in ({"uid": "bob", "password": "password1"}, {"username": "bob", "password": "password1"}):
            reply = DcosCli(self.node.tcp).request("POST", "/acs/api/v1/auth/login", [("Content-Type", "application/json")],
                                                   json.dumps(body).encode(), auth=False)
            self.assertEqual(reply.status, 200, body)

    def test_without_a_plugin_folder_the_setup_says_so(self):
        with self.assertRaisesRegex(CliError, "HTTP 404 error"):
            DcosCli(self.node.tcp).setup("bob", "password1")

    def test_on_a_host_without_mesos_it_is_quiet_and_says_what_to_set(self):
        self.assertEqual(module_reason(self.node, "dcos"), "")
        reply = self.node.get("/mesos/master/state", via="unix")
        self.assertEqual(reply.status, 503)
        self.assertIn("set cluster.sources.mesos.masters", reply.json()["detail"])
        self.assertNotIn("dcos: ", self.node.journal().replace("dcos: running", ""))


@unittest.skipUnless(shutil.which("dcos"), "there is no dcos binary on this machine; the strict client asks the same")
class WithTheRealCli(unittest.TestCase):
    """The same cases with the real program. With OPSD_TEST_DCOS_CORE_CLI (the plugin's zip) also those of the plugin."""

    @classmethod
    def setUpClass(cls):
        CommandLine.setUpClass()
        cls.master = CommandLine.master
        cls.plugin = os.environ.get("OPSD_TEST_DCOS_CORE_CLI")
        if cls.plugin:
            shutil.copy(cls.plugin, f"{cls.master.root}/run/plugins/dcos-core-cli.zip")
        cls.home = tempfile.mkdtemp(prefix="dcos-cli.")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home)
        CommandLine.tearDownClass()

    def dcos(self, *words, status=0):
        """`status`: 0, 1, or None for whichever."""
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "DCOS_DIR": self.home,
               "DCOS_CLUSTER_SETUP_SKIP_CANONICAL_URL_INSTALL": "1"}
        done = subprocess.run(["nsenter", f"--net=/proc/{self.master.pid}/ns/net", shutil.which("dcos"), *words], env=env,
                              capture_output=True, text=True, timeout=120, check=False)
        if status is not None:
            self.assertEqual(done.returncode == 0, status == 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_a_setup(self):
        self.dcos("cluster", "setup", "http://127.0.0.1:1050", status=0 if self.plugin else None)
        self.assertIn("testbed", self.dcos("cluster", "list"))

    def test_b_the_plugins_commands(self):
        if not self.plugin:
            self.skipTest("OPSD_TEST_DCOS_CORE_CLI does not name the plugin")
        self.assertIn("master (leader)", self.dcos("node", "list"))
        self.assertIn(CommandLine.at, self.dcos("node", "dns", "leader.mesos"))
        self.assertIn("ok-", self.dcos("node", "list-components", "--leader"))
        self.assertIn("ticker", self.dcos("task", "list"))
        self.assertIn("ticker", self.dcos("task", "list", "--json"))
        self.assertIn("stdout", self.dcos("task", "ls", "ticker"))
        self.dcos("service", "list")
        for words in (("node", "metrics", "summary", AGENT_ID), ("node", "diagnostics", "list"), ("diagnostics", "list")):
            self.assertIn("501", self.dcos(*words, status=1))
        self.assertTrue(self.dcos("node", "log", "--leader", "--lines", "5"))
        self.assertIn("out line 1", self.dcos("task", "log", "ticker"))


if __name__ == "__main__":
    unittest.main()
