#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What TLS handshakes with the control process do to the datapath: handshake_storm.py [ROUNDS],
after scripts/release kanted kante-control kante-load tests/handshake_client.

Clients of the cache ask at a steady rate. By turns nobody bothers the control process, clients make
handshakes with it as fast as it takes them, and as many processes only count. All but the worker is
kept off its core, as an operator does (isolcpus). The clients of the cache would be on
other machines: here they share a core with the others, and go first on it (SCHED_FIFO), as they
would ask in heaps else. What is compared is how long the worker has had requests, by its own
histograms."""
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
os.environ.setdefault("KANTE_BUILD", str(pathlib.Path(__file__).resolve().parents[2] /
                                         "build-release"))

import control  # noqa: E402
import rig  # noqa: E402

SECONDS = 8
CLIENT = str(rig.BUILD / "tests/handshake_client")
RATE = 500  # requests a second


def histogram(node):
    """Counts by the ends of their buckets, in microseconds, of all commands and workers."""
    counts = {}
    for counter in node.local().get("/v1/counters").json["counters"]:
        for bucket in counter.get("buckets", ()):
            counts[bucket["end"]] = counts.get(bucket["end"], 0) + bucket["count"]
    return counts


def percentile(counts, share):
    """The end of the bucket in which it lies."""
    wanted = math.ceil(sum(counts.values()) * share)
    for end in sorted(counts):
        wanted -= counts[end]
        if wanted <= 0:
            return end
    return 0


def storm(host):
    """A client that makes handshakes; when it has ended it says how many."""
    return subprocess.Popen(
        host.command(CLIENT, str(control.PORT), str(SECONDS)), stdout=subprocess.PIPE, text=True)


def counting():
    """Keeps a core busy for as long."""
    return subprocess.Popen(["timeout", str(SECONDS), sys.executable, "-c", "while True: pass"],
                            stdout=subprocess.PIPE, text=True)


def phase(host, node, clients, counters):
    """p50, p99 and p99.9 in microseconds, requests and handshakes a second."""
    before, begun = histogram(node), time.monotonic()
    busy = [counting() for _ in range(counters)] + [storm(host) for _ in range(clients)]
    time.sleep(SECONDS)
    after, seconds = histogram(node), time.monotonic() - begun
    said = [one.communicate()[0] for one in busy]
    made = sum(int(one.split()[0]) for one in said[counters:])
    counts = {end: count - before.get(end, 0) for end, count in after.items()}
    return [percentile(counts, share) for share in (.5, .99, .999)] + [
        sum(counts.values()) / seconds, made / seconds]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ports = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'
    # clients that make handshakes, processes that count: two, and one for the control process
    results = {(0, 0): [], (2, 0): [], (0, 3): []}
    last = max(os.sched_getaffinity(0))
    with rig.namespaces(1) as (host,), control.Node(host, ports=ports) as node, \
            rig.core_kept_free(last):
        load = subprocess.Popen(
            host.command("chrt", "--fifo", "10", rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "16", "--rate",
                         str(RATE), "--seconds", str((SECONDS + 2) * 3 * rounds + 10)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            time.sleep(1)
            for _ in range(rounds):
                for what, list_of in results.items():
                    list_of.append(phase(host, node, *what))
        finally:
            if load.poll() is None:
                load.send_signal(rig.signal.SIGINT)
            said = load.communicate()[0]
    if load.returncode != 0:
        sys.exit(said)
    print("beside     handshakes/s    requests/s   p50 us   p99 us   p99.9 us (the worker's; medians of "
          f"{rounds})")
    for name, list_of in zip(("nothing", "handshakes", "counting"), results.values()):
        p50, p99, p999, requests, handshakes = (statistics.median(one) for one in zip(*list_of))
        spread = f"({min(one[1] for one in list_of)}-{max(one[1] for one in list_of)})"
        print(f"{name:10} {handshakes:12.0f} {requests:13.0f} {p50:8.0f} {p99:8.0f} {spread} {p999:8.0f}")


if __name__ == "__main__":
    main()
