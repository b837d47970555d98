#!/usr/bin/env python3
"""fake_sources.py mesos|exhibitor|zookeeper|dns|agent ADDRESS PORT STATE - one of those who name members, or an agent with
its files, until it is ended.

What it knows is in the JSON file STATE, which is read again for every question:

  mesos      {"self": "10.0.0.1:5050", "leader": "10.0.0.2:5050", "id": "...", "fixtures": DIR,
              "agents": [{"id", "address", "attributes"}], "recovered": [the same]}; answers are the captured ones in DIR
              with these agents in them, a standby redirects as Mesos does; "tasks": [{"id", "name", "agent", "container"}]
              are in its /master/state
  agent      {"work_dir": DIR, "authorization": "token=..."}: the files API over the sandboxes there; who shows something else
              is refused; "runs": [{"id", "name", "container", "running", "tasks": [...]}] are in its /state
  exhibitor  ["10.0.0.1"]
  zookeeper  {"json.info_0000000001": {...}}
  dns        {"agents.test": ["10.0.0.1"]}

Stopped by a signal it hangs as the real ones do: the kernel accepts, and nobody says anything.
"""

import copy
import http.server
import json
import os
import socket
import socketserver
import stat
import struct
import sys
import urllib.parse


def state():
    with open(sys.argv[4], encoding="utf-8") as file:
        return json.load(file)


def agent_state(now):
    """What an agent's /state says of its runs: those with "tasks" are pods, whose tasks are {"id", "name", "container"}."""
    lists = {True: [], False: []}
    for run in now["runs"]:
        pod = "tasks" in run
        tasks = [{"id": t["id"], "name": t["name"], "framework_id": "f-1", "executor_id": run["id"] if pod else "",
                  "slave_id": now["id"], "state": "TASK_RUNNING" if run["running"] else "TASK_FINISHED",
                  "statuses": [{"state": "TASK_RUNNING", "timestamp": 1.5, "container_status": {"container_id": {
                      "value": t["container"], **({"parent": {"value": run["container"]}} if pod else {})}}}]}
                 for t in run.get("tasks", [run])]
        folder = f"{now['work_dir']}/slaves/{now['id']}/frameworks/f-1/executors/{run['id']}/runs/{run['container']}"
        lists[run["running"]].append({
            "id": run["id"], "name": "", "source": run["id"], "container": run["container"], "directory": folder,
            **({"type": "DEFAULT"} if pod else {}), "tasks": tasks if run["running"] else [], "queued_tasks": [],
            "completed_tasks": [] if run["running"] else tasks})
    return {"id": now["id"], "pid": "slave(1)@127.0.0.1:5051", "frameworks": [{
        "id": "f-1", "name": "marathon", "executors": lists[True], "completed_executors": lists[False]}],
        "completed_frameworks": []}


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode())


def captured(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return json.load(file)


def agent_like(pattern, agent):
    """The captured agent under another id, at another address."""
    one = copy.deepcopy(pattern)
    one.update(id=agent["id"], hostname=agent["address"], pid=f"slave(1)@{agent['address']}:5051")
    one["attributes"].update(agent.get("attributes", {}))
    return one


def state_with(now):
    """What /state says of these agents and tasks, as far as a task's files need it."""
    tasks = [{"id": t["id"], "name": t["name"], "framework_id": "f-1", "executor_id": "", "slave_id": t["agent"],
              "state": "TASK_RUNNING", "statuses": [{"state": "TASK_RUNNING", "timestamp": 1.5, "container_status": {
                  "container_id": {"value": t["container"]}}}]} for t in now["tasks"]]
    slaves = [{"id": a["id"], "hostname": a["address"], "pid": f"slave(1)@{a['address']}:5051"} for a in now["agents"]]
    return {"id": now["id"], "pid": f"master@{now['self']}", "slaves": slaves,
            "frameworks": [{"id": "f-1", "name": "marathon", "tasks": tasks, "completed_tasks": []}], "completed_frameworks": []}


class Agent(Http):
    """The files API of a Mesos agent: strict about who asks and about what is asked."""

    def do_GET(self):
        now = state()
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True, strict_parsing=True))
        if self.headers.get("Authorization") != now["authorization"]:
            self.answer(401)
            return
        if url.path == "/state":
            self.answer_json(agent_state(now))
            return
        path = os.path.realpath(query["path"])
        if not path.startswith(now["work_dir"] + "/slaves/") or not os.path.exists(path):
            self.answer(404)
        elif url.path == "/files/browse":
            self.browse(path)
        elif url.path == "/files/read" and os.path.isfile(path):
            self.read(path, int(query["offset"]), int(query.get("length", "-1")))
        else:
            self.answer(400, b"Cannot read a directory.\n")

    def browse(self, path):
        items = []
        for name in sorted(os.listdir(path)):
            info = os.stat(os.path.join(path, name))
            items.append({"gid": "root", "mode": stat.filemode(info.st_mode), "mtime": info.st_mtime, "nlink": info.st_nlink,
                          "path": os.path.join(path, name), "size": info.st_size, "uid": "root"})
        self.answer_json(items)

    def read(self, path, offset, length):
        with open(path, "rb") as file:
            data = file.read()
        if offset == -1:
            self.answer_json({"data": "", "offset": len(data)})
        else:
            part = data[offset:offset + min(length, 65536)] if length >= 0 else data[offset:offset + 65536]
            self.answer_json({"data": part.decode(), "offset": offset})


class Mesos(Http):
    def redirected(self, now):
        if now["leader"] == now["self"]:
            return False
        if now["leader"]:
            self.answer(307, headers=[("Location", f"//{now['leader']}{self.path}")])
        else:
            self.answer(503, b"No leader elected")
        return True

    def do_GET(self):
        now = state()
        if self.redirected(now):
            return
        if self.path == "/master/state" and "tasks" in now:
            self.answer_json(state_with(now))
            return
        if self.path != "/master/slaves":
            self.answer(404)
            return
        body = captured(now["fixtures"], "master/slaves.json")
        pattern = body["slaves"][0]
        body["slaves"] = [agent_like(pattern, agent) for agent in now["agents"]]
        body["recovered_slaves"] = [agent_like(pattern, agent) for agent in now.get("recovered", [])]
        for one in body["recovered_slaves"]:  # its registry has no addresses
            del one["pid"], one["registered_time"], one["active"]
        self.answer_json(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        now = state()
        if self.redirected(now):
            return
        body = captured(now["fixtures"], "operator-v1/master-get_master.json")
        host, port = now["self"].split(":")
        master = body["get_master"]["master_info"]
        master.update(id=now["id"], hostname=host, port=int(port), pid=f"master@{now['self']}")
        master["address"] = {"hostname": host, "ip": host, "port": int(port)}
        self.answer_json(body)


class Exhibitor(Http):
    def do_GET(self):
        # Its leader is ZooKeeper's: always the first, who is not the one that leads Mesos.
        self.answer_json([{"code": 3, "description": "serving", "hostname": host, "isLeader": i == 0}
                          for i, host in enumerate(state())])


def text(value):
    value = value.encode()
    return struct.pack(">i", len(value)) + value


STAT = struct.pack(">qqqqiiiqiiq", 5, 6, 1700000000000, 1700000000001, 2, 7, 1, 0, 3, 4, 9)


class ZooKeeper(socketserver.BaseRequestHandler):
    """As much of the protocol as asking for children and their data takes."""

    def frame(self):
        size = struct.unpack(">i", self.exactly(4))[0]
        return self.exactly(size)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def send(self, record):
        self.request.sendall(struct.pack(">i", len(record)) + record)

    def handle(self):
        try:
            timeout = struct.unpack(">i", self.frame()[12:16])[0]
            self.send(struct.pack(">iiq", 0, timeout, 77) + text("0123456789abcdef") + b"\0")
            while True:
                record = self.frame()
                xid, kind = struct.unpack(">ii", record[:8])
                error, body = self.reply(kind, record[8:])
                self.send(struct.pack(">iqi", xid, 1, error) + body)
        except ConnectionError:
            pass

    @staticmethod
    def reply(kind, record):
        nodes = state()
        if kind in (4, 8, 12):
            size = struct.unpack(">i", record[:4])[0]
            name = record[4:4 + size].decode().rsplit("/", 1)[1]
        if kind == 4:
            return (0, text(json.dumps(nodes[name])) + STAT) if name in nodes else (-101, b"")
        if kind in (8, 12):
            names = struct.pack(">i", len(nodes)) + b"".join(text(n) for n in nodes)
            return 0, names + (STAT if kind == 12 else b"")
        return 0, b""


def serve_dns(address, port):
    """A records of the names in the state; other types are empty, other names are not there."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    print("ready", flush=True)
    while True:
        question, client = server.recvfrom(4096)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        addresses = state().get(".".join(labels).lower())
        found = addresses if addresses and kind == 1 else []
        head = question[:2] + struct.pack(">HHHHH", 0x8180 if addresses else 0x8183, 1, len(found), 0, 0)
        records = b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(a) for a in found)
        server.sendto(head + question[12:at + 5] + records, client)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64


def main():
    kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "dns":
        serve_dns(address, port)
    handler = {"mesos": Mesos, "exhibitor": Exhibitor, "zookeeper": ZooKeeper, "agent": Agent}[kind]
    Server((address, port), handler).serve_forever()


if __name__ == "__main__":
    main()
