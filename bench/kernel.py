# SPDX-License-Identifier: Apache-2.0
"""A kernel client over veth, and over loopback, beside memcached and Redis.

The client (kante-load, kernel sockets) has a core, the server the other one, which all else is kept
off. In the open loop the client, which would be on a machine of its own, goes first on its core, so
that it keeps to its times. Over veth: memcached (the newest of a Debian release, and this one's),
Redis, kanted on xdp and on socket; kanted on tap, whose interface the client's kernel has. Closed
loop says how much each can do, open loop (Poisson arrivals) at shares of memcached's peak how long
one waits. A server that is not measured is stopped.
"""
import contextlib
import pathlib
import tempfile

import measure
import memcached
import page

rig = measure.rig

TITLE = "kernel client: veth and loopback, beside memcached and Redis"
SECONDS = 0.8
# Where a neighbour stops the machine for milliseconds, a hundredth of a second's requests wait for
# that: in many short windows most have none, and their median is the servers'.
OPEN_SECONDS = 0.2
OPEN_ROUNDS = 5  # for each of the others
PIPELINES = (1, 32)
SHARES = (20, 40, 60, 80)  # % of memcached's peak
CONNECTIONS = 50
KEYS = 10000
MIX = ("--keys", KEYS, "--set-percent", 10, "--value-size", 100, "--connections", CONNECTIONS)
HOST, TAP, LOOPBACK = "198.18.0.2", "198.18.1.2", "127.0.0.1"
PORT = {"kanted xdp": 11211, "memcached": 11212, "kanted socket": 11213, "redis": 11214,
        "kanted tap": 11211, "memcached bookworm": 11215}
WAYS = {"veth": ("memcached", "kanted xdp", "kanted socket", "kanted tap", "memcached bookworm",
                 "redis"),
        "loopback": ("memcached", "kanted socket", "memcached bookworm", "redis")}
CLOSED_ONLY = ("memcached bookworm", "redis")


class Peer:
    """A server as a client finds it."""

    def __init__(self, name, server, namespaces):
        self.name = name
        self.server = server
        self.host, self.client = namespaces

    def where(self, way):
        """Options of kante-load, and the command prefix of the client's namespace."""
        address = LOOPBACK if way == "loopback" else TAP if self.name == "kanted tap" else HOST
        inside = self.client if way == "veth" and self.name != "kanted tap" else self.host
        options = ["--socket", f"{address}:{PORT[self.name]}"]
        if self.name == "redis":
            options.append("--redis")
        return options, inside.command()

    def busy_seconds(self):
        """What it has worked: of a worker that polls, the turns that found something."""
        if self.name not in ("kanted xdp", "kanted tap"):
            return rig.cpu_seconds(self.server.process)
        port = 21211 if self.name == "kanted xdp" else 21212
        return rig.stats(self.host, LOOPBACK, port)["worker:busy_us"] / 1e6

    def load(self, way, *options):
        where, within = self.where(way)
        if "--rate" in options:
            within = [*within, "chrt", "--fifo", "10"]
        return measure.load(where, *MIX, *options, within=within)

    def measure(self, way, seconds, *options):
        with self.server.awake():
            before = self.busy_seconds()
            report = self.load(way, "--seconds", seconds, *options)
            busy = self.busy_seconds() - before
        return {**measure.figures(report),
                "CPU us/request": busy * 1e6 / report["counters"]["requests"]}


def start(stack, folder, namespaces):
    """All servers, stopped, with their keys; by name."""
    host, client = namespaces
    pinned = host.command("taskset", "-c", measure.SERVER_CORE)
    both = host.command("taskset", "-c", f"{measure.LOAD_CORE},{measure.SERVER_CORE}")

    def kanted(name, *ports):
        return measure.kanted(ports, folder, name.replace(" ", "-"), both)

    def other(name, *command):
        return measure.running([*pinned, *command], lambda _: is_answering(host, PORT[name]),
                               folder / f"{name}.log")

    inside = 'kind: socket, listen: "127.0.0.1:{}"'
    starts = {name: other(name, program, "-u", "root", "-m", "1024", "-t", "1", "-U", "0", "-l",
                          "0.0.0.0", "-p", PORT[name])
              for name, program in (("memcached", memcached.build()),
                                    ("memcached bookworm", "memcached"))}
    starts |= {
        "redis": other("redis", "redis-server", "--port", PORT["redis"], "--bind", "0.0.0.0",
                       "--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir",
                       folder),
        "kanted socket": kanted("kanted socket", f'kind: socket, listen: "0.0.0.0:'
                                f'{PORT["kanted socket"]}", allow: any'),
        "kanted xdp": kanted("kanted xdp", "kind: xdp, interface: veth0, tcp: 11211, allow: any",
                             inside.format(21211)),
        "kanted tap": kanted("kanted tap", f"kind: tap, name: kante0, addresses: [{TAP}/24], "
                             "tcp: 11211, allow: any", inside.format(21212)),
    }
    peers = {}
    for name, context in starts.items():
        peers[name] = Peer(name, stack.enter_context(context), namespaces)
        if name == "kanted tap":
            host.run("ip", "link", "set", "kante0", "up")
            host.run("ip", "addr", "add", "198.18.1.1/24", "dev", "kante0")
            host.run("ping", "-c", "1", "-W", "10", TAP)
        peers[name].load("veth", "--populate", "--requests", "1")
        peers[name].server.process.send_signal(rig.signal.SIGSTOP)
    return peers


def is_answering(namespace, port):
    return namespace.run("nc", "-z", "-w", "1", LOOPBACK, str(port), check=False).returncode == 0


def run(rounds):
    """Rows of the closed loop, then of the open loop."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(rig.core_kept_free(int(measure.SERVER_CORE)))
        namespaces = stack.enter_context(rig.namespaces(2))
        host, client = namespaces
        folder = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kante-bench-")))
        rig.veth(host, "veth0", client, "veth1")
        host.run("ip", "addr", "add", f"{HOST}/24", "dev", "veth0")
        client.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")
        peers = start(stack, folder, namespaces)
        closed = [{"case": f"{way}, {name}, pipeline {pipeline}", "way": way, "server": name,
                   "pipeline": pipeline, "share": None}
                  for way, names in WAYS.items() for pipeline in PIPELINES for name in names]
        rows = measure.take_turns(closed, rounds, lambda case: peers[case["server"]].measure(
            case["way"], SECONDS, "--pipeline", case["pipeline"]))
        peak = {way: measure.median(measure.only(rows, way=way, server="memcached", pipeline=1),
                                    "requests/s") for way in WAYS}
        opened = [{"case": f"{way}, {name}, {share} % of memcached's peak", "way": way,
                   "server": name, "pipeline": None, "share": share,
                   "rate": round(peak[way] * share / 100)}
                  for way, names in WAYS.items() for share in SHARES for name in names
                  if name not in CLOSED_ONLY]
        rows += measure.take_turns(opened, OPEN_ROUNDS * rounds, lambda case: peers[
            case["server"]].measure(case["way"], OPEN_SECONDS, "--rate", case["rate"]))
        return rows


def goals(rows):
    """What is asked for: (what, figure, asked, holds)."""
    for pipeline in PIPELINES:
        ours, theirs = (measure.only(rows, way="loopback", server=name, pipeline=pipeline)
                        for name in ("kanted socket", "memcached"))
        rate = measure.median(ours, "requests/s") / measure.median(theirs, "requests/s")
        wait = measure.median(ours, "p99 us") / measure.median(theirs, "p99 us")
        yield (f"socket port over loopback, pipeline {pipeline}, beside memcached: throughput",
               f"{rate:.2f}", ">= 1.0", rate >= 1)
        yield (f"socket port over loopback, pipeline {pipeline}, beside memcached: p99",
               f"{wait:.2f}", "<= 1.0", wait <= 1)
    ours, theirs = (measure.median(measure.only(rows, way="veth", server=name, share=60),
                                   "p99 us") for name in ("kanted xdp", "memcached"))
    yield ("xdp over veth at 60 % of memcached's peak, beside memcached: p99",
           f"{ours / theirs:.2f}", "<= 1.0", ours <= theirs)


def charts(rows):
    for way, names in WAYS.items():
        yield ("bars", f"{way}, closed loop, 90 % GET, 10 % SET", "requests/s",
               [row for row in rows if row["way"] == way and row["share"] is None])
        for measure_name in ("p50 us", "p99 us", "p999 us", "CPU us/request"):
            yield ("lines", f"{way}, open loop, by load", "% of memcached's peak", measure_name,
                   {name: {row["share"]: row for row in rows if (row["way"], row["server"]) == (
                       way, name) and row["share"] is not None}
                    for name in names if name not in CLOSED_ONLY}, False, measure_name[0] == "p")


def summaries(rows):
    """For the README: (title, head, body) of each table."""
    def median(name, way, server, share=None, pipeline=None):
        return page.short(measure.median(measure.only(
            rows, way=way, server=server, share=share, pipeline=pipeline), name))

    head = ["requests/s", "pipeline 32", "CPU us/request",
            *(f"p99 us at {share} %" for share in SHARES)]
    body = [[f"{way}: {server}", median("requests/s", way, server, pipeline=1),
             median("requests/s", way, server, pipeline=32),
             median("CPU us/request", way, server, pipeline=1),
             *("" if server in CLOSED_ONLY else median("p99 us", way, server, share)
               for share in SHARES)] for way, names in WAYS.items() for server in names]
    yield "a kernel client, 50 connections, 90 % GET", head, body
