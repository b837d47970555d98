"""A cluster's own certificates on real nodes: founded, joined, used between nodes, renewed, and refused when wrong."""

import json
import os
import re
import shlex
import shutil
import unittest

from harness import TOP, UNITS, Node, eventually, run

RENEW = ("--unit", f"{TOP}/packaging/opsd-renew.service", "--unit", f"{TOP}/packaging/opsd-renew.timer")
CLUSTER = "/etc/opsd/cluster"
OWN = f"--cacert {CLUSTER}/ca.crt --cert {CLUSTER}/node.crt --key {CLUSTER}/node.key"
DENIED = 77
IMPOSTOR = """
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/evil/node.crt", "/tmp/evil/node.key")
server = socket.create_server(("0.0.0.0", 4433))
print("ready", flush=True)
while True:
    client, _ = server.accept()
    try:
        print("received", context.wrap_socket(client, server_side=True).recv(65536), flush=True)
    except OSError as error:
        print("refused", error, flush=True)
"""


def curl(node, url, options=""):
    """The status and the body of a GET made in a node; status 0 when there was none."""
    done = node.sh(f"curl -sS -m 10 -w '\\n%{{http_code}}' {options} {url}", check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body, done.stderr


def join_words(node, *options):
    """The join command that the master prints, as words after `opsd`."""
    done = node.opsd("cluster", "token", "create", *options, check=True)
    words = shlex.split(done.stdout.strip())
    assert words[:3] == ["opsd", "cluster", "join"], done
    return words[1:]


def restart(node):
    node.exec("systemctl", "restart", "opsd")
    eventually(lambda: node.get("/-/healthy").status == 200)


class Cluster(unittest.TestCase):
    """master and agent1 are of the cluster, agent2 is not."""

    @classmethod
    def setUpClass(cls):
        cls.master = Node(*RENEW, name="master")
        cls.agent = Node(*RENEW, name="agent1", beside=cls.master)
        cls.stranger = Node(name="agent2", beside=cls.master)
        cls.init = cls.master.opsd("cluster", "init", "--name", "dc1", "--address", cls.master.address(), "--write-config",
                                   check=True)
        restart(cls.master)
        cls.words = join_words(cls.master)
        cls.join = cls.agent.opsd(*cls.words, check=True)
        restart(cls.agent)
        cls.url = f"https://{cls.master.address()}:1050"

    @classmethod
    def tearDownClass(cls):
        for node in (cls.stranger, cls.agent, cls.master):
            node.remove()

    def shown(self, node):
        return json.loads(node.opsd("cluster", "show", "-o", "json", check=True).stdout)

    def serial(self, node):
        return self.shown(node)["certificates"][1]["serial"]

    def served_serial(self, node):
        """Of the certificate that the daemon shows to its clients."""
        text = node.sh(f"openssl s_client -connect {node.address()}:1050 </dev/null 2>/dev/null | openssl x509 -noout -serial").stdout
        return text.strip().partition("=")[2].lower()

    def test_nodes_ask_each_other_with_their_certificates(self):
        for one, other in ((self.agent, self.master), (self.master, self.agent)):
            for host in (other.name, other.address()):
                status, body, error = curl(one, f"https://{host}:1050/system/health/v1", OWN)
                self.assertEqual(status, 200, error)
                self.assertEqual(json.loads(body)["hostname"], other.name)
        # viewer, and no more
        status, body, _ = curl(self.agent, f"{self.url}/api/v1/tokens", OWN)
        self.assertEqual(status, 403, body)

    def test_without_a_certificate_nobody_is_told_anything(self):
        trust = f"--cacert {CLUSTER}/ca.crt"
        for path in ("/system/health/v1", "/api/v1/units", "/metrics"):
            status, body, error = curl(self.agent, self.url + path, trust)
            self.assertEqual(status, 401, body + error)
        self.assertEqual(curl(self.agent, self.url + "/-/healthy", trust)[0], 200)

    def test_openssl_verifies_the_chain_and_the_names(self):
        for node in (self.master, self.agent):
            done = node.exec("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", node.name, "-CAfile",
                             f"{CLUSTER}/ca.crt", f"{CLUSTER}/node.crt")
            self.assertIn("OK", done.stdout)
            node.exec("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-verify_ip", node.address(), "-CAfile",
                      f"{CLUSTER}/ca.crt", f"{CLUSTER}/node.crt")
        other = self.agent.exec("openssl", "verify", "-verify_hostname", "master", "-CAfile", f"{CLUSTER}/ca.crt",
                                f"{CLUSTER}/node.crt", check=False)
        self.assertNotEqual(other.returncode, 0)

    def test_keys_are_for_the_daemon_alone(self):
        for node, names in ((self.master, ("node.key", "ca.key")), (self.agent, ("node.key",))):
            for name in names:
                self.assertEqual(node.exec("stat", "-c", "%a %U", f"{CLUSTER}/{name}").stdout.strip(), "400 opsd")
        self.assertFalse(os.path.exists(f"{self.agent.etc}/cluster/ca.key"))
        refused = self.agent.sh(f"setpriv --reuid nobody --regid opsd --clear-groups cat {CLUSTER}/node.key", check=False)
        self.assertIn("Permission denied", refused.stderr)

    def test_a_token_is_good_once_and_a_wrong_authority_never_sees_it(self):
        words = join_words(self.master)
        stranger = self.stranger
        # An impostor with a certificate of its own authority for its right name.
        stranger.opsd("cluster", "init", "--name", "dc1", "--directory", "/tmp/evil", "--address", stranger.address(), check=True)
        stranger.exec("systemd-run", "--unit", "impostor", "python3", "-c", IMPOSTOR)
        eventually(lambda: "ready" in stranger.journal("impostor"))
        url = f"https://{stranger.address()}:4433"
        lured = self.agent.opsd("cluster", "join", url, *words[3:-1], "--directory", "/tmp/lured")
        self.assertEqual(lured.returncode, DENIED, lured)
        self.assertIn("nothing was sent", lured.stderr)
        self.assertNotIn("/tmp/lured", self.agent.sh("ls -d /tmp/*").stdout)
        token = words[words.index("--token") + 1]
        eventually(lambda: "refused" in stranger.journal("impostor"))
        self.assertNotIn("received", stranger.journal("impostor"))
        # nor does a member of the cluster talk to it
        status, _, error = curl(self.agent, f"{url}/-/healthy", OWN)
        self.assertEqual(status, 0)
        self.assertIn("certificate", error)
        # which would have received: a client that verifies nothing is heard
        curl(self.agent, f"{url}/-/healthy", "-k -m 1")
        eventually(lambda: "received b'GET" in stranger.journal("impostor"))

        # a name that is not in the master's certificate is refused as well
        self.agent.sh(f"echo '{self.master.address()} alias' >>/etc/hosts")
        alias = self.agent.opsd("cluster", "join", "https://alias:1050", *words[3:-1], "--directory", "/tmp/alias")
        self.assertEqual(alias.returncode, DENIED, alias)

        # the same token is still good, for one node
        done = stranger.opsd(*words[:-1], "--directory", "/tmp/first")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("agent2 is a node of the cluster dc1", done.stdout)
        again = stranger.opsd(*words[:-1], "--directory", "/tmp/second")
        self.assertEqual(again.returncode, DENIED, again)
        self.assertIn("used up or expired", again.stderr)
        self.assertIn("agent2 joined from", self.master.journal())
        audit = self.master.exec("cat", "/var/lib/opsd/audit.log").stdout
        joins = [json.loads(line) for line in audit.splitlines() if "/api/v1/cluster/join" in line]
        self.assertTrue([j for j in joins if j["status"] == 201 and j["object"]["node"] == "agent2"], joins)
        for text in (audit, self.master.journal()):
            self.assertNotIn(token, text)
        state = self.master.sh(f"grep -cF -e '{token[14:]}' /var/lib/opsd/state.db*", check=False).stdout
        self.assertRegex(state, r"^(\S+:0\n)+$", "hashed at rest")

    def test_a_joining_node_does_not_become_the_master(self):
        words = join_words(self.master)
        claim = self.agent.opsd(*words[:-1], "--directory", "/tmp/claim", "--address", "master")
        self.assertEqual(claim.returncode, DENIED, claim)
        self.assertIn("signing node's own", claim.stderr)

    def test_a_certificate_is_renewed_in_the_sandbox_of_its_service(self):
        before = self.serial(self.agent)
        self.agent.exec("systemctl", "start", "opsd-renew.service")
        self.assertEqual(self.serial(self.agent), before, "not due")
        self.agent.unit_file("opsd-renew.service.d/now.conf",
                             "[Service]\nExecStart=\nExecStart=/usr/bin/opsd cluster renew --if-within 366d --reload\n")
        pid = self.agent.main_pid()
        done = self.agent.exec("systemctl", "start", "opsd-renew.service", check=False)
        self.assertEqual(done.returncode, 0, self.agent.journal("opsd-renew"))
        after = self.serial(self.agent)
        self.assertNotEqual(after, before)
        eventually(lambda: self.served_serial(self.agent) == after)
        self.assertEqual(self.agent.main_pid(), pid, "a reload is enough")
        self.assertIn("agent1 renewed its certificate", self.master.journal())
        self.assertEqual(curl(self.agent, f"{self.url}/system/health/v1", OWN)[0], 200)
        self.agent.exec("systemctl", "start", "opsd-renew.timer")

    def test_the_master_renews_its_own(self):
        before = self.serial(self.master)
        self.master.opsd("cluster", "renew", "--reload", check=True)
        after = self.serial(self.master)
        self.assertNotEqual(after, before)
        eventually(lambda: self.served_serial(self.master) == after)

    def test_what_is_there_is_not_overwritten(self):
        for node, words in ((self.master, ("init", "--name", "dc2")), (self.agent, tuple(self.words[1:]))):
            done = node.opsd("cluster", *words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("nothing is overwritten", done.stderr)
        self.assertEqual(self.shown(self.agent)["cluster"], "dc1")

    def test_the_metrics_say_when_certificates_end(self):
        for node in (self.master, self.agent):
            text = node.get("/metrics").text
            for which in ("node", "authority"):
                self.assertRegex(text, rf'opsd_pki_certificate_not_after_seconds{{certificate="{which}"}} \d+')
            modules = {m["name"]: m for m in node.get("/api/v1/modules").json()["modules"]}
            self.assertEqual(modules["pki"]["state"], "running")
        self.assertRegex(self.master.get("/metrics").text, r'opsd_pki_certificates_total{for="join"} [1-9]')

    def test_init_says_the_fingerprint_that_the_join_command_has(self):
        self.assertIn(self.words[self.words.index("--ca") + 1], self.init.stdout)
        self.assertRegex(self.join.stdout, re.escape("agent1 is a node of the cluster dc1"))


class Watched(unittest.TestCase):
    """master follows agent1, which is of the cluster, and agent2, which shows one wrong certificate after another."""

    @classmethod
    def setUpClass(cls):
        cls.master = Node(name="master")
        cls.agent = Node("--unit", UNITS, name="agent1", beside=cls.master, config='health: {globs: ["bad-*"]}')
        cls.wrong = Node(name="agent2", beside=cls.master)
        cls.master.configure(f"""
node: {{role: master}}
pki: {{certificate_lifetime: 90d}}
cluster:
  pull: {{retry_max: 1s}}
  sources: {{static: {{hosts: [{cls.agent.address()}, {cls.wrong.address()}], interval: 1s}}}}
""")
        cls.master.opsd("cluster", "init", "--name", "dc1", "--address", cls.master.address(), "--write-config", check=True)
        restart(cls.master)
        cls.agent.opsd(*join_words(cls.master, "--for", "agent1"), check=True)
        restart(cls.agent)

    @classmethod
    def tearDownClass(cls):
        for node in (cls.wrong, cls.agent, cls.master):
            node.remove()

    def seen(self, member):
        return self.master.get(f"/api/v1/nodes/{member.address()}", via="unix").json()

    def wait_fresh(self, member):
        eventually(lambda: self.seen(member)["freshness"] == "fresh", 60, what=f"{member.name} followed")

    def serve(self, folder):
        """agent2 listens with what is in a folder of /etc/opsd, and lets in whom a member of the cluster would."""
        for name in ("node.crt", "node.key", "ca.crt"):
            os.chmod(f"{self.wrong.etc}/{folder}/{name}", 0o644)
        self.wrong.configure(f"""
http:
  listen:
    - {{address: 127.0.0.1, port: 1050}}
    - {{address: {self.wrong.address()}, port: 1050, certificate: /etc/opsd/{folder}/node.crt, key: /etc/opsd/{folder}/node.key,
       client_ca: /etc/opsd/{folder}/ca.crt}}
auth:
  certificates: [{{subject: "CN=*,OU=dc1,O=opsd node", role: viewer}}]
""")
        restart(self.wrong)

    def folder(self, name, authority):
        path = f"{self.wrong.etc}/{name}"
        os.mkdir(path, 0o755)
        shutil.copy(f"{authority.etc}/cluster/ca.crt", path)
        return path

    def make_stolen(self):
        path = self.folder("stolen", self.agent)
        for name in ("node.crt", "node.key"):
            shutil.copy(f"{self.agent.etc}/cluster/{name}", path)

    def make_foreign(self):
        self.wrong.opsd("cluster", "init", "--name", "dc1", "--directory", "/etc/opsd/foreign", "--address", self.wrong.address(),
                        check=True)

    def make_expired(self):
        path = self.folder("expired", self.master)
        with open(f"{path}/names", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName=DNS:agent2,IP:{self.wrong.address()}\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            "/O=opsd node/OU=dc1/CN=agent2", "-keyout", f"{path}/node.key", "-out", f"{path}/node.csr")
        run("faketime", "2 years ago", "openssl", "x509", "-req", "-days", "90", "-in", f"{path}/node.csr",
            "-out", f"{path}/node.crt", "-extfile", f"{path}/names", "-CA", f"{path}/ca.crt", "-CAkey", f"{self.master.etc}/cluster/ca.key",
            "-set_serial", "77")

    def test_a_member_is_followed_by_certificates_alone(self):
        self.wait_fresh(self.agent)
        self.assertEqual(self.seen(self.agent)["hostname"], "agent1")
        self.agent.exec("systemctl", "start", "bad-exit.service", check=False)
        path = f"/api/v1/nodes/{self.agent.address()}/units/bad-exit.service"
        # Its journal lines are for viewers: the master's own certificate was taken.
        eventually(lambda: "cannot open the configuration" in self.master.get(path, via="unix").json()["output"], 30)

    def test_a_member_with_a_wrong_certificate_is_unknown_with_the_reason(self):
        self.make_stolen()
        self.make_foreign()
        self.make_expired()
        for folder, reason in (("stolen", "mismatch"), ("foreign", "self-signed certificate"), ("expired", "expired")):
            with self.subTest(folder):
                self.serve(folder)
                node = eventually(lambda r=reason: (n := self.seen(self.wrong)) and r in n["why"] and n, 60,
                                  what=f"{folder} refused")
                self.assertNotEqual(node["freshness"], "fresh", node)
                self.assertEqual(node["health"], 3, node)
                shown = self.master.opsd("node", "show", self.wrong.address())
                self.assertEqual(shown.returncode, 3, shown)
                self.assertIn(reason, shown.stdout)
                self.assertEqual(self.seen(self.agent)["freshness"], "fresh", "the others are followed all the same")
        self.wrong.configure("")
        self.wrong.opsd(*join_words(self.master), check=True)
        restart(self.wrong)
        self.wait_fresh(self.wrong)

    def test_a_machine_that_is_installed_anew_takes_its_name_over_with_a_token_for_that(self):
        agent, master = self.agent, self.master
        self.wait_fresh(agent)
        agent.sh("mv /etc/opsd/cluster /etc/opsd/old; rm /etc/opsd/conf.d/cluster.yaml")
        for options in ((), ("--for", "agent1")):
            taken = agent.opsd(*join_words(master, *options))
            self.assertEqual(taken.returncode, DENIED, taken)
            self.assertIn("opsd cluster token create --for agent1 --replace", taken.stderr)
        agent.opsd(*join_words(master, "--for", "agent1", "--replace"), check=True)
        restart(agent)
        self.wait_fresh(agent)
        audit = master.exec("cat", "/var/lib/opsd/audit.log").stdout
        joins = [json.loads(line)["object"] for line in audit.splitlines() if "/api/v1/cluster/join" in line]
        self.assertTrue([j for j in joins if j.get("replaced") and j["node"] == "agent1"], joins)
        old = agent.opsd("cluster", "renew", "--directory", "/etc/opsd/old")
        self.assertEqual(old.returncode, DENIED, old)
        self.assertIn("was replaced by", old.stderr)
        agent.opsd("cluster", "renew", "--reload", check=True)

        revoked = master.opsd("cluster", "revoke", "agent1", check=True)
        self.assertIn("of agent1 is renewed no more. It is good until", revoked.stdout)
        refused = agent.opsd("cluster", "renew")
        self.assertEqual(refused.returncode, DENIED, refused)
        self.assertIn("was revoked", refused.stderr)
        self.wait_fresh(agent)  # which is all that it does

    def test_the_signing_nodes_lifetime_holds_for_all(self):
        self.master.opsd("cluster", "renew", "--reload", check=True)
        for node in (self.master, self.agent):
            days = node.sh("openssl x509 -in /etc/opsd/cluster/node.crt -noout -checkend $((91 * 86400))", check=False)
            self.assertEqual(days.returncode, 1, "ends within 91 days")
            node.sh("openssl x509 -in /etc/opsd/cluster/node.crt -noout -checkend $((89 * 86400))")
