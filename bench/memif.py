# SPDX-License-Identifier: Apache-2.0
"""Two processes that poll, a core each, and a memif between them: no kernel in the way.

Beside kanted stands dpdk-testpmd, which only swaps the MAC addresses of each frame and sends it
back: what there is to win at most. Also how kanted bears growth: of connections, keys, values and
skew.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

import measure
import page

SCALING = measure.BUILD / "tests/scaling"
LOCAL, REMOTE = "198.18.1.1", "198.18.1.2"
TITLE = "memif: two processes, a core each"
SECONDS = 0.4
CONNECTIONS = (1, 64, 1000, 10000)
PIPELINES = (1, 32)
VALUE_BYTES = (32, 1024, 16384)
KEYS = 1000
FRAME_PAYLOAD_MAX = 1400  # a reply by UDP is one frame
GROWTH = {
    "keys": (1000, 10000, 100000, 1000000),
    "skew": (0, 0.8, 0.99, 1.2),
    "value bytes": (32, 256, 1024, 4096, 16384, 65536, 262144, 1048576),
}
GROWTH_KEYS = 100000
# What two cores hand each other costs more or less by where the machine has put them.
LINE = {"case": "a cache line from core to core and back", "server": "machine"}


def exchange(transport, connections, pipeline, value_bytes):
    return {"case": f"{transport}, {connections} connections, pipeline {pipeline}, "
                    f"{value_bytes} bytes",
            "server": "kanted", "transport": transport, "connections": connections,
            "pipeline": pipeline, "value bytes": value_bytes, "keys": KEYS, "skew": 0.99}


def exchanges():
    for transport in ("udp", "tcp"):
        for pipeline in PIPELINES:
            for connections in CONNECTIONS:
                yield exchange(transport, connections, pipeline, VALUE_BYTES[0])
            for value_bytes in VALUE_BYTES[1:]:
                if transport == "tcp" or value_bytes <= FRAME_PAYLOAD_MAX:
                    yield exchange(transport, 64, pipeline, value_bytes)


def echoes():
    for pipeline in PIPELINES:
        for value_bytes in (0, *VALUE_BYTES):
            if value_bytes <= FRAME_PAYLOAD_MAX:
                yield {"case": f"testpmd, 64 senders, pipeline {pipeline}, {value_bytes} bytes "
                               "behind each request",
                       "server": "testpmd", "transport": "udp", "connections": 64,
                       "pipeline": pipeline, "value bytes": value_bytes}


def growth():
    for what, values in GROWTH.items():
        for value in values:
            case = exchange("tcp", 64, 1, VALUE_BYTES[0])
            case.update({"case": f"{what} {value}", "growth": what, "keys": GROWTH_KEYS})
            case[what] = value
            if what == "value bytes":
                case["keys"] = 100
            yield case


def load(case, path, *options):
    where = ("--memif", path, "--local", LOCAL, "--remote", f"{REMOTE}:11211")
    if case["transport"] == "udp":
        options += ("--udp",)
    else:
        options += ("--set-percent", "0")
    return measure.load(where, "--connections", case["connections"], "--pipeline",
                        case["pipeline"], "--value-size", case["value bytes"], *options)


def echo(case, folder):
    path = folder / "testpmd.sock"
    command = ["dpdk-testpmd", f"--lcores=0@{measure.LOAD_CORE},1@{measure.SERVER_CORE}",
               "--main-lcore=0", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
               "--no-telemetry", f"--file-prefix=kante-bench-{os.getpid()}",
               f"--vdev=net_memif0,role=server,socket={path},socket-abstract=no", "--",
               "--forward-mode=macswap", "--auto-start", "--nb-cores=1", "--total-num-mbufs=8192",
               "--no-mlockall", "-i"]
    with measure.running(command, lambda log: "testpmd>" in log, folder / "testpmd.log"):
        return measure.figures(load(case, path, "--reflected", "--seconds", SECONDS))


def line():
    said = subprocess.run([SCALING, "2", "1", "1000", "0.01"], check=True, capture_output=True,
                          text=True).stdout
    return {"cycles": int(re.search(r"round trip of a line (\d+)", said)[1])}


@contextlib.contextmanager
def server(folder):
    path = folder / "kanted.sock"
    port = (f"kind: memif, socket: {path}, addresses: [{REMOTE}/24], tcp: 11211, udp: 11211, "
            "allow: [198.18.1.0/24]")  # a listed source: replies by UDP of any length
    head = "memory: 1GiB\nmax_connections: 20000\n"
    with measure.kanted([port], folder, "kanted", head=head) as kanted:
        yield kanted, path


def run(rounds):
    """The rows of the matrix, of the echo beside it, and of growth."""
    with tempfile.TemporaryDirectory(prefix="kante-bench-") as name:
        folder = pathlib.Path(name)
        with server(folder) as (kanted, path):
            stored = [0, 0]  # so many keys with values of so many bytes

            def one(case):
                if case["server"] == "machine":
                    return line()
                if case["server"] == "testpmd":
                    return echo(case, folder)
                with kanted.awake():
                    options = ("--keys", case["keys"], "--zipf", case["skew"])
                    if stored[0] < case["keys"] or stored[1] != case["value bytes"]:
                        load({**case, "transport": "tcp", "connections": 50, "pipeline": 1}, path,
                             *options, "--populate", "--requests", "1")
                        stored[:] = case["keys"], case["value bytes"]
                    return measure.figures(load(case, path, *options, "--misses-are-errors",
                                                "--seconds", SECONDS))

            return measure.take_turns([LINE, *echoes(), *exchanges(), *growth()], rounds, one)


def goals(rows):
    """What is asked for: a list of (what, figure, asked, holds)."""
    rate = "requests/s"
    for pipeline in PIPELINES:
        for value_bytes in (size for size in VALUE_BYTES if size <= FRAME_PAYLOAD_MAX):
            same = {"transport": "udp", "connections": 64, "pipeline": pipeline,
                    "value bytes": value_bytes, "growth": None}
            ratio = (measure.median(measure.only(rows, server="kanted", **same), rate)
                     / measure.median(measure.only(rows, server="testpmd", **same), rate))
            yield (f"UDP GET of {value_bytes} bytes over memif, pipeline {pipeline}, beside the "
                   "echo of such frames", f"{ratio:.2f}", ">= 0.50", ratio >= 0.5)
    tcp = {"server": "kanted", "transport": "tcp", "connections": 64, "value bytes": 32,
           "growth": None}
    echoed = measure.median(measure.only(rows, server="testpmd", pipeline=1, **{
        "value bytes": 32}), rate)
    single = measure.median(measure.only(rows, pipeline=1, **tcp), rate)
    piped = measure.median(measure.only(rows, pipeline=32, **tcp), rate)
    yield ("TCP GET over memif, 64 connections, beside the echo", f"{single / echoed:.2f}",
           ">= 0.25", single >= 0.25 * echoed)
    yield ("TCP GET over memif, 64 connections, pipeline 32 (a cache line from core to core and "
           f"back: {measure.median(measure.only(rows, server='machine'), 'cycles'):.0f} cycles)",
           f"{piped / 1e6:.2f} M/s",
           ">= 5 M/s", piped >= 5e6)


def charts(rows):
    plain = [row for row in rows if row.get("growth") is None and row is not rows[0]]
    yield ("lines", "GET of 32 bytes by number of connections", "connections", "requests/s",
           {f"{transport}, pipeline {pipeline}": {
               row["connections"]: row for row in plain if row["server"] == "kanted" and (
                   row["transport"], row["pipeline"], row["value bytes"]) == (
                       transport, pipeline, VALUE_BYTES[0])}
            for transport in ("udp", "tcp") for pipeline in PIPELINES}, True)
    yield "bars", "64 connections", "requests/s", [row for row in plain
                                                   if row["connections"] == 64]
    for what in GROWTH:
        yield ("bars", f"TCP, 64 connections, pipeline 1, by {what}", "requests/s",
               [row for row in rows if row.get("growth") == what])


def summaries(rows):
    """For the README: (title, head, body) of each table."""
    head = [f"{connections} connections" for connections in CONNECTIONS]
    body = [[f"{transport.upper()}, pipeline {pipeline}", *(
        page.short(measure.median(measure.only(rows, server="kanted", growth=None, **{
            "transport": transport, "pipeline": pipeline, "connections": connections,
            "value bytes": VALUE_BYTES[0]}), "requests/s")) for connections in CONNECTIONS)]
        for transport in ("udp", "tcp") for pipeline in PIPELINES]
    yield "GETs a second over a memif, 32 bytes", head, body
