#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How Kante's TCP bears loss, beside Linux's: a Linux client gets values of 1 MiB over a bridge
that drops frames both ways, from kanted (xdp) and from memcached (the kernel's TCP), by turns.

tests/perf/loss.py [ROUNDS [SECONDS]]     rounds (5) of all, of so many seconds (4) each

Prints the median of the rounds and the ratio for 0, 1 and 3 % of frames lost each way. Needs root
and build-release (scripts/bench makes it); everything happens in network namespaces of its own.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("KANTE_BUILD", str(ROOT / "build-release"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import rig  # noqa: E402  (it reads KANTE_BUILD)

CONFIG = """memory: 256MiB
workers: [1]
ports:
  - {kind: xdp, interface: veth0, tcp: 11211, allow: any}
"""
HOST = "198.18.0.2"
PORTS = {"kanted": 11211, "memcached": 11212}
LOSSES = (0, 1, 3)  # % of frames, each way
DROP = """table netdev kante_{table} {{
  chain from_{name} {{
    type filter hook ingress device {name} priority 0;
    numgen random mod 100 < {percent} counter drop
  }}
}}
"""


def link(host, middle, client):
    """client - bridge - host, every end a veth without offloads."""
    rig.veth(host, "veth0", middle, "to-host")
    rig.veth(client, "veth1", middle, "to-client")
    middle.run("ip", "link", "add", "bridge", "type", "bridge")
    for name in ("to-host", "to-client"):
        middle.run("ip", "link", "set", name, "master", "bridge")
    middle.run("ip", "link", "set", "bridge", "up")
    host.run("ip", "addr", "add", f"{HOST}/24", "dev", "veth0")
    client.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")


def lose(middle, percent):
    middle.run("nft", "flush", "ruleset")
    for name in ("to-host", "to-client") if percent else ():
        middle.run("nft", DROP.format(name=name, table=name.replace("-", "_"), percent=percent))


def measure(client, server, seconds, *options):
    report = json.loads(client.run(
        "taskset", "-c", "0", rig.LOAD, "--socket", f"{HOST}:{PORTS[server]}", "--value-size",
        "1048576", "--keys", "20", "--connections", "8", "--set-percent", "0", "--json", *options,
        "--seconds", str(seconds)).stdout)
    return report["requests_per_second"]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    rates = {(percent, server): [] for percent in LOSSES for server in PORTS}
    with rig.namespaces(3) as (host, middle, client):
        link(host, middle, client)
        with rig.Kanted(CONFIG, host):
            memcached = subprocess.Popen(host.command(
                "taskset", "-c", "1", "memcached", "-u", "nobody", "-l", HOST, "-p",
                str(PORTS["memcached"]), "-t", "1", "-m", "256", "-I", "2m"))
            try:
                client.run("ping", "-c", "2", "-i", "0.2", HOST)
                for server in PORTS:
                    measure(client, server, 1, "--populate")
                for _ in range(rounds):
                    for percent in LOSSES:
                        lose(middle, percent)
                        for server in PORTS:
                            rates[percent, server].append(measure(client, server, seconds))
            finally:
                memcached.terminate()
                memcached.wait()
    print("lost each way   kanted 1 MiB/s   memcached 1 MiB/s   ratio")
    for percent in LOSSES:
        ours, theirs = (statistics.median(rates[percent, server]) for server in PORTS)
        print(f"{percent:11} % {ours:16.1f} {theirs:19.1f} {ours / theirs:7.2f}")


if __name__ == "__main__":
    main()
