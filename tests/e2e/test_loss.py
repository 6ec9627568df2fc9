# SPDX-License-Identifier: Apache-2.0
"""A Linux client over a link that loses and doubles frames."""
import re
import unittest

import rig

CONFIG = """memory: 256MiB
ports:
  - {kind: xdp, interface: veth0, tcp: 11211, allow: any}
"""
RULES = """table netdev kante_{table} {{
  chain from_{name} {{
    type filter hook ingress device {name} priority 0;
    numgen random mod 100 < 3 counter drop
    numgen random mod 100 < 1 counter dup to {other}
  }}
}}
"""


class Loss(unittest.TestCase):
    def test_values_come_back_whole_and_no_connection_is_lost(self):
        with rig.namespaces(3) as (host, middle, client):
            rig.veth(host, "veth0", middle, "to-host")
            rig.veth(client, "veth1", middle, "to-client")
            middle.run("ip", "link", "add", "bridge", "type", "bridge")
            for name in ("to-host", "to-client"):
                middle.run("ip", "link", "set", name, "master", "bridge")
            middle.run("ip", "link", "set", "bridge", "up")
            host.run("ip", "addr", "add", "198.18.0.2/24", "dev", "veth0")
            client.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")
            with rig.Kanted(CONFIG, host) as kanted:
                client.run("ping", "-c", "2", "-i", "0.2", "198.18.0.2")
                for name, other in (("to-host", "to-client"), ("to-client", "to-host")):
                    middle.run("nft", RULES.format(name=name, other=other,
                                                   table=name.replace("-", "_")))
                # kante-load fails on any wrong byte and any lost connection
                report = rig.load(client, "198.18.0.2", "--connections", "20", "--requests",
                                  "1000", "--value-size", "1048576", "--keys", "50",
                                  "--set-percent", "50", timeout=600)
                print(f"\n{self.id()}\n{report}", end="")
                # each way, frames really were lost and really were doubled
                hit = re.findall(r"counter packets (\d+)", middle.run("nft", "list",
                                                                      "ruleset").stdout)
                self.assertEqual(len(hit), 4)
                for packets in hit:
                    self.assertGreater(int(packets), 1000)
                counters = rig.stats(client, "198.18.0.2")
                self.assertGreater(counters["tcp:retransmitted"], 0)
                self.assertGreater(counters["tcp:out_of_order"], 0)
                self.assertEqual(counters["tcp:timed_out"], 0)
                self.assertEqual(kanted.stop(), 0, kanted.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
