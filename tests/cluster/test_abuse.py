"""Clients that are many, slow, wrong or hostile, and callers without the right credentials."""

import json
import os
import re
import ssl
import subprocess
import time

from harness import SYSTEMD_NODE, TOP, UNITS, NodeTest, eventually, run

CLIENTS = os.path.join(TOP, "tests/cluster/clients.py")


def statuses(raw):
    """The status codes of all answers in a byte stream."""
    return [int(code) for code in re.findall(rb"^HTTP/1\.[01] (\d{3})", raw, re.M)]


class Crowds(NodeTest):
    options = ("--bind", CLIENTS)
    config = "http:\n  limits: {header_timeout: 3s, write_timeout: 3s}\n"

    def client(self, *words, user=None):
        become = ("setpriv", "--reuid", user, "--regid", user, "--clear-groups") if user else ()
        return subprocess.Popen([SYSTEMD_NODE, "-g", self.node.group, "exec", "node1", *become, "/usr/bin/python3", CLIENTS,
                                 *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def metric(self, name):
        text = self.node.get("/metrics", via="unix").text
        return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M).group(1))

    def anonymous_memory(self):
        with open(f"/proc/{self.node.outside_pid()}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) * 1024

    def test_ten_thousand_connections_are_held_and_one_more_is_told_so(self):
        before = self.anonymous_memory()
        client = self.client("hold", "9990", "1050")
        said = json.loads(client.stdout.readline())
        self.assertEqual((said["open"], said["answered"]), (9990, 9990))
        begin = time.monotonic()
        self.assertEqual(self.node.get("/system/health/v1").status, 200)
        self.assertLess(time.monotonic() - begin, 1.0)
        used = self.anonymous_memory() - before
        self.assertLess(used, 256 << 20, "bytes for 9,990 connections")
        more = self.client("hold", "50", "1050")
        said = json.loads(more.stdout.readline())
        self.assertLessEqual(said["answered"], 10)
        self.assertGreaterEqual(said["refused"], 40)
        self.operators_get_in_while_strangers_knock()
        for process in (more, client):
            process.stdin.close()
            process.wait(30)
            process.stdout.close()
        self.assertEqual(self.node.show("opsd", "NRestarts"), "0")
        eventually(lambda: self.node.get("/-/healthy").status == 200)

    def operators_get_in_while_strangers_knock(self):
        """All places are taken, and strangers knock at both doors: root and the group opsd are served, nobody else is."""
        self.node.sh("useradd -M stranger; useradd -M member -G opsd")
        self.node.exec("systemctl", "reload", "opsd")
        knocking = self.client("flood", "10", "1050", user="stranger")
        times, lags = [], []
        end = time.monotonic() + 8
        while time.monotonic() < end:
            for user in (None, "member"):
                begin = time.monotonic()
                done = self.node.opsd("health", user=user)
                times.append(time.monotonic() - begin)
                self.assertEqual(done.returncode, 0, (user, done.stdout, done.stderr))
            lags.append(self.metric("opsd_loop_lag_seconds"))
        said = json.loads(knocking.communicate(timeout=30)[0])
        self.assertGreater(said["tried"], 1000)
        self.assertEqual(said["refused"], said["tried"])
        self.assertLess(max(times), 2.0, "seconds for opsd health, starting it included")
        self.assertLess(max(lags), 1.0, "the watchdog's ping is due every 5 s")
        self.assertGreaterEqual(self.metric("opsd_http_reserved_connections_total"), len(times))
        self.assertEqual(self.node.opsd("health", user="stranger").returncode, 3, "a stranger does not get in")

    def test_slow_clients_are_cut_while_others_are_served(self):
        client = self.client("slow", "500", "1050")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            begin = time.monotonic()
            self.assertEqual(self.node.get("/-/healthy").status, 200)
            self.assertLess(time.monotonic() - begin, 1.0)
        out, _ = client.communicate(timeout=90)
        said = json.loads(out)
        self.assertEqual((said["ended"], said["left"]), (500, 0))
        self.assertLess(said["longest"], 10)
        self.assertLessEqual(set(said["statuses"]), {"408"})

    def test_a_removed_socket_comes_back(self):
        self.node.sh("chown root /run/opsd && rm /run/opsd/opsd.sock")   # opsd cannot make it again

        def said():
            return [r for r in self.node.get("/-/ready").json()["degraded"] if r.startswith("http: /run/opsd/opsd.sock")]
        eventually(said, 10, what="degraded on /-/ready")
        self.assertRegex(self.node.get("/metrics").text, r'\nopsd_http_listener_up{listener="/run/opsd/opsd.sock"} 0\n')
        self.node.exec("chown", "opsd", "/run/opsd")
        eventually(lambda: not said(), 15, what="healed")
        eventually(lambda: self.node.get("/-/healthy", via="unix").status == 200, 5)
        self.assertRegex(self.node.get("/metrics").text, r'\nopsd_http_listener_up{listener="/run/opsd/opsd.sock"} 1\n')
        self.assertIn("its socket file was removed", self.node.journal())

    def test_a_client_that_asks_and_does_not_read_is_cut_off(self):
        def connections():
            return int(self.metric("opsd_http_connections"))
        eventually(lambda: connections() == 1, what="only our own connection")
        sock = self.node.tcp()
        sock.setblocking(False)
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        sent = 0
        try:
            while sent < 4000:
                sock.send(request)
                sent += 1
        except BlockingIOError:
            pass
        self.assertGreater(sent, 100)
        self.assertEqual(connections(), 2, "it is held for a while")
        eventually(lambda: connections() == 1, 15, what="the silent reader is cut off")
        sock.close()


class WrongRequests(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")

    def first(self, raw):
        return statuses(self.node.raw(raw, timeout=5))[:1]

    def test_oversized_headers_bodies_and_lines_have_their_status(self):
        self.assertEqual(self.first(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"), [431])
        self.assertEqual(self.first(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0] in (414, 431), True)
        self.assertEqual(self.first(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"), [413])

    def test_what_could_be_read_in_two_ways_is_refused_and_the_connection_closed(self):
        follow = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
        for head in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                     b"Content-Length: 5\r\nContent-Length: 6\r\n",
                     b"Transfer-Encoding: chunked, identity\r\n",
                     b"Transfer-Encoding: xchunked\r\n",
                     b"Content-Length: +5\r\n",
                     b"Content-Length : 5\r\n",
                     b"X: a\r\n b\r\n",
                     b"X: a\x00b\r\n"):
            seen = statuses(self.node.raw(b"POST /-/healthy HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + follow,
                                          timeout=5))
            self.assertTrue(seen and seen[0] in (400, 501), (head, seen))
            self.assertEqual(len(seen), 1, (head, seen))

    def test_paths_with_tricks_reach_nothing(self):
        for path in ("/system/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/api/v1/units/..%2f..%2fetc",
                     "/api/v1/units/a%00b", "/api/v1/units/%zz", "/.//", "/api/v1/units/" + "a" * 300):
            status = self.node.get(path).status
            self.assertIn(status, (301, 400, 401, 403, 404, 414), path)
        self.assertEqual(self.node.get("/system/health/v1/").status, 200)
        self.assertEqual(self.node.get("/no/such/page").status, 404)

    def test_wrong_methods_are_told_which_are_right(self):
        answer = self.node.request("DELETE", "/system/health/v1")
        self.assertEqual(answer.status, 405)
        self.assertIn("GET", answer.headers["Allow"])
        self.assertEqual(self.node.request("HEAD", "/system/health/v1").status, 200)
        self.assertEqual(self.node.request("HEAD", "/system/health/v1").body, b"")
        self.assertIn("GET", self.node.request("OPTIONS", "/system/health/v1").headers["Allow"])
        self.assertIn(self.first(b"BREW /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")[0], (400, 405, 501))
        self.assertEqual(self.first(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40)[:1] in ([400], []), True)

    def test_an_error_is_a_problem_document_that_nobody_sniffs(self):
        answer = self.node.get("/no/such/page")
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "application/problem+json")
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.json()["status"], 404)


class Credentials(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service")
    config = "health: {globs: ['ok-*']}\n"

    def token(self, role, *more):
        done = self.node.opsd("token", "create", f"test-{role}", "--role", role, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def ack(self, token):
        return self.node.request("POST", "/api/v1/units/ok-simple.service/ack", body='{"for": "1h", "reason": "test"}',
                                 headers={"Content-Type": "application/json", **(
                                     {"Authorization": f"Bearer {token}"} if token else {})}).status

    def test_who_has_no_token_sees_states_and_changes_nothing(self):
        self.assertEqual(self.node.get("/system/health/v1").status, 200)
        self.assertIn(self.ack(None), (401, 403))
        self.assertIn(self.node.get("/api/v1/tokens").status, (401, 403))

    def test_each_role_may_do_its_own(self):
        viewer, operator = self.token("viewer"), self.token("operator")
        self.assertEqual(self.ack(viewer), 403)
        self.assertIn(self.ack(operator), (200, 201, 204))
        header = {"Authorization": f"Bearer {operator}"}
        self.assertEqual(self.node.get("/api/v1/tokens", headers=header).status, 403)
        self.assertEqual(self.node.get("/api/v1/units/ok-simple.service",
                                       headers={"Authorization": f"token={viewer}"}).status, 200)

    def test_a_wrong_revoked_or_expired_token_is_401_not_anonymous(self):
        for value in ("Bearer wrong", "Bearer ", "Basic eDp5", "token=wrong"):
            self.assertEqual(self.node.get("/system/health/v1", headers={"Authorization": value}).status, 401, value)
        token = self.token("admin")
        header = {"Authorization": f"Bearer {token}"}
        self.assertEqual(self.node.get("/api/v1/tokens", headers=header).status, 200)
        listed = json.loads(self.node.opsd("token", "list", "-o", "json").stdout)["tokens"]
        identifier = next(t["id"] for t in listed if t["role"] == "admin")
        self.assertEqual(self.node.opsd("token", "revoke", identifier).returncode, 0)
        self.assertEqual(self.node.get("/api/v1/tokens", headers=header).status, 401)
        short = self.token("viewer", "--expires-in", "1s")
        header = {"Authorization": f"Bearer {short}"}
        eventually(lambda: self.node.get("/system/health/v1", headers=header).status == 401, 10)

    def test_tokens_are_not_on_disk_and_survive_a_restart(self):
        token = self.token("viewer")
        self.assertEqual(self.node.exec("grep", "-rF", token, "/var/lib/opsd", check=False).returncode, 1)
        self.node.exec("systemctl", "restart", "opsd")
        header = {"Authorization": f"Bearer {token}"}
        eventually(lambda: self.node.get("/system/health/v1", headers=header).status == 200)

    def audit(self):
        text = self.node.exec("cat", "/var/lib/opsd/audit.log").stdout
        return [json.loads(line) for line in text.splitlines()]

    def test_the_audit_log_names_what_was_acted_on(self):
        token = self.token("operator")
        self.ack(token)
        _, identifier, secret = token.split("_", 2)
        self.node.opsd("token", "revoke", identifier)
        self.ack(token)

        def complete():
            seen = [(e["method"], e.get("object"), e["status"]) for e in self.audit()]
            wanted = [("POST", {"id": identifier, "name": "test-operator", "role": "operator"}, 201),
                      ("DELETE", {"id": identifier}, 204), ("POST", {"unit": "ok-simple.service"}, 401)]
            return all(line in seen for line in wanted) and any(
                o == {"unit": "ok-simple.service"} and s < 300 for _, o, s in seen)
        eventually(complete, what="the audit log is complete")
        self.assertNotIn(secret, json.dumps(self.audit()))

    def test_on_the_unix_socket_the_account_is_the_role(self):
        self.assertEqual(self.node.get("/api/v1/tokens", via="unix").status, 200, "root is admin")
        self.node.sh("useradd -M helper; useradd -M reader -G systemd-journal; useradd -M member -G opsd")
        self.node.exec("systemctl", "reload", "opsd")   # who is in a group is read then
        wanted = {"helper": (77, 77), "reader": (77, 77), "member": (0, 77)}
        for user, (ack, tokens) in wanted.items():
            done = self.node.opsd("unit", "ack", "ok-simple.service", "--for", "1h", "--reason", "x", user=user)
            self.assertEqual(done.returncode, ack, (user, done.stderr))
            self.assertEqual(self.node.opsd("token", "list", user=user).returncode, tokens, user)
            self.assertEqual(self.node.opsd("unit", "list", user=user).returncode, 0, user)

    def test_users_log_in_with_a_password_kept_as_a_hash(self):
        done = self.node.exec("opsd", "user", "add", "alice", "--role", "viewer", stdin="correct horse\n")
        self.assertIn("alice", done.stdout)
        self.assertEqual(self.node.exec("grep", "-rF", "correct horse", "/var/lib/opsd", check=False).returncode, 1)
        self.assertEqual(self.node.opsd("user", "remove", "alice").returncode, 0)


class Tls(NodeTest):
    config = """
http:
  listen:
    - {address: 127.0.0.1, port: 1050}
    - {address: 0.0.0.0, port: 1443, certificate: /etc/opsd/server.pem, key: /etc/opsd/server.key, client_ca: /etc/opsd/ca.pem}
auth:
  certificates:
    - {subject: CN=operator, role: admin}
"""
    start = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.issue("ca", "/CN=test authority", authority=True)
        cls.issue("server", "/CN=node1", "subjectAltName=DNS:node1,IP:127.0.0.1\n")
        cls.issue("client", "/CN=operator")
        cls.issue("stranger", "/CN=stranger")
        cls.issue("expired", "/CN=operator", at="2 years ago")
        cls.node.start()

    @classmethod
    def issue(cls, name, subject, extension="", authority=False, at=None):
        etc = cls.node.etc
        faked = ("faketime", at) if at else ()
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
            "-keyout", f"{etc}/{name}.key", "-out", f"{etc}/{name}.csr")
        with open(f"{etc}/{name}.ext", "w", encoding="utf-8") as file:
            file.write("basicConstraints=CA:TRUE\n" if authority else "basicConstraints=CA:FALSE\n" + extension)
        signer = ("-signkey", f"{etc}/{name}.key") if authority else ("-CA", f"{etc}/ca.pem", "-CAkey", f"{etc}/ca.key",
                                                                       "-CAcreateserial")
        run(*faked, "openssl", "x509", "-req", "-days", "90", "-in", f"{etc}/{name}.csr", "-out", f"{etc}/{name}.pem",
            "-extfile", f"{etc}/{name}.ext", *signer)
        for suffix in ("key", "pem"):
            os.chmod(f"{etc}/{name}.{suffix}", 0o644)

    def ask(self, client=None, path="/-/healthy"):
        """Status over TLS, optionally with a client certificate."""
        context = ssl.create_default_context(cafile=f"{self.node.etc}/ca.pem")
        if client:
            context.load_cert_chain(f"{self.node.etc}/{client}.pem", f"{self.node.etc}/{client}.key")
        with context.wrap_socket(self.node.tcp(1443), server_hostname="127.0.0.1") as sock:
            sock.settimeout(10)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: node1\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while chunk := sock.recv(65536):
                data += chunk
            self.certificate = sock.getpeercert()
        return statuses(data)[0]

    def test_a_good_certificate_is_served_and_its_expiry_is_a_metric(self):
        self.assertEqual(self.ask(), 200)
        self.assertEqual(self.ask("client"), 200)
        self.assertEqual(self.ask("client", "/api/v1/tokens"), 200)
        self.assertEqual(self.ask(path="/api/v1/tokens"), 401)
        self.assertEqual(self.ask("stranger", "/api/v1/tokens"), 401)
        self.assertRegex(self.node.get("/metrics").text, r"opsd_tls_certificate_not_after_seconds(\{[^}]*\})? \d")

    def test_an_expired_client_certificate_is_refused(self):
        with self.assertRaises((ssl.SSLError, ConnectionError, IndexError)):
            self.ask("expired")
        self.assertEqual(self.ask(), 200)

    def test_plain_http_on_the_tls_port_is_refused_and_harms_nobody(self):
        sock = self.node.tcp(1443)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.settimeout(10)
        try:
            answer = sock.recv(4096)
        except ConnectionError:
            answer = b""
        self.assertNotIn(b"HTTP/1.1 200", answer)
        sock.close()
        self.assertEqual(self.ask(), 200)

    def test_certificates_are_read_again_on_reload_and_a_bad_one_is_not_taken(self):
        self.ask()
        before = self.certificate["serialNumber"]
        self.issue("server", "/CN=node1", "subjectAltName=DNS:node1,IP:127.0.0.1\n")
        self.node.exec("systemctl", "reload", "opsd")

        def renewed():
            self.ask()
            return self.certificate["serialNumber"] != before
        eventually(renewed)
        after = self.certificate["serialNumber"]
        self.node.configure("not a certificate", name="server.pem")
        reload = self.node.exec("systemctl", "reload", "opsd", check=False)
        self.assertNotEqual(reload.returncode, 0, "a refused reload fails")
        check = self.node.exec("opsd", "config", "check", check=False)
        self.assertEqual(check.returncode, 78)
        self.assertIn("server.pem", check.stderr)
        eventually(lambda: "opsd_config_last_reload_ok 0" in self.node.get("/metrics").text)
        self.assertEqual(self.ask(), 200)
        self.assertEqual(self.certificate["serialNumber"], after)
