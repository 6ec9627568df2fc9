# SPDX-License-Identifier: Apache-2.0
"""A router behind which packets may only be small: one that says so, and one that does not."""
import unittest

import rig

CONFIG = """memory: 64MiB
ports:
  - kind: tap
    name: kante0
    addresses: [198.18.0.2/24, "fd00:198::2/64"]
    tcp: 11211
    allow: any
"""
SILENT = """table inet silent {
  chain out {
    type filter hook output priority 0;
    icmp type destination-unreachable drop
    icmpv6 type packet-too-big drop
  }
}
"""
ADDRESSES = ("198.18.0.2", "fd00:198::2")


class PathMtu(unittest.TestCase):
    """kanted's host routes to the client, over a link of 1,400 bytes that only it knows of."""

    def serve(self, small_mtu, rules, check):
        with rig.namespaces(2) as (host, client):
            with rig.Kanted(CONFIG, host) as kanted:
                host.run("ip", "link", "set", "kante0", "up")
                host.run("ip", "addr", "add", "198.18.0.1/24", "dev", "kante0")
                host.run("ip", "-6", "addr", "add", "fd00:198::1/64", "dev", "kante0", "nodad")
                rig.veth(host, "to-client", client, "to-host")
                host.run("ip", "addr", "add", "198.18.1.1/24", "dev", "to-client")
                host.run("ip", "-6", "addr", "add", "fd00:199::1/64", "dev", "to-client", "nodad")
                client.run("ip", "addr", "add", "198.18.1.2/24", "dev", "to-host")
                client.run("ip", "-6", "addr", "add", "fd00:199::2/64", "dev", "to-host", "nodad")
                # the client itself sends small packets, and says that it takes large ones
                small = ("mtu", str(small_mtu), "advmss")
                client.run("ip", "route", "add", "default", "via", "198.18.1.1", *small, "1460")
                client.run("ip", "-6", "route", "add", "default", "via", "fd00:199::1", *small,
                           "1440")
                host.run("sysctl", "-qw", "net.ipv4.ip_forward=1",
                         "net.ipv6.conf.all.forwarding=1")
                host.run("ip", "link", "set", "to-client", "mtu", str(small_mtu))
                if rules:
                    host.run("nft", rules)
                for address in ADDRESSES:
                    before = rig.stats(host, "198.18.0.2")["tcp:path_mtu_lowered"]
                    check(client, address)
                    counters = rig.stats(host, "198.18.0.2")
                    self.assertGreater(counters["tcp:path_mtu_lowered"], before)
                    self.assertEqual(counters["tcp:timed_out"], 0)
                self.assertEqual(kanted.stop(), 0, kanted.log())

    def tell(self, address, report):
        rate = next(line for line in report.splitlines() if line.startswith("requests/s"))
        print(f"\n{self.id()} {address}\n{rate}", end="")

    def test_the_router_says_so(self):
        def check(client, address):
            report = rig.load(client, address, "--connections", "20", "--requests", "4000",
                              "--value-size", "0-100000", "--keys", "200", "--set-percent", "20")
            self.tell(address, report)

        self.serve(1400, None, check)

    def test_the_router_is_silent(self):
        def check(client, address):
            # each connection has to find out for itself: by three time-outs, in under 2 s
            report = rig.load(client, address, "--connections", "10", "--requests", "200",
                              "--value-size", "20000", "--keys", "10", "--populate")
            self.tell(address, report)

        self.serve(1300, SILENT, check)


if __name__ == "__main__":
    unittest.main(verbosity=2)
