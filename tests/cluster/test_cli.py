"""The command line as an operator uses it: colours on a terminal, tokens, users and their passwords."""

import json

from harness import UNITS, NodeTest, eventually

RED, GREEN = "\x1b[31m", "\x1b[32m"


class Colours(NodeTest):
    options = ("--unit", UNITS, "--enable", "ok-simple.service", "--enable", "bad-exit.service")
    config = "health: {globs: ['ok-simple*', 'bad-exit*']}\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.wait_unit("bad-exit.service", health=1)
        cls.node.wait_unit("ok-simple.service", health=0)

    def shown(self, *words, **env):
        with self.node.terminal(*words, **env) as terminal:
            self.assertEqual(terminal.end(), 0, terminal.shown)
        return terminal.shown

    def line(self, text, unit):
        return next(line for line in text.splitlines() if unit in line)

    def test_on_a_terminal_health_has_its_colour(self):
        text = self.shown("unit", "list")
        self.assertIn(f"{RED}unhealthy\x1b[0m", self.line(text, "bad-exit.service"))
        self.assertIn(f"{GREEN}healthy\x1b[0m", self.line(text, "ok-simple.service"))
        self.assertIn(RED, self.shown("unit", "list", NO_COLOR=""), "an empty NO_COLOR asks for nothing")

    def test_there_is_no_colour_with_no_color_or_on_a_dumb_terminal_or_in_a_pipe(self):
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            text = self.shown("unit", "list", **env)
            self.assertNotIn("\x1b", text, env)
            self.assertRegex(self.line(text, "bad-exit.service"), r"\bunhealthy\b")
        self.assertNotIn("\x1b", self.node.opsd("unit", "list").stdout)
        self.assertNotIn("\x1b", self.shown("unit", "list", "-o", "json"))


class Units(NodeTest):
    options = ("--unit", UNITS, "--enable", "bad-exit.service")
    config = "health: {globs: ['bad-exit*']}\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.wait_unit("bad-exit.service", health=1)

    def test_the_history_of_a_unit_is_a_table_or_json(self):
        def transitions():
            return json.loads(self.node.opsd("unit", "history", "bad-exit.service", "-o", "json").stdout)["transitions"]
        newest = eventually(transitions)[0]
        self.assertEqual((newest["to"], newest["to_health"], newest["result"]), ("failed", 1, "exit-code"))
        table = self.node.opsd("unit", "history", "bad-exit.service")
        self.assertEqual(table.returncode, 0, table.stderr)
        header, first, *_ = table.stdout.splitlines()
        self.assertEqual(header.split(), ["TIME", "FROM", "TO", "TIMES", "RESULT", "WHY"])
        self.assertRegex(first, r"\bfailed +1 +exit-code +.*status 3")
        only = self.node.opsd("unit", "history", "bad-exit.service", "--limit", "1", "-o", "json")
        self.assertEqual(len(json.loads(only.stdout)["transitions"]), 1)

    def test_without_the_daemon_there_is_no_history_and_the_exit_status_is_69(self):
        done = self.node.opsd("unit", "history", "bad-exit.service", "--url", "unix:/nowhere")
        self.assertEqual((done.returncode, done.stdout), (69, ""))
        self.assertTrue(done.stderr.startswith("opsd: cannot "), done.stderr)

    def test_a_unit_is_shown_as_json_with_its_verdict_as_exit_status(self):
        def shown():
            return self.node.opsd("unit", "show", "bad-exit.service", "-o", "json")
        eventually(lambda: "cannot open the configuration" in json.loads(shown().stdout)["output"])
        done = shown()
        self.assertEqual(done.returncode, 2, done.stderr)
        unit = json.loads(done.stdout)
        self.assertEqual((unit["id"], unit["health"], unit["state"]), ("bad-exit.service", 1, "failed"))
        self.assertEqual(unit["properties"]["result"], "exit-code")

    def test_the_schema_of_the_configuration_names_every_section_and_forbids_others(self):
        done = self.node.opsd("config", "schema")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        schema = json.loads(done.stdout)
        self.assertFalse(schema["additionalProperties"])
        self.assertLessEqual({"http", "health", "cluster"}, set(schema["properties"]))
        self.assertEqual(schema["properties"]["health"]["properties"]["max_units"]["default"], 5000)


class Tokens(NodeTest):
    config = "http: {anonymous: none}\n"

    def create(self, *words):
        done = self.node.opsd("token", "create", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def listed(self):
        return {t["name"]: t for t in json.loads(self.node.opsd("token", "list", "-o", "json").stdout)["tokens"]}

    def status(self, token, path="/api/v1/units"):
        return self.node.get(path, headers={"Authorization": f"Bearer {token}"}).status

    def test_a_token_is_printed_once_works_and_is_useless_once_revoked(self):
        done = self.create("backup")
        secret = done.stdout.strip()
        self.assertEqual(done.stdout, secret + "\n", "the secret alone, for a script")
        self.assertIn("only now", done.stderr)
        self.assertEqual((self.status(secret), self.status(secret, "/api/v1/tokens")), (200, 403), "a viewer by default")
        table = self.node.opsd("token", "list")
        self.assertEqual(table.returncode, 0, table.stderr)
        row = next(line.split() for line in table.stdout.splitlines() if line.endswith(" backup"))
        self.assertEqual((row[1], row[3]), ("viewer", "never"))
        self.assertNotIn(secret, table.stdout)
        self.assertNotIn(secret.split("_")[-1], json.dumps(self.listed()))

        revoked = self.node.opsd("token", "revoke", row[0])
        self.assertEqual((revoked.returncode, revoked.stdout), (0, f"Token {row[0]} revoked.\n"))
        self.assertEqual(self.status(secret), 401)
        self.assertNotIn("backup", self.listed())
        again = self.node.opsd("token", "revoke", row[0])
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("opsd: ", again.stderr)

    def test_role_and_lifetime_are_as_asked(self):
        made = json.loads(self.create("short", "--role", "operator", "--expires-in", "90d", "-o", "json").stdout)
        self.assertEqual((made["role"], self.listed()["short"]["role"]), ("operator", "operator"))
        self.assertEqual(self.listed()["short"]["expires"], made["expires"])
        wrong = self.node.opsd("token", "create", "x", "--expires-in", "soon")
        self.assertEqual(wrong.returncode, 64, wrong.stderr)
        self.assertIn("lifetime", wrong.stderr)
        self.assertNotIn("x", self.listed())

    def test_the_cli_takes_a_token_from_a_file_or_the_environment(self):
        secret = self.create("reader").stdout.strip()
        self.node.sh(f"echo {secret} >/run/reader-token")
        url = ("--url", "http://127.0.0.1:1050")
        self.assertEqual(self.node.opsd("unit", "list", *url).returncode, 77)
        self.assertEqual(self.node.opsd("unit", "list", *url, "--token-file", "/run/reader-token").returncode, 0)
        self.assertEqual(self.node.opsd("unit", "list", *url, env=(f"OPSD_TOKEN={secret}",)).returncode, 0)
        self.assertEqual(self.node.opsd("token", "list", *url, env=(f"OPSD_TOKEN={secret}",)).returncode, 77)


class Users(NodeTest):
    config = "http: {anonymous: none}\n"

    def piped(self, verb, name, password, *more):
        return self.node.exec("opsd", "user", verb, name, *more, stdin=password, check=False)

    def log_in(self, name, password):
        answer = self.node.request("POST", "/acs/api/v1/auth/login", body=json.dumps({"uid": name, "password": password}),
                                   headers={"Content-Type": "application/json"})
        return answer.json()["token"] if answer.status == 200 else None

    def roles(self):
        return {u["name"]: u["role"] for u in json.loads(self.node.opsd("user", "list", "-o", "json").stdout)["users"]}

    def may(self, token, path):
        return self.node.get(path, headers={"Authorization": f"token={token}"}).status

    def test_the_life_of_a_user(self):
        done = self.piped("add", "alice", "correct horse\n", "--role", "operator")
        self.assertEqual((done.returncode, done.stdout), (0, "User alice (operator) added.\n"), done.stderr)
        self.assertEqual(self.roles()["alice"], "operator")
        self.assertIn("alice", self.node.opsd("user", "list").stdout)
        again = self.piped("add", "alice", "another horse\n")
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("there is one already", again.stderr)
        token = self.log_in("alice", "correct horse")
        self.assertEqual((self.may(token, "/api/v1/units"), self.may(token, "/api/v1/tokens")), (200, 403))

        done = self.piped("passwd", "alice", "battery staple\n")
        self.assertEqual((done.returncode, done.stdout), (0, "Password of alice changed.\n"), done.stderr)
        self.assertEqual(self.may(token, "/api/v1/units"), 401, "who logged in with the old one is out")
        self.assertIsNone(self.log_in("alice", "correct horse"))
        token = eventually(lambda: self.log_in("alice", "battery staple"))

        done = self.node.opsd("user", "remove", "alice")
        self.assertEqual((done.returncode, done.stdout), (0, "User alice removed.\n"), done.stderr)
        self.assertEqual(self.may(token, "/api/v1/units"), 401)
        self.assertIsNone(self.log_in("alice", "battery staple"))
        self.assertNotIn("alice", self.roles())
        for verb in (("remove", "alice"), ("passwd", "alice")):
            done = self.piped(*verb, "long enough\n")
            self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
            self.assertIn("alice", done.stderr)

    def test_an_empty_password_is_refused(self):
        for typed in ("", "\n"):
            done = self.piped("add", "nobody", typed)
            self.assertEqual((done.returncode, done.stdout), (64, ""))
            self.assertIn("cannot set an empty password", done.stderr)
        self.assertNotIn("nobody", self.roles())

    def test_on_a_terminal_the_password_is_asked_for_twice_and_never_shown(self):
        with self.node.terminal("user", "add", "bob") as terminal:
            for prompt in ("Password: ", "Again: "):
                terminal.until(prompt)
                terminal.type("tr0ub4dor &3")
            self.assertEqual(terminal.end(), 0, terminal.shown)
            self.assertNotIn("tr0ub4dor", terminal.shown)
            self.assertIn("User bob (viewer) added.", terminal.shown)
        self.assertTrue(self.log_in("bob", "tr0ub4dor &3"))

        with self.node.terminal("user", "passwd", "bob") as terminal:
            terminal.until("Password: ")
            terminal.type("one thing")
            terminal.until("Again: ")
            terminal.type("another thing")
            self.assertEqual(terminal.end(), 64, terminal.shown)
            self.assertIn("the two entries differ", terminal.shown)
        self.assertTrue(self.log_in("bob", "tr0ub4dor &3"), "nothing was changed")
        self.assertEqual(self.node.opsd("user", "remove", "bob").returncode, 0)
