# SPDX-License-Identifier: Apache-2.0
"""Hot keys over an xdp port: answered by the XDP program, as the worker would, and never with what
was there before a write. The client's end of the veth has an XDP program too, which passes all:
without one the kernel drops what comes by XDP_TX."""
import contextlib
import pathlib
import re
import socket
import struct
import tempfile
import time
import unittest

import rig

HEAD = "udp_rate_max: 0\nhot_rate_min: 200\n"
ID = b"\x12\x34\0\0\0\1\0\0"
PASS_ALL = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int pass_all(struct xdp_md *context) { return XDP_PASS; }
char license_text[] SEC("license") = "Apache-2.0";
"""


def pass_all(namespace, interface):
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "pass.c"), pathlib.Path(folder, "pass.o")
        source.write_text(PASS_ALL)
        architecture = rig.run("gcc", "-print-multiarch").stdout.strip()
        rig.run("clang", "-O2", "-g", "-target", "bpf", "-I", f"/usr/include/{architecture}",
                "-c", str(source), "-o", str(program))
        namespace.run("ip", "link", "set", interface, "xdp", "obj", str(program), "sec", "xdp")


@contextlib.contextmanager
def served(head=HEAD, **options):
    with rig.served("xdp", head=head, **options) as served:
        pass_all(served.client, "veth1")
        served.client.run("ip", "addr", "add", "fd00:198::1/64", "dev", "veth1", "nodad")
        yield served


class Client:
    """By UDP, and by TCP for what UDP does not take."""

    def __init__(self, served, address=None):
        address = address or served.address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp = rig.socket_in(served.client, family, socket.SOCK_DGRAM)
        self.udp.settimeout(5)
        self.udp.connect((address, 11211))
        self.tcp = rig.socket_in(served.client)
        self.tcp.settimeout(5)
        self.tcp.connect((served.address, 11211))
        self.served = served

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.close()
        self.tcp.close()

    def ask(self, request):
        self.udp.send(ID + request)
        reply = self.udp.recv(2000)
        assert reply[:8] == ID, reply
        return reply[8:]

    def tell(self, request, end=b"\r\n"):
        self.tcp.sendall(request)
        reply = b""
        while not reply.endswith(end):
            part = self.tcp.recv(65536)
            assert part, reply
            reply += part
        return reply

    def stats(self, what=b"kante"):
        reply = self.tell(b"stats " + what + b"\r\n" if what else b"stats\r\n", b"END\r\n")
        return {name.decode(): value.decode()
                for name, value in re.findall(rb"STAT (\S+) (.*?)\r\n", reply)}

    def answered(self):
        stats = self.stats()
        return sum(int(stats[f"port0:answered_{what}"]) for what in ("text", "meta", "binary"))

    def heat(self, key):
        """Asks until the XDP program answers, whose counters are read once a second."""
        end = time.monotonic() + 20
        before = self.answered()
        while self.answered() == before:
            assert time.monotonic() < end, self.stats()
            for _ in range(1000):
                self.ask(b"get %s\r\n" % key)


    def heat_all(self, keys):
        """Asks for these, which nobody else may be, until XDP is to answer all."""
        def are_hot():
            for key in keys * 250:
                self.ask(b"get %s\r\n" % key)
            return self.stats()["hot:keys"] == str(len(keys))

        rig.wait_until(are_hot, 30, "they are hot")


def binary(opcode, key):
    return (b"\x80" + bytes([opcode]) + len(key).to_bytes(2, "big") + bytes(4) +
            len(key).to_bytes(4, "big") + b"opaq" + bytes(8) + key)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tagged(to_mac, from_mac, payload):
    """A frame of VLAN 42 that has an IPv4 header and a UDP header without a checksum."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0,
                     socket.inet_aton("198.18.0.1"), socket.inet_aton("198.18.0.2"))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    udp = struct.pack("!HHHH", 40000, 11211, 8 + len(payload), 0)
    return to_mac + from_mac + b"\x81\0\0\x2a\x08\0" + ip + udp + payload


class Hot(unittest.TestCase):
    def test_it_is_answered_as_by_the_worker(self):
        requests = [b"get hot\r\n", b"gets hot\r\n", b"mg hot v f t s k c q Oabc\r\n", b"mg hot\r\n",
                    binary(0x00, b"hot"), binary(0x09, b"hot"), binary(0x0c, b"hot"),
                    binary(0x0d, b"hot")]
        with served() as node:
            for family, address in (("4", "198.18.0.2"), ("6", "fd00:198::2")):
                with Client(node, address) as client:
                    client.tell(b"set hot 77 0 11\r\nhello world\r\n")
                    by_worker = [client.ask(one) for one in requests]
                    client.heat(b"hot")
                    time.sleep(1.1)
                    before, gets = client.answered(), int(client.stats(b"")["get_hits"])
                    for _ in range(100):
                        for request, expected in zip(requests, by_worker):
                            self.assertEqual(client.ask(request), expected, family)
                    time.sleep(1.1)
                    self.assertEqual(client.answered() - before, 100 * len(requests))
                    self.assertEqual(int(client.stats(b"")["get_hits"]) - gets,
                                     100 * len(requests))
                    self.assertEqual(client.tell(b"delete hot\r\n"), b"DELETED\r\n")
                    self.assertEqual(client.ask(b"get hot\r\n"), b"END\r\n")

    def test_with_a_vlan_tag(self):
        """The kernel here has no VLANs: frames as they are."""
        with served() as node, Client(node) as client:
            mac = bytes.fromhex(node.host.run(
                "cat", "/sys/class/net/veth0/address").stdout.strip().replace(":", ""))
            client.tell(b"set hot 0 0 1\r\nx\r\n")
            client.heat(b"hot")
            time.sleep(1.1)
            before = client.answered()
            with rig.socket_in(node.client, socket.AF_PACKET, socket.SOCK_RAW) as raw:
                raw.bind(("veth1", 3))  # all that comes
                raw.settimeout(5)
                raw.send(tagged(mac, raw.getsockname()[4], ID + b"get hot\r\n"))
                frame = b""
                while b"VALUE" not in frame:  # ours is there too
                    frame = raw.recv(2000)
            self.assertTrue(frame.endswith(b"VALUE hot 0 1\r\nx\r\nEND\r\n"), frame)
            time.sleep(1.1)
            self.assertEqual(client.answered() - before, 1)

    def test_every_kind_of_write_is_seen_at_once(self):
        writes = [b"set hot 0 0 3\r\nabc\r\n", b"append hot 0 0 1\r\nd\r\n",
                  b"prepend hot 0 0 1\r\n5\r\n", b"set hot 0 0 2\r\n41\r\n", b"incr hot 1\r\n",
                  b"decr hot 7\r\n", b"replace hot 9 0 1\r\nr\r\n", b"touch hot 100\r\n",
                  b"gat 200 hot\r\n", b"mg hot T300 v\r\n", b"ms hot 2 T0 F5\r\nms\r\n",
                  b"md hot x\r\n", b"delete hot\r\n", b"add hot 0 0 1\r\na\r\n", b"flush_all\r\n",
                  b"set hot 0 0 3\r\nabc\r\n", b"purge prefix ho\r\n", b"set hot 0 100 3\r\nabc\r\n"]
        with served() as node, Client(node) as client:
            client.tell(b"set hot 0 0 1\r\n0\r\n")
            client.heat(b"hot")
            before = client.answered()
            for _ in range(20):
                for write in writes:
                    client.tell(write, b"END\r\n" if write.startswith(b"gat") else b"\r\n")
                    # by TCP, where nothing but the worker answers
                    truth = client.tell(b"get hot\r\n", b"END\r\n")
                    for _ in range(3):
                        self.assertEqual(client.ask(b"get hot\r\n"), truth, write)
                    truth = client.tell(b"mg hot f s c\r\n")
                    self.assertEqual(client.ask(b"mg hot f s c\r\n"), truth, write)
                    time.sleep(0.015)  # it is shown again
                    for _ in range(3):
                        self.assertEqual(client.ask(b"mg hot f s c\r\n"), truth, write)
            time.sleep(1.1)
            self.assertGreater(client.answered() - before, 20 * len(writes))

    def test_it_expires_to_the_second(self):
        with served() as node, Client(node) as client:
            client.tell(b"set hot 0 0 1\r\n0\r\n")
            client.heat(b"hot")
            for _ in range(3):
                client.tell(b"set hot 0 2 1\r\n0\r\n")
                end = time.monotonic() + 2.1
                while time.monotonic() < end:
                    # the worker's word is newer by a moment
                    by_program = client.ask(b"mg hot t\r\n")
                    by_worker = client.tell(b"mg hot t\r\n")
                    if by_program != by_worker:
                        self.assertEqual(client.ask(b"mg hot t\r\n"), by_worker)

    def test_it_cools_down(self):
        with served() as node, Client(node) as client:
            client.tell(b"set hot 0 0 1\r\n0\r\n")
            client.heat(b"hot")
            self.assertEqual(client.stats()["hot:keys"], "1")

            def has_gone():
                for number in range(1500):  # so much that each second is looked at
                    client.ask(b"get cold%d\r\n" % (number % 100))
                return client.stats()["hot:demotions"] == "1"

            rig.wait_until(has_gone, 40, "it has gone")
            before = client.answered()
            for _ in range(50):
                client.ask(b"get hot\r\n")
            time.sleep(1.1)
            self.assertEqual(client.answered(), before)


if __name__ == "__main__":
    unittest.main()
