# SPDX-License-Identifier: Apache-2.0
"""Every kind of port serves real clients, IPv4 and IPv6, and leaves nothing behind."""
import os
import pathlib
import re
import tempfile
import unittest

import rig

CONFIG_HEAD = "memory: 1GiB\nmax_connections: 2000\n"
ADDRESSES = ("198.18.0.2", "fd00:198::2")


def serve_everybody(test, client_namespace, addresses):
    """The work that every kind of port has to do."""
    for address in addresses:
        client_namespace.run(rig.PYTHON, str(pathlib.Path(__file__).parent / "clients.py"),
                             address, "11211")
        report = rig.load(client_namespace, address, "--connections", "1000", "--requests",
                          str(rig.OPERATIONS), "--value-size", "0-1048576", "--keys", "2000",
                          "--set-percent", "30")
        print(f"\n{test.id()} {address}\n{report}", end="")


class SocketPort(unittest.TestCase):
    def test_serves_and_stops(self):
        with rig.namespaces(1) as (host,):
            config = CONFIG_HEAD + ('ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'
                                    '  - {kind: socket, listen: "[::1]:11211"}\n')
            with rig.Kanted(config, host) as kanted:
                serve_everybody(self, host, ("127.0.0.1", "::1"))
                self.assertEqual(kanted.stop(), 0, kanted.log())


class TapPort(unittest.TestCase):
    CONFIG = CONFIG_HEAD + """ports:
  - kind: tap
    name: kante0
    addresses: [198.18.0.2/24, "fd00:198::2/64"]
    tcp: 11211
    udp: 11211
    allow: [198.18.0.0/24, "fd00:198::/64"]
  - {kind: socket, listen: "127.0.0.1:11211"}
"""

    def test_serves_and_leaves_no_interface(self):
        with rig.namespaces(1) as (host,):
            with rig.Kanted(self.CONFIG, host) as kanted:
                host.run("ip", "link", "set", "kante0", "up")
                host.run("ip", "addr", "add", "198.18.0.1/24", "dev", "kante0")
                host.run("ip", "-6", "addr", "add", "fd00:198::1/64", "dev", "kante0", "nodad")
                host.run("ping", "-c", "3", "-i", "0.2", "198.18.0.2")
                host.run("ping", "-c", "3", "-i", "0.2", "fd00:198::2")
                serve_everybody(self, host, ADDRESSES)
                rig.load(host, "198.18.0.2", "--udp", "--connections", "16", "--requests",
                         "20000", "--value-size", "0-1000", "--populate", "--keys", "1000")
                counters = rig.stats(host, "127.0.0.1")
                self.assertGreater(counters["tcp:accepted"], 2000)
                self.assertGreater(counters["datagram:udp_requests"], 1000)
                self.assertEqual(counters["port0:link_up"], 1)
                for address, ours, theirs, tcp in (
                        ("198.18.0.2", "tcp:198.18.0.2", "tcp:198.18.0.1", True),
                        ("fd00:198::2", "tcp6:\\[fd00:198::2]", "tcp6:\\[fd00:198::1]", True),
                        ("127.0.0.1", "tcp:127.0.0.1", "tcp:127.0.0.1", False)):
                    shown = rig.talk(host, address, "stats conns\r\nquit\r\n")
                    self.assertRegex(shown, f"STAT (\\d+):addr {theirs}:\\d+\n"
                                            f"STAT \\1:listen_addr {ours}:11211\n"
                                            "STAT \\1:state conn_read\n"
                                            "STAT \\1:secs_since_last_cmd 0\n")
                    # of kernel sockets the kernel knows more
                    self.assertEqual(":tcp established recovery=none mss=14" in shown, tcp)
                    self.assertTrue(shown.endswith("END\n"))
                self.assertEqual(kanted.stop(), 0, kanted.log())
            self.assertNotIn("kante0", host.links())

    def test_eight_ports_at_once_are_listed_each(self):
        ports = "".join(f"  - {{kind: tap, name: kante{i}, addresses: [198.18.{i}.2/24], "
                        "tcp: 11211, allow: any}\n" for i in range(7))
        with rig.namespaces(1) as (host,):
            with rig.Kanted(f'ports:\n{ports}  - {{kind: socket, listen: "127.0.0.1:11211"}}\n',
                            host):
                groups = {name.partition(":")[0] for name in rig.stats(host, "127.0.0.1")}
                self.assertLessEqual({f"{kind}{i}" for kind in ("net", "port") for i in range(7)},
                                     groups)

    def test_one_connection_too_many_is_told_so(self):
        config = self.CONFIG.replace("max_connections: 2000", "max_connections: 2")
        with rig.namespaces(1) as (host,), rig.Kanted(config, host) as kanted:
            host.run("ip", "link", "set", "kante0", "up")
            host.run("ip", "addr", "add", "198.18.0.1/24", "dev", "kante0")
            script = str(pathlib.Path(__file__).parent / "too_many.py")
            # the limit is over both carriers together
            host.run(rig.PYTHON, script, "2", "198.18.0.2", "127.0.0.1")
            self.assertEqual(kanted.stop(), 0, kanted.log())


class XdpPort(unittest.TestCase):
    CONFIG = CONFIG_HEAD + ("ports:\n  - {kind: xdp, interface: veth0, tcp: 11211, udp: 11211, "
                            "allow: any}\n")

    def test_serves_beside_the_kernel_and_leaves_no_program(self):
        with rig.namespaces(2) as (host, client):
            rig.veth(host, "veth0", client, "veth1")
            for namespace, name, last in ((host, "veth0", 2), (client, "veth1", 1)):
                namespace.run("ip", "addr", "add", f"198.18.0.{last}/24", "dev", name)
                namespace.run("ip", "-6", "addr", "add", f"fd00:198::{last}/64", "dev", name,
                              "nodad")
            with rig.Kanted(self.CONFIG, host) as kanted:
                self.assertRegex(host.run("ip", "link", "show", "veth0").stdout, "xdp")
                client.run("ping", "-c", "3", "-i", "0.2", "198.18.0.2")
                serve_everybody(self, client, ADDRESSES)
                counters = rig.stats(client, "198.18.0.2")
                self.assertGreater(counters["port0:redirected_tcp"], rig.OPERATIONS)
                self.assertGreater(counters["port0:passed_protocol"], 0)  # the pings
                self.assertIn("segments cut by kernel", kanted.log())
                self.assertEqual(counters["port0:transmit_drops"], 0)
                self.assertEqual(kanted.stop(), 0, kanted.log())
            self.assertIsNone(re.search("xdp", host.run("ip", "link", "show", "veth0").stdout))


class MemifPort(unittest.TestCase):
    NETWORKS = (("198.18.1.1", "198.18.1.2"), ("fd00:198:1::1", "fd00:198:1::2"))

    def test_serves_clients_one_after_the_other_and_leaves_no_socket(self):
        with tempfile.TemporaryDirectory() as folder, rig.namespaces(1) as (host,):
            path = f"{folder}/memif.sock"
            config = CONFIG_HEAD + f"""workers: [{os.cpu_count() - 1}]
ports:
  - kind: memif
    socket: {path}
    addresses: [198.18.1.2/24, "fd00:198:1::2/64"]
    tcp: 11211
    udp: 11211
    allow: any
  - {{kind: socket, listen: "127.0.0.1:11211"}}
"""
            with rig.Kanted(config, host) as kanted:
                for local, remote in self.NETWORKS:
                    report = rig.load_memif(
                        path, local, remote, "--connections", "1000", "--requests",
                        str(rig.OPERATIONS), "--value-size", "0-1048576", "--keys", "2000",
                        "--set-percent", "30")
                    print(f"\n{self.id()} {remote}\n{report}", end="")
                    rig.load_memif(path, local, remote, "--udp", "--connections", "16",
                                   "--requests", "20000", "--value-size", "0-1000", "--populate",
                                   "--keys", "1000")
                counters = rig.stats(host, "127.0.0.1")
                self.assertGreater(counters["tcp:accepted"], 2000)
                self.assertGreater(counters["datagram:udp_requests"], 2000)
                rig.wait_until(lambda: rig.stats(host, "127.0.0.1")["port0:link_up"] == 0, 5,
                               "the last client has left")
                self.assertEqual(kanted.stop(), 0, kanted.log())
            self.assertFalse(os.path.exists(path))

    def test_a_client_that_cannot_be_served_is_told_why(self):
        def refused(*options):
            return rig.run(rig.LOAD, *options, check=False).stderr

        with tempfile.TemporaryDirectory() as folder:
            to = ("--local", "198.18.1.1", "--remote", "198.18.1.2:11211")
            self.assertIn("start the server first", refused("--memif", f"{folder}/none", *to))
            self.assertIn("need --local", refused("--memif", f"{folder}/none"))
            self.assertIn("both be IPv4", refused("--memif", "x", "--local", "::1", *to[2:]))
            self.assertIn("only one of", refused("--memif", "x", "--socket", "y:1"))
            # no device of the machine's own is ever probed
            self.assertIn("virtual device", refused("--device", "0000:00:00.0", *to))
            self.assertIn("ADDRESS:PORT", refused("--memif", "x", *to[:2], "--remote", "1.2.3.4"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
