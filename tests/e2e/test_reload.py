# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: the eviction policy changes while kanted runs, and all else stays as it is."""
import signal
import unittest

import rig

PORTS = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'


class Reload(unittest.TestCase):
    def reload(self, kanted, config, *fragments):
        before = kanted.log().count("\n")
        kanted.path.write_text(config)
        kanted.process.send_signal(signal.SIGHUP)
        rig.wait_until(lambda: kanted.log().count("\n") >= before + len(fragments),
                       rig.START_SECONDS, "kanted has said something")
        lines = kanted.log().splitlines()[before:]
        self.assertEqual(len(lines), len(fragments), lines)
        for line, fragment in zip(lines, fragments):
            self.assertIn(fragment, line)

    def policy(self, host, number):
        rig.wait_until(lambda: rig.stats(host, "127.0.0.1")["store:policy"] == number, 10,
                       f"the policy is {number}")

    def test_the_policy_changes(self):
        with rig.namespaces(1) as (host,), rig.Kanted(PORTS, host) as kanted:
            self.policy(host, 0)
            rig.load(host, "127.0.0.1", "--seconds", "1")
            self.reload(kanted, "eviction: lru\n" + PORTS, "eviction: lru from now on, s3fifo bef")
            self.policy(host, 1)
            self.reload(kanted, "eviction: lru\n" + PORTS, "nothing in it changes what runs")
            self.reload(kanted, "eviction: adaptive\nmemory: 1GiB\n" + PORTS,
                        "memory: 1GiB counts from the next start, it is 64MiB until then",
                        "eviction: adaptive from now on, lru before")
            rig.load(host, "127.0.0.1", "--seconds", "1")
            self.assertGreater(rig.stats(host, "127.0.0.1")["store:shadow_bytes"], 0)
            self.reload(kanted, "eviction: best\n" + PORTS, "\"best\" is not known",
                        "all goes on as before")
            self.reload(kanted, "eviction: adaptive\nclasses: [{name: default, prefix: \"\", "
                        "rate_max: 7}]\n" + PORTS + "  - {kind: socket, listen: /k}\n",
                        "classes[default].rate_max: 7 counts from the next start, it is 0 until",
                        "ports[socket /k]: {kind: socket, listen: /k, mode: 0700, backlog: 4096} "
                        "counts from the next start, it is none until then",
                        "nothing in it changes what runs")
            self.reload(kanted, PORTS, "eviction: s3fifo from now on, adaptive before")
            self.policy(host, 0)
            self.assertEqual(kanted.stop(), 0)


if __name__ == "__main__":
    unittest.main()
