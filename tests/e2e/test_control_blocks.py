# SPDX-License-Identifier: Apache-2.0
"""Sources on the block list are not served, whatever happens to the processes; all others are."""
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
import urllib.parse

import control
import rig

BLOCKED, OTHER = "127.0.0.2", "127.0.0.3"
UNTIL_SERVED_SECONDS = 10


def path_of(prefix):
    return "/v1/blocks/" + urllib.parse.quote(prefix, safe="")


class Rig(unittest.TestCase):
    """A node whose clients have the addresses that they choose to have."""

    ports = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211", udp: 11211}\n'

    def setUp(self):
        self.stack = control.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        (self.host,) = self.stack.enter_context(rig.namespaces(1))

    def begin(self, **options):
        self.node = self.stack.enter_context(
            control.Node(self.host, "workers: 2\n", ports=self.ports, **options))
        self.client = self.node.local()
        return self.node

    # clients of the cache

    def connect(self, source):
        tcp = rig.socket_in(self.host)
        self.addCleanup(tcp.close)
        tcp.settimeout(5)
        tcp.bind((source, 0))
        tcp.connect(("127.0.0.1", 11211))
        return tcp

    def answers(self, tcp):
        """Whether the cache does, on a connection that is open: it may end it, or be silent."""
        try:
            tcp.sendall(b"version\r\n")
            return tcp.recv(100).startswith(b"VERSION")
        except (ConnectionError, TimeoutError):
            return False

    def serves(self, source):
        try:
            tcp = self.connect(source)
        except (ConnectionError, TimeoutError):
            return False
        with tcp:
            return self.answers(tcp)

    def comes_to_serve(self, is_served, *sources):
        """From each worker's next turn on: on a machine that is busy that may be a while."""
        for source in sources:
            rig.wait_until(lambda: self.serves(source) == is_served, 5,
                           f"{source} is {'' if is_served else 'not '}served")

    def serves_udp(self, source, seconds=5):
        with rig.socket_in(self.host, kind=socket.SOCK_DGRAM) as udp:
            udp.settimeout(seconds)
            udp.bind((source, 0))
            udp.connect(("127.0.0.1", 11211))
            udp.send(struct.pack("!4H", 7, 0, 1, 0) + b"get nothing\r\n")
            try:
                return udp.recv(100)[8:] == b"END\r\n"
            except TimeoutError:
                return False

    # who manages them

    def ask(self, status, method, path, body=None):
        reply = self.client.ask(method, path, body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def add(self, *prefixes, **more):
        return self.ask(200, "POST", "/v1/blocks", {"prefixes": prefixes, **more})

    def remove(self, prefix):
        return self.ask(200, "DELETE", path_of(prefix))

    def refused(self, status, said, method, path, body=None):
        self.assertIn(said, self.ask(status, method, path, body)["error"])

    def listed(self):
        return [blocked["prefix"] for blocked in self.ask(200, "GET", "/v1/blocks")["blocks"]]

    def audit(self, action):
        return [line for line in self.node.audit() if line["action"] == action]

    def counter(self, name):
        (value,) = [counter["value"] for counter in self.ask(200, "GET", "/v1/counters")["counters"]
                    if counter["module"] == "admin" and counter["name"] == name]
        return value


class Sources(Rig):
    def setUp(self):
        super().setUp()
        self.begin()

    def test_who_is_blocked_is_not_served_and_others_are(self):
        held, other = self.connect(BLOCKED), self.connect(OTHER)
        self.assertTrue(self.answers(held) and self.answers(other))
        self.assertTrue(self.serves_udp(BLOCKED) and self.serves_udp(OTHER))
        self.assertEqual(self.add(BLOCKED), {"added": 1, "changed": 0})
        # new ones are not let in; those that are open end
        self.comes_to_serve(False, BLOCKED)
        rig.wait_until(lambda: not self.serves_udp(BLOCKED, 1), 5, "nothing comes by UDP")
        held.settimeout(UNTIL_SERVED_SECONDS)
        try:
            self.assertEqual(held.recv(100), b"")
        except ConnectionError:
            pass
        self.assertTrue(self.answers(other))
        self.assertTrue(self.serves(OTHER))
        self.assertTrue(self.serves_udp(OTHER))
        self.assertEqual(self.remove(BLOCKED), {"prefix": BLOCKED, "state": "removed"})
        self.comes_to_serve(True, BLOCKED)
        rig.wait_until(lambda: self.serves_udp(BLOCKED, 1), 5, "UDP is answered again")
        self.assertTrue(self.answers(other))

    def test_a_network_has_all_of_its_addresses_in_it(self):
        self.add("127.0.0.8/29", "127.0.1.0/24")
        for source, is_served in (("127.0.0.7", True), ("127.0.0.8", False), ("127.0.0.15", False),
                                  ("127.0.0.16", True), ("127.0.1.255", False),
                                  ("127.0.2.0", True)):
            self.comes_to_serve(is_served, source)
        # one within another: the one that is left holds
        self.add("127.0.0.9")
        self.remove("127.0.0.8/29")
        self.comes_to_serve(True, "127.0.0.8", "127.0.0.10")
        self.comes_to_serve(False, "127.0.0.9")
        self.remove("127.0.0.9")
        self.comes_to_serve(True, "127.0.0.9")

    def test_load_of_others_goes_on_without_an_error(self):
        load = subprocess.Popen(
            self.host.command(rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "8",
                              "--seconds", "4"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        while load.poll() is None:
            self.add(BLOCKED, "fd00::/64")
            self.remove(BLOCKED)
        self.assertEqual(load.returncode, 0, load.communicate()[0])

    def test_it_expires_by_itself_within_a_second_or_two(self):
        now = int(time.time())
        self.add(BLOCKED, expires=now + 3, reason="a scan")
        self.add(OTHER)
        (blocked, other) = self.ask(200, "GET", "/v1/blocks")["blocks"]
        self.assertEqual((blocked["prefix"], blocked["reason"]), (BLOCKED, "a scan"))
        self.assertEqual(blocked["expires"],
                         time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 3)))
        self.assertIsNone(other["expires"])
        self.comes_to_serve(False, BLOCKED, OTHER)
        rig.wait_until(lambda: self.serves(BLOCKED), now + 6 - time.time(), "it has expired")
        self.assertGreaterEqual(time.time(), now + 3)
        self.assertEqual(self.listed(), [OTHER])
        self.assertFalse(self.serves(OTHER))
        (line,) = self.audit("block.expire")
        self.assertEqual((line["kind"], line["before"]),
                         ("change", {"count": 1, "prefixes": [BLOCKED]}))
        self.assertNotIn("who", line)
        self.assertEqual((self.counter("blocks"), self.counter("blocks_expired")), (1, 1))
        # one that is put there again stays as long as was said last
        expires = int(time.time()) + 3
        self.add(BLOCKED, expires=expires)
        self.assertEqual(self.add(BLOCKED), {"added": 0, "changed": 1})
        time.sleep(expires + 1.5 - time.time())
        self.assertFalse(self.serves(BLOCKED))

    def test_ten_thousand_are_blocked_at_once(self):
        many = [f"10.{i // 256}.{i % 256}.0/25" for i in range(10000)]
        begun = time.monotonic()
        self.assertEqual(self.add(*many, BLOCKED), {"added": 10001, "changed": 0})
        self.assertLess(time.monotonic() - begun, 5)
        self.comes_to_serve(False, BLOCKED)
        self.assertTrue(self.serves(OTHER))
        self.assertEqual(self.listed(), many + [BLOCKED])
        self.assertEqual(self.counter("blocks"), 10001)
        after = self.audit("block.add")[-1]["after"]
        self.assertEqual((after["count"], after["prefixes"]), (10001, many[:256]))
        self.refused(409, "16384 can be blocked", "POST", "/v1/blocks",
                     {"prefixes": [f"2001:db8:{i:x}::/48" for i in range(6384)]})
        self.assertEqual(self.add(*(f"2001:db8:{i:x}::/48" for i in range(6383)))["added"], 6383)
        self.assertEqual(self.counter("blocks"), 16384)
        self.assertFalse(self.serves(BLOCKED))
        self.remove(BLOCKED)
        self.comes_to_serve(True, BLOCKED)

    def test_changes_at_the_same_time_all_count(self):
        def add(i):
            reply = self.node.local().ask("POST", "/v1/blocks", {"prefixes": [f"127.0.3.{i}"]})
            replies.append(reply.status)

        replies = []
        threads = [threading.Thread(target=add, args=(i,)) for i in range(1, 25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(replies, [200] * 24)
        self.assertEqual(len(self.listed()), 24)
        self.comes_to_serve(False, *(f"127.0.3.{i}" for i in range(1, 25)))


class Elsewhere(Rig):
    def test_it_concerns_neither_the_admin_api_nor_unix_sockets(self):
        path = pathlib.Path(self.stack.enter_context(rig.tempfile.TemporaryDirectory())) / "cache"
        self.ports += f"  - {{kind: socket, listen: {path}, mode: 0700}}\n"
        self.begin()
        self.client = self.node.as_admin()  # from 127.0.0.1
        self.add("127.0.0.0/8")
        self.comes_to_serve(False, "127.0.0.1")
        self.assertEqual(self.listed(), ["127.0.0.0/8"])
        with socket.socket(socket.AF_UNIX) as unix:
            unix.settimeout(5)
            unix.connect(str(path))
            unix.sendall(b"version\r\n")
            self.assertTrue(unix.recv(100).startswith(b"VERSION"))
        self.remove("127.0.0.0/8")
        self.comes_to_serve(True, "127.0.0.1")


class Asked(Rig):
    def setUp(self):
        super().setUp()
        self.begin()

    def test_the_list_says_who_and_why(self):
        self.client = self.node.https(bearer=self.node.key("operator", "ops"))
        self.assertEqual(self.add("FD00::/64", "10.0.0.1/32", "10.0.0.0/8", "10.0.0.1",
                                  "::ffff:9.0.0.0/104", reason="hosts of a \u201ebotnet\u201c"),
                         {"added": 4, "changed": 0})
        blocks = self.ask(200, "GET", "/v1/blocks")["blocks"]
        self.assertEqual([blocked["prefix"] for blocked in blocks],
                         ["9.0.0.0/8", "10.0.0.0/8", "10.0.0.1", "fd00::/64"])
        for blocked in blocks:
            self.assertEqual((blocked["by"], blocked["reason"], blocked["expires"]),
                             ("ops", "hosts of a \u201ebotnet\u201c", None))
            self.assertRegex(blocked["created"], r"^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.client = self.node.local()
        self.assertEqual(self.add("10.0.0.1", "10.0.0.2"), {"added": 1, "changed": 1})
        by = {blocked["prefix"]: (blocked["by"], blocked["reason"])
              for blocked in self.ask(200, "GET", "/v1/blocks")["blocks"]}
        self.assertEqual(by["10.0.0.1"], ("uid 0 (root)", ""))
        self.assertEqual(by["10.0.0.0/8"][0], "ops")

    def test_each_change_is_in_the_audit_log(self):
        expires = int(time.time()) + 1000
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        self.add("10.0.0.1", expires=expires, reason="a scan")
        self.add("10.0.0.1", "10.0.0.2")
        self.remove("10.0.0.1")
        self.refused(404, "not on the list", "DELETE", path_of("10.0.0.1"))
        first, second = self.audit("block.add")
        self.assertEqual((first["kind"], first["result"], first["target"], first["who"]),
                         ("change", "ok", "10.0.0.1", "uid 0 (root)"))
        self.assertNotIn("before", first)
        self.assertEqual(first["after"], {"count": 1, "prefixes": ["10.0.0.1"], "expires": text,
                                          "reason": "a scan"})
        self.assertNotIn("target", second)
        self.assertEqual(second["before"]["count"], 1)
        self.assertEqual([(one["prefix"], one["expires"], one["reason"])
                          for one in second["before"]["blocks"]], [("10.0.0.1", text, "a scan")])
        self.assertEqual(second["after"], {"count": 2, "prefixes": ["10.0.0.1", "10.0.0.2"],
                                           "expires": None, "reason": ""})
        good, bad = self.audit("block.remove")
        self.assertEqual((good["target"], good["before"]["prefix"], good["result"]),
                         ("10.0.0.1", "10.0.0.1", "ok"))
        self.assertEqual((bad["target"], bad["result"]), ("10.0.0.1", "failed"))

    def test_what_is_wrong_is_refused_and_named_and_nothing_is_blocked(self):
        for prefixes, said in (
                (["10.0.0.1", "198.18.0.2/24"], "prefixes[1]: \"198.18.0.2/24\" has bits beyond its "
                                                "length: did you mean 198.18.0.0/24?"),
                (["fd00::1/64"], "did you mean fd00::/64?"), (["::/0"], "would block everybody"),
                (["10.0.0.1", "0.0.0.0/0"], "0.0.0.0/0 has every IPv4 address in it"),
                (["::/64"], "would block everybody"), (["a host"], "\"a host\" is no network"),
                ([""], "is no network"), (["10.0.0.1", 1], "prefixes[1] is no text"),
                ([None], "prefixes[0] is no text"), ([], "no list that has any"),
                ("10.0.0.1", "no list that has any"), ({}, "no list that has any")):
            with self.subTest(prefixes):
                self.refused(400, said, "POST", "/v1/blocks", {"prefixes": prefixes})
        for more, said in (({"expires": 1}, "would expire in the past"),
                           ({"expires": int(time.time())}, "would expire in the past"),
                           ({"expires": 253402300800}, "after the year 9999"),
                           ({"expires": -1}, "below 0"), ({"expires": "1h"}, "Expected integer"),
                           ({"reason": "x" * 128}, "up to 127 bytes"),
                           ({"reason": "a\nb"}, "control characters"), ({"reason": 1}, "string"),
                           ({"x": 1}, "x")):
            with self.subTest(more):
                self.refused(400, said, "POST", "/v1/blocks", {"prefixes": ["10.0.0.1"], **more})
        self.refused(400, "no body", "POST", "/v1/blocks")
        self.refused(400, "prefixes", "POST", "/v1/blocks", {})
        self.assertEqual(self.listed(), [])

    def test_what_is_not_on_the_list_is_told_with_what_is(self):
        self.add("198.18.0.0/24", "fd00::1", "fd00::2")
        for prefix, status, said in (
                ("10.0.0.1", 404, "10.0.0.1 is not on the list: see the list"),
                ("198.18.0.7", 404, "but it is in 198.18.0.0/24, which is: remove that"),
                ("198.18.0.0/16", 404, "but 198.18.0.0/24 in it is: remove that"),
                ("fd00::/64", 404, "but fd00::1 and 1 more in it are: remove those"),
                ("::/0", 404, "but 198.18.0.0/24 and 2 more in it are: remove those"),
                ("198.18.0.7/24", 400, "did you mean 198.18.0.0/24?"),
                ("nonsense", 400, "is no network or address")):
            with self.subTest(prefix):
                self.refused(status, said, "DELETE", path_of(prefix))
        self.assertEqual(self.listed(), ["198.18.0.0/24", "fd00::1", "fd00::2"])
        self.assertEqual(self.remove("198.18.0.0/24")["prefix"], "198.18.0.0/24")
        self.assertEqual(self.remove("FD00:0::1/128")["prefix"], "fd00::1")
        self.assertEqual(self.listed(), ["fd00::2"])

    def test_who_may_look_may_not_change(self):
        local = self.client
        for role, status in (("viewer", 403), ("operator", 200), ("admin", 200)):
            self.client = self.node.https(bearer=self.node.key(role))
            self.assertEqual(self.listed(), [])
            self.ask(status, "POST", "/v1/blocks", {"prefixes": [BLOCKED]})
            self.comes_to_serve(status == 403, BLOCKED)
            self.ask(status, "DELETE", path_of(BLOCKED))
            self.comes_to_serve(True, BLOCKED)
        self.client = local
        self.assertEqual({line["action"] for line in self.node.audit()
                          if line["kind"] == "refusal"},
                         {"POST /v1/blocks", "DELETE /v1/blocks/{prefix}"})


class Restarts(Rig):
    def again(self):
        """kanted anew, with the same files."""
        with open(self.node.log_path, "w", encoding="utf-8") as log:
            self.node.process = subprocess.Popen(
                self.host.command(rig.KANTED, "-c", str(self.node.path)), stdout=log, stderr=log)

    def test_the_list_outlives_the_control_process(self):
        self.begin()
        self.add(BLOCKED)
        self.comes_to_serve(False, BLOCKED)
        pid = self.node.control_pid()
        os.kill(pid, signal.SIGKILL)
        self.node.log_has("control process was ended by signal 9")
        self.assertFalse(self.serves(BLOCKED))
        self.assertTrue(self.serves(OTHER))

        def is_there():
            try:
                return self.client.get("/healthz").status == 200
            except (ConnectionError, FileNotFoundError):
                return False

        rig.wait_until(lambda: self.node.control_pid() not in (None, pid) and is_there(), 20,
                       "it runs again")
        self.assertFalse(self.serves(BLOCKED))
        self.assertEqual(self.listed(), [BLOCKED])
        self.remove(BLOCKED)
        self.comes_to_serve(True, BLOCKED)

    def test_nobody_gets_in_by_a_restart(self):
        self.begin()
        self.add(BLOCKED, expires=int(time.time()) + 1000)
        expires = int(time.time()) + 3
        self.add("127.0.0.4", expires=expires)
        self.assertEqual(self.node.stop(), 0)
        time.sleep(max(expires + 1 - time.time(), 0))
        self.again()
        served = []
        while "ready" not in self.node.log():
            self.assertIsNone(self.node.process.poll(), self.node.log())
            served.append(self.serves(BLOCKED))
        self.node.wait_ready()
        served += [self.serves(BLOCKED) for _ in range(20)]
        self.assertNotIn(True, served)
        self.assertTrue(self.serves(OTHER))
        self.assertEqual(self.listed(), [BLOCKED])
        # what has expired meanwhile is not blocked for a moment
        self.assertTrue(self.serves("127.0.0.4"))
        self.assertEqual(self.audit("block.expire")[-1]["before"],
                         {"count": 1, "prefixes": ["127.0.0.4"]})
        self.remove(BLOCKED)
        self.comes_to_serve(True, BLOCKED)

    def test_a_faulty_file_stops_the_start_with_its_line(self):
        self.begin()
        self.add(BLOCKED)
        self.assertEqual(self.node.stop(), 0)
        path = self.node.admin / "blocks.json"
        good = path.read_text()
        path.write_text(good.replace(BLOCKED, "127.0.0.2/8"))
        self.again()
        self.assertNotEqual(self.node.process.wait(rig.START_SECONDS), 0)
        self.assertRegex(self.node.log(), r"blocks\.json:2: its prefix is no network or address: "
                                          "put a copy back")
        path.write_text(good)
        self.again()
        self.node.wait_ready()
        self.assertFalse(self.serves(BLOCKED))


class Silence(Rig):
    def setUp(self):
        super().setUp()
        self.begin()

    def test_a_change_that_kanted_does_not_hear_of_counts_when_it_does(self):
        replies = []

        def add(prefix):
            reply = self.node.local().ask("POST", "/v1/blocks", {"prefixes": [prefix]})
            replies.append((reply.status, reply.json.get("error")))

        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        try:
            threads = [threading.Thread(target=add, args=(prefix,)) for prefix in (BLOCKED, OTHER)]
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertLess(time.monotonic() - begun, 9)
            self.node.log_has("the block list has changed, but kanted does not answer")
            self.assertEqual(self.listed(), [BLOCKED, OTHER])
        finally:
            os.kill(self.node.kanted_pid(), signal.SIGCONT)
        self.assertEqual(replies, [(503, (
            "the list is written down, but kanted does not answer the control process: it counts "
            "when that does; see its log"))] * 2)
        rig.wait_until(lambda: not self.serves(BLOCKED) and not self.serves(OTHER), 15,
                       "it counts")
        self.node.log_has("kanted goes by the block list again", 15)
        self.assertEqual(len(re.findall("the block list has changed", self.node.log())), 1)
        self.assertEqual(self.ask(200, "GET", "/readyz")["reasons"], [])

    def test_a_client_that_goes_is_forgotten(self):
        body = json.dumps({"prefixes": [BLOCKED]}).encode()
        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        try:
            for _ in range(3):
                with self.client.open_socket() as unix:
                    unix.sendall(b"POST /v1/blocks HTTP/1.1\r\nHost: node\r\nContent-Type: "
                                 b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    rig.wait_until(lambda: self.listed() == [BLOCKED], 5, "it is written down")
        finally:
            os.kill(self.node.kanted_pid(), signal.SIGCONT)
        rig.wait_until(lambda: not self.serves(BLOCKED), 15, "it counts")
        self.remove(BLOCKED)
        self.comes_to_serve(True, BLOCKED)

    def test_a_list_that_is_cut_off_lets_nobody_in(self):
        many = [f"10.{i // 256}.{i % 256}.0/25" for i in range(16000)]  # more than a socket holds
        self.add(BLOCKED)
        self.comes_to_serve(False, BLOCKED)
        pid = self.node.control_pid()
        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        with self.client.open_socket() as unix:
            body = json.dumps({"prefixes": many}).encode()
            unix.sendall(b"POST /v1/blocks HTTP/1.1\r\nHost: node\r\nContent-Type: "
                         b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            rig.wait_until(lambda: len(self.listed()) == 16001, 5, "it is written down")
            time.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
        os.kill(self.node.kanted_pid(), signal.SIGCONT)
        served = []

        def is_there():
            served.append(self.serves(BLOCKED))
            try:
                return len(self.listed()) == 16001
            except (ConnectionError, FileNotFoundError):
                return False

        rig.wait_until(is_there, 20, "the next control process is there")
        self.assertNotIn(True, served)
        self.assertFalse(self.serves(BLOCKED))

    def test_it_ends_while_a_client_waits(self):
        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        with self.client.open_socket() as unix:
            body = json.dumps({"prefixes": [BLOCKED]}).encode()
            unix.sendall(b"POST /v1/blocks HTTP/1.1\r\nHost: node\r\nContent-Type: "
                         b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            rig.wait_until(lambda: self.listed() == [BLOCKED], 5, "it is written down")
            pid = self.node.control_pid()
            os.kill(pid, signal.SIGTERM)
            rig.wait_until(lambda: self.node.audit()[-1]["action"] == "audit.stopped", 10,
                           "it has ended in good order")
        os.kill(self.node.kanted_pid(), signal.SIGCONT)
        rig.wait_until(lambda: not self.serves(BLOCKED), 20, "the next one has kanted go by it")


if __name__ == "__main__":
    unittest.main()
