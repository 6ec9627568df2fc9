# SPDX-License-Identifier: Apache-2.0
"""Items outlive an orderly stop in the memory_file, and nothing else: whatever is in doubt makes a cold
start, which says so, and never a wrong byte."""
import hashlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import rig

CONFIG = """workers: %(workers)d
memory: %(memory)s
memory_file: %(file)s
%(more)sports:
  - {kind: socket, listen: "%(socket)s"}
"""
HEAD_BYTES = 2 << 20  # of the file; then come the items
VERSION_AT = 24       # in the head


def value_of(number):
    """Of 0 to 200,000 bytes, mostly short, and each another."""
    digest = hashlib.sha256(b"%d" % number).digest()
    length = digest[0] * 3 if number % 100 else digest[1] * 800
    return (digest * (length // 32 + 1))[:length]


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.replies = self.socket.makefile("rb")

    def ask(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.replies.readline().rstrip(b"\r\n")

    def store(self, numbers, ttl_of):
        for number in numbers:
            value = value_of(number)
            self.socket.sendall(b"set key:%d %d %d %d noreply\r\n%s\r\n" % (
                number, number % 65536, ttl_of(number), len(value), value))
        assert self.ask(b"mn") == b"MN"

    def fetch(self, numbers):
        """The numbers of those that are there; each has to be what was stored."""
        found = set()
        for number in numbers:
            head = self.ask(b"get key:%d" % number)
            if head == b"END":
                continue
            value = value_of(number)
            assert head == b"VALUE key:%d %d %d" % (number, number % 65536, len(value)), head
            got = self.replies.read(len(value) + 7)
            assert got == value + b"\r\nEND\r\n", (number, got[:100])
            found.add(number)
        return found

    def stat(self, name):
        self.socket.sendall(b"stats kante\r\n")
        found = None
        while (line := self.replies.readline()) != b"END\r\n":
            if line.startswith(b"STAT %s " % name):
                found = int(line.split()[2])
        return found

    def close(self):
        self.socket.close()


class Here:
    """As rig.Namespace: this one."""

    @staticmethod
    def command(*command):
        return command


class Restart(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        self.shm = tempfile.TemporaryDirectory(prefix="kante-e2e-", dir="/dev/shm")
        self.given = {"workers": 1, "memory": "64MiB", "more": "",
                      "file": f"{self.shm.name}/items", "socket": f"{self.folder.name}/socket"}
        self.file = pathlib.Path(self.given["file"])

    def tearDown(self):
        self.shm.cleanup()
        self.folder.cleanup()

    def kanted(self, **changes):
        return rig.Kanted(CONFIG % {**self.given, **changes}, Here)

    def client(self):
        client = Client(self.given["socket"])
        self.addCleanup(client.close)
        return client

    def is_warm(self, kanted):
        return re.search(r"(\d+) items are there again", kanted.log())

    def is_cold(self, kanted, reason):
        self.assertIn("is not taken up, all items are gone", kanted.log())
        self.assertIn(reason, kanted.log())
        self.assertIsNone(self.is_warm(kanted))

    def fails(self, text, **changes):
        kanted = self.kanted(**changes)
        try:
            self.assertEqual(kanted.process.wait(20), 1)
            self.assertIn(text, kanted.log())
        finally:
            kanted.end()

    def play_restarts(self, workers):
        numbers = range(5000)
        with self.kanted(workers=workers) as kanted:
            # a third lives 4 s, a third an hour
            self.client().store(numbers, lambda number: (0, 4, 3600)[number % 3])
            stored = time.monotonic()
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
            self.assertIn("all items rest in", kanted.log())
        expected = set(numbers)
        for _ in range(3):
            with self.kanted(workers=workers) as kanted:
                self.assertEqual(int(self.is_warm(kanted)[1]) >= len(expected), True)
                client = self.client()
                passed = time.monotonic() - stored
                if 3 < passed < 6:
                    time.sleep(6 - passed)
                    passed = 6
                if passed >= 6:
                    expected = {number for number in expected if number % 3 != 1}
                self.assertEqual(client.fetch(numbers), expected)
                left = int(client.ask(b"mg key:2 t")[4:])
                self.assertAlmostEqual(left, 3600 - (time.monotonic() - stored), delta=2)
                self.assertEqual(kanted.stop(signal.SIGTERM), 0)
            time.sleep(2.5)

    def test_one_worker(self):
        self.play_restarts(1)

    def test_two_workers(self):
        if os.cpu_count() < 2:
            self.skipTest("there is one core")
        self.play_restarts(2)

    def test_what_was_under_way_is_not_there(self):
        with self.kanted() as kanted:
            client = self.client()
            client.store(range(100), lambda number: 0)
            other, third = self.client(), self.client()
            other.socket.sendall(b"set half 0 0 900000\r\n" + b"x" * 500000)
            third.socket.sendall(b"set part 0 0 1000\r\n" + b"x" * 500)
            self.assertEqual(client.ask(b"purge prefix key:1"), b"OK")
            time.sleep(0.3)
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        with self.kanted() as kanted:
            client = self.client()
            self.assertEqual(client.ask(b"get half part"), b"END")
            self.assertEqual(client.fetch(range(100)),
                             {number for number in range(100) if str(number)[0] != "1"})
            self.assertEqual(client.stat(b"store:reservations"), 0)
            client.store(range(100), lambda number: 0)
            self.assertEqual(client.fetch(range(100)), set(range(100)))

    def test_eviction_and_classes_may_change(self):
        with self.kanted() as kanted:
            self.client().store(range(1000), lambda number: 0)
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        more = 'eviction: lru\nclasses:\n  - {name: ones, prefix: "key:1", share_max: 50%}\n'
        with self.kanted(more=more) as kanted:
            client = self.client()
            self.assertEqual(client.stat(b"class:ones:items"), 111)
            self.assertEqual(client.fetch(range(1000)), set(range(1000)))
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)

    def test_killed(self):
        with self.kanted() as kanted:
            self.client().store(range(1000), lambda number: 0)
            kanted.process.kill()
            kanted.process.wait()
        with self.kanted() as kanted:
            self.is_cold(kanted, "did not come to an orderly end")
            self.assertEqual(self.client().fetch(range(1000)), set())
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        # killed when it had taken up what was good
        with self.kanted() as kanted:
            self.assertIsNotNone(self.is_warm(kanted))
            kanted.process.kill()
            kanted.process.wait()
        with self.kanted() as kanted:
            self.is_cold(kanted, "did not come to an orderly end")

    def test_flipped_bits(self):
        choice = random.Random(1)
        with self.kanted() as kanted:
            self.client().store(range(20000), lambda number: 0)
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        good = self.file.read_bytes()
        used = [at for at in range(0, len(good), 4096) if any(good[at:at + 4096])]
        cold = 0
        for _ in range(25):
            damaged = bytearray(good)
            at = choice.choice(used) + choice.randrange(4096)
            damaged[at] ^= 1 << choice.randrange(8)
            self.file.write_bytes(damaged)
            with self.kanted() as kanted:
                # what lies where there is nothing does not matter
                if self.is_warm(kanted):
                    self.assertEqual(self.client().fetch(range(0, 20000, 7)),
                                     set(range(0, 20000, 7)))
                else:
                    cold += 1
                    self.is_cold(kanted, "")
                    self.assertEqual(self.client().fetch(range(0, 20000, 7)), set())
        self.assertGreater(cold, 20)

    def test_heads(self):
        def change(good, at, to):
            self.file.write_bytes(good[:at] + to + good[at + len(to):])

        with self.kanted() as kanted:
            self.client().store(range(100), lambda number: 0)
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        good = self.file.read_bytes()
        for at, to, reason in (
                (0, b"\0" * 8, "it is none of kanted's"),
                (VERSION_AT, b"0.0.9\0", "another version of kanted has left it"),
                (VERSION_AT + 32, b"\x01\x02", "another version of kanted has left it"),
                (VERSION_AT + 48, b"0000", "its head is damaged"),
                (200, b"\xff", "its head is damaged")):
            change(good, at, to)
            with self.kanted() as kanted:
                self.is_cold(kanted, reason)
                self.assertEqual(self.client().fetch(range(100)), set())
        for length, reason in ((len(good) // 2, "another size"), (len(good) + 4096, "another size")):
            self.file.write_bytes((good + bytes(4096))[:length])
            with self.kanted() as kanted:
                self.is_cold(kanted, reason)
        self.file.write_bytes(good)
        with self.kanted(memory="66MiB") as kanted:
            self.is_cold(kanted, "another size")
        self.file.write_bytes(good)
        with self.kanted(more="item_size_max: 2MiB\n") as kanted:
            self.is_cold(kanted, "`item_size_max` was another")
        self.file.write_bytes(good)
        with self.kanted() as kanted:
            self.assertIsNotNone(self.is_warm(kanted))
            self.assertEqual(self.client().fetch(range(100)), set(range(100)))

    def test_places(self):
        self.fails("is not on a tmpfs or hugetlbfs", file="/var/tmp/kante-e2e-items")
        os.unlink("/var/tmp/kante-e2e-items")
        self.fails("cannot be opened", file=f"{self.shm.name}/nowhere/items")
        os.symlink(self.given["file"], f"{self.shm.name}/link")
        self.fails("cannot be opened", file=f"{self.shm.name}/link")
        self.file.write_bytes(b"x")
        self.file.chmod(0o644)
        self.fails("nobody else may read")
        self.file.write_text("somebody's notes")
        self.file.chmod(0o600)
        self.fails("none of kanted's: choose another name, or remove it")
        self.assertEqual(self.file.read_text(), "somebody's notes")
        self.file.unlink()
        self.file.mkdir()
        self.fails("cannot be opened")
        self.file.rmdir()
        with self.kanted():
            self.fails("in use by another process", socket=f"{self.folder.name}/other")

    def test_no_room(self):
        small = pathlib.Path(self.folder.name) / "small"
        small.mkdir()
        rig.run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(small))
        try:
            self.fails("no room for", file=f"{small}/items")
            self.assertEqual((small / "items").stat().st_size, 0)
        finally:
            rig.run("umount", str(small))

    def test_hugepages(self):
        """On a hugetlbfs, where there are pages enough."""
        pages = pathlib.Path("/proc/sys/vm/nr_hugepages")
        before = pages.read_text()
        place = pathlib.Path(self.folder.name) / "huge"
        place.mkdir()
        pages.write_text(str(int(before) + 80))
        if int(pages.read_text()) < int(before) + 80:
            pages.write_text(before)
            self.skipTest("the kernel has no hugepages left")
        rig.run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(place))
        try:
            for warm in (False, True):
                with self.kanted(file=f"{place}/items") as kanted:
                    client = self.client()
                    self.assertEqual(self.is_warm(kanted) is not None, warm)
                    if not warm:
                        client.store(range(1000), lambda number: 0)
                    self.assertEqual(client.fetch(range(1000)), set(range(1000)))
                    self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        finally:
            rig.run("umount", str(place))
            pages.write_text(before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
