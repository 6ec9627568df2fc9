#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many items kanted and memcached hold in the same memory: the whole process has MEMORY_MIB.

held.py [MEMORY_MIB]     default 256

Keys of 16 bytes; values of one size at a time, until far more was stored than fits. Each server is
started twice: first with all of the memory as its limit, then with that less what the process took
over it. Exit status 1: the ratios are lower than what is asked for. Run from a build of
build-release (scripts/run makes it), on loopback.
"""
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KANTED = ROOT / "build-release/kanted"
PORT = 21211
START_SECONDS = 10
BATCH = 1000
# value bytes: how many times memcached's items
ASKED = {32: 1.35, 100: 1.25, 1000: 1.05}


def command(kind, limit_mib, folder):
    if kind == "memcached":
        return ["memcached", "-u", "root", "-m", str(limit_mib), "-l", "127.0.0.1", "-p", str(PORT),
                "-U", "0", "-t", "1"]
    config = pathlib.Path(folder) / "kante.yaml"
    config.write_text(f"memory: {limit_mib}MiB\n"
                      f'ports:\n  - {{kind: socket, listen: "127.0.0.1:{PORT}"}}\n')
    return [KANTED, "-c", config]


def connect(process):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", PORT))
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{process.args[0]} does not start")
            time.sleep(0.05)


def ask(connection, request, end):
    connection.sendall(request)
    reply = b""
    while not reply.endswith(end):
        part = connection.recv(65536)
        if not part:
            sys.exit(f"the connection ended after {reply!r}")
        reply += part
    return reply.decode()


def fill(connection, value_bytes, count):
    value = b"x" * value_bytes
    for first in range(0, count, BATCH):
        ask(connection, b"".join(b"set key:%012d 0 0 %d noreply\r\n%s\r\n" % (i, value_bytes, value)
                                 for i in range(first, first + BATCH)) + b"mn\r\n", b"MN\r\n")


def resident_mib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def hold(kind, limit_mib, value_bytes):
    """Items, and MiB that the process has."""
    with tempfile.TemporaryDirectory(prefix="kante-held-") as folder:
        process = subprocess.Popen(command(kind, limit_mib, folder), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            with connect(process) as connection:
                fill(connection, value_bytes, int(1.5 * limit_mib * 2**20 / (value_bytes + 40)))
                stats = dict(re.findall(r"STAT (\S+) (\S+)", ask(connection, b"stats\r\n",
                                                                 b"END\r\n")))
            if int(stats["evictions"]) == 0:
                sys.exit(f"{kind} was not full")
            return int(stats["curr_items"]), resident_mib(process)
        finally:
            process.kill()
            process.wait()


def hold_within(kind, memory_mib, value_bytes):
    _, resident = hold(kind, memory_mib, value_bytes)
    return hold(kind, memory_mib - max(0, int(resident - memory_mib + 0.999)), value_bytes)


def main():
    memory_mib = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    failed = 0
    print("value bytes    memcached (MiB resident)        kanted (MiB resident)   ratio   asked")
    for value_bytes, asked in ASKED.items():
        (theirs, their_mib), (ours, our_mib) = (
            hold_within(kind, memory_mib, value_bytes) for kind in ("memcached", "kanted"))
        ratio = ours / theirs
        failed += ratio < asked
        print(f"{value_bytes:11}  {theirs:11} ({their_mib:5.1f})              {ours:11} "
              f"({our_mib:5.1f})           {ratio:5.2f}    {asked}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
