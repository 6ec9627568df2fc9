# SPDX-License-Identifier: Apache-2.0
"""What a polling worker takes of its core when nobody asks, and how long the first one waits."""
import contextlib
import statistics
import subprocess
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


@contextlib.contextmanager
def idle_server():
    """kanted on an xdp port, and a client of its kernel neighbour."""
    with rig.served("xdp", f"workers: [{measure.SERVER_CORE}]\n", udp=False) as served, \
            subprocess.Popen(served.client.command(
                "taskset", "-c", measure.LOAD_CORE, rig.PYTHON, "-c", ASK),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield served.kanted.process, client
        finally:
            client.stdin.close()


def sleep_us():
    """How long a sleep of SLEEP_MAX_US takes on this machine."""
    start = time.perf_counter()
    time.sleep(SLEEP_MAX_US / 1e6)
    return (time.perf_counter() - start) * 1e6


def run(rounds):
    """A row: of as many servers as rounds, at once."""
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(idle_server()) for _ in range(rounds)]
        awake = [statistics.median(exchange_us(client) for _ in range(200))
                 for _, client in pairs]
        time.sleep(1)
        before = [rig.cpu_seconds(server) for server, _ in pairs]
        time.sleep(IDLE_SECONDS)
        percents = [(rig.cpu_seconds(server) - start) / IDLE_SECONDS * 100
                    for (server, _), start in zip(pairs, before)]
        first = [exchange_us(client) for _, client in pairs]
        later = []
        for _ in range(GAPS):
            time.sleep(GAP_SECONDS)
            later += [exchange_us(client) for _, client in pairs]
        return [{"case": f"xdp port, {IDLE_SECONDS} s without a request",
                 "samples": {"CPU %": percents, "exchange us": awake, "first us": first,
                             f"after {GAP_SECONDS} s us": later,
                             "sleep of 1 ms us": [sleep_us() for _ in range(1000)]}}]


def goals(rows):
    """What is asked for: (what, figure, asked, holds)."""
    samples = rows[0]["samples"]
    percent = max(samples["CPU %"])
    yield "CPU of an idle worker", f"{percent:.1f} %", "< 5 %", percent < 5
    exchange = measure.median(rows[0], "exchange us")
    bound = SLEEP_MAX_US + exchange + KERNEL_US
    for what, name in ((f"{IDLE_SECONDS} s", "first us"),
                       (f"{GAP_SECONDS} s", f"after {GAP_SECONDS} s us")):
        waits = sorted(samples[name])
        wait = waits[int(0.95 * (len(waits) - 1))]
        yield (f"first request after {what} of idleness, 95 % of {len(waits)} (the longest: "
               f"{waits[-1]:.0f} us; the longest of 1,000 sleeps of 1 ms here: "
               f"{max(samples['sleep of 1 ms us']):.0f} us)", f"{wait:.0f} us",
               f"<= {bound:.0f} us", wait <= bound)


def charts(_rows):
    return ()
