# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused at start: one clear message, a status, nothing left behind."""
import pathlib
import tempfile
import unittest

import rig

SOCKET = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'


class Refusals(unittest.TestCase):
    def refused(self, host, config, *fragments, prefix=()):
        """Starts kanted, which must end by itself with a message that holds the fragments."""
        before = host.links()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kante.yaml"
            path.write_text(config)
            pathlib.Path(folder).chmod(0o755)
            done = host.run(*prefix, rig.KANTED, "-c", str(path), check=False, timeout=60)
        self.assertNotEqual(done.returncode, 0, done.stderr)
        self.assertGreater(done.returncode, 0, f"ended by a signal: {done.stderr}")
        for fragment in fragments:
            self.assertIn(fragment, done.stderr)
        self.assertLessEqual(len(done.stderr.splitlines()), 2, done.stderr)
        self.assertEqual(host.links(), before)

    def test_unknown_key(self):
        with rig.namespaces(1) as (host,):
            self.refused(host, "memroy: 64MiB\n" + SOCKET, "kante.yaml:1", "memroy")

    def test_bad_address(self):
        with rig.namespaces(1) as (host,):
            self.refused(host, "ports:\n  - {kind: tap, name: kante0, addresses: [198.18.0/24], "
                         "tcp: 11211, allow: any}\n", "kante.yaml:2", "198.18.0/24")

    def test_missing_interface(self):
        with rig.namespaces(1) as (host,):
            self.refused(host, "ports:\n  - {kind: xdp, interface: veth9, tcp: 11211, allow: any}"
                         "\n", "veth9")

    def test_no_permission(self):
        with rig.namespaces(1) as (host,):
            self.refused(host, "ports:\n  - {kind: tap, name: kante0, addresses: [198.18.0.2/24],"
                         " tcp: 11211, allow: any}\n", "kante0",
                         prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))

    def test_busy_port(self):
        with rig.namespaces(1) as (host,):
            with rig.Kanted(SOCKET, host):
                self.refused(host, SOCKET, "127.0.0.1:11211", "taken")

    def test_too_little_memory(self):
        with rig.namespaces(1) as (host,):
            self.refused(host, "memory: 4MiB\nitem_size_max: 2MiB\n" + SOCKET, "memory")

    def test_no_hugepages_are_only_a_note(self):
        with rig.namespaces(1) as (host,):
            with rig.Kanted(SOCKET, host) as kanted:
                self.assertIn("hugepages", kanted.log())

    def test_check_says_what_is_good(self):
        with rig.namespaces(1) as (host,), tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kante.yaml"
            path.write_text(SOCKET)
            self.assertIn("good", host.run(rig.KANTED, "--check", "-c", str(path)).stdout)
            path.write_text("workers: many\n" + SOCKET)
            done = host.run(rig.KANTED, "--check", "-c", str(path), check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("kante.yaml:1", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
