# SPDX-License-Identifier: Apache-2.0
"""The admin API is what openapi.yaml says, to whom it says; all else is refused with a reason."""
import json
import pathlib
import tempfile
import unittest

import jsonschema
import yaml

import control
import rig

SPEC = yaml.safe_load((rig.ROOT / "src/control/openapi.yaml").read_text())
ROLES = ["none", "viewer", "operator", "admin"]
METHODS = {"get", "post", "put", "delete", "patch"}
# bodies that are good, and arguments that are there
BODIES = {
    ("POST", "/v1/keys"): lambda: {"name": "made in a test", "role": "viewer"},
    ("POST", "/v1/config/check"): lambda: {"text": control.PORTS},
    ("POST", "/v1/config/reload"): lambda: {},
    ("PUT", "/v1/config/{name}"): lambda: {"value": "90s"},
    ("POST", "/v1/capture"): lambda: {"port": "kante0", "seconds": 1},
    ("POST", "/v1/purges"): lambda: {"prefix": "page:"},
    ("POST", "/v1/blocks"): lambda: {"prefixes": ["198.51.100.0/24", "2001:db8::/32"]},
    ("POST", "/v1/certificates"): lambda: {"name": "made", "role": "viewer"},
    ("POST", "/v1/certificates/renew-server"): lambda: {},
    ("POST", "/v1/tokens/revoked"): lambda: {"id": "a token"},
    ("PUT", "/v1/users/{name}"): lambda: {"password": "correct horse"},
}
QUERIES = {"/v1/audit/report": "?standard=sox"}
ARGUMENTS = {"/v1/config/{name}": "idle_timeout", "/v1/users/{name}": "ada"}
HASH = "$y$j9T$abcdefgh$1234567890123456789012345678901234567890123"
PORTS = control.PORTS + ("  - {kind: tap, name: kante0, addresses: [198.18.0.2/24], tcp: 11211, "
                         "allow: any}\n")


def resolve(node):
    """The document without references, and with OpenAPI's nullable as JSON Schema has it."""
    if isinstance(node, list):
        return [resolve(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        at = SPEC
        for name in node["$ref"].removeprefix("#/").split("/"):
            at = at[name]
        return resolve(at)
    node = {name: resolve(value) for name, value in node.items()}
    if node.pop("nullable", False):
        node["type"] = [node["type"], "null"]
    return node


def operations():
    for path, methods in resolve(SPEC["paths"]).items():
        for method in METHODS & set(methods):
            yield method.upper(), path, methods[method]


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "users").write_text(f"ada:{HASH}\nbob:{HASH}\n")
        (folder / "secret").write_bytes(b"x" * 64)
        (folder / "secret").chmod(0o600)
        cls.node = cls.stack.enter_context(control.Node(
            cls.host, f"auth_file: {folder}/users\n",
            "listen: [127.0.0.1]\n  tokens: {issuer: i, audience: kante, "
            f"keys: [{{id: k, algorithm: HS256, file: {folder}/secret}}]}}", PORTS))
        cls.clients = {role: cls.node.https(bearer=cls.node.key(role)) for role in ROLES[1:]}
        cls.clients["none"] = cls.node.https()

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def argument(self, method, path):
        if path.startswith("/v1/keys/"):
            name = f"to go {self.made}"
            self.made += 1
            key = self.node.local().ask("POST", "/v1/keys", {"name": name, "role": "viewer"})
            return path.replace("{id}", key.json["id"])
        if path.startswith("/v1/certificates/{"):
            made = self.node.local().ask("POST", "/v1/certificates",
                                         {"name": "to-go", "role": "viewer"})
            return path.replace("{serial}", made.json["serial"])
        if path.startswith("/v1/blocks/{"):
            self.node.local().ask("POST", "/v1/blocks", {"prefixes": ["198.51.100.0/25"]})
            return path.replace("{prefix}", "198.51.100.0%2F25")
        if "{" in path:
            return path.split("{")[0] + ARGUMENTS[path]
        return path + QUERIES.get(path, "")

    made = 0

    def check(self, reply, operation, what):
        described = operation["responses"].get(str(reply.status))
        self.assertIsNotNone(described, f"{what}: {reply.status} is not described: {reply.body}")
        kind = reply.headers["Content-Type"].split(";")[0]
        self.assertIn(kind, described["content"], what)
        schema = described["content"][kind]["schema"]
        body = json.loads(reply.body) if kind == "application/json" else reply.body.decode(
            errors="replace")
        jsonschema.Draft202012Validator(schema).validate(body)

    def test_each_operation_replies_as_described(self):
        for method, path, operation in operations():
            with self.subTest(f"{method} {path}"):
                body = BODIES.get((method, path), lambda: None)()
                reply = self.clients["admin"].ask(method, self.argument(method, path), body)
                self.assertLess(reply.status, 300, reply.body)
                self.check(reply, operation, f"{method} {path}")

    def test_each_operation_is_for_its_role_and_those_above_it(self):
        for method, path, operation in operations():
            needed = ROLES.index(operation["x-role"])
            for index, role in enumerate(ROLES):
                with self.subTest(f"{role}: {method} {path}"):
                    # with a body that is no good: nothing is changed by those who may
                    reply = self.clients[role].ask(
                        method, path.split("{")[0] + ("not-there" if "{" in path else ""),
                        {} if method == "POST" else None)
                    if index >= needed:
                        self.assertNotIn(reply.status, (401, 403), reply.body)
                    else:
                        self.assertEqual(reply.status, 401 if role == "none" else 403)
                        self.assertTrue(reply.error)

    def test_the_server_has_no_operation_that_is_not_described(self):
        listed = rig.run(str(rig.BUILD / "kante-control"), "--endpoints").stdout.splitlines()
        described = [f"{method} {path} {operation['x-role']}"
                     for method, path, operation in operations()]
        self.assertEqual(sorted(listed), sorted(described))

    def refused(self, status, fragment, *ask, **options):
        reply = self.clients["admin"].ask(*ask, **options)
        self.assertEqual(reply.status, status, reply.body)
        self.assertIn(fragment, reply.error)
        return reply

    def test_what_is_wrong_is_refused_with_a_reason(self):
        self.refused(404, "no such path", "GET", "/v2/status")
        self.refused(404, "no such path", "GET", "/v1/keys/a/b")
        self.refused(404, "no such path", "GET", "//v1/status")
        reply = self.refused(405, "it takes GET, POST", "DELETE", "/v1/keys")
        self.assertEqual(reply.headers["Allow"], "GET, POST")
        self.refused(415, "send JSON", "POST", "/v1/keys", b"name=x",
                     headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.refused(400, "line 1, column", "POST", "/v1/keys", b'{"name": ')
        self.refused(400, "duplicate", "POST", "/v1/keys", b'{"name": "a", "name": "b"}')
        self.refused(400, "not an object", "POST", "/v1/keys", b"[1]")
        self.refused(400, "no body", "POST", "/v1/keys", b"")
        self.refused(400, "role", "POST", "/v1/keys", {"name": "a"})
        self.refused(400, "roles are", "POST", "/v1/keys", {"name": "a", "role": "root"})
        self.refused(400, "roles are", "POST", "/v1/keys", {"name": "a", "role": "none"})
        self.refused(400, "extra", "POST", "/v1/keys", {"name": "a", "role": "admin", "extra": 1})
        self.refused(404, "", "DELETE", "/v1/keys/aaaaaaaaaa")

    def test_the_node_itself_needs_no_credential(self):
        who = self.node.local().get("/v1/whoami").json
        self.assertEqual((who["role"], who["credential"], who["name"]),
                         ("admin", "socket", "uid 0 (root)"))

    def test_a_certificate_says_who_asks(self):
        who = self.node.as_admin().get("/v1/whoami").json
        self.assertEqual((who["role"], who["credential"]), ("admin", "certificate"))
        self.assertIn("CN=admin", who["name"])

    def test_a_key_that_is_revoked_lets_nobody_in(self):
        made = self.node.local().ask("POST", "/v1/keys", {"name": "short", "role": "viewer"}).json
        client = self.node.https(bearer=made["key"])
        self.assertEqual(client.get("/v1/whoami").json["credential_id"], made["id"])
        self.assertEqual(self.node.local().ask("DELETE", f"/v1/keys/{made['id']}").status, 200)
        self.assertIn("revoked", client.get("/v1/whoami").error)
        self.assertEqual(self.node.local().ask("DELETE", f"/v1/keys/{made['id']}").status, 409)

    def test_metrics_come_in_both_formats(self):
        client = self.clients["viewer"]
        plain = client.get("/metrics")
        self.assertTrue(plain.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        self.assertIn("\n# TYPE kante_shard_cmd_get_total counter\n", plain.body.decode())
        open_metrics = client.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
        self.assertTrue(open_metrics.body.endswith(b"# EOF\n"))
        self.assertIn("\n# TYPE kante_shard_cmd_get counter\n", open_metrics.body.decode())
        self.assertIn('\nkante_shard_cmd_get_total{worker="0"} ', open_metrics.body.decode())


if __name__ == "__main__":
    unittest.main()
