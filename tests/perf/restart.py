# SPDX-License-Identifier: Apache-2.0
"""How long a restart takes with many items in the memory_file, and how many are there again.

    restart.py [KANTED [ITEMS [WORKERS]]]      (10,000,000 items of 100 bytes, 2 workers)
"""
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VALUE_BYTES = 100
CHUNK = 2000
SAMPLE = 100000
KEY = b"key:%012d"


def value_of(number):
    return (b"%d." % number * VALUE_BYTES)[:VALUE_BYTES]


def connect(path):
    """As soon as somebody listens."""
    while True:
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            time.sleep(0.001)


def start(kanted, config, path):
    """The process, a connection to it, and how long it took until a get was answered."""
    began = time.monotonic()
    process = subprocess.Popen([kanted, "-c", config], stderr=subprocess.PIPE, text=True)
    connection = connect(path)
    replies = connection.makefile("rb")
    connection.sendall(b"get " + KEY % 1 + b"\r\n")
    while replies.readline() != b"END\r\n":
        pass
    return process, connection, replies, time.monotonic() - began


def fill(connection, replies, count):
    for first in range(0, count, CHUNK):
        connection.sendall(b"".join(
            b"set %s 0 86400 %d noreply\r\n%s\r\n" % (KEY % number, VALUE_BYTES, value_of(number))
            for number in range(first, min(first + CHUNK, count))))
    connection.sendall(b"mn\r\n")
    assert replies.readline() == b"MN\r\n"


def stat(connection, replies, name):
    connection.sendall(b"stats\r\n")
    found = None
    while (line := replies.readline()) != b"END\r\n":
        if line.startswith(b"STAT %s " % name):
            found = int(line.split()[2])
    return found


def sample(connection, replies, count):
    """Of some of them, how many are there; each has to be what was stored."""
    found = 0
    choice = random.Random(count)
    for _ in range(SAMPLE // 100):
        numbers = [choice.randrange(count) for _ in range(100)]
        connection.sendall(b"get " + b" ".join(KEY % number for number in numbers) + b"\r\n")
        while (line := replies.readline()) != b"END\r\n":
            number = int(line.split()[1][4:])
            assert replies.readline() == value_of(number) + b"\r\n", number
            found += 1
    return found


def main():
    kanted = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build-release/kanted")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10000000
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    with tempfile.TemporaryDirectory(prefix="kante-restart-", dir="/dev/shm") as folder:
        path, config = f"{folder}/socket", f"{folder}/kante.yaml"
        memory = max(64, count * 200 // 1000000)
        pathlib.Path(config).write_text(
            f"workers: {workers}\nmemory: {memory}MiB\nmemory_file: {folder}/items\n"
            f'ports:\n  - {{kind: socket, listen: "{path}"}}\n')
        process, connection, replies, _ = start(kanted, config, path)
        fill(connection, replies, count)
        before = stat(connection, replies, b"curr_items")
        connection.close()
        for _ in range(3):
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait()
            stopped = time.monotonic() - began
            print(process.stderr.read(), end="")
            process, connection, replies, served = start(kanted, config, path)
            after = stat(connection, replies, b"curr_items")
            found = sample(connection, replies, count)
            connection.close()
            print(f"{before} items, {memory} MiB, {workers} workers: stopped after {stopped:.2f} s, "
                  f"serving {served:.2f} s after the start; {100 * after / before:.3f} % of the "
                  f"items are there, {100 * found / SAMPLE:.3f} % of a sample, each right")
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
