# SPDX-License-Identifier: Apache-2.0
"""What a polling worker takes of its core when nobody asks, and how long the first one waits."""
import contextlib
import pathlib
import subprocess
import tempfile
import time

import measure

rig = measure.rig

TITLE = "idle: what a worker takes when nobody asks, and what the first request waits"
IDLE_SECONDS = 60
GAP_SECONDS = 0.5
GAPS = 20
SLEEP_MAX_US = 1000  # idle_sleep_max, by default
KERNEL_US = 300      # what the client's kernel and Python take of an exchange, at most
ADDRESS = "198.18.0.2"
ASK = f"""
import socket, sys, time
client = socket.create_connection(("{ADDRESS}", 11211))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for line in sys.stdin:
    start = time.perf_counter()
    client.sendall(b"mn\\r\\n")
    assert client.recv(16) == b"MN\\r\\n"
    print((time.perf_counter() - start) * 1e6, flush=True)
"""


def exchange_us(client):
    client.stdin.write("\n")
    client.stdin.flush()
    return float(client.stdout.readline())


def run(_rounds):
    """A row: of an xdp port, after a minute, and after shorter gaps."""
    with contextlib.ExitStack() as stack:
        host, near = stack.enter_context(rig.namespaces(2))
        folder = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kante-bench-")))
        rig.veth(host, "veth0", near, "veth1")
        host.run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "veth0")
        near.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")
        server = stack.enter_context(measure.kanted(
            ["kind: xdp, interface: veth0, tcp: 11211, allow: any"], folder, "kanted",
            host.command()))
        client = stack.enter_context(subprocess.Popen(
            near.command("taskset", "-c", measure.LOAD_CORE, rig.PYTHON, "-c", ASK),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        awake = sorted(exchange_us(client) for _ in range(200))
        before = server.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        percent = (server.cpu_seconds() - before) / IDLE_SECONDS * 100
        first = [exchange_us(client)]
        for _ in range(GAPS):
            time.sleep(GAP_SECONDS)
            first.append(exchange_us(client))
        client.stdin.close()
        return [{"case": f"xdp port, {IDLE_SECONDS} s without a request",
                 "samples": {"CPU %": [percent], "awake us": awake[90:110],
                             "first us": first}}]


def goals(rows):
    """What is asked for: (what, figure, asked, holds)."""
    samples = rows[0]["samples"]
    yield "CPU of an idle worker", f"{samples['CPU %'][0]:.1f} %", "< 5 %", samples["CPU %"][0] < 5
    bound = SLEEP_MAX_US + measure.median(rows[0], "awake us") + KERNEL_US
    first = samples["first us"]
    yield (f"first request after {IDLE_SECONDS} s of idleness (the exchange itself: "
           f"{measure.median(rows[0], 'awake us'):.0f} us)", f"{first[0]:.0f} us",
           f"<= {bound:.0f} us", first[0] <= bound)
    yield (f"first requests after {GAP_SECONDS} s of idleness, the slowest of {GAPS}",
           f"{max(first[1:]):.0f} us", f"<= {bound:.0f} us", max(first[1:]) <= bound)


def charts(_rows):
    return ()
