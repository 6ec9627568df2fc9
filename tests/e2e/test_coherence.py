# SPDX-License-Identifier: Apache-2.0
"""What clients read by UDP, answered by the XDP program or by the worker, is never older than the
last acknowledged write: see coherence.c. KANTE_E2E_READS: how many reads, 300,000."""
import os
import re
import time
import unittest

import rig
from test_hot import HEAD, Client, served

COHERENCE = rig.BUILD / "tests/coherence"
READS = int(os.environ.get("KANTE_E2E_READS", "300000"))


def wrong_sums(namespace):
    """Datagrams that the client's kernel has dropped: a reply made of two values would look so."""
    text = namespace.run("cat", "/proc/net/snmp", "/proc/net/snmp6").stdout
    names, values = re.findall(r"^Udp: (.*)$", text, re.M)
    by_name = dict(zip(names.split(), values.split()))
    return int(by_name["InCsumErrors"]) + int(re.search(r"Udp6InCsumErrors\s+(\d+)", text)[1])


class Coherence(unittest.TestCase):
    def check(self, head, address, seed):
        with served(head=head) as node, Client(node) as client:
            keys = [b"hot%d" % number for number in range(4)]  # the program's
            for key in keys:
                client.tell(b"set %s 0 0 1\r\n1\r\n" % key)
            client.heat_all(keys)
            before = client.answered()
            done = rig.run(*node.client.command(COHERENCE, address, str(READS), str(seed)),
                           check=False, timeout=3600)
            time.sleep(1.1)
            by_program = client.answered() - before
            print(f"{done.stdout.strip()}, {by_program} answers by XDP", flush=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            reads, lost = map(int, re.match(r"(\d+) reads, (\d+) without", done.stdout).groups())
            self.assertEqual(wrong_sums(node.client), 0)
            self.assertGreater(by_program, reads // 4)
            self.assertLess(lost, reads // 100)

    def test_ip4(self):
        self.check(HEAD, "198.18.0.2", 1)

    def test_ip6_several_workers(self):
        self.check(HEAD + "workers: 2\n", "fd00:198::2", 2)


if __name__ == "__main__":
    unittest.main()
