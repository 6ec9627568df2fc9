# SPDX-License-Identifier: Apache-2.0
"""The XDP program of a port as an operator sees it: where hot keys are answered, what becomes of
the port when somebody takes the program off or kanted is killed, and that the interface is the
kernel's for everything else."""
import contextlib
import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import cli
import rig
from users import GROUP, UID, USER
from test_hot import HEAD, ID, Client, pass_all, served

# bpf(2)
SYS_BPF = 321
BPF_OBJ_GET_INFO_BY_FD, BPF_LINK_GET_FD_BY_ID, BPF_LINK_GET_NEXT_ID, BPF_LINK_DETACH = 15, 30, 31, 34
BPF_LINK_TYPE_XDP = 6
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """The attributes as they are afterwards, and what it returns; None: it failed."""
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = LIBC.syscall(SYS_BPF, command, buffer, 128)
    return None if result < 0 else (buffer.raw, result)


def links_of(program_id):
    """Descriptors of the links that hold it."""
    link = 0
    while (found := bpf(BPF_LINK_GET_NEXT_ID, struct.pack("=I", link))) is not None:
        link, = struct.unpack_from("=I", found[0], 4)
        _, descriptor = bpf(BPF_LINK_GET_FD_BY_ID, struct.pack("=I", link))
        info = ctypes.create_string_buffer(128)
        bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, 128, ctypes.addressof(info)))
        kind, _, held = struct.unpack_from("=III", info.raw)
        if kind == BPF_LINK_TYPE_XDP and held == program_id:
            yield descriptor
        os.close(descriptor)


def program(node):
    """The line about the XDP program that is on veth0, "" when there is none."""
    lines = node.host.run("ip", "-d", "link", "show", "veth0").stdout.splitlines()
    return " ".join(line.strip() for line in lines if "prog/xdp" in line)


def take_off(node):
    """What `bpftool link detach` does to the XDP program of veth0."""
    count = 0
    for descriptor in links_of(int(re.search(r"prog/xdp id (\d+)", program(node))[1])):
        assert bpf(BPF_LINK_DETACH, struct.pack("=I", descriptor)) is not None
        count += 1
    assert count == 1, count


@contextlib.contextmanager
def operated(more_ports="", user=None):
    """With an admin socket."""
    with tempfile.TemporaryDirectory(prefix="kante-admin-") as folder:
        if user is not None:
            os.chmod(folder, 0o755)
            os.chown(folder, user[1], user[1])
        head = f"admin: {{directory: {folder}/admin, socket: {folder}/s}}\n" + HEAD
        if user is not None:
            head += f"user: {user[0]}\n"
        with served(head=head, more_ports=more_ports, user=user) as node:
            node.socket_path = pathlib.Path(folder, "s")
            yield node


def kante(node, *words):
    return cli.kante(*words, "--node", node.socket_path)


class Shown(unittest.TestCase):
    def test_status_and_hot_say_who_answers_hot_keys(self):
        more = ("  - {kind: tap, name: kante1, addresses: [198.19.0.2/24], tcp: 11212, allow: any}\n"
                '  - {kind: socket, listen: "127.0.0.1:11213", allow: any}\n')
        with operated(more) as node, Client(node) as client:
            shown = kante(node, "status").stdout
            self.assertRegex(shown, r"(?m)^port +xdp veth0: hot keys by xdp \(native\)$")
            for port in ("tap kante1", "socket 127.0.0.1"):
                self.assertRegex(shown, rf"(?m)^port +{port}.*: hot keys by workers \(only a port "
                                        r"of the kind xdp has an XDP program\)$")
            client.tell(b"set hot 0 0 1\r\nx\r\n")
            client.heat(b"hot")

            def told():
                client.ask(b"get hot\r\n")
                shown = kante(node, "hot").stdout.splitlines()
                return len(shown) == 2 and shown[1].endswith(" %")

            rig.wait_until(told, 20, "it is answered by XDP")


class Blocked(unittest.TestCase):
    def test_the_program_drops_what_the_list_has_and_nothing_else(self):
        many = [f"10.{i // 256}.{i % 256}.0/25" for i in range(9998)]
        with operated() as node, Client(node) as client:
            for address in ("198.18.0.3/24", "fd00:198::3/64"):
                node.client.run("ip", "addr", "add", address, "dev", "veth1", "nodad")
            client.tell(b"set hot 0 0 1\r\nx\r\n")
            client.heat(b"hot")
            self.assertEqual(cli.kante("block", "add", "-", "--node", node.socket_path, input="\n".join(
                [*many, "198.18.0.3", "fd00:198::3"])).returncode, 0)
            with contextlib.ExitStack() as stack:
                blocked = []
                for source, to in (("198.18.0.3", node.address), ("fd00:198::3", "fd00:198::2")):
                    family = socket.AF_INET6 if ":" in to else socket.AF_INET
                    blocked.append(stack.enter_context(
                        rig.socket_in(node.client, family, socket.SOCK_DGRAM)))
                    blocked[-1].setblocking(False)
                    blocked[-1].bind((source, 0))
                    blocked[-1].connect((to, 11211))
                for _ in range(500):
                    for one in blocked:
                        one.send(ID + b"get hot\r\n")
                    self.assertEqual(client.ask(b"get hot\r\n"), b"VALUE hot 0 1\r\nx\r\nEND\r\n")
                for one in blocked:
                    self.assertRaises(BlockingIOError, one.recv, 100)
                rig.wait_until(lambda: client.stats()["port0:dropped_blocked"] == "1000", 3,
                               "all are counted")
                self.assertEqual(kante(node, "block", "remove", "198.18.0.3").returncode, 0)
                blocked[0].settimeout(5)
                blocked[0].send(ID + b"get hot\r\n")
                self.assertIn(b"VALUE hot", blocked[0].recv(100))


class BusyPoll(unittest.TestCase):
    def test_a_worker_that_polls_the_card_serves_as_well(self):
        with served(port_options=", busy_poll: 64") as node:
            for protocol in ((), ("--udp",)):
                rig.load(node.client, node.address, *protocol, "--connections", "8", "--requests",
                         "20000", "--value-size", "0-1000", "--populate", "--keys", "100")
            with Client(node) as client:
                client.tell(b"set hot 0 0 1\r\nx\r\n")
                client.heat(b"hot")


class TakenOff(unittest.TestCase):
    def check_it_is_put_back(self, user):
        with operated(user=user) as node, Client(node) as client:
            client.tell(b"set hot 0 0 1\r\nx\r\n")
            client.heat(b"hot")
            # what an operator would try is refused by the kernel
            self.assertIn("Can't replace active BPF XDP link", node.host.run(
                "ip", "link", "set", "dev", "veth0", "xdp", "off", check=False).stderr)
            time.sleep(1.1)  # all answers are counted
            for count in range(1, 4):
                take_off(node)
                end = time.monotonic() + 1
                while not program(node):
                    self.assertLess(time.monotonic(), end)
                with Client(node) as other:
                    before = other.answered()
                    for _ in range(500):
                        self.assertEqual(other.ask(b"get hot\r\n"), b"VALUE hot 0 1\r\nx\r\nEND\r\n")
                    rig.wait_until(lambda: other.answered() - before >= 500, 3, "by XDP")
                    self.assertEqual(other.stats()["port0:xdp_detachments"], str(count))
                    self.assertEqual(other.stats()["port0:xdp_detached"], "0")
            self.assertEqual(node.kanted.log().count(
                "port xdp veth0: somebody has taken the XDP program off: it is attached again"), 3)
            self.assertEqual(kante(node, "status").returncode, 0)

    def test_it_is_put_back(self):
        self.check_it_is_put_back(None)

    def test_it_is_put_back_without_privileges(self):
        self.check_it_is_put_back((USER, UID, GROUP))

    def test_another_ones_program_in_its_place_is_told(self):
        with operated() as node:
            for _ in range(20):
                take_off(node)
                try:
                    pass_all(node.host, "veth0")
                    break
                except AssertionError:  # kanted was faster
                    rig.wait_until(lambda: program(node), 2, "it is back")
            rig.wait_until(lambda: kante(node, "status").returncode == 1, 5, "there is an alarm")
            status = kante(node, "status").stdout
            self.assertRegex(status, r"(?m)^port +xdp veth0: hot keys by nobody \(another XDP program")
            self.assertRegex(status, r"(?m)^alarm +the XDP program of veth0 is off, nobody is served")
            rig.wait_until(lambda: re.search(r"xdp_detached +1 ", kante(
                node, "stats", "xdp_detached").stdout), 3, "the counter says it")
            node.host.run("ip", "link", "set", "dev", "veth0", "xdp", "off")
            rig.wait_until(lambda: kante(node, "status").returncode == 0, 5, "it is back")
            with Client(node) as client:
                self.assertEqual(client.ask(b"get nothing\r\n"), b"END\r\n")
            self.assertIn("somebody had taken the XDP program off: it is attached again",
                          node.kanted.log())


class Generic(unittest.TestCase):
    def test_where_the_driver_has_no_xdp_it_is_generic_and_as_right(self):
        """A macvlan has none."""
        with contextlib.ExitStack() as stack:
            host, client = stack.enter_context(rig.namespaces(2))
            rig.veth(host, "veth0", client, "veth1")
            for words in (("link", "add", "link", "veth0", "name", "slow0", "type", "macvlan",
                           "mode", "bridge"), ("link", "set", "slow0", "up"),
                          ("addr", "add", "198.18.0.2/24", "dev", "slow0")):
                host.run("ip", *words)
            # else the interface below tells its own address
            host.run("sysctl", "-q", "net.ipv4.conf.veth0.arp_ignore=1")
            client.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")
            kanted = stack.enter_context(rig.Kanted(
                HEAD + "ports:\n  - {kind: xdp, interface: slow0, tcp: 11211, udp: 11211, "
                       "allow: any}\n", host))
            self.assertIn("generic (slow: its driver has no XDP)", kanted.log())
            node = rig.Served(kanted, host, client, "198.18.0.2", "198.18.0.2")
            with Client(node) as talker:
                talker.tell(b"set hot 0 0 6\r\n100000\r\n")
                talker.heat(b"hot")
                before = talker.answered()
                for number in range(100001, 100200):
                    talker.tell(b"incr hot 1\r\n")
                    for _ in range(30):
                        self.assertEqual(talker.ask(b"get hot\r\n"),
                                         b"VALUE hot 0 6\r\n%d\r\nEND\r\n" % number)
                    time.sleep(.005)
                time.sleep(1.1)
                self.assertGreater(talker.answered() - before, 300)
            self.assertEqual(kanted.stop(), 0)


def count_bytes(connection, ret_counts):
    got = 0
    while data := connection.recv(1 << 16):
        got += len(data)
    ret_counts.append(got)


class Kernel(unittest.TestCase):
    """What is not the cache's, on the cache's interface."""

    def transfer(self, node, port):
        """40 MB each way between the client and a server in the kernel of kanted's machine."""
        size, counts = 40_000_000, []
        with rig.socket_in(node.host) as listener, rig.socket_in(node.client) as client:
            listener.bind((node.address, port))
            listener.listen()
            client.settimeout(30)
            client.connect((node.address, port))
            server, _ = listener.accept()
            with server:
                ends = []
                for end in (client, server):
                    ends.append(threading.Thread(target=count_bytes, args=(end, counts)))
                    ends.append(threading.Thread(target=lambda end=end: (
                        end.sendall(bytes(size)), end.shutdown(socket.SHUT_WR))))
                for thread in ends:
                    thread.start()
                for thread in ends:
                    thread.join()
        self.assertEqual(counts, [size, size])

    def test_other_traffic_is_undisturbed_and_seen(self):
        with served() as node, Client(node) as client:
            with subprocess.Popen(
                    node.host.command("tcpdump", "-n", "-i", "veth0", "-U", "--immediate-mode",
                                      "tcp port 2222 or icmp or tcp port 11211"),
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tcpdump:
                while "listening on" not in tcpdump.stderr.readline():
                    pass
                seen = []
                reader = threading.Thread(target=lambda: seen.extend(tcpdump.stdout))
                reader.start()
                client.tell(b"set hot 0 0 1\r\nx\r\n")
                client.heat(b"hot")
                before, is_over = client.answered(), threading.Event()

                def ask():
                    while not is_over.is_set():
                        self.assertIn(b"VALUE", client.ask(b"get hot\r\n"))

                asker = threading.Thread(target=ask)
                asker.start()
                self.transfer(node, 2222)
                node.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", node.address)
                is_over.set()
                asker.join()
                tcpdump.terminate()
                reader.join()
            time.sleep(1.1)
            self.assertGreater(client.answered(), before)
            self.assertEqual(client.tell(b"get hot\r\n", b"END\r\n"),
                             b"VALUE hot 0 1\r\nx\r\nEND\r\n")
            text = "".join(seen)
            for there in ("198.18.0.1.*> 198.18.0.2.2222", "198.18.0.2.2222 > 198.18.0.1",
                          "ICMP echo request", "ICMP echo reply"):
                self.assertRegex(text, there)
            # what comes for the cache goes by the kernel
            self.assertNotRegex(text, r"198.18.0.1.\d+ > 198.18.0.2.11211")

    def test_after_a_kill_the_interface_is_the_kernels_at_once(self):
        with served() as node:
            with Client(node) as client:
                client.tell(b"set hot 0 0 1\r\nx\r\n")
                client.heat(b"hot")
            node.kanted.process.kill()
            node.kanted.process.wait()
            self.assertEqual(program(node), "")
            node.client.run("ping", "-c", "1", "-W", "2", node.address)
            self.transfer(node, 11211)
            with rig.Kanted(node.kanted.path.read_text(), node.host) as again:
                with Client(node) as client:
                    self.assertEqual(client.ask(b"get nothing\r\n"), b"END\r\n")
                self.assertEqual(again.stop(), 0)
            # for rig.served(), that looks at how it ends
            node.kanted.stop = lambda: 0


if __name__ == "__main__":
    unittest.main()
