# SPDX-License-Identifier: Apache-2.0
"""The server that the tests of real clients talk to, and a test that it is the one asked for.

That is kanted on a `socket` port of 127.0.0.1; with KANTE_CLIENTS_SERVER=memcached it is Debian's
memcached, which shows that what these tests claim of a server holds for the original too.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import rig

ADDRESS = "127.0.0.1"
SERVER = os.environ.get("KANTE_CLIENTS_SERVER", "kanted")
USER, PASSWORD = "kante", "edge-of-the-net"
SECONDS = 10  # a client's patience, where it can be said
VALUE_BYTES_MAX = 1024 * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


class Host:
    """Where a namespace is expected: this machine as it is, since all is on loopback."""

    @staticmethod
    def command(*command):
        return command


class Kanted(rig.Kanted):
    def __init__(self, port, authentication):
        self.users = None
        login = ""
        if authentication:  # one file for both ways
            self.users = tempfile.NamedTemporaryFile("w", prefix="kante-e2e-")
            hashed = rig.run("openssl", "passwd", "-6", "-stdin", input=PASSWORD).stdout
            self.users.write(f"{USER}:{hashed}")
            self.users.flush()
            login = f"auth_file: {self.users.name}\n"
        super().__init__(f"memory: 256MiB\n{login}ports:\n"
                         f'  - {{kind: socket, listen: "{ADDRESS}:{port}"}}\n', Host)
        try:
            self.wait_ready()
        except BaseException:
            self.end()
            raise

    def end(self):
        super().end()
        if self.users:
            self.users.close()


class Memcached:
    def __init__(self, port, authentication):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        folder = pathlib.Path(self.folder.name)
        folder.chmod(0o755)  # memcached becomes nobody before it reads
        options, environment = (), dict(os.environ)
        if authentication == "text":
            (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
            options = ("-Y", str(folder / "users"))
        elif authentication == "sasl":
            self.write_sasl(folder)
            options, environment["SASL_CONF_PATH"] = ("-S",), str(folder)
        self.process = subprocess.Popen(
            ("memcached", "-u", "nobody", "-l", ADDRESS, "-p", str(port), "-U", "0", "-m", "256",
             *options), env=environment, stderr=subprocess.DEVNULL)
        try:
            rig.wait_until(lambda: self.accepts(port), 10, "memcached accepts")
        except BaseException:
            self.end()
            raise

    @staticmethod
    def write_sasl(folder):
        if not shutil.which("saslpasswd2"):
            raise unittest.SkipTest("memcached's SASL needs saslpasswd2, of package sasl2-bin")
        users = folder / "users"
        rig.run("saslpasswd2", "-p", "-c", "-a", "memcached", "-f", str(users), "-u",
                socket.gethostname(), USER, input=PASSWORD)
        users.chmod(0o644)
        (folder / "memcached.conf").write_text(
            "mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {users}\n")

    def accepts(self, port):
        if self.process.poll() is not None:
            raise AssertionError(f"memcached ended with {self.process.returncode}")
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
        except OSError:
            return False
        return True

    def log(self):
        return ""

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(rig.STOP_SECONDS)

    def end(self):
        rig.kill(self.process)
        self.folder.cleanup()


class Server:
    """One running server, of whichever kind; `authentication` is None, "text" or "sasl"."""

    def __init__(self, authentication=None):
        self.port = free_port()
        self.name = f"{ADDRESS}:{self.port}"
        kind = {"kanted": Kanted, "memcached": Memcached}[SERVER]
        self.running = kind(self.port, authentication)

    def end(self):
        """Ends it; it must do so by itself, with status 0."""
        try:
            status, log = self.running.stop(), self.running.log()
        finally:
            self.running.end()
        if status != 0:
            raise AssertionError(f"{SERVER} ended with {status}\n{log}")

    def talk(self, text):
        """Sends lines, the last of them `quit`; returns all that comes back."""
        with socket.create_connection((ADDRESS, self.port), timeout=SECONDS) as connection:
            connection.sendall(text.encode())
            said = b""
            while part := connection.recv(65536):
                said += part
        return said.decode()


class ServedTest(unittest.TestCase):
    """Tests that share one server, so each has keys of its own."""

    authentication = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.authentication)
        cls.addClassCleanup(cls.server.end)


class ServerUnderTest(ServedTest):
    def test_is_the_one_that_was_asked_for(self):
        stats = self.server.talk("stats kante\r\nquit\r\n")
        if SERVER == "kanted":
            self.assertIn("STAT ", stats)
        else:
            self.assertNotIn("STAT ", stats)


class Program:
    """A program that prints `ok - NAME` or `not ok - NAME: reason` for each thing that it tries,
    and whose exit status is 0 when all held. A class of tests sets `results` to one."""

    def __init__(self, *command, seconds=60, **options):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds,
                                  stdin=subprocess.DEVNULL, **options)
            self.status, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as expired:
            self.status = f"none within {seconds} s"
            out, err = (part.decode() if isinstance(part, bytes) else part or ""
                        for part in (expired.stdout, expired.stderr))
        self.output = out + err
        self.lines = {}
        for line in out.splitlines():
            result, _, rest = line.partition(" - ")
            if result in ("ok", "not ok"):
                self.lines[rest.partition(": ")[0]] = line


def program_tests(*names):
    """Gives a class a test for each name, and one that the program tries nothing else."""

    def add(test_class):
        def test_the_program_tries_what_is_listed_and_ends_well(self):
            self.assertEqual(sorted(self.results.lines), sorted(names), self.results.output)
            self.assertEqual(self.results.status, 0, self.results.output)

        def test_of(name):
            def test(self):
                line = self.results.lines.get(name)
                if line is None:
                    self.fail(f"the program did not come so far:\n{self.results.output}")
                self.assertEqual(line, f"ok - {name}")
            return test

        for name in names:
            setattr(test_class, f"test_{name}", test_of(name))
        test_class.test_the_program_tries_what_is_listed_and_ends_well = (
            test_the_program_tries_what_is_listed_and_ends_well)
        return test_class

    return add


if __name__ == "__main__":
    unittest.main(verbosity=2)
