#!/usr/bin/env python3
"""other_member.py newer|older|dcos ADDRESS PORT - a member with another program than the opsd that is tested.

newer: the opsd after it: fields and words nobody here knows, at every level.
older: the opsd before it: without the newest fields, always the whole picture, holds no answer, keeps no transitions.
dcos:  the program of DC/OS.

Each question that is to be answered now is noted in /run/asked-ADDRESS, a line each, and waits as long as /run/gate is there.
/run/mended-ADDRESS makes bad-b.service healthy.
"""

import http.server
import json
import os
import sys
import time

MODE, ADDRESS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
SINCE = "2026-11-01T10:00:00.000Z"


def mended():
    return os.path.exists(f"/run/mended-{ADDRESS}")


def unit(name, health, state, reason):
    return {"id": name, "health": health, "output": reason, "description": f"The {name}", "help": "", "name": name,
            "state": state, "reason": reason, "since": SINCE}


def units():
    bad = unit("bad-b.service", 0, "running", "") if mended() else unit("bad-b.service", 1, "failed", "it exited with status 3")
    return [unit("ok-a.service", 0, "running", ""), bad]


def identity():
    return {"hostname": MODE, "ip": ADDRESS, "dcos_version": "", "node_role": "agent", "dcos_diagnostics_version": "0.4.0"}


def node():
    return {"id": f"machine-{MODE}", "instance": f"run-of-{MODE}", "version": 1 + mended(), "opsd_version": "0.0.9",
            "health": 0 if mended() else 1, "reason": "" if mended() else "bad-b.service failed", "systemd_readable": True}


def newer(partial):
    all_units = units() + [unit("odd-c.service", 2, "warming", "a verdict of tomorrow")]
    for one in all_units:
        one |= {"restarts_in_window": 0, "acknowledged": None, "pressure": {"cpu": [0.5, None]}, "labels": ["x"]}
    now = time.time()
    here = node() | {"base": 0, "removed": [], "opsd_version": "99.1.0", "last_transition": 1, "levels": {"api": 9}, "mood": "fine",
                     "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1e3) % 1000:03d}Z"}
    if partial and mended():
        all_units = [u for u in all_units if u["id"] == "bad-b.service"]
        here["base"] = 1
    return {"schema": 7, "units": all_units, **identity(), "mesos_id": "S9", "zone": "z1", "node": here, "racks": [{"a": {}}]}


def history():
    return {"transitions": [{"id": 1, "unit": "bad-b.service", "at": SINCE, "last_at": SINCE, "count": 1, "from": "running",
                             "to": "failed", "from_health": 0, "to_health": 1, "result": "exit-code", "reason": "it exited",
                             "severity": "new", "links": []}], "last_id": 1, "more": False, "cursor": {"next": "abc"}}


class Member(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, value=None, headers=()):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, content in headers:
            self.send_header(name, content)
        if status != 304:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/system/health/v1":
            self.send(200, {"units": [{k: v for k, v in u.items() if k not in ("state", "reason", "since")} for u in units()],
                            **identity()})
        elif path == "/api/v1/node/history" and MODE == "newer":
            self.send(200, history())
        elif path != "/api/v1/node" or MODE == "dcos":
            self.send(404, {"title": "Not Found"})
        else:
            self.own_document("partial" in query)

    def own_document(self, partial):
        prefer = self.headers.get("Prefer", "")
        held = []
        if not prefer:
            with open(f"/run/asked-{ADDRESS}", "a", encoding="utf-8") as file:
                file.write("asked\n")
            while os.path.exists("/run/gate"):
                time.sleep(0.02)
        elif MODE == "newer":
            end = time.monotonic() + int(prefer.removeprefix("wait="))
            while self.etag() == self.headers.get("If-None-Match") and time.monotonic() < end:
                time.sleep(0.05)
            held = [("Preference-Applied", f"{prefer}, strange=1")]
        about = [("ETag", self.etag()), *held]
        if self.etag() == self.headers.get("If-None-Match"):
            self.send(304, headers=about)
        elif MODE == "newer":
            self.send(200, newer(partial), about)
        else:
            self.send(200, {"units": units(), **identity(), "node": node()}, about)

    @staticmethod
    def etag():
        return f'"run-of-{MODE}.{1 + mended()}"'


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


if __name__ == "__main__":
    Server((ADDRESS, PORT), Member).serve_forever()
