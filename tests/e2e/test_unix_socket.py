# SPDX-License-Identifier: Apache-2.0
"""A port that listens on a Unix socket: who may come in, and what becomes of its file."""
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile
import unittest

import pymemcache

import rig
from test_clients_server import Host


class UnixSocket(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        self.addCleanup(folder.cleanup)
        pathlib.Path(folder.name).chmod(0o755)
        self.path = f"{folder.name}/kante.sock"

    def config(self, more="", **settings):
        lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
        return f"{lines}ports:\n  - {{kind: socket, listen: {self.path}{more}}}\n"

    def refused(self, *fragments):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kante.yaml"
            path.write_text(self.config())
            done = rig.run(rig.KANTED, "-c", str(path), check=False, timeout=60)
        self.assertGreater(done.returncode, 0, done.stderr)
        for fragment in (self.path, *fragments):
            self.assertIn(fragment, done.stderr)

    def ask(self, text):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.path)
            connection.sendall(text.encode())
            said = b""
            while part := connection.recv(65536):
                said += part
        return said.decode()

    def test_clients_are_served_and_the_file_goes_at_the_end(self):
        with rig.Kanted(self.config(), Host) as kanted:
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o700)
            client = pymemcache.Client(self.path)
            values = {f"key-{i}": b"%d" % i * i for i in range(1000)}
            client.set_many(values)
            self.assertEqual(client.get_many(list(values)), values)
            settings = client.stats("settings")
            self.assertEqual(settings[b"domain_socket"], self.path.encode())
            self.assertEqual(settings[b"umask"], 0o700)
            conns = self.ask("stats conns\r\nquit\r\n")
            self.assertEqual(conns.count("addr unix"), 2, conns)
            client.close()
            self.assertEqual(kanted.stop(signal.SIGTERM), 0)
        self.assertFalse(os.path.exists(self.path))

    def test_the_mode_says_who_may_come_in(self):
        with rig.Kanted(self.config(", mode: 0770"), Host):
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o770)
            stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                        rig.PYTHON, "-c",
                        f"import socket; socket.socket(socket.AF_UNIX).connect('{self.path}')")
            done = subprocess.run(stranger, capture_output=True, text=True, check=False)
            self.assertIn("PermissionError", done.stderr)

    def test_one_connection_too_many_is_told(self):
        with rig.Kanted(self.config(max_connections=2, idle_timeout="2s"), Host):
            clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
            for client in clients:
                client.connect(self.path)
            rig.wait_until(lambda: "Too many open" in self.ask(""), 5, "the third is refused")
            for client in clients:  # and after idle_timeout they are gone
                client.settimeout(10)
                self.assertEqual(client.recv(1), b"")
                client.close()
            self.assertIn("VERSION", self.ask("version\r\nquit\r\n"))

    def test_a_file_that_a_crash_has_left_is_taken_over(self):
        with rig.Kanted(self.config(), Host) as kanted:
            kanted.process.kill()
            kanted.process.wait()
            self.assertTrue(os.path.exists(self.path))
        with rig.Kanted(self.config(), Host):
            self.assertIn("VERSION", self.ask("version\r\nquit\r\n"))

    def test_a_socket_that_somebody_listens_on_is_left_to_him(self):
        with rig.Kanted(self.config(), Host):
            self.refused("another process listens")
            self.assertIn("VERSION", self.ask("version\r\nquit\r\n"))

    def test_what_is_no_socket_is_left_alone(self):
        pathlib.Path(self.path).write_text("precious")
        self.refused("no socket", "choose another name")
        self.assertEqual(pathlib.Path(self.path).read_text(), "precious")

    def test_a_folder_that_is_not_there_is_named(self):
        self.path = self.path.replace("kante.sock", "missing/kante.sock")
        self.refused("create the directory")


if __name__ == "__main__":
    unittest.main(verbosity=2)
