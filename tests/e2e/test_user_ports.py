# SPDX-License-Identifier: Apache-2.0
"""On every kind of port kanted serves without a privilege, and leaves nothing behind at its end."""
import contextlib
import pathlib
import unittest

import rig
from users import HEAD, GROUP, UID, USER, UserTest


class Ports(UserTest):
    @contextlib.contextmanager
    def serve(self, kind, thread_count):
        with rig.served(kind, HEAD, user=(USER, UID, GROUP)) as served:
            pid = served.kanted.process.pid
            self.assertGreaterEqual(len(rig.threads(pid)), thread_count)
            self.has_no_privilege(pid)
            rig.load(served.client, served.address, "--connections", "20", "--requests", "5000",
                     "--value-size", "0-100000", "--keys", "200", "--set-percent", "30")
            rig.load(served.client, served.address, "--udp", "--connections", "4", "--requests",
                     "1000", "--value-size", "0-1000", "--populate", "--keys", "100")
            # workers take precedence on their cores, as without a user
            self.assertEqual(len(rig.workers(pid)), 1)
            yield served
            self.assertEqual(served.kanted.stop(), 0, served.kanted.log())

    def test_socket(self):
        with self.serve("socket", 2):
            pass

    def test_tap(self):
        with self.serve("tap", 3) as served:
            counters = rig.stats(served.client, served.address)
            self.assertEqual(counters["port0:link_up"], 1)
            served.kanted.stop()
            self.assertNotIn("kante0", served.host.links())

    def test_xdp(self):
        def shown():
            return served.host.run("ip", "link", "show", "veth0").stdout

        with self.serve("xdp", 3) as served:
            self.assertIn("xdp", shown())
            # the program's map is read once a second
            rig.wait_until(lambda: rig.stats(served.client, served.address)[
                "port0:redirected_tcp"] > 5000, 5, "the map is read")
            served.kanted.stop()
            self.assertNotIn("xdp", shown())

    def test_memif(self):
        with self.serve("memif", 4) as served:
            path = pathlib.Path(served.kanted.path.read_text().split("socket: ")[1].split(",")[0])
            self.assertEqual(path.stat().st_uid, UID)
            served.kanted.stop()
            self.assertFalse(path.exists())


if __name__ == "__main__":
    unittest.main()
