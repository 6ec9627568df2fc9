# SPDX-License-Identifier: Apache-2.0
"""A kanted with an admin API, and clients of it: over the Unix socket, or HTTPS in its namespace."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import ssl

import rig

PORT = 11280
PORTS = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'


class Connection(http.client.HTTPConnection):
    """HTTP over a socket that is connected already."""

    def __init__(self, open_socket):
        super().__init__("node", timeout=30)
        self.open_socket = open_socket

    def connect(self):
        self.sock = self.open_socket()


class Reply:
    def __init__(self, response, body=None):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read() if body is None else body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Client:
    """Asks the admin API; each request over a connection of its own."""

    def __init__(self, open_socket, bearer=None):
        self.open_socket = open_socket
        self.bearer = bearer

    def ask(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.bearer is not None:
            headers["Authorization"] = "Bearer " + self.bearer
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Content-Type", "application/json")
        with contextlib.closing(Connection(self.open_socket)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            # a reply that has no end, of which nothing is read
            goes_on = response.status == 200 and path.startswith("/v1/watch")
            return Reply(response, b"" if goes_on else None)

    @contextlib.contextmanager
    def stream(self, path):
        """The response to a GET, to be read as it comes."""
        headers = {} if self.bearer is None else {"Authorization": "Bearer " + self.bearer}
        with contextlib.closing(Connection(self.open_socket)) as connection:
            connection.request("GET", path, headers=headers)
            with contextlib.closing(connection.getresponse()) as response:
                yield response

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)


class Node(rig.Kanted):
    """kanted with a section `admin:`; its directory is in `admin`."""

    def __init__(self, namespace, extra="", admin="listen: [127.0.0.1]", ports=PORTS,
                 environment=None, user=None):
        self.namespace = namespace
        self.home = rig.tempfile.TemporaryDirectory(prefix="kante-admin-")
        self.admin = pathlib.Path(self.home.name) / "admin"
        self.socket_path = pathlib.Path(self.home.name) / "admin.sock"
        if user is not None:
            # whom the namespace has; kanted is to make the socket's folder for him
            os.chmod(self.home.name, 0o755)
            self.socket_path = pathlib.Path(self.home.name) / "run/admin.sock"
            extra = f"user: {user}\n{extra}"
        config = (f"admin:\n  directory: {self.admin}\n  socket: {self.socket_path}\n"
                  f"  {admin}\n{extra}{ports}")
        super().__init__(config, namespace, environment)

    def end(self):
        rig.kill(self.process)
        log = self.log()
        super().end()
        self.home.cleanup()
        # the control process is nobody's whose status would be looked at
        assert "Sanitizer" not in log, log

    def local(self):
        """The Unix socket."""
        def connect():
            unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            unix.settimeout(30)
            try:
                unix.connect(str(self.socket_path))
            except OSError:
                unix.close()
                raise
            return unix

        return Client(connect)

    def context(self, certificate=None, key=None):
        context = ssl.create_default_context(cafile=str(self.admin / "ca.crt"))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    def connect(self, context=None):
        """A connection in the namespace, with TLS if there is a context."""
        tcp = rig.socket_in(self.namespace)
        tcp.settimeout(30)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as curl and http.client do
        tcp.connect(("127.0.0.1", PORT))
        return tcp if context is None else context.wrap_socket(tcp, server_hostname="localhost")

    def https(self, certificate=None, key=None, bearer=None):
        context = self.context(certificate, key)
        return Client(lambda: self.connect(context), bearer)

    def admin_context(self):
        return self.context(self.admin / "clients/admin.crt", self.admin / "clients/admin.key")

    def as_admin(self):
        return self.https(self.admin / "clients/admin.crt", self.admin / "clients/admin.key")

    def key(self, role, name=None):
        """An API key of that role."""
        made = self.local().ask("POST", "/v1/keys", {"name": name or f"a {role}", "role": role})
        assert made.status == 201, made.body
        return made.json["key"]

    def control_pid(self):
        """Of the control process that runs now."""
        children = pathlib.Path(f"/proc/{self.kanted_pid()}/task/{self.kanted_pid()}/children")
        found = [int(pid) for pid in children.read_text().split()
                 if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "kante-control"]
        return found[0] if found else None

    def kanted_pid(self):
        return self.process.pid

    def audit(self):
        log = (self.admin / "audit/audit.log").read_text()
        return [json.loads(line) for line in log.splitlines()]

    def log_has(self, pattern, seconds=10):
        rig.wait_until(lambda: re.search(pattern, self.log(), re.M), seconds,
                       f"the log has {pattern}:\n{self.log()}")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
