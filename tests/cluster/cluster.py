"""Several nodes with opsd that see each other, and what tests ask of their masters."""

import concurrent.futures
import json
import os
import shutil
import time

from harness import TOP, UNITS, Node, eventually

TOKEN = "0123456789abcdef0123456789abcdef"
OPEN = """
http:
  listen:
    - {address: 0.0.0.0, port: 1050, insecure: true}
auth:
  cluster_token: {file: /etc/opsd/cluster-token}
"""
GLOBS = 'health: {globs: ["ok-*", "bad-*"]}\n'
AGENT = OPEN + GLOBS + "node: {role: agent}\n"
FRESH = 2        # seconds within which a change of a unit is promised to be on every master
SOON = 10        # for what has no promise, on a loaded machine
STALE = 30       # and for the loss of a node that says nothing
QUICK = "  pull: {wait: 2s, stale_after: 1s, answer_timeout: 1s, connect_timeout: 1s, retry_min: 200ms, retry_max: 2s}"


def master_config(members=(), cluster="", sources=""):
    """A master's; `members` are written down, `sources` are others, `cluster` more of that section."""
    hosts = "".join(f"\n        - {m}" for m in members)
    fixed = f"    static:\n      interval: 1s\n      hosts:{hosts}\n" if members else ""
    return OPEN + GLOBS + f"""
node: {{role: master}}
cluster:
  watch: always
  token: {{file: /etc/opsd/cluster-token}}
  insecure: true
{cluster}
""" + (f"  sources:\n{fixed}{sources}" if fixed or sources else "")


def give_token(node):
    node.configure(TOKEN + "\n", "cluster-token")
    os.chmod(os.path.join(node.etc, "cluster-token"), 0o644)


class Group:
    """Nodes that see each other; `masters` watch all. opsd is started on all of them at the same time."""

    def __init__(self, masters=1, agents=2, cluster="", start=True):
        names = [f"master{i + 1}" for i in range(masters)] + [f"agent{i + 1}" for i in range(agents)]
        self.nodes = {}
        first = None
        for name in names:
            node = Node("--unit", UNITS, name=name, beside=first, config="", start=False)
            first = first or node
            self.nodes[name] = node
        self.addresses = {name: node.address() for name, node in self.nodes.items()}
        for name, node in self.nodes.items():
            give_token(node)
            is_master = name.startswith("master")
            node.configure(master_config(self.addresses.values(), cluster) if is_master else AGENT)
        if start:
            self.start()

    def start(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes.values()))

    def __getitem__(self, name):
        return self.nodes[name]

    def masters(self):
        return [node for name, node in self.nodes.items() if name.startswith("master")]

    def agents(self):
        return [node for name, node in self.nodes.items() if name.startswith("agent")]

    def remove(self):
        for node in reversed(list(self.nodes.values())):
            node.remove()


def ask(master, path, **more):
    """The JSON of a path, read with root's rights."""
    return master.get(path, via="unix", **more).json()


def node_of(master, address):
    return ask(master, f"/api/v1/nodes/{address}")


def health_on(master, unit, address):
    """The health of the unit on that node as clients of DC/OS read it; None as long as the master knows of none."""
    nodes = ask(master, f"/system/health/v1/units/{unit}/nodes")["nodes"]
    return next((n["health"] for n in nodes if n["host_ip"] == address), None)


def wait_node(master, address, timeout=STALE, **wanted):
    def look():
        node = node_of(master, address)
        return node if all(node.get(k) == v for k, v in wanted.items()) else None
    try:
        return eventually(look, timeout, what=f"{address} {wanted}")
    except AssertionError as error:
        raise AssertionError(f"{error}\nseen: {node_of(master, address)!r}") from None


def module_reason(master, name="cluster"):
    """Why the module is degraded; "" when it is not."""
    modules = ask(master, "/api/v1/modules")["modules"]
    return next((m.get("reason") or "" for m in modules if m["name"] == name), "")


def metric(master, name):
    """A sample of /metrics by its name with labels; 0 when it is not there."""
    for line in master.get("/metrics", via="unix").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def stamp(moment=None):
    """A time in the form that the API takes."""
    moment = time.time() if moment is None else moment
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"


def put(node, name, value):
    """Writes /run/NAME in the node, at once for whoever reads it."""
    path = f"{node.root}/run/{name}"
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def run_stub(node, unit, program, *words, port, address="127.0.0.1", udp=False):
    """Runs a program of this directory as a transient unit of the node, until it listens."""
    target = f"{node.root}/run/{program}"
    if not os.path.exists(target):
        shutil.copy(os.path.join(TOP, "tests/cluster", program), target)
    node.exec("systemd-run", f"--unit={unit}", "python3", f"/run/{program}", *words)
    if udp:
        eventually(lambda: "ready" in node.journal(unit), SOON, what=f"{unit} is ready")
    else:
        eventually(lambda: node.tcp(port, address).close() is None, SOON, what=f"{unit} listens")
