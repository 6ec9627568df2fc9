# SPDX-License-Identifier: Apache-2.0
"""A pci port serves real clients through DPDK's drivers, behind an IOMMU: kanted in a virtual
machine, the clients at the other end of its NIC."""
import pathlib
import re
import unittest

import rig
import vm

CLIENTS = str(pathlib.Path(__file__).parent / "clients.py")
# bytes of a value, requests
LOADS = (("1", 2000), ("1000-70000", 1000), ("1048576", 60))
# counters of frames that came to harm
HARM = re.compile(r"(port0:(transmit_drops|receive_errors)|(net0|tcp):\w*bad\w*|tcp:timed_out)$")


class PciPort(unittest.TestCase):
    def serve(self, nic, driver, checksums_received_by, segments_cut_by):
        with rig.namespaces(1) as (host,), vm.Machine(host, nic) as machine:
            self.refuse(machine)
            machine.bind()
            machine.reserve_hugepages()
            machine.write_config(vm.CONFIG)
            machine.kanted_start()
            self.assertRegex(machine.log(),
                             f"pci {vm.DEVICE}: {driver}, 1 queue, hugepages, MTU 1500, .*"
                             f"checksums received by {checksums_received_by}, sent by device, "
                             f"segments cut by {segments_cut_by}, "
                             "large values sent from the store")
            self.serve_everybody(host)
            status, said = machine.run("kanted -c /kante.yaml", check=False)
            self.assertEqual(status, 1, said)
            self.assertIn("another process has it", said)
            self.assertEqual(machine.kanted_stop(), 0, machine.log())
            self.assertTrue(machine.log().endswith("stopping on signal 15\n"), machine.log())
            # neither an end nor a death spoils the device for the next
            machine.kanted_start()
            machine.run("kill -KILL $kanted; ! wait $kanted")
            self.serve_as_somebody(host, machine)
            machine.kanted_start()
            self.ping(host)
            self.assertEqual(machine.kanted_stop(), 0, machine.log())
            self.assertEqual(machine.power_off(), 0)

    def serve_as_somebody(self, host, machine):
        """All that has to do with the device, its end too, needs no privilege."""
        machine.run("mkdir -p /etc && echo 'kante:x:998:998::/:/bin/false' >/etc/passwd")
        machine.write_config("user: kante\n" + vm.CONFIG)
        machine.kanted_start()
        self.ping(host)
        rig.load(host, vm.ADDRESSES[0], "--connections", "4", "--requests", "200", "--value-size",
                 "1-200000", "--keys", "20", "--set-percent", "50")
        said = machine.run("cat /proc/$kanted/task/*/status")[1]
        found = set(re.findall(r"^(Uid|Cap(?:Prm|Eff|Bnd)):\s+(\w+)", said, re.M))
        self.assertEqual(found, {("Uid", "998"), *((f"Cap{name}", "0" * 16)
                                                   for name in ("Prm", "Eff", "Bnd"))})
        self.assertEqual(machine.kanted_stop(), 0, machine.log())

    def refuse(self, machine):
        """What an operator has not done yet is said, before anything is touched."""
        for device, fragment in (("0000:00:09.0", "no such device"),
                                 (vm.DEVICE, f"dpdk-devbind.py --bind=vfio-pci {vm.DEVICE}")):
            machine.write_config(vm.CONFIG.replace(vm.DEVICE, device))
            status, said = machine.run("kanted -c /kante.yaml", check=False)
            self.assertEqual(status, 1, said)
            self.assertIn(f"port pci {device}: ", said)
            self.assertIn(fragment, said)
            self.assertEqual(len(said.splitlines()), 1, said)

    def ping(self, host):
        """With packets as large as can be; until then the addresses are probed for."""
        for address, data_bytes in zip(vm.ADDRESSES, ("1472", "1452")):
            host.run("ping", "-c", "3", "-i", "0.2", "-w", "10", "-s", data_bytes, address)

    def serve_everybody(self, host):
        self.ping(host)
        for address in vm.ADDRESSES:
            host.run(rig.PYTHON, CLIENTS, address, "11211")
            for value_bytes, requests in LOADS:
                rig.load(host, address, "--connections", "16", "--requests", str(requests),
                         "--value-size", value_bytes, "--keys", "20", "--set-percent", "30",
                         "--populate", "--misses-are-errors")
            rig.load(host, address, "--udp", "--connections", "16", "--requests", "2000",
                     "--value-size", "0-1000", "--keys", "1000", "--populate")
        counters = rig.stats(host, vm.ADDRESSES[0])
        self.assertEqual({name: count for name, count in counters.items()
                          if HARM.match(name) and count > 0}, {})
        self.assertGreater(counters["tcp:accepted"], 100)
        self.assertGreater(counters["datagram:udp_replies"], 3000)
        self.assertGreater(counters["net0:nd_replies_sent"], 0)
        self.assertEqual(counters["port0:link_up"], 1)
        # nor has the kernel got a wrong sum
        sums = re.findall(r"(\w+InCsumErrors) +(\d+)", host.run("nstat", "-asz").stdout)
        self.assertGreater(len(sums), 3)
        self.assertEqual([(name, count) for name, count in sums if count != "0"], [])

    def test_virtio(self):
        self.serve("virtio-net-pci", "net_virtio", "software", "device")

    def test_e1000e(self):
        self.serve("e1000e", "net_e1000_em", "device", "software")

    def test_vmxnet3(self):
        self.serve("vmxnet3", "net_vmxnet3", "software", "device")


if __name__ == "__main__":
    unittest.main(verbosity=2)
