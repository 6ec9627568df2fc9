# SPDX-License-Identifier: Apache-2.0
"""memccapable, which tries all commands of both protocols byte by byte, on every kind of port."""
import re
import unittest

import rig

COUNT = 54  # things it tries: 27 in text, 27 in binary
# It takes 5 s and more, and no server can help it: it sends a request in pieces and leaves Nagle's
# algorithm on, so that a hundred times a piece waits for a delayed acknowledgement.


class Memccapable(unittest.TestCase):
    def try_all(self, kind):
        with rig.served(kind) as served:
            done = served.client.run("memccapable", "-h", served.address, "-p", "11211", "-t", "3",
                                     check=False)
            said = dict(re.findall(r"^(\S.*\S)\s+\[(\w+)\]$", done.stdout, re.M))
            self.assertEqual({name: what for name, what in said.items() if what != "pass"}, {})
            self.assertEqual(len(said), COUNT, done.stdout + done.stderr)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_socket(self):
        self.try_all("socket")

    def test_tap(self):
        self.try_all("tap")

    def test_memif(self):
        self.try_all("memif")

    def test_xdp(self):
        self.try_all("xdp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
