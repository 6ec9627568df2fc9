# SPDX-License-Identifier: Apache-2.0
"""`kante watch` against a real node, and against one that goes away."""
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import cli
import control
import rig


class Watch:
    """It runs, and is read as it tells."""

    def __init__(self, node, *words, stderr=subprocess.PIPE):
        self.process = subprocess.Popen([cli.KANTE, "watch", *words, "--node", str(node)],
                                        stdout=subprocess.PIPE, stderr=stderr,
                                        env=cli.CLEAN | {"TZ": "UTC"})
        self.told = b""

    def lines(self, count, seconds=20):
        """The first so many."""
        deadline = time.monotonic() + seconds
        while self.told.count(b"\n") < count:
            if not select.select([self.process.stdout], [], [],
                                 max(deadline - time.monotonic(), 0))[0]:
                raise AssertionError(f"not told: {self.told!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(f"it has ended: {self.told!r} {self.process.stderr.read()}")
            self.told += data
        return self.told.decode().splitlines()[:count]

    def end(self, with_signal=None):
        """Its exit status and what it has complained of."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        error = self.process.communicate(timeout=20)[1]
        return self.process.returncode, (error or b"").decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        rig.kill(self.process)
        self.process.communicate()


class Watches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        cls.node = cls.stack.enter_context(control.Node(cls.host, "workers: 2\n"))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def talk(self, text):
        return rig.talk(self.host, "127.0.0.1", text)

    def test_what_happens_is_told_as_it_happens(self):
        with Watch(self.node.socket_path, "--kinds", "mutations,fetchers,deletions", "--prefix",
                   "s:") as watch:
            self.assertRegex(watch.lines(1)[0], r"^TIME +WHAT +STATUS +SIZE +KEY$")
            # all of one key, so of one worker, and in order
            self.talk("get x\r\nset s:a 0 0 2048\r\n" + 2048 * "v" + "\r\nget s:a\r\n"
                      "add s:a 0 0 1\r\nv\r\ndelete s:a\r\nget s:a\r\n")
            lines = watch.lines(6)
            for line, (what, status, size) in zip(lines[1:], (
                    ("set", "stored", "2 KiB"), ("get", "found", "2 KiB"),
                    ("add", "not stored", ".*B"), ("delete", "", ".*B"),
                    ("get", "not found", "-"))):
                self.assertRegex(line, rf"^\d\d:\d\d:\d\d\.\d{{3}}  {what} +{status} +{size}  s:a$")
            self.assertEqual(watch.end(signal.SIGINT), (0, ""))

    def test_a_key_cannot_do_anything_to_the_terminal(self):
        with Watch(self.node.socket_path) as watch:
            watch.lines(1)
            self.talk("mg G1sySg== b v\r\n")
            self.assertTrue(watch.lines(2)[1].endswith(r"  \x1b[2J"), watch.told)
            self.assertEqual(watch.end(signal.SIGTERM), (0, ""))

    def test_json_is_an_object_a_line(self):
        with Watch(self.node.socket_path, "--json", "--kinds", "fetchers,connevents") as watch:
            # what is told says that it has begun
            rig.wait_until(lambda: (self.talk("get x\r\n"), select.select(
                [watch.process.stdout], [], [], 0)[0])[1], 20, "something is told")
            self.talk("get some:key\r\nmg /w== b v\r\n")
            got, count = [], 1
            while len(got) < 2:
                event = json.loads(watch.lines(count)[-1])
                got += [event] if event["type"] == "item_get" and event.get("key") != "x" else []
                count += 1
            self.assertEqual(sorted(event.get("key") or event["key_escaped"] for event in got),
                             ["%FF", "some:key"])
            self.assertRegex(got[0]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$")
            self.assertEqual((got[0]["status"], got[0]["size"]), ("not_found", 0))
            self.assertEqual(watch.end(signal.SIGINT), (0, ""))

    def test_a_closed_pipe_ends_it_quietly(self):
        with Watch(self.node.socket_path) as watch:
            watch.lines(1)
            watch.process.stdout.close()
            watch.process.stdout = None
            rig.wait_until(lambda: (self.talk("get x\r\n"), watch.process.poll() is not None)[1],
                           20, "it ends")
            self.assertEqual(watch.end(), (-signal.SIGPIPE, ""))

    def test_it_ends_though_nobody_reads_what_it_tells(self):
        def in_pipe():
            size = fcntl.ioctl(watch.process.stdout, termios.FIONREAD, b"\0\0\0\0")
            return struct.unpack("i", size)[0]

        def waiting():
            before = in_pipe()
            self.talk(500 * "get x\r\n")
            return in_pipe() == before > 30000

        with Watch(self.node.socket_path) as watch:
            rig.wait_until(waiting, 20, "the pipe is full")
            watch.process.send_signal(signal.SIGTERM)
            self.assertEqual(watch.process.wait(20), 0)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full, subprocess.Popen(
                [cli.KANTE, "watch", "--node", str(self.node.socket_path)], stdout=full,
                stderr=subprocess.PIPE, env=cli.CLEAN) as process:
            self.assertIn(b"cannot write to standard output", process.communicate(timeout=20)[1])
            self.assertEqual(process.returncode, 3)

    def test_what_is_wrong_is_told(self):
        for words, fragment in ((("--kinds", "all"), "kinds are fetchers"),
                                (("--prefix", "k" * 251), "250 bytes")):
            done = cli.kante("watch", *words, "--node", self.node.socket_path)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(fragment, done.stderr)
        done = cli.kante("watch", "--node", "/nowhere/admin.sock")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no node here", done.stderr)

    def test_a_node_that_goes_away_is_an_error(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node, \
                Watch(node.socket_path) as watch:
            watch.lines(1)
            self.assertEqual(node.stop(), 0)
            status, error = watch.end()
            self.assertEqual(status, 2)
            self.assertIn("the node has ended it: see whether kanted runs", error)


class Fakes(unittest.TestCase):
    """What a real node does when it likes."""

    def stream(self, *pieces, end=True):
        def reply(handler):
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for piece in pieces:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                handler.wfile.flush()
            if end:
                handler.wfile.write(b"0\r\n\r\n")
            else:
                handler.close_connection = True
        return cli.Fake({("GET", "/v1/watch"): (200, reply)})

    def test_lines_that_were_left_out_are_warned_of(self):
        with self.stream(b"skipped=", b"7\nts=1.0 gid=1 type=item_get key=", b"a status=found "
                         b"size=1\nhalf a line") as fake:
            done = cli.kante("watch", "--node", fake.path)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stdout.splitlines()), 2)
        self.assertTrue(done.stdout.endswith("  1 B  a\n"), done.stdout)
        self.assertRegex(done.stderr, r"^kante watch: 7 lines were left out: they came too fast\n"
                                      r"kante watch: .*: the node has ended it")

    def test_a_connection_that_breaks_is_an_end(self):
        with self.stream(b"ts=1.0 gid=1 type=item_get key=a\n", end=False) as fake:
            done = cli.kante("watch", "--json", "--node", fake.path)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(json.loads(done.stdout)["key"], "a")
        self.assertIn("the node has ended it", done.stderr)

    def test_a_line_without_an_end_is_no_nodes(self):
        with self.stream(70000 * b"x") as fake:
            done = cli.kante("watch", "--node", fake.path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("not as a Kante node does", done.stderr)

    def test_a_node_that_says_nothing_is_not_waited_for(self):
        with cli.Fake({}) as fake:
            fake.replies[("GET", "/v1/watch")] = (200, lambda handler: fake.go_on.wait(20))
            done = cli.kante("watch", "--timeout", "1s", "--node", fake.path)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, re.compile("no answer in time"))


if __name__ == "__main__":
    unittest.main()
