#!/usr/bin/env python3
"""fake_dcos.py master|agent|marathon ADDRESS PORT STATE - the parts of a DC/OS cluster that the dcos command line asks through
opsd: answers of a real Mesos with this cluster's agents in them. What it knows is in the JSON file STATE:

  {"self": "10.0.0.1:5050", "leader": "10.0.0.1:5050", "fixtures": DIR, "agent": "10.0.0.2", "megabytes": 0, "sandbox": DIR}

`megabytes` pads /master/state; `sandbox` is a folder of the agent. Strict: what no such server would have to understand is 400.
"""

import http.server
import json
import os
import sys
import urllib.parse

ID = "54836ef5-80d6-4178-83cc-76db9ff61daf"   # of the captured answers
AGENT = ID + "-S0"


def state():
    with open(sys.argv[4], encoding="utf-8") as file:
        return json.load(file)


def captured(now, name):
    with open(os.path.join(now["fixtures"], name), encoding="utf-8") as file:
        return json.load(file)


def tag(number, value):
    """A protobuf field: a number or bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    assert len(value) < 1 << 14
    size = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 0x7F | 0x80, len(value) >> 7])
    return bytes([number << 3 | 2]) + size + value


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode())


class Master(Http):
    def redirected(self, now):
        if now["leader"] == now["self"]:
            return False
        self.answer(307, headers=[("Location", f"//{now['leader']}{self.path}")])
        return True

    @staticmethod
    def with_agent(document, now):
        """Of the captured agents only one is there, at this cluster's address."""
        document["slaves"] = [s for s in document["slaves"] if s["id"] == AGENT]
        for slave in document["slaves"]:
            slave.update(hostname=now["agent"], pid=f"slave(1)@{now['agent']}:5051")
        return document

    def do_GET(self):
        now = state()
        if self.redirected(now):
            return
        if self.path == "/master/slaves":
            self.answer_json(self.with_agent(captured(now, "master/slaves.json"), now))
        elif self.path == "/master/state":
            document = self.with_agent(captured(now, "master/state.json"), now)
            document["hostname"] = now["self"].split(":")[0]
            document["flags"]["zk"] = "zk://ops:s3cret@10.0.0.1:2181/mesos"
            self.answer_padded(json.dumps(document).encode(), now["megabytes"])
        elif self.path == "/master/state-summary":
            self.answer_json(self.with_agent(captured(now, "master/state-summary.json"), now))
        else:
            self.answer(404)

    def answer_padded(self, body, megabytes):
        """White space behind a JSON text is nothing."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + (megabytes << 20)))
        self.end_headers()
        self.wfile.write(body)
        for _ in range(megabytes):
            self.wfile.write(b" " * (1 << 20))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        now = state()
        if self.redirected(now):
            return
        kind = self.headers["Content-Type"]
        if self.path != "/master/api/v1":
            self.answer(404)
        elif kind == "application/x-protobuf" and body == b"\x08\x0a":
            info = tag(1, now["agent"]) + tag(6, tag(1, AGENT))
            agent = tag(1, info) + tag(2, 1) + tag(3, "1.12.0") + tag(4, f"slave(1)@{now['agent']}:5051")
            self.answer(200, tag(1, 9) + tag(10, tag(1, agent)), "application/x-protobuf")
        elif kind == "application/x-protobuf" and body == b"\x08\x0b":
            info = tag(1, "root") + tag(2, "marathon") + tag(3, tag(1, ID + "-0000"))
            framework = tag(1, info) + tag(2, 1) + tag(3, 1)
            self.answer(200, tag(1, 10) + tag(11, tag(1, framework)), "application/x-protobuf")
        elif kind == "application/json" and json.loads(body) == {"type": "GET_MASTER"}:
            document = captured(now, "operator-v1/master-get_master.json")
            host, port = now["self"].split(":")
            document["get_master"]["master_info"].update(hostname=host, port=int(port), pid=f"master@{now['self']}",
                                                         address={"hostname": host, "ip": host, "port": int(port)})
            self.answer_json(document)
        elif kind == "application/json" and json.loads(body) == {"type": "GET_FRAMEWORKS"}:
            document = captured(now, "operator-v1/master-get_frameworks.json")
            document["get_frameworks"]["frameworks"][0]["framework_info"].update(
                name="marathon", webui_url=f"http://{now['self'].split(':')[0]}:8080")
            self.answer_json(document)
        else:
            self.answer(400, f"unknown call {body!r}".encode(), "text/plain")


class Agent(Http):
    def do_GET(self):
        now = state()
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        sandbox = now["sandbox"]
        if url.path == "/files/debug":
            folder = f"/frameworks/{ID}-0000/executors/ticker/runs/{now['run']}"
            self.answer_json({folder: sandbox, f"/var/lib/mesos/slave/slaves/{AGENT}{folder}": sandbox, "/slave/log": "/var/log/mesos"})
            return
        path = query.get("path", [""])[0]
        if not os.path.normpath(path).startswith(now["sandbox"]) or not os.path.exists(path):
            self.answer(404)
        elif url.path == "/files/read":
            offset = int(query["offset"][0])
            with open(path, "rb") as file:
                data = b""
                if offset >= 0:
                    file.seek(offset)
                    data = file.read(min(int(query.get("length", ["65536"])[0]), 65536))
            self.answer_json({"data": data.decode("latin-1"), "offset": offset if offset >= 0 else os.path.getsize(path)})
        elif url.path == "/files/browse":
            names = sorted(os.listdir(path))
            self.answer_json([{"gid": "root", "uid": "root", "mode": "-rw-r--r--", "mtime": 1795365706.0, "nlink": 1,
                               "path": f"{os.path.normpath(path)}/{n}", "size": os.path.getsize(f"{path}/{n}")} for n in names])
        elif url.path == "/files/download":
            with open(path, "rb") as file:
                self.answer(200, file.read(), "application/octet-stream",
                            [("Content-Disposition", f"attachment; filename={os.path.basename(path)}")])
        else:
            self.answer(404)


class Marathon(Http):
    def do_GET(self):
        now = state()
        app = {"id": "/data/hdfs", "labels": {"DCOS_PACKAGE_FRAMEWORK_NAME": "hdfs"}, "tasks": [{"id": "ticker"}]}
        answers = {"/v2/leader": {"leader": now["self"].split(":")[0] + ":8080"}, "/v2/apps": {"apps": [app]},
                   "/v2/apps/data/hdfs": {"app": app}}
        if self.path in answers:
            self.answer_json(answers[self.path])
        else:
            self.answer(404, b'{"message":"not found"}')


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


if __name__ == "__main__":
    Server((sys.argv[2], int(sys.argv[3])), {"master": Master, "agent": Agent, "marathon": Marathon}[sys.argv[1]]).serve_forever()
