# SPDX-License-Identifier: Apache-2.0
"""The command `kante` as tests run it, and a stand-in for a node that says what a test wants."""
import contextlib
import http.server
import json
import os
import pty
import select
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

import rig

KANTE = str(rig.BUILD / "kante")
CLEAN = {name: value for name, value in os.environ.items()
         if not name.startswith("KANTE_") and name != "NO_COLOR"}


def kante(*words, within=(), **options):
    """Runs it without a terminal; environment: KANTE_… and so on, beside what is there."""
    environment = CLEAN | options.pop("environment", {})
    options.setdefault("stdin" if "input" not in options else "input",
                       options.get("input", subprocess.DEVNULL))
    return rig.run(*within, KANTE, *map(str, words), check=False, env=environment, **options)


class Terminal:
    """It runs on a terminal of its own; what is typed, and all that it shows."""

    def __init__(self, *words, environment=None, columns=100, program=(KANTE,)):
        self.shown = ""
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execve("/usr/bin/sh",
                      ["sh", "-c", f"stty cols {columns}; exec \"$@\"", "sh", *program,
                       *map(str, words)], CLEAN | (environment or {}))
        self.pid = pid

    def read(self, until=None, seconds=20):
        """All of it, or as far as this text was shown."""
        deadline = time.monotonic() + seconds
        while until is None or until not in self.shown:
            if not select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise AssertionError(f"not shown: {until}: {self.shown!r}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # it has ended
                break
            if not data:
                break
            self.shown += data.decode()
        return self.shown

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Its exit status."""
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Fake:
    """Replies to (method, path) with (status, body); a body of bytes is sent as it is, a callable
    is given the handler. What was asked is in `asked`."""

    def __init__(self, replies):
        self.replies = replies
        self.asked = []
        self.folder = tempfile.TemporaryDirectory(prefix="kante-fake-")
        self.path = self.folder.name + "/admin.sock"
        self.go_on = threading.Event()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                fake.asked.append((self.command, self.path, json.loads(body) if body else None,
                                   self.headers.get("Authorization")))
                status, body = fake.replies.get(
                    (self.command, self.path),
                    (404, {"error": "no such path: see /v1/openapi.yaml for those there are"}))
                if callable(body):
                    body(self)
                    return
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = reply

            def log_message(self, *_):
                pass

            def address_string(self):
                return "a client"

        class Server(socketserver.ThreadingMixIn, self.kind()):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(self.address(), Handler)
        self.server.fake = self
        self.prepare()
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    @staticmethod
    def kind():
        return socketserver.UnixStreamServer

    def address(self):
        return self.path

    def prepare(self):
        pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.go_on.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.folder.cleanup()


class FakeTls(Fake):
    """The same over TLS, with a certificate for those names that is good for so many days."""

    def __init__(self, replies, names, days):
        self.names, self.days = names, days
        super().__init__(replies)

    @staticmethod
    def kind():
        return socketserver.TCPServer

    def address(self):
        return ("127.0.0.1", 0)

    def prepare(self):
        self.certificate = self.folder.name + "/server.crt"
        key, request = self.folder.name + "/server.key", self.folder.name + "/server.csr"
        rig.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-subj", "/CN=fake", "-addext", f"subjectAltName={self.names}",
                "-out", request)
        rig.run("openssl", "x509", "-req", "-in", request, "-signkey", key, "-days",
                str(self.days), "-copy_extensions", "copy", "-out", self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="kante-cli-") as path:
        yield path
