# SPDX-License-Identifier: Apache-2.0
"""A router behind which packets may only be small: one that says so, and one that does not."""
import unittest

import rig

TAP = """memory: 64MiB
ports:
  - kind: tap
    name: kante0
    addresses: [198.18.0.2/24, "fd00:198::2/64"]
    tcp: 11211
    allow: any
"""
XDP = """memory: 64MiB
ports:
  - {kind: xdp, interface: veth0, tcp: 11211, allow: any}
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


def route(router, client, small_mtu):
    """The router's and the client's side of a link of few bytes that only the router knows of."""
    rig.veth(router, "to-client", client, "to-router")
    router.run("ip", "addr", "add", "198.18.1.1/24", "dev", "to-client")
    router.run("ip", "-6", "addr", "add", "fd00:199::1/64", "dev", "to-client", "nodad")
    client.run("ip", "addr", "add", "198.18.1.2/24", "dev", "to-router")
    client.run("ip", "-6", "addr", "add", "fd00:199::2/64", "dev", "to-router", "nodad")
    # the client itself sends small packets, and says that it takes large ones
    small = ("mtu", str(small_mtu), "advmss")
    client.run("ip", "route", "add", "default", "via", "198.18.1.1", *small, "1460")
    client.run("ip", "-6", "route", "add", "default", "via", "fd00:199::1", *small, "1440")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    router.run("ip", "link", "set", "to-client", "mtu", str(small_mtu))


class PathMtu(unittest.TestCase):
    def ask(self, near, client, kanted, check):
        for address in ADDRESSES:
            before = rig.stats(near, "198.18.0.2")["tcp:path_mtu_lowered"]
            check(client, address)
            counters = rig.stats(near, "198.18.0.2")
            self.assertGreater(counters["tcp:path_mtu_lowered"], before)
            self.assertEqual(counters["tcp:timed_out"], 0)
        self.assertEqual(kanted.stop(), 0, kanted.log())
        return counters

    def serve(self, small_mtu, rules, check):
        """kanted's host is the router."""
        with rig.namespaces(2) as (host, client):
            with rig.Kanted(TAP, host) as kanted:
                host.run("ip", "link", "set", "kante0", "up")
                host.run("ip", "addr", "add", "198.18.0.1/24", "dev", "kante0")
                host.run("ip", "-6", "addr", "add", "fd00:198::1/64", "dev", "kante0", "nodad")
                route(host, client, small_mtu)
                if rules:
                    host.run("nft", rules)
                self.ask(host, client, kanted, check)

    def tell(self, address, report):
        rate = next(line for line in report.splitlines() if line.startswith("requests/s"))
        print(f"\n{self.id()} {address}\n{rate}", end="")

    def check_many(self, client, address):
        report = rig.load(client, address, "--connections", "20", "--requests", "4000",
                          "--value-size", "0-100000", "--keys", "200", "--set-percent", "20")
        self.tell(address, report)

    def test_the_router_says_so(self):
        self.serve(1400, None, self.check_many)

    def test_the_router_says_so_to_several_workers(self):
        """What it says need not come in where the connection is."""
        with rig.namespaces(2) as (host, client):
            with rig.Kanted("workers: 2\n" + TAP, host) as kanted:
                host.run("ip", "link", "set", "kante0", "up")
                host.run("ip", "addr", "add", "198.18.0.1/24", "dev", "kante0")
                host.run("ip", "-6", "addr", "add", "fd00:198::1/64", "dev", "kante0", "nodad")
                route(host, client, 1400)
                counters = self.ask(host, client, kanted, self.check_many)
                self.assertGreater(counters["worker:errors_taken"], 0)

    def test_the_router_says_so_to_an_xdp_port(self):
        """Whose kernel has the rest of ICMP."""
        with rig.namespaces(3) as (host, router, client):
            rig.veth(host, "veth0", router, "to-kanted")
            for namespace, name, last in ((host, "veth0", 2), (router, "to-kanted", 1)):
                namespace.run("ip", "addr", "add", f"198.18.0.{last}/24", "dev", name)
                namespace.run("ip", "-6", "addr", "add", f"fd00:198::{last}/64", "dev", name,
                              "nodad")
            route(router, client, 1400)
            host.run("ip", "route", "add", "default", "via", "198.18.0.1")
            host.run("ip", "-6", "route", "add", "default", "via", "fd00:198::1")
            with rig.Kanted(XDP, host) as kanted:
                counters = self.ask(router, client, kanted, self.check_many)
                self.assertGreater(counters["port0:redirected_icmp"], 20)

    def test_the_router_is_silent(self):
        def check(client, address):
            # each connection has to find out for itself: by three time-outs, in under 2 s
            report = rig.load(client, address, "--connections", "10", "--requests", "200",
                              "--value-size", "20000", "--keys", "10", "--populate")
            self.tell(address, report)

        self.serve(1300, SILENT, check)


if __name__ == "__main__":
    unittest.main(verbosity=2)
