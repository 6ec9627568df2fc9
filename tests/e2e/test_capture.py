# SPDX-License-Identifier: Apache-2.0
"""Packets of a port are captured while kanted serves: tcpdump reads what has gone both ways."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import cli
import control
import rig

SERVER = "198.18.0.2"
CLIENT = "198.18.0.1"
SOCKET_PORT = '  - {kind: socket, listen: "127.0.0.1:11211"}\n'
BEHIND_BYTES_MAX = 1 << 20  # src/control/exchange.h


def blocks(data):
    """The type and body of each block of a pcapng file in this machine's order."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert length >= 12 and struct.unpack_from("=I", data, at + length - 4)[0] == length
        yield kind, data[at + 8:at + length - 4]
        at += length


def options(data):
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("=HH", data, at)
        if code == 0:
            return
        yield code, data[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)


class File:
    """A capture, read."""

    STATISTICS = {4: "received", 5: "missed", 6: "accepted", 7: "behind", 8: "written"}

    def __init__(self, data):
        self.data = data
        self.directions = []
        self.dropped = 0
        self.times = []
        self.kept = []
        self.statistics = None
        for kind, body in blocks(data):
            if kind == 6:
                _, high, low, kept, length = struct.unpack_from("=IIIII", body)
                self.times.append((high << 32 | low) / 1e6)
                self.kept.append((kept, length))
                for code, value in options(body[20 + (kept + 3 & ~3):]):
                    if code == 2:
                        self.directions.append(struct.unpack("=I", value)[0])
                    if code == 4:
                        self.dropped += struct.unpack("=Q", value)[0]
            elif kind == 5:
                self.statistics = {name: struct.unpack("=Q", dict(options(body[12:]))[code])[0]
                                   for code, name in self.STATISTICS.items()}

    def tcpdump(self, *arguments):
        """Its lines."""
        done = subprocess.run(["tcpdump", "-nn", "-r", "-", *arguments], input=self.data,
                              capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(errors="replace")


class Capture:
    """One that goes on while something else is done."""

    def __init__(self, node, client, wishes):
        self.reply = None
        begun = len(self.begun(node))
        self.thread = threading.Thread(target=self.run, args=(client, wishes))
        self.thread.start()
        rig.wait_until(lambda: len(self.begun(node)) > begun or self.reply is not None, 10,
                       "the capture has begun")

    @staticmethod
    def begun(node):
        return [line for line in node.audit() if line["action"] == "capture.begin"]

    def run(self, client, wishes):
        self.reply = client.ask("POST", "/v1/capture", wishes)

    def end(self):
        self.thread.join(60)
        assert self.reply is not None and self.reply.status == 200, self.reply
        return File(self.reply.body)


class Kind:
    """What holds for each kind of port that our own stack carries."""

    kind = None

    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as stack:
            cls.host, cls.far = stack.enter_context(rig.namespaces(2))
            cls.port, name, cls.client = "kante0", "kante0", cls.host
            if cls.kind == "xdp":
                rig.veth(cls.host, "veth0", cls.far, "veth1")
                cls.host.run("ip", "addr", "add", f"{SERVER}/24", "dev", "veth0")
                cls.port, name, cls.client = "veth0", "veth1", cls.far
                port = "kind: xdp, interface: veth0"
            elif cls.kind == "memif":
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kante-e2e-"))
                cls.port = f"{folder}/memif.sock"
                port = f"kind: memif, socket: {cls.port}, addresses: [{SERVER}/24]"
            else:
                port = f"kind: tap, name: kante0, addresses: [{SERVER}/24]"
            ports = f"ports:\n{SOCKET_PORT}  - {{{port}, tcp: 11211, udp: 11211, allow: any}}\n"
            cls.node = stack.enter_context(control.Node(cls.host, ports=ports))
            if cls.kind == "memif":
                stack.enter_context(rig.memif_bridge(cls.host, cls.port, name))
            cls.client.run("ip", "link", "set", name, "up")
            cls.client.run("ip", "addr", "add", f"{CLIENT}/24", "dev", name)
            cls.client.run("ping", "-c", "1", "-W", "10", SERVER)
            cls.admin = cls.node.as_admin()
            cls.stack = stack.pop_all()

    @classmethod
    def tearDownClass(cls):
        # an orderly end, so that a sanitizer has its say before the log is looked at; of xdp it
        # would tell what libxdp does not free
        code = cls.node.stop(signal.SIGTERM) if cls.kind != "xdp" else 0
        cls.stack.close()
        assert code == 0, code

    def talk(self, text="set a 0 0 5\r\nhello\r\nget a\r\nquit\r\n"):
        return rig.talk(self.client, SERVER, text)

    def test_a_conversation_is_seen_both_ways(self):
        before = time.time()
        capture = Capture(self.node, self.admin, {"port": self.port, "filter": "tcp port 11211",
                                                  "seconds": 2})
        self.assertIn("hello", self.talk())
        file = capture.end()
        lines = file.tcpdump("-A", "-v")
        self.assertRegex(lines, rf"{CLIENT}\.\d+ > {SERVER}\.11211: Flags \[S\]")
        self.assertRegex(lines, rf"{SERVER}\.11211 > {CLIENT}\.\d+: Flags \[S\.\]")
        self.assertIn("get a", lines)
        self.assertIn("STORED", lines)
        self.assertRegex(lines, "VALUE a 0 5")
        self.assertEqual(set(file.directions), {1, 2})
        self.assertEqual(file.statistics["written"], len(file.directions))
        self.assertEqual(file.statistics["missed"] + file.statistics["behind"] + file.dropped, 0)
        for moment in file.times:
            self.assertTrue(before - 1 < moment < time.time() + 1, moment)

    def ends(self):
        return [line for line in self.node.audit() if line["action"] == "capture.end"]

    def begin_and_read_nothing(self, packets=10000000):
        """The socket of a client that has asked for so many, by the Unix socket."""
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unix.settimeout(30)
        unix.connect(str(self.node.socket_path))
        body = json.dumps({"port": self.port, "seconds": 3600, "packets": packets,
                           "filter": "tcp port 11211"})
        begun = len(Capture.begun(self.node))
        unix.sendall((f"POST /v1/capture HTTP/1.1\r\nHost: node\r\nContent-Length: {len(body)}\r\n"
                      f"Content-Type: application/json\r\n\r\n{body}").encode())
        rig.wait_until(lambda: len(Capture.begun(self.node)) > begun, 10, "it has begun")
        return unix

    def test_it_ends_when_the_client_goes(self):
        ended = len(self.ends())
        self.begin_and_read_nothing().close()
        rig.wait_until(lambda: len(self.ends()) > ended, 10, "it has ended")
        self.assertEqual(self.ends()[-1]["reason"], "the client has gone")
        # and the next one can
        self.assertEqual(Capture(self.node, self.admin, {"port": self.port, "seconds": 1}).end()
                         .statistics["missed"], 0)

    def ask_by_udp(self):
        self.client.run("nc", "-u", "-w", "1", SERVER, "11211", input="\0\1\0\0\0\1\0\0get a\r\n")

    def test_what_does_not_pass_the_filter_is_not_there(self):
        capture = Capture(self.node, self.admin, {"port": 1, "filter": "udp port 11211",
                                                  "packets": 2, "seconds": 60})
        self.talk()
        self.ask_by_udp()
        file = capture.end()
        lines = file.tcpdump()
        self.assertRegex(lines, rf"{CLIENT}\.\d+ > {SERVER}\.11211: UDP")
        self.assertRegex(lines, rf"{SERVER}\.11211 > {CLIENT}\.\d+: UDP")
        self.assertNotIn("Flags", lines)
        self.assertGreater(file.statistics["received"], 2)
        self.assertEqual(file.statistics["accepted"], 2)


class Tap(Kind, unittest.TestCase):
    kind = "tap"

    def test_no_more_than_was_asked_for_is_there(self):
        capture = Capture(self.node, self.admin, {"port": "kante0", "filter": "tcp", "packets": 3,
                                                  "snap": 64, "seconds": 60})
        self.talk()
        file = capture.end()
        self.assertEqual(len(file.times), 3)
        self.assertTrue(all(kept == min(length, 64) for kept, length in file.kept), file.kept)
        capture = Capture(self.node, self.admin, {"port": "kante0", "filter": "tcp",
                                                  "bytes": 4096, "seconds": 60})
        self.talk("set b 0 0 3000\r\n" + 3000 * "b" + "\r\nget b\r\nquit\r\n")
        file = capture.end()
        self.assertLessEqual(sum(len(body) + 12 for kind, body in blocks(file.data) if kind != 5),
                             4096)
        self.assertGreater(len(file.times), 3)
        reasons = [line["reason"] for line in self.node.audit() if line["action"] == "capture.end"]
        self.assertIn("it had as many packets as were asked for", reasons)
        self.assertIn("it had as many bytes as were asked for", reasons)

    def refused(self, status, fragment, wishes, client=None):
        reply = (client or self.admin).ask("POST", "/v1/capture", wishes)
        self.assertEqual(reply.status, status, reply.body)
        self.assertIn(fragment, reply.error)

    def test_what_is_wrong_is_refused_with_a_reason(self):
        self.refused(400, "give \"port\"", {})
        self.refused(400, "give \"port\"", {"port": "kante0", "size": 1})
        self.refused(404, "name one of 1 (kante0)", {"port": "eth0"})
        self.refused(404, "no such port", {"port": 2})
        self.refused(404, "no such port", {"port": None})
        self.refused(400, "use tcpdump", {"port": 0})
        self.refused(400, "syntax error", {"port": "kante0", "filter": "tcp prot 11211"})
        self.refused(400, "unknown host", {"port": "kante0", "filter": "host kante.invalid"})
        self.refused(400, "inbound", {"port": "kante0", "filter": "inbound and tcp"})
        self.refused(400, "at most 1024", {"port": "kante0", "filter": "tcp" + 1024 * " "})
        for name, value in (("seconds", 0), ("seconds", 3601), ("packets", 0), ("snap", 63),
                            ("snap", 65536), ("bytes", 4095), ("bytes", 1 << 31)):
            self.refused(400, f'"{name}" is', {"port": "kante0", name: value})
        self.refused(403, "admin", {"port": "kante0"},
                     self.node.https(bearer=self.node.key("operator", "no admin")))

    def test_one_can_at_a_time(self):
        capture = Capture(self.node, self.admin, {"port": "kante0", "filter": "udp port 11211",
                                                  "packets": 1, "seconds": 60})
        self.refused(409, "CN=admin", {"port": "kante0"}, self.node.local())
        self.ask_by_udp()
        self.assertEqual(len(capture.end().times), 1)

    def test_each_is_written_down(self):
        wishes = {"port": "kante0", "filter": "tcp port 11211", "packets": 4, "seconds": 60}
        capture = Capture(self.node, self.admin, wishes)
        self.talk()
        capture.end()
        begun, ended = Capture.begun(self.node)[-1], self.ends()[-1]
        for line in (begun, ended):
            self.assertEqual((line["kind"], line["target"], line["role"]),
                             ("read", "kante0", "admin"))
            self.assertIn("CN=admin", line["who"])
            self.assertEqual(line["after"]["filter"], "tcp port 11211")
        self.assertEqual(begun["after"]["packets"], 4)
        self.assertEqual((ended["after"]["packets"], ended["after"]["dropped"]), (4, 0))
        self.assertGreater(ended["after"]["bytes"], 4 * 60)

    def kante(self, *words, **options):
        return cli.kante("capture", "--node", self.node.socket_path, *words, **options)

    def start(self, *words, **options):
        """The command, once it captures."""
        begun = len(Capture.begun(self.node))
        process = subprocess.Popen([cli.KANTE, "capture", "--node", str(self.node.socket_path),
                                    "--port", "kante0", "--filter", "tcp port 11211",
                                    *map(str, words)], env=cli.CLEAN, stderr=subprocess.PIPE,
                                   **options)
        self.addCleanup(process.communicate)
        self.addCleanup(rig.kill, process)
        rig.wait_until(lambda: len(Capture.begun(self.node)) > begun, 10, "it has begun")
        return process

    def test_the_command_writes_a_new_file(self):
        with cli.folder() as folder:
            path = pathlib.Path(folder) / "a.pcapng"
            process = self.start("--packets", "3", "--out", path, "--seconds", "60")
            self.talk()
            self.assertEqual(process.wait(20), 0)
            self.assertEqual(process.stderr.read(), b"kante capture: 3 packets\n")
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            data = path.read_bytes()
            self.assertEqual(File(data).statistics["written"], 3)
            done = self.kante("--port", "1", "--out", path)
            self.assertEqual(done.returncode, 3)
            self.assertIn("there already", done.stderr)
            self.assertEqual(path.read_bytes(), data)
            done = self.kante("--port", "kante0", "--out", f"{folder}/b", "--filter", "tcp prot")
            self.assertEqual(done.returncode, 1)
            self.assertIn("syntax error", done.stderr)
            self.assertFalse(pathlib.Path(f"{folder}/b").exists())

    def test_ctrl_c_leaves_a_whole_file(self):
        with cli.folder() as folder:
            path = pathlib.Path(folder) / "a.pcapng"
            process = self.start("--out", path, "--seconds", "3600")
            self.talk()
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(20), 0)
            file = File(path.read_bytes())
            self.assertEqual(process.stderr.read().decode(),
                             f"kante capture: {len(file.times)} packets\n")
            self.assertIsNone(file.statistics)

    def test_what_comes_can_be_read_at_once(self):
        process = self.start("--out", "-", "--seconds", "3600", stdout=subprocess.PIPE)
        with subprocess.Popen(["tcpdump", "-nn", "-l", "-r", "-", "-c", "2"],
                              stdin=process.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as tcpdump:
            process.stdout.close()
            self.talk()
            lines = tcpdump.communicate(timeout=20)[0].decode()
        self.assertRegex(lines, rf"> {SERVER}\.11211: Flags \[S\]")
        # it ends when nobody reads any more
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            self.talk()
        self.assertEqual(process.returncode, -signal.SIGPIPE)

    def test_what_cannot_be_written_is_told(self):
        with open("/dev/full", "wb") as full:
            process = self.start("--out", "-", "--packets", "1", stdout=full)
        self.talk()
        self.assertEqual(process.wait(20), 3)
        self.assertIn(b"No space left", process.stderr.read())

    def test_wrong_arguments_are_told(self):
        for words, fragment in (
                ((), "say by --port"), (("--port", "kante0"), "say by --out"),
                (("--port", "kante0", "--out", "-", "--json"), "leave it out"),
                (("--port", "kante0", "--out", "-", "--packets", "many"), "no number"),
                (("--port", "kante0", "--out", "-", "--packets", "-1"), "no number"),
                (("--port", "kante0", "--out", "-", "--filter", b"\xff"), "not UTF-8")):
            command = [cli.KANTE, "capture", "--node", str(self.node.socket_path), *words]
            done = subprocess.run(command, env=cli.CLEAN, capture_output=True, check=False)
            self.assertEqual(done.returncode, 3, words)
            self.assertIn(fragment, done.stderr.decode())
        done = self.kante("--port", "eth7", "--out", "-")
        self.assertEqual(done.returncode, 1)
        self.assertIn("name one of 1 (kante0)", done.stderr)

    def memory_kb(self):
        status = pathlib.Path(f"/proc/{self.node.control_pid()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def test_who_does_not_read_is_told_what_he_has_not_got(self):
        value = "set big 0 0 100000\r\n" + 100000 * "x" + "\r\n"
        self.assertIn("STORED", self.talk(value + "quit\r\n"))
        before_kb = self.memory_kb()
        files = []

        def read(unix):
            response = http.client.HTTPResponse(unix, method="POST")
            response.begin()
            files.append(File(response.read()))

        # more than what may wait for him, and what the kernel holds
        with self.begin_and_read_nothing(2500) as unix:
            for _ in range(60):
                self.talk("get big\r\nquit\r\n")
            if rig.BUILD.name == "build":
                self.assertLess(self.memory_kb() - before_kb, 8 * BEHIND_BYTES_MAX // 1024)
            reader = threading.Thread(target=read, args=(unix,))
            reader.start()
            deadline = time.monotonic() + 60
            while reader.is_alive() and time.monotonic() < deadline:
                self.talk("get big\r\nquit\r\n")
            reader.join(1)
        (file,) = files
        statistics = file.statistics
        self.assertGreater(statistics["behind"], 0)
        self.assertEqual(statistics["written"], 2500)
        self.assertEqual(statistics["accepted"], statistics["behind"] + statistics["written"])
        self.assertEqual(file.dropped, statistics["behind"] + statistics["missed"])
        self.assertEqual(self.ends()[-1]["after"]["dropped"], file.dropped)
        self.assertEqual(len(file.times), 2500)
        self.assertTrue(file.tcpdump())

    def test_it_ends_with_the_control_process(self):
        unix = self.begin_and_read_nothing()
        os.kill(self.node.control_pid(), signal.SIGKILL)
        self.node.log_has("was ended by signal 9", 30)
        rig.wait_until(self.node.control_pid, 30, "it has been begun again")

        def serves():
            try:
                return self.node.local().get("/healthz").status == 200
            except OSError:
                return False

        rig.wait_until(serves, 30, "it serves")

        def copied():
            figures = self.node.local().get("/v1/counters").json["counters"]
            return sum(one["value"] for one in figures
                       if (one["module"], one["name"]) == ("capture", "frames"))

        unix.close()
        count = copied()
        self.talk()
        self.assertEqual(copied(), count)


class Xdp(Kind, unittest.TestCase):
    kind = "xdp"


class Memif(Kind, unittest.TestCase):
    kind = "memif"


if __name__ == "__main__":
    unittest.main()
