# SPDX-License-Identifier: Apache-2.0
"""An xdp port on a device that has several queues, a worker each: a virtual machine's, whose driver
has native XDP, under Debian's kernel."""
import re
import time
import unittest

import rig
import vm
from test_hot import HEAD, Client

CONFIG = (HEAD + "memory: 64MiB\nworkers: 2\n"
          "ports:\n  - {kind: xdp, interface: eth0, tcp: 11211, udp: 11211, allow: any}\n")


class Queues(unittest.TestCase):
    def test_queues_that_the_driver_adds_are_noticed(self):
        with rig.namespaces(1) as (host,), vm.XdpMachine(host, 4) as machine:
            machine.write_config(CONFIG)
            status, said = machine.run("kanted -c /kante.yaml", check=False)
            self.assertEqual(status, 1, said)
            self.assertIn("its driver has added queues for XDP, and frames come by all 4, but "
                          "workers are there for 2", said)
            # nor are they there without the program
            self.assertEqual(machine.run("ethtool -l eth0")[1].split()[-1], "2")
            host.run("ping", "-c", "1", "-W", "5", "198.18.0.2")

    def test_each_queue_is_served_and_hot_keys_are_answered(self):
        with rig.namespaces(1) as (host,), vm.XdpMachine(host, 2) as machine:
            machine.write_config(CONFIG.replace("workers: 2", "workers: 1"))
            status, said = machine.run("kanted -c /kante.yaml", check=False)
            self.assertEqual(status, 1, said)
            self.assertIn("needs more workers: 1 workers, but the device has 2 receive queues: use "
                          "more workers, or `ethtool -L eth0 combined 1`", said)
            machine.write_config(CONFIG)
            machine.kanted_start()
            self.assertIn("xdp eth0: net_af_xdp native, 2 queues", machine.log())
            for protocol in ((), ("--udp",)):
                rig.load(host, "198.18.0.2", *protocol, "--connections", "16", "--requests", "200",
                         "--value-size", "0-1000", "--populate", "--keys", "50")
            packets = re.findall(r"rx_queue_[01]_packets: (\d+)",
                                 machine.run("ethtool -S eth0")[1])
            self.assertGreater(min(map(int, packets)), 100, packets)
            with Client(rig.Served(None, None, host, "198.18.0.2", None)) as client:
                keys = [b"hot%d" % number for number in range(8)]  # not of one worker alone
                for key in keys:
                    client.tell(b"set %s 0 0 5\r\nvalue\r\n" % key)
                client.heat_all(keys)
                time.sleep(2.1)  # they are shown, and all answers counted
                before = client.answered()
                for key in keys:
                    for _ in range(100):
                        self.assertEqual(client.ask(b"get %s\r\n" % key),
                                         b"VALUE %s 0 5\r\nvalue\r\nEND\r\n" % key)
                time.sleep(2.1)
                self.assertEqual(client.answered() - before, 100 * len(keys))
                for key in keys:
                    client.tell(b"set %s 0 0 3\r\nnew\r\n" % key)
                    self.assertEqual(client.ask(b"get %s\r\n" % key),
                                     b"VALUE %s 0 3\r\nnew\r\nEND\r\n" % key)
            self.assertEqual(machine.kanted_stop(), 0, machine.log())
            # the kernel has its interface back
            machine.kanted_start()
            machine.run("kill -KILL $kanted; ! wait $kanted")
            host.run("ping", "-c", "1", "-W", "5", "198.18.0.2")
            self.assertEqual(machine.power_off(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
