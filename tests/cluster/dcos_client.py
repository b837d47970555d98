"""A strict stand-in for the `dcos` command line and its core plugin.

It sends the requests that the real ones were recorded with, byte for byte in what a server can see (method, path with its
query, headers, protobuf bodies), and reads the answers as they do: with their types, their limits and their habit to die of
what is missing. Whatever the real one would stumble over is a CliError here.
"""

import gzip
import hashlib
import json

USER_AGENT = "dcos-cli/1.2.0 linux"
LINE_LIMIT = 64 * 1024   # of a JSON line, and of an event (id and data): the real one stops or loops beyond
GET_AGENTS = b"\x08\x0a"
GET_FRAMEWORKS = b"\x08\x0b"
DESCRIBE_TYPE = "application/vnd.dcos.package.describe-response+json;charset=utf-8;version=v3"


class CliError(AssertionError):
    """What the command line would print before it exits with 1, or its panic."""


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise CliError(f"invalid JSON: {error}: {self.body[:200]!r}") from None


class Wire:
    """HTTP/1.1 over a connected socket, as Go's client writes it; one request."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""

    def send(self, method, path, host, headers, body):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] + [f"{n}: {v}" for n, v in headers]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise CliError("unexpected EOF")
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, size):
        while len(self.buffer) < size:
            self._more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def head(self):
        version, status, _ = (self.line() + "  ").split(" ", 2)
        if version != "HTTP/1.1":
            raise CliError(f"malformed HTTP response {version!r}")
        headers = {}
        while line := self.line():
            name, colon, value = line.partition(":")
            if not colon:
                raise CliError(f"malformed MIME header line: {line!r}")
            headers.setdefault(name.strip().lower(), value.strip())
        return int(status), headers

    def pieces(self, headers):
        """The body as it comes; ends with it."""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self.line().split(";")[0], 16):
                yield self.exactly(size)
                if self.exactly(2) != b"\r\n":
                    raise CliError("malformed chunked encoding")
            self.line()
        elif "content-length" in headers:
            left = int(headers["content-length"])
            while left:
                if not self.buffer:
                    self._more()
                piece, self.buffer = self.buffer[:left], self.buffer[left:]
                left -= len(piece)
                yield piece
        else:
            raise CliError("an answer without a length would not end")


def typed(value, shape, where="$"):
    """Decodes as Go does into a struct: missing members and null are zero values, another type is an error."""
    if value is None:
        return {dict: {}, list: []}.get(type(shape), None if shape is None else (shape() if isinstance(shape, type) else None))
    if shape is None:
        return value
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise CliError(f"json: cannot unmarshal {type(value).__name__} into {where}")
        if set(shape) == {"*"}:
            return {k: typed(v, shape["*"], f"{where}.{k}") for k, v in value.items()}
        return {**value, **{k: typed(value.get(k), s, f"{where}.{k}") for k, s in shape.items()}}
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise CliError(f"json: cannot unmarshal {type(value).__name__} into {where}")
        return [typed(v, shape[0], f"{where}[]") for v in value]
    good = {str: isinstance(value, str), bool: isinstance(value, bool),
            int: isinstance(value, int) and not isinstance(value, bool),
            float: isinstance(value, (int, float)) and not isinstance(value, bool)}[shape]
    if not good:
        raise CliError(f"json: cannot unmarshal {value!r} into {where} of type {shape.__name__}")
    return value


RESOURCES = {"cpus": float, "disk": float, "gpus": float, "mem": float, "ports": str}
TASK = {"id": str, "name": str, "state": str, "slave_id": str, "framework_id": str, "executor_id": str, "resources": RESOURCES,
        "statuses": [{"state": str, "timestamp": float}]}
FRAMEWORK = {"id": str, "name": str, "hostname": str, "active": bool, "webui_url": str, "user": str, "role": str, "pid": str,
             "resources": RESOURCES, "tasks": [TASK], "completed_tasks": [TASK]}
STATE = {"version": str, "id": str, "pid": str, "hostname": str, "cluster": str, "leader": str,
         "slaves": [{"id": str, "hostname": str, "pid": str, "active": bool, "attributes": {"*": None}, "resources": RESOURCES,
                     "used_resources": RESOURCES, "version": str}],
         "frameworks": [FRAMEWORK], "completed_frameworks": [FRAMEWORK]}
SUMMARY = {"hostname": str, "cluster": str, "slaves": [{"id": str, "pid": str, "hostname": str}]}
HOSTS = [{"host": str, "ip": str}]
UNITS = {"units": [{"id": str, "health": int, "output": str, "description": str, "help": str, "name": str}], "hostname": str,
         "ip": str, "dcos_version": str, "node_role": str, "mesos_id": str, "dcos_diagnostics_version": str}
FILES = [{"gid": str, "mode": str, "mtime": float, "nlink": float, "path": str, "size": float, "uid": str}]
ENTRY = {"fields": {"*": str}, "cursor": str, "monotonic_timestamp": int, "realtime_timestamp": int}
PROVIDER = {"authentication-type": str, "client-method": str, "config": {"start_flow_url": str}, "description": str}
BINARY = {"url": str, "kind": str, "contentHash": [{"algo": str, "value": str}]}
DESCRIPTION = {"package": {"name": str, "version": str,
                           "resource": {"cli": {"binaries": {"linux": {"x86-64": BINARY}}}}}}
APPS = {"apps": [{"id": str, "labels": {"*": str}}]}
APP = {"app": {"id": str, "tasks": [{"id": str}]}}


def protobuf(data):
    """Field number -> values: numbers, or bytes."""
    fields, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data):
                raise CliError("proto: unexpected EOF")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            value = varint()
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at:at + size], at + size
        elif kind == 2:
            size = varint()
            value, at = data[at:at + size], at + size
        else:
            raise CliError(f"proto: wrong wireType = {kind}")
        if at > len(data):
            raise CliError("proto: unexpected EOF")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def ip_of_pid(pid):
    """As the plugin takes it out: two splits, and a panic when a part is not there."""
    parts = pid.split("@")
    if len(parts) < 2:
        raise CliError(f"panic: index out of range: the pid {pid!r} has no @")
    return parts[1].split(":")[0]


def events(pieces):
    """Server-sent events with the real reader's limits: (id, data)."""
    buffer = b""
    for piece in pieces:
        buffer += piece
        while b"\n\n" in buffer:
            event, buffer = buffer.split(b"\n\n", 1)
            if len(event) + 2 > LINE_LIMIT:
                raise CliError(f"an event of {len(event)} bytes: the command line would come again and again")
            cursor, data = "", []
            for line in event.split(b"\n"):
                if line.startswith(b"id: "):
                    cursor = line[4:].decode()
                elif line.startswith(b"data:"):
                    if not line[5:].strip():
                        raise CliError("panic: data: with nothing behind it")
                    data.append(line[5:].strip())
                elif line and not line.startswith((b":", b"event:", b"retry:", b"id:")):
                    raise CliError(f"not a line of an event: {line[:80]!r}")
            if len(data) > 1:
                raise CliError("several data: lines are joined in reverse")
            if data:
                yield cursor, json.loads(data[0])
        if len(buffer) > LINE_LIMIT:
            raise CliError("an event longer than 64 KiB: the command line would come again and again")


class DcosCli:
    """The command line attached to a cluster. `connect` returns a connected socket."""

    def __init__(self, connect, host="127.0.0.1:1050", token=""):
        self.connect, self.host, self.token = connect, host, token
        self.requests = []   # (method, path) in order

    # --- requests

    def _open(self, method, path, headers=(), body=None, agent=True, auth=True):
        all_headers = [("User-Agent", USER_AGENT)] if agent else []
        if body is not None:
            all_headers.append(("Content-Length", str(len(body))))
        elif method == "POST":
            all_headers.append(("Content-Length", "0"))
        if auth:
            all_headers.append(("Authorization", f"token={self.token}"))
        all_headers += list(headers) + [("Accept-Encoding", "gzip")]
        for _ in range(10):
            self.requests.append((method, path))
            wire = Wire(self.connect())
            wire.send(method, path, self.host, all_headers, body)
            status, answered = wire.head()
            if status != 303:
                return wire, status, answered
            wire.sock.close()
            path = answered["location"]
            if not path.startswith("/"):
                raise CliError(f"sent to another host: {path}")
        raise CliError("stopped after 10 redirects")

    def request(self, method, path, headers=(), body=None, **more):
        wire, status, answered = self._open(method, path, headers, body, **more)
        try:
            empty = method == "HEAD" or status in (204, 304)
            data = b"" if empty else b"".join(wire.pieces(answered))
        finally:
            wire.sock.close()
        if answered.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        return Reply(status, answered, data)

    def get(self, path, headers=()):
        """200, or the sentence of the command line."""
        return self._good(self.request("GET", path, headers))

    @staticmethod
    def _good(reply):
        if reply.status == 200:
            return reply
        raise CliError({401: "authentication failed, please run `dcos auth login`",
                        403: "you are not authorized to perform this operation",
                        204: "no logs found"}.get(reply.status, f"HTTP {reply.status} error"))

    # --- dcos cluster setup

    def setup(self, uid=None, password=None, plugin="dcos-core-cli"):
        """The whole flow; returns what would be in the configuration, and the plugin."""
        if self.request("HEAD", "/", auth=False).status != 200:
            raise CliError("couldn't detect a canonical cluster URL")
        if self.token == "":
            self.token = self._log_in(uid, password)
        metadata = typed(self.get("/metadata").json(), {"PUBLIC_IPV4": str, "CLUSTER_ID": str})
        if not metadata["CLUSTER_ID"] or "/" in metadata["CLUSTER_ID"]:
            raise CliError("the cluster has no usable CLUSTER_ID")
        summary = self.request("GET", "/mesos/state-summary")
        name = typed(summary.json(), SUMMARY)["cluster"] if summary.status == 200 else metadata["CLUSTER_ID"]
        version = typed(self.get("/dcos-metadata/dcos-version.json").json(),
                        {"version": str, "dcos-variant": str, "dcos-image-commit": str, "bootstrap-id": str})
        if tuple(int(n) for n in version["version"].split(".")[:2]) < (1, 10):
            raise CliError(f"DC/OS {version['version']} is too old for plugins")
        return {"id": metadata["CLUSTER_ID"], "name": name, "token": self.token, "version": version,
                "plugin": self._install(plugin) if plugin else None}

    def _log_in(self, uid, password):
        sniffed = self.request("HEAD", "/pkgpanda/active.buildinfo.full.json", auth=False)
        if sniffed.status == 200:
            return ""
        if sniffed.status != 401 or not sniffed.headers.get("www-authenticate"):
            raise CliError(f"expected status code 401, got {sniffed.status}")
        if sniffed.headers["www-authenticate"] == "oauthjwt":
            raise CliError("the login by a web browser would be offered")
        reply = self.request("GET", "/acs/api/v1/auth/providers", auth=False)
        if reply.status != 200:
            raise CliError(f"unsupported WWW-Authenticate challenge '{sniffed.headers['www-authenticate']}'")
        providers = typed(reply.json(), {"*": PROVIDER})
        fitting = [p for p in providers.values() if p["authentication-type"] == "dcos-uid-password"]
        if len(fitting) != 1 or fitting[0]["client-method"] != "dcos-usercredential-post-receive-authtoken":
            raise CliError("couldn't determine a login provider")
        body = json.dumps({"uid": uid, "password": password}).encode()
        login = self.request("POST", fitting[0]["config"]["start_flow_url"], [("Content-Type", "application/json")], body, auth=False)
        if login.status != 200:
            failed = typed(login.json(), {"title": str, "description": str, "code": str})
            raise CliError(failed["description"] or f"HTTP {login.status} error")
        token = typed(login.json(), {"token": str})["token"]
        if not token:
            raise CliError("the login gave no token")
        return token

    def _install(self, plugin):
        body = json.dumps({"packageName": plugin}).encode()
        accept = "application/vnd.dcos.package.describe-response+json;charset=utf-8;version=v3"
        kind = "application/vnd.dcos.package.describe-request+json;charset=utf-8;version=v1"
        reply = self._good(self.request("POST", "/package/describe", [("Content-Type", kind), ("Accept", accept)], body))
        if reply.headers.get("content-type") != DESCRIBE_TYPE:
            raise CliError(f"undefined response type: {reply.headers.get('content-type')}")
        binary = typed(reply.json(), DESCRIPTION)["package"]["resource"]["cli"]["binaries"]["linux"]["x86-64"]
        prefix = f"http://{self.host}/"
        if not binary.get("url", "").startswith(prefix):
            raise CliError(f"'{plugin}' isn't available for 'linux' at {prefix}: {binary}")
        zipped = self.get("/" + binary["url"][len(prefix):]).body
        sums = [h["value"] for h in binary["contentHash"] if h["algo"] == "sha256"]
        if sums and hashlib.sha256(zipped).hexdigest() != sums[0]:
            raise CliError("checksums don't match")
        return zipped

    # --- Mesos

    def state(self):
        return typed(self.get("/mesos/master/state").json(), STATE)

    def _call(self, body):
        reply = self.request("POST", "/mesos/api/v1", [("Content-Type", "application/x-protobuf"),
                                                       ("Accept", "application/x-protobuf")], body)
        if reply.status == 503:
            raise CliError("could not connect to the leading mesos master")
        self._good(reply)
        if reply.headers.get("content-type") != "application/x-protobuf":
            raise CliError(f"not protobuf: {reply.headers.get('content-type')}")
        return protobuf(reply.body)

    def agents(self):
        """GET_AGENTS: [{"id", "hostname", "pid", "active"}]."""
        answer = self._call(GET_AGENTS)
        if 10 not in answer:
            raise CliError("panic: nil pointer dereference: the answer has no get_agents")
        found = []
        for item in protobuf(answer[10][0]).get(1, []):
            agent = protobuf(item)
            info = protobuf(agent[1][0])
            found.append({"hostname": info[1][0].decode(), "id": protobuf(info[6][0])[1][0].decode(),
                          "pid": agent.get(4, [b""])[0].decode(), "active": bool(agent.get(2, [0])[0])})
        return found

    def frameworks(self):
        """GET_FRAMEWORKS: their names."""
        answer = self._call(GET_FRAMEWORKS)
        if 11 not in answer:
            raise CliError("panic: nil pointer dereference: the answer has no get_frameworks")
        return [protobuf(protobuf(item)[1][0])[2][0].decode() for item in protobuf(answer[11][0]).get(1, [])]

    def hosts(self, name):
        return typed(self.get(f"/mesos_dns/v1/hosts/{name}").json(), HOSTS)

    def leader(self):
        hosts = self.hosts("leader.mesos")
        if len(hosts) != 1:
            raise CliError(f"expecting one leader. Got {len(hosts)}")
        return hosts[0]["ip"]

    # --- dcos task, dcos service

    def task_list(self, as_json=False):
        state = self.state()
        tasks = [t for f in state["frameworks"] for t in f["tasks"]]
        if not as_json:
            known = {a["id"] for a in self.agents()}
            self.frameworks()
            missing = {t["slave_id"] for t in tasks} - known
            if missing:
                raise CliError(f"tasks on agents that are not there: {missing}")
        return tasks

    def service_list(self):
        return [f["name"] for f in self.state()["frameworks"]]

    def task(self, name):
        tasks = [t for f in self.state()["frameworks"] for t in f["tasks"] + f["completed_tasks"] if name in (t["name"], t["id"])
                 or name in t["id"]]
        if len(tasks) != 1:
            raise CliError(f"{len(tasks)} tasks are called '{name}'")
        return tasks[0]

    @staticmethod
    def container(task):
        """(own, outermost)"""
        try:
            own = task["statuses"][0]["container_status"]["container_id"]
        except (LookupError, TypeError):
            raise CliError("panic: the task has no container") from None
        top = own
        while "parent" in top:
            top = top["parent"]
        return own["value"], top["value"]

    def _sandbox(self, task):
        paths = typed(self.get(f"/agent/{task['slave_id']}/files/debug").json(), {"*": str})
        _, run = self.container(task)
        ending = f"/frameworks/{task['framework_id']}/executors/{task['executor_id'] or task['id']}/runs/{run}"
        found = [real for virtual, real in paths.items() if virtual.endswith(ending)]
        if not found:
            raise CliError("unable to find task")
        return found[0]

    def task_ls(self, name, path="."):
        task = self.task(name)
        folder = self._sandbox(task) + "/" + path   # not escaped
        return typed(self.get(f"/agent/{task['slave_id']}/files/browse?path={folder}").json(), FILES)

    def task_download(self, name):
        task = self.task(name)
        folder = self._sandbox(task)
        files = typed(self.get(f"/agent/{task['slave_id']}/files/browse?path={folder}").json(), FILES)
        return {f["path"].rsplit("/", 1)[1]: self.get(f"/agent/{task['slave_id']}/files/download?path={f['path']}").body
                for f in files if not f["mode"].startswith("d")}

    def task_log(self, name, file="stdout", lines=10):
        task = self.task(name)
        reply = self.get(f"/system/v1/logs/v2/task/{task['id']}/file/{file}?cursor=END&skip=-{lines}", [("Accept", "text/plain")])
        return reply.body.decode()

    def service_log_marathon(self, lines=10):
        nodes = self.request("GET", "/net/v1/nodes")
        leader = typed(self.get("/service/marathon/v2/leader").json(), {"leader": str})["leader"]
        if nodes.status == 200:
            raise CliError(f"the command line would go to port 80 of a public address of {leader}")
        return self.node_log("leader", component="dcos-marathon", lines=lines)

    def service_task(self, service):
        """The id of the one task of a service, by Marathon."""
        apps = typed(self.get("/service/marathon/v2/apps").json(), APPS)["apps"]
        ids = [a["id"] for a in apps if a["labels"].get("DCOS_PACKAGE_FRAMEWORK_NAME") == service]
        if len(ids) != 1:
            raise CliError(f"no marathon apps found for service name [{service}]")
        app = typed(self.get("/service/marathon/v2/apps/" + ids[0].lstrip("/")).json(), APP)["app"]
        if len(app["tasks"]) != 1:
            raise CliError(f"expected marathon app [{ids[0]}] to be running 1 task")
        return app["tasks"][0]["id"]

    def service_log(self, service, lines=10):
        task = self.service_task(service)
        reply = self.get(f"/system/v1/logs/v2/task/{task}/file/stdout?cursor=END&skip=-{lines}", [("Accept", "text/plain")])
        return reply.body.decode()

    # --- dcos node

    def node_list(self):
        state = self.state()
        typed(self.get("/mesos/master/state-summary").json(), SUMMARY)
        masters = self.hosts("master.mesos")
        self.request("GET", "/net/v1/nodes")   # may fail
        self.agents()
        return ([{"ip": m["ip"], "type": "master (leader)" if m["ip"] == state["hostname"] else "master"} for m in masters]
                + [{"ip": ip_of_pid(s["pid"]), "type": "agent"} for s in state["slaves"]])

    def _units(self, node):
        return typed(self.get(f"/system/health/v1/nodes/{node}/units").json(), UNITS)["units"]

    def list_components_of_leader(self):
        return self._units(self.leader())

    def list_components(self, agent_id):
        agent = next((a for a in self.agents() if a["id"] == agent_id), None)
        if agent is None:
            raise CliError(f"agent '{agent_id}' not found")
        return self._units(agent["hostname"])

    def _log_path(self, where, component, lines, filters):
        if where != "leader" and where not in {a["id"] for a in self.agents()}:
            raise CliError(f"agent '{where}' not found")
        base = "/system/v1/leader/mesos" if where == "leader" else f"/system/v1/agent/{where}"
        path = base + "/logs/v2/component" + (f"/{component}.service" if component else "")
        return path + f"?skip={-lines}" + "".join(f"&filter={f}" for f in filters)

    def node_log(self, where, component="", lines=10, filters=()):
        reply = self.get(self._log_path(where, component, lines, filters), [("Accept", "application/json")])
        entries = []
        for line in reply.body.split(b"\n")[:-1]:
            if len(line) > LINE_LIMIT:
                raise CliError(f"a line of {len(line)} bytes: the output would end there")
            if not line:
                raise CliError("unexpected end of JSON input: an empty line")
            entries.append(typed(json.loads(line), ENTRY))
        return entries

    def follow(self, where, component="", lines=10, filters=()):
        """A generator of (cursor, entry); closing it drops the connection."""
        headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")]
        yield from self._follow(self._log_path(where, component, lines, filters), headers)

    def follow_task(self, name, file="stdout", lines=10):
        path = f"/system/v1/logs/v2/task/{self.task(name)['id']}/file/{file}?cursor=END&skip=-{lines}"
        yield from self._follow(path, [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")])

    def _follow(self, path, headers):
        wire, status, answered = self._open("GET", path, headers, agent=False)
        try:
            if status != 200:
                self._good(Reply(status, answered, b""))
            if not answered.get("content-type", "").startswith("text/event-stream"):
                raise CliError(f"no events: {answered.get('content-type')}")
            for cursor, entry in events(wire.pieces(answered)):
                yield cursor, typed(entry, ENTRY)
            raise CliError("a clean end of the stream: the command line would hang for ever")
        finally:
            wire.sock.close()
