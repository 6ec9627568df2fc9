# SPDX-License-Identifier: Apache-2.0
"""Several workers serve as one: who is connected to which is nothing that a client can see."""
import os
import pathlib
import re
import socket
import tempfile
import threading
import time
import unittest

import rig
from test_clients_server import Host

HEAD = "memory: 256MiB\nmax_connections: 500\nworkers: 2\n"
HERE = pathlib.Path(__file__).parent
CONNECTIONS = 32  # enough that each worker has some


class Client:
    """A connection that speaks text."""

    def __init__(self, port=11211):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")

    def say(self, text):
        self.socket.sendall(text.encode())

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def ask(self, text):
        self.say(text + "\r\n")
        return self.line()

    def lines(self, text, last="END"):
        self.say(text + "\r\n")
        lines = []
        while (line := self.line()) != last:
            lines.append(line)
        return lines

    def stats(self, what):
        return {name: value for _, name, value in
                (line.split(" ", 2) for line in self.lines(what))}

    def close(self):
        self.file.close()
        self.socket.close()


class Kinds(unittest.TestCase):
    """Every kind of port."""

    def serve(self, kind, shared):
        with rig.served(kind, head=HEAD) as served:
            served.client.run(rig.PYTHON, str(HERE / "clients.py"), served.address, "11211")
            report = rig.load(served.client, served.address, "--connections", "200", "--requests",
                              "20000", "--value-size", "0-200000", "--keys", "2000",
                              "--set-percent", "30")
            print(f"\n{self.id()}\n{report}", end="")
            counters = rig.stats(served.client, served.address)
            self.assertGreater(counters["session:calls"], 1000)
            self.assertRegex(served.kanted.log(), r"workers on cores \d+, \d+")
            self.assertIn(shared, served.kanted.log())

    def test_socket(self):
        self.serve("socket", "kernel sockets")

    def test_tap(self):
        self.serve("tap", "2 queues")

    def test_memif(self):
        self.serve("memif", "ids 0 to 1")

    def test_xdp(self):
        """A veth has one queue that can be used: the second worker has none."""
        self.serve("xdp", "1 queue,")


class Together(unittest.TestCase):
    def setUp(self):
        self.kanted = rig.Kanted(HEAD + 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211", '
                                 'udp: 11211}\n', Host)
        self.kanted.__enter__()
        self.addCleanup(self.kanted.end)
        self.clients = [Client() for _ in range(CONNECTIONS)]
        for client in self.clients:  # until its worker has it
            self.assertEqual(client.ask("version"), "VERSION 1.6.45")
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def test_what_one_has_written_all_read(self):
        for number, client in enumerate(self.clients):
            for key in range(20):
                self.assertEqual(client.ask(f"set k{key} 0 0 4\r\n{number:04}"), "STORED")
            for other in self.clients:
                self.assertEqual(other.lines(f"get k{number % 20}")[1], f"{number:04}")

    def test_what_concerns_all_keys_reaches_all(self):
        first = self.clients[0]
        keys = [f"key{i}" for i in range(1000)]
        for key in keys:
            first.say(f"set {key} 0 0 1 noreply\r\nx\r\n")
        self.assertEqual(first.stats("stats")["curr_items"], "1000")
        for client in self.clients:
            dumped = {re.match("key=(key[0-9]+) ", line)[1]
                      for line in client.lines("lru_crawler metadump all")}
            self.assertEqual(dumped, set(keys))
        self.assertEqual(self.clients[5].ask("flush_all"), "OK")
        for client in self.clients:
            self.assertEqual(client.lines("get " + " ".join(keys[:200])), [])
        self.assertEqual(first.stats("stats")["cmd_flush"], "1")
        self.assertEqual(first.ask("cache_memlimit 128"), "OK")
        self.assertAlmostEqual(int(self.clients[9].stats("stats")["limit_maxbytes"]), 128 << 20,
                               delta=1 << 20)
        self.assertIn("MEMLIMIT_ADJUST_FAILED", self.clients[7].ask("cache_memlimit 257"))

    def test_stats_are_of_all(self):
        self.assertEqual(self.clients[0].stats("stats")["curr_connections"], str(CONNECTIONS))
        self.assertEqual(self.clients[0].stats("stats")["threads"], "2")
        self.assertEqual(self.clients[1].ask("stats reset"), "RESET")
        for client in self.clients:
            self.assertEqual(client.ask("set a 0 0 1\r\nx"), "STORED")
            self.assertEqual(len(client.lines("get a")), 2)
        for client in self.clients:
            stats = client.stats("stats")
            self.assertEqual(stats["cmd_set"], str(CONNECTIONS))
            self.assertEqual(stats["get_hits"], str(CONNECTIONS))
        kante = self.clients[3].stats("stats kante")
        self.assertEqual(kante["session:curr_connections"], str(CONNECTIONS))
        self.assertEqual(kante["shard:get_hits"], str(CONNECTIONS))

    def test_detail_is_of_all(self):
        self.assertEqual(self.clients[0].ask("stats detail on"), "OK")
        time.sleep(0.1)  # the others hear of it in their next turns
        for number, client in enumerate(self.clients):
            self.assertEqual(client.ask(f"set p{number % 4}:{number} 0 0 1\r\nx"), "STORED")
            self.assertEqual(client.lines("get p0:0 q:1")[-1], "x")
        for client in self.clients[:8]:
            self.assertEqual(sorted(client.lines("stats detail dump")), [
                f"PREFIX p0 get {CONNECTIONS} hit {CONNECTIONS} set {CONNECTIONS // 4} del 0",
                *(f"PREFIX p{i} get 0 hit 0 set {CONNECTIONS // 4} del 0" for i in (1, 2, 3)),
                f"PREFIX q get {CONNECTIONS} hit 0 set 0 del 0"])
        self.assertEqual(self.clients[2].ask("stats reset"), "RESET")
        time.sleep(0.1)
        self.assertEqual(self.clients[4].lines("stats detail dump"), [])

    def test_who_watches_is_told_of_all(self):
        watchers = [Client() for _ in range(8)]
        for watcher in watchers:
            self.assertEqual(watcher.ask("watch mutations deletions"), "OK")
        time.sleep(0.1)
        for number, client in enumerate(self.clients):
            self.assertEqual(client.ask(f"set w{number} 0 0 1\r\nx"), "STORED")
            self.assertEqual(client.ask(f"delete w{number}"), "DELETED")
        for watcher in watchers:
            told = [watcher.line() for _ in range(2 * CONNECTIONS)]
            for number in range(CONNECTIONS):
                for kind in ("item_store", "deleted"):
                    self.assertEqual(sum(f"type={kind} key=w{number} " in line for line in told),
                                     1)
            gids = [int(re.search(r" gid=(\d+) ", line)[1]) for line in told]
            self.assertEqual(gids, sorted(set(gids)))
            watcher.close()

    def test_the_limit_of_connections_is_over_all(self):
        more = [Client() for _ in range(500 - CONNECTIONS)]
        # each worker has taken those that came to it
        rig.wait_until(lambda: "STAT curr_connections 500" in self.clients[0].lines("stats"), 10,
                       "all are there")
        one = Client()
        self.assertEqual(one.line(), "ERROR Too many open connections")
        one.close()
        for client in more:
            client.close()

    def test_time_is_one(self):
        """What has expired for one client is not there for another, but for a worker's turn."""
        writer, readers = self.clients[0], self.clients[1:9]
        end = time.monotonic() + 3
        for number in range(40):
            writer.ask(f"set t{number} 0 1 1\r\nx")
        gone_since = None
        while time.monotonic() < end:
            for reader in readers:
                asked = time.monotonic()
                there = reader.lines("get " + " ".join(f"t{i}" for i in range(40)))
                if gone_since is None and not there:
                    gone_since = time.monotonic()
                elif gone_since is not None and asked > gone_since + 0.005:
                    self.assertEqual(there, [], "it has come back")
        self.assertIsNotNone(gone_since)


class UnixSocket(unittest.TestCase):
    def test_all_workers_serve_it(self):
        with tempfile.TemporaryDirectory(prefix="kante-e2e-") as folder:
            os.chmod(folder, 0o755)
            path = f"{folder}/kante.sock"
            with rig.Kanted(HEAD + f"ports:\n  - {{kind: socket, listen: {path}}}\n",
                            Host) as kanted:
                self.crowd(path)
                self.assertEqual(kanted.stop(), 0, kanted.log())
            self.assertFalse(os.path.exists(path))

    def crowd(self, path):
        failures = []

        def serve(number):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
                one.settimeout(10)
                for i in range(200):
                    key = f"{number}-{i % 10}"
                    one.sendall(f"set {key} 0 0 2\r\nok\r\nget {key}\r\n".encode())
                    wanted = f"STORED\r\nVALUE {key} 0 2\r\nok\r\nEND\r\n".encode()
                    got = b""
                    while len(got) < len(wanted):
                        got += one.recv(4096)
                    if got != wanted:
                        failures.append(got)

        threads = [threading.Thread(target=serve, args=(i,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


class Refusals(unittest.TestCase):
    def refused(self, workers):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kante.yaml"
            path.write_text(f'workers: {workers}\nports:\n  - {{kind: socket, listen: '
                            '"127.0.0.1:11299"}\n')
            done = rig.run(rig.KANTED, "-c", str(path), check=False, timeout=60)
        self.assertGreater(done.returncode, 0)
        return done.stderr

    def test_a_worker_needs_a_core(self):
        count = len(os.sched_getaffinity(0))
        self.assertIn(f"say `workers: {count}` or fewer", self.refused(count + 1))
        self.assertIn("core 1000 is not there", self.refused("[1000]"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
