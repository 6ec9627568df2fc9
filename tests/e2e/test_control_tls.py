# SPDX-License-Identifier: Apache-2.0
"""Certificates that change, and handshakes that never end well, while clients are served."""
import contextlib
import os
import pathlib
import ssl
import subprocess
import threading
import unittest

import control
import rig

ROTATIONS = int(os.environ.get("KANTE_E2E_ROTATIONS", "25"))  # the issue's figure is 100
WATCHERS = 4


class Asking(threading.Thread):
    """Asks for the status over one connection, again and again; whatever goes wrong is kept."""

    def __init__(self, node):
        super().__init__()
        self.connection = control.Connection(lambda: node.connect(node.admin_context()))
        self.ends = threading.Event()
        self.count = 0
        self.error = None

    def run(self):
        try:
            self.connection.connect()
            first = self.connection.sock
            while not self.ends.is_set():
                self.connection.request("GET", "/v1/whoami")
                reply = control.Reply(self.connection.getresponse())
                if reply.status != 200 or self.connection.sock is not first:
                    raise AssertionError(f"{reply.status} {reply.body}, or another connection")
                self.count += 1
        except (OSError, AssertionError, control.http.client.HTTPException) as error:
            self.error = error
        finally:
            self.connection.close()

    def end(self):
        self.ends.set()
        self.join()
        return self.error


@contextlib.contextmanager
def under_load(host):
    """A client of the cache, which has to be content at the end."""
    with subprocess.Popen(
            host.command(rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "8",
                         "--seconds", "120"), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True) as load:
        try:
            yield load
        finally:
            if load.poll() is None:
                load.send_signal(rig.signal.SIGINT)
            out = load.communicate(timeout=30)[0]
        if load.returncode != 0:
            raise AssertionError(out)


class Certificates(unittest.TestCase):
    def serial(self, node):
        with node.connect(node.admin_context()) as connection:
            return connection.getpeercert()["serialNumber"]

    def test_they_are_rotated_under_load_and_no_connection_is_dropped(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node, under_load(host):
            asking = [Asking(node) for _ in range(WATCHERS)]
            for one in asking:
                one.start()
            serials = {self.serial(node)}
            for _ in range(ROTATIONS):
                reply = node.local().ask("POST", "/v1/certificates/renew-server", {})
                self.assertEqual(reply.status, 200, reply.body)
                # by whoever comes next, at once
                serial = self.serial(node)
                self.assertNotIn(serial, serials)
                serials.add(serial)
            self.assertEqual([one.end() for one in asking], [None] * WATCHERS)
            self.assertGreater(min(one.count for one in asking), ROTATIONS / 4)
            lines = [line for line in node.audit() if "certificate.renew" in line["action"]]
            self.assertEqual(len(lines), ROTATIONS)


class Handshakes(unittest.TestCase):
    def begin(self, node):
        client = rig.socket_in(node.namespace)
        client.settimeout(30)
        client.connect(("127.0.0.1", control.PORT))
        return client

    def refusals(self, node):
        return [line for line in node.audit() if (line["action"], line["result"]) ==
                ("login", "refused")]

    def refused(self, node, context, reason):
        """The handshake fails, or the first thing said after it, and the audit log has why."""
        before = len(self.refusals(node))
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with node.connect(context) as connection:
                connection.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: node\r\n\r\n")
                if not connection.recv(1):
                    raise ConnectionError
        rig.wait_until(lambda: len(self.refusals(node)) > before, 10, "the audit log has it")
        line = self.refusals(node)[-1]
        self.assertEqual(line["credential"], "certificate")
        self.assertRegex(line["from"], r"^127\.0\.0\.1:\d+$")
        self.assertIn(reason, line["reason"])

    def issue(self, node, name):
        made = node.local().ask("POST", "/v1/certificates", {"name": name, "role": "admin"}).json
        paths = [node.admin / f"clients/{name}.{kind}" for kind in ("crt", "key")]
        return made["serial"], node.context(*paths)

    def self_signed(self, node):
        paths = [pathlib.Path(node.home.name) / f"stranger.{kind}" for kind in ("crt", "key")]
        rig.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=admin", "-out",
                str(paths[0]), "-keyout", str(paths[1]))
        return node.context(*paths)

    def test_who_shows_a_certificate_that_is_not_good_is_refused_and_written_down(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            serial, context = self.issue(node, "gone")
            with node.connect(context):
                pass
            self.assertEqual(node.local().ask("DELETE", f"/v1/certificates/{serial}").status, 200)
            self.refused(node, context, "revoked")
            self.refused(node, self.self_signed(node), "signed by itself")

    def test_what_is_no_tls_is_ended_and_others_are_served(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node, under_load(host):
            for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100,
                         b"\x80" * 4000, b"get a\r\n"):
                with self.begin(node) as client:
                    client.sendall(sent)
                    try:
                        while client.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            self.assertEqual(node.as_admin().get("/v1/whoami").status, 200)

    def test_old_and_weak_tls_is_refused(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            for options in (("-tls1_1",), ("-tls1",), ("-tls1_2", "-cipher", "AES128-SHA"),
                            ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA")):
                done = host.run("openssl", "s_client", "-connect", f"127.0.0.1:{control.PORT}",
                                "-cipher", "ALL:@SECLEVEL=0", *options, check=False, input="")
                self.assertNotEqual(done.returncode, 0, (options, done.stdout))
            for options in (("-tls1_2",), ("-tls1_3",)):
                done = host.run("openssl", "s_client", "-connect", f"127.0.0.1:{control.PORT}",
                                "-CAfile", str(node.admin / "ca.crt"), *options, check=False,
                                input="")
                self.assertIn("Verify return code: 0 (ok)", done.stdout + done.stderr, options)


if __name__ == "__main__":
    unittest.main()
