# SPDX-License-Identifier: Apache-2.0
"""Who may manage the node and who may use the cache is changed while it runs: certificates, tokens
and users come and go, and who has gone is not let in any more."""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import pathlib
import ssl
import tempfile
import time
import unittest
import urllib.parse

import control
import rig

SECRET = b"a secret that is long enough to be one" * 2
HASH = "$y$j9T$abcdefgh$1234567890123456789012345678901234567890123"


class Rig(unittest.TestCase):
    def node(self, extra="", admin="listen: [127.0.0.1]"):
        (self.host,) = self.stack.enter_context(rig.namespaces(1))
        node = self.stack.enter_context(control.Node(self.host, extra, admin))
        self.client = node.local()
        return node

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(
            prefix="kante-access-")))

    def ask(self, status, method, path, body=None):
        reply = self.client.ask(method, path, body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def refused(self, status, said, method, path, body=None):
        self.assertIn(said, self.ask(status, method, path, body)["error"])

    def last(self, node, action):
        return [line for line in node.audit() if line["action"] == action][-1]


class Certificates(Rig):
    def issue(self, name, role, **more):
        return self.ask(201, "POST", "/v1/certificates", {"name": name, "role": role, **more})

    def client_of(self, node, made):
        """Who has nothing but what the reply has in it."""
        certificate, key = self.folder / "own.crt", self.folder / "own.key"
        certificate.write_text(made["certificate"])
        key.write_text(made["key"])
        context = ssl.create_default_context(cadata=made["ca"])
        context.load_cert_chain(certificate, key)
        return control.Client(lambda: node.connect(context))

    def listed(self, name):
        return [one for one in self.ask(200, "GET", "/v1/certificates")["certificates"]
                if one["name"] == name]

    def test_one_is_issued_and_revoked_and_its_connections_end_at_once(self):
        node = self.node()
        made = self.issue("ops", "operator", days=7)
        self.assertEqual(pathlib.Path(made["certificate_file"]).read_text(), made["certificate"])
        self.assertEqual(pathlib.Path(made["key_file"]).stat().st_mode & 0o777, 0o600)
        client = self.client_of(node, made)
        who = client.get("/v1/whoami").json
        self.assertEqual((who["role"], who["credential_id"]), ("operator", made["serial"]))
        (one,) = self.listed("ops")
        self.assertEqual((one["serial"], one["role"], one["state"], one["revoked"]),
                         (made["serial"], "operator", "good", None))
        line = self.last(node, "certificate.issue")
        self.assertEqual((line["kind"], line["target"], line["after"]["serial"]),
                         ("credential", "ops", made["serial"]))
        self.assertNotIn("PRIVATE", json.dumps(node.audit()))
        # a connection that is open, and one of somebody else
        held = control.Connection(client.open_socket)
        other = control.Connection(node.as_admin().open_socket)
        for one in held, other:
            one.request("GET", "/v1/whoami")
            self.assertEqual(control.Reply(one.getresponse()).status, 200)
        self.assertEqual(self.ask(200, "DELETE", "/v1/certificates/" + made["serial"]),
                         {"serial": made["serial"], "state": "revoked"})
        self.assertTrue(self.is_shut_out(client))
        try:
            self.assertEqual(held.sock.recv(1), b"")
        except (ConnectionError, ssl.SSLError):
            pass
        other.request("GET", "/v1/whoami")
        self.assertEqual(control.Reply(other.getresponse()).status, 200)
        for one in held, other:
            one.close()
        self.assertEqual(self.listed("ops")[0]["state"], "revoked")
        self.refused(409, "revoked already", "DELETE", "/v1/certificates/" + made["serial"])
        self.assertEqual(self.last(node, "certificate.revoke")["result"], "failed")
        # the name is free again
        self.assertNotEqual(self.issue("ops", "viewer")["serial"], made["serial"])

    def test_who_revokes_his_own_hears_of_it(self):
        node = self.node()
        made = self.issue("leaving", "admin")
        client = self.client_of(node, made)
        spelled = ":".join(made["serial"].lower()[i:i + 2] for i in range(0, len(made["serial"]), 2))
        reply = client.ask("DELETE", "/v1/certificates/" + spelled)
        self.assertEqual(reply.status, 200)
        rig.wait_until(lambda: self.is_shut_out(client), 10, "he is not let in any more")

    def is_shut_out(self, client):
        try:
            client.get("/v1/whoami")
            return False
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return True

    def test_what_cannot_be_issued_or_revoked_is_refused(self):
        self.node()
        for body, said in ((None, "no body"), ({}, "name"), ({"name": "a"}, "role"),
                           ({"name": "a", "role": "root"}, "roles are"),
                           ({"name": "a", "role": "none"}, "roles are"),
                           ({"name": "a", "role": "viewer", "days": 0}, "days are 1"),
                           ({"name": "a", "role": "viewer", "days": "1"}, "Expected integer"),
                           ({"name": "a", "role": "viewer", "days": 100000}, "cannot be made"),
                           ({"name": "../a", "role": "viewer"}, "cannot be a file's"),
                           ({"name": "", "role": "viewer"}, "cannot be a file's"),
                           ({"name": "a", "role": "viewer", "x": 1}, "x")):
            self.refused(400, said, "POST", "/v1/certificates", body)
        self.refused(409, "good still", "POST", "/v1/certificates",
                     {"name": "admin", "role": "viewer"})
        self.refused(404, "no certificate with the serial number", "DELETE", "/v1/certificates/0a")
        self.refused(400, "takes nothing", "POST", "/v1/certificates/renew-server", {"days": 1})

    def test_the_servers_is_renewed_without_a_connection_lost(self):
        node = self.node()
        held = control.Connection(node.as_admin().open_socket)
        held.request("GET", "/v1/whoami")
        before = held.sock.getpeercert(True)
        self.assertEqual(control.Reply(held.getresponse()).status, 200)
        told = self.ask(200, "POST", "/v1/certificates/renew-server", {})
        with contextlib.closing(node.connect(node.context())) as fresh:
            after = fresh.getpeercert(True)
        self.assertNotEqual(before, after)
        self.assertEqual(told["fingerprint"].replace(":", "").lower(),
                         hashlib.sha256(after).hexdigest())
        held.request("GET", "/v1/whoami")
        self.assertEqual(control.Reply(held.getresponse()).status, 200)
        held.close()
        self.assertEqual(self.last(node, "certificate.renew")["after"]["fingerprint"],
                         told["fingerprint"])

    def test_without_a_ca_it_is_said_what_to_do(self):
        self.node(admin="metrics: viewer")
        for ask in (("GET", "/v1/certificates"), ("DELETE", "/v1/certificates/0a"),
                    ("POST", "/v1/certificates", {"name": "a", "role": "viewer"}),
                    ("POST", "/v1/certificates/renew-server", {})):
            self.refused(409, "set `admin.listen`", *ask)

    def test_what_is_of_others_making_is_renewed_there(self):
        # a CA of others: here that of another node
        other = self.node()
        for name in ("ca.crt", "server.crt", "server.key"):
            (self.folder / name).write_bytes((other.admin / name).read_bytes())
        clients = f"listen: [127.0.0.1]\n  client_ca: {self.folder}/ca.crt"
        self.node(admin=clients)
        self.refused(409, "signed by", "POST", "/v1/certificates", {"name": "a", "role": "viewer"})
        self.refused(409, "signed by", "DELETE", "/v1/certificates/0a")
        self.ask(200, "POST", "/v1/certificates/renew-server", {})
        given = f"  certificate: {self.folder}/server.crt\n  key: {self.folder}/server.key"
        self.node(admin="listen: [127.0.0.1]\n" + given)
        self.refused(409, "put a new one there", "POST", "/v1/certificates/renew-server", {})
        self.node(admin=clients + "\n" + given)
        self.refused(409, "of others' making", "GET", "/v1/certificates")


class Tokens(Rig):
    def configured(self):
        secret = self.folder / "secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        return self.node(admin=(
            "listen: [127.0.0.1]\n  tokens: {issuer: i, audience: kante, "
            f"keys: [{{id: k, algorithm: HS256, file: {secret}}}]}}"))

    def token(self, jti):
        def part(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        now = int(time.time())
        head = part(json.dumps({"alg": "HS256", "kid": "k"}).encode())
        body = part(json.dumps({"iss": "i", "aud": "kante", "sub": "ada", "role": "viewer",
                                "iat": now, "exp": now + 600, "jti": jti}).encode())
        sign = part(hmac.new(SECRET, head + b"." + body, hashlib.sha256).digest())
        return (head + b"." + body + b"." + sign).decode()

    def test_one_that_is_revoked_lets_nobody_in(self):
        node = self.configured()
        client, other = (node.https(bearer=self.token(jti)) for jti in ("one", "two"))
        self.assertEqual(client.get("/v1/whoami").json["credential_id"], "one")
        self.assertEqual(self.ask(200, "GET", "/v1/tokens/revoked"), {"revoked": []})
        self.assertEqual(self.ask(200, "POST", "/v1/tokens/revoked", {
            "id": "one", "expires": int(time.time()) + 600}), {"id": "one", "state": "revoked"})
        self.assertIn("revoked", client.get("/v1/whoami").error)
        self.assertEqual(other.get("/v1/whoami").status, 200)
        (one,) = self.ask(200, "GET", "/v1/tokens/revoked")["revoked"]
        self.assertEqual(one["jti"], "one")
        line = self.last(node, "token.revoke")
        self.assertEqual((line["kind"], line["target"], line["result"]),
                         ("credential", "one", "ok"))
        self.refused(409, "nothing is left to do", "POST", "/v1/tokens/revoked", {"id": "one"})
        for body, said in ((None, "no body"), ({}, "id"), ({"id": 1}, "Expected string"),
                           ({"id": ""}, "a jti is"), ({"id": "x" * 128}, "a jti is"),
                           ({"id": "a", "expires": -1}, "below 0"),
                           ({"id": "a", "expires": 1}, "has expired"),
                           ({"id": "a", "x": 1}, "x")):
            self.refused(400, said, "POST", "/v1/tokens/revoked", body)

    def test_without_tokens_it_is_said_what_to_do(self):
        self.node()
        self.refused(409, "write `tokens` into `admin:`", "GET", "/v1/tokens/revoked")
        self.refused(409, "write `tokens` into `admin:`", "POST", "/v1/tokens/revoked",
                     {"id": "a"})


class Users(Rig):
    def path(self, name):
        return "/v1/users/" + urllib.parse.quote(name, safe="")

    def names(self):
        return [user["name"] for user in self.ask(200, "GET", "/v1/users")["users"]]

    def logs_in(self, name, password):
        """As memcached's text protocol has it."""
        credentials = f"{name} {password}".encode()
        with rig.socket_in(self.host) as tcp:
            tcp.settimeout(30)
            tcp.connect(("127.0.0.1", 11211))
            tcp.sendall(b"set auth 0 0 %d\r\n%s\r\n" % (len(credentials), credentials))
            return tcp.recv(100) == b"STORED\r\n"

    def test_users_come_change_and_go_and_the_file_stays_otherwise(self):
        users = self.folder / "users"
        users.write_text(f"# those of the shop\nshop:{HASH}\n")
        users.chmod(0o640)
        node = self.node(f"auth_file: {users}\n")
        self.assertEqual(self.ask(201, "PUT", self.path("ada"), {"password": "first one"}),
                         {"name": "ada", "state": "created"})
        self.assertEqual(self.names(), ["ada", "shop"])
        lines = users.read_text().splitlines()
        self.assertEqual(lines[:2], ["# those of the shop", f"shop:{HASH}"])
        self.assertTrue(lines[2].startswith("ada:$y$"), lines[2])
        self.assertEqual(users.stat().st_mode & 0o777, 0o640)
        rig.wait_until(lambda: self.logs_in("ada", "first one"), 10, "she is let in")
        self.assertEqual(self.ask(200, "PUT", self.path("ada"), {"password": "\u00fcber 2"}),
                         {"name": "ada", "state": "changed"})
        rig.wait_until(lambda: self.logs_in("ada", "\u00fcber 2"), 10, "she is let in again")
        self.assertFalse(self.logs_in("ada", "first one"))
        line = self.last(node, "user.set")
        self.assertEqual((line["kind"], line["target"], line["before"], line["after"]),
                         ("access", "ada", {"name": "ada"}, {"name": "ada"}))
        self.assertEqual(self.ask(200, "DELETE", self.path("ada")),
                         {"name": "ada", "state": "removed"})
        self.assertEqual(users.read_text(), f"# those of the shop\nshop:{HASH}\n")
        rig.wait_until(lambda: not self.logs_in("ada", "\u00fcber 2"), 10, "she is let in no more")
        self.refused(404, "no user of that name", "DELETE", self.path("ada"))
        self.refused(409, "the last user", "DELETE", self.path("shop"))
        for word in "first one", "$y$":
            self.assertNotIn(word, (node.admin / "audit/audit.log").read_text() + node.log())
        self.assertEqual(self.ask(201, "PUT", self.path("\u00e4 /da".replace(" ", "")),
                                  {"password": "x"})["name"], "\u00e4/da")
        self.assertEqual(self.names(), ["shop", "\u00e4/da"])

    def test_what_is_wrong_is_refused_and_the_file_left_alone(self):
        users = self.folder / "users"
        users.write_text(f"shop:{HASH}\n")
        node = self.node(f"auth_file: {users}\n")
        for body, said in ((None, "no body"), ({}, "password"), ({"password": 1}, "string"),
                           ({"password": ""}, "1 to 255 bytes"),
                           ({"password": "x" * 256}, "1 to 255 bytes"),
                           ({"password": "x", "role": "admin"}, "role")):
            self.refused(400, said, "PUT", self.path("ada"), body)
        self.refused(400, "u0000", "PUT", self.path("ada"), '{"password": "a\\u0000b"}')
        for name, status, said in (("a b", 422, "no space"), ("a:b", 422, "no space"),
                                   ("#a", 422, "comment"), ("a\nb", 400, "control"),
                                   ("x" * 256, 404, "no such path")):
            self.refused(status, said, "PUT", self.path(name), {"password": "x"})
        self.assertEqual(self.client.ask("PUT", "/v1/users/%ff", {"password": "x"}).status, 400)
        self.assertEqual(users.read_text(), f"shop:{HASH}\n")
        # what somebody has made faulty by hand
        users.write_text(f"shop:{HASH}\nbob:plain\n")
        self.refused(422, f"{users}:2: a plain password", "PUT", self.path("ada"),
                     {"password": "x"})
        self.refused(422, f"{users}:2: a plain password", "DELETE", self.path("shop"))
        self.refused(503, f"{users}:2: a plain password", "GET", "/v1/users")
        self.assertEqual(users.read_text(), f"shop:{HASH}\nbob:plain\n")
        self.assertEqual(self.last(node, "user.set")["result"], "failed")
        users.unlink()
        self.refused(503, "there is no such file", "PUT", self.path("ada"), {"password": "x"})
        self.refused(503, "there is no such file", "GET", "/v1/users")

    def test_without_a_file_it_is_said_what_to_do(self):
        self.node()
        for ask in (("GET", "/v1/users"), ("DELETE", self.path("a")),
                    ("PUT", self.path("a"), {"password": "x"})):
            self.refused(409, "set `auth_file`", *ask)


if __name__ == "__main__":
    unittest.main()
