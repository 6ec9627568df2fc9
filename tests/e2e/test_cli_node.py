# SPDX-License-Identifier: Apache-2.0
"""`kante` with a stand-in for a node: what it asks for, and what it makes of answers that no good
node gives."""
import json
import os
import pathlib
import stat
import time
import unittest

import cli

STATUS = {"version": "9", "pid": 1, "uptime_s": 93784, "config": None, "workers": 2,
          "memory_bytes": 1288490189, "items": 12300000, "connections": 3, "requests": 5, "gets": 8,
          "hits": 6, "evictions": 0, "ports": [
              {"kind": "pci", "name": "0000:01:00.0", "hot_keys_by": "workers", "hot_keys_note": "no"}],
          "alarms": []}
STATUS_PATH = ("GET", "/v1/status")


def slow(handler):
    """Sends nothing until the test is over."""
    handler.server.fake.go_on.wait(30)


class Answers(unittest.TestCase):
    def kante(self, fake, *words, status=0, **options):
        done = cli.kante(*words, "--node", fake.path, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_figures_are_rounded_for_people_only(self):
        with cli.Fake({STATUS_PATH: (200, STATUS)}) as fake:
            shown = self.kante(fake, "status").stdout
            for line in ("uptime       1d 2h", "memory       1.2 GiB", "items        12.3 M",
                         "hit ratio    75.0 %", "config       -",
                         "port         pci 0000:01:00.0: hot keys by workers (no)"):
                self.assertIn(line + "\n", shown)
            self.assertEqual(json.loads(self.kante(fake, "status", "--json").stdout), STATUS)

    def test_an_alarm_is_shown_and_is_the_exit_status(self):
        status = STATUS | {"alarms": ["the disk\n\033[2Jis full"]}
        with cli.Fake({STATUS_PATH: (200, status)}) as fake:
            shown = self.kante(fake, "status", status=1).stdout
            self.assertTrue(shown.endswith("alarm        the disk\\n\\x1b[2Jis full\n"))
            self.kante(fake, "status", "--json", status=1)

    def test_what_no_node_says_is_refused(self):
        big = b"x" * (65 << 20)
        for status, body in ((200, b"<html>"), (200, b""), (200, b"[1]"), (200, b'{"a": 1'),
                             (200, b"\x00\xff"), (200, big), (502, b"<html>"), (500, b""),
                             (500, {"message": "x"}), (302, b""), (200, b'{"a": 1}{')):
            replies = {STATUS_PATH: (status, body)}
            with self.subTest((status, str(body)[:10])), cli.Fake(replies) as fake:
                done = self.kante(fake, "status", status=2)
                self.assertIn("answers, but not as a Kante node does", done.stderr)
                self.assertEqual(done.stdout, "")

    def test_what_is_not_even_http_is_refused(self):
        for data, fragment in ((b"hello\r\n", "not as a Kante node does"),
                               (b"", "answers, but not as a Kante node does"),
                               (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "answers, but")):
            def speak(handler, data=data):
                handler.wfile.write(data)
                handler.close_connection = True

            with self.subTest(data), cli.Fake({STATUS_PATH: (200, speak)}) as fake:
                self.assertIn(fragment, self.kante(fake, "status", status=2).stderr)

    def test_an_older_node_is_told_from_a_name_that_is_not_there(self):
        with cli.Fake({("DELETE", "/v1/users/anna"): (404, {"error": "no user anna: see the list"}),
                       ("GET", "/v1/users"): (405, {"error": "GET is not for this path"})}) as fake:
            for words in (("status",), ("user", "list")):
                done = self.kante(fake, *words, status=1)
                self.assertIn("it is older than kante", done.stderr)
            done = self.kante(fake, "user", "remove", "anna", status=1)
            self.assertEqual(done.stderr, "kante user remove: no user anna: see the list\n")

    def test_what_a_node_says_does_no_harm_to_the_terminal(self):
        with cli.Fake({STATUS_PATH: (400, {"error": "a\033[31m\nb"})}) as fake:
            self.assertEqual(self.kante(fake, "status", status=1).stderr,
                             "kante status: a\\x1b[31m\nb\n")

    def test_a_node_that_does_not_answer_is_given_up_in_time(self):
        with cli.Fake({STATUS_PATH: (200, slow)}) as fake:
            began = time.monotonic()
            done = self.kante(fake, "status", "--timeout", "1s", status=2)
            self.assertIn("no answer in time", done.stderr)
            self.assertIn("--timeout", done.stderr)
            self.assertNotIn("waiting", done.stderr)
            self.assertLess(time.monotonic() - began, 10)

    def test_a_terminal_is_told_of_waiting(self):
        def late(handler):
            fake.go_on.wait(30)
            body = json.dumps(STATUS).encode()
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        with cli.Fake({STATUS_PATH: (200, late)}) as fake:
            terminal = cli.Terminal("status", "--node", fake.path)
            terminal.read("waiting for the node: 1s")
            fake.go_on.set()
            self.assertEqual(terminal.end(), 0)
            self.assertIn("\r\033[Kversion", terminal.shown)

    def test_a_certificate_must_be_good_and_for_that_name(self):
        for names, days, trusts, fragment in (
                ("IP:127.0.0.1", 2, True, None),
                ("DNS:other.example", 2, True, "its certificate is for another name"),
                ("IP:127.0.0.1", -1, True, "its certificate has expired: renew it on the node"),
                ("IP:127.0.0.1", 2, False, "signed by a CA that is not known")):
            with self.subTest(fragment), cli.FakeTls({STATUS_PATH: (200, STATUS)}, names,
                                                     days) as fake:
                words = ("--ca", fake.certificate) if trusts else ()
                done = cli.kante("status", "--node", fake.url, *words)
                self.assertEqual(done.returncode, 0 if fragment is None else 2, done.stderr)
                self.assertIn(fragment or "", done.stderr)

    def test_a_credential_is_not_sent_to_who_is_not_trusted(self):
        with cli.folder() as folder, cli.FakeTls({}, "DNS:other.example", 2) as fake:
            token = pathlib.Path(folder) / "token"
            token.write_text("secret")
            token.chmod(0o600)
            done = cli.kante("status", "--node", fake.url, "--token-file", token, "--ca",
                             fake.certificate)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(fake.asked, [])


class Asked(unittest.TestCase):
    """What is asked of nodes, and shown of their answers."""

    def ask(self, replies, *words, status=0, **options):
        with cli.Fake(replies) as fake:
            done = cli.kante(*words, "--node", fake.path, **options)
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
            return done, [asked[:3] for asked in fake.asked]

    def test_certificates_are_listed_and_revoked(self):
        path = ("GET", "/v1/certificates")
        row = {"serial": "AB12", "name": "ops", "role": "operator", "state": "good",
               "issued": "2026-11-01T00:00:00Z", "expires": "2027-11-01T00:00:00Z",
               "revoked": None}
        done, _ = self.ask({path: (200, {"certificates": [row]})}, "cert", "list")
        self.assertEqual(done.stdout.splitlines()[1].split(),
                         ["AB12", "ops", "operator", "good", "2027-11-01T00:00:00Z"])
        done, _ = self.ask({path: (200, {"certificates": []})}, "cert", "list")
        self.assertEqual((done.stdout, done.stderr), ("", "no certificates\n"))
        done, asked = self.ask({("DELETE", "/v1/certificates/AB%3A12"):
                                (200, {"serial": "AB12", "state": "revoked"})},
                               "cert", "revoke", "AB:12")
        self.assertEqual(done.stdout, "AB:12 is revoked\n")
        self.assertEqual(asked, [("DELETE", "/v1/certificates/AB%3A12", None)])
        _, asked = self.ask({("POST", "/v1/certificates/renew-server"): (200, {})}, "cert", "renew")
        self.assertEqual(asked, [("POST", "/v1/certificates/renew-server", {})])

    def issue(self, folder, *words, reply=None, status=0):
        reply = reply or (201, {"name": "ops", "serial": "1", "certificate": "CERT\n",
                                "key": "KEY\n", "ca": "CA\n", "certificate_file": "/x",
                                "key_file": "/y"})
        return self.ask({("POST", "/v1/certificates"): reply}, "cert", "issue", "ops", "operator",
                        "--out", folder, *words, status=status)

    def test_a_certificate_and_its_key_are_written_for_their_owner_only(self):
        with cli.folder() as folder:
            folder = pathlib.Path(folder)
            done, asked = self.issue(folder, "--days", "30")
            self.assertEqual(asked, [("POST", "/v1/certificates",
                                      {"name": "ops", "role": "operator", "days": 30})])
            self.assertEqual(done.stdout, f"{folder}/ops.crt\n{folder}/ops.key\n")
            for name, text in (("ops.crt", "CERT\n"), ("ops.key", "KEY\n")):
                self.assertEqual((folder / name).read_text(), text)
                self.assertEqual(stat.S_IMODE((folder / name).stat().st_mode), 0o600)
            # nothing that is there is replaced, and no certificate issued in vain
            done, asked = self.issue(folder, status=3)
            self.assertIn("ops.crt: File exists: choose another folder by --out", done.stderr)
            self.assertEqual(asked, [])
            self.assertEqual((folder / "ops.key").read_text(), "KEY\n")
            (folder / "ops.crt").unlink()
            done, asked = self.issue(folder, status=3)
            self.assertIn("ops.key: File exists", done.stderr)
            self.assertEqual([path.name for path in folder.iterdir()], ["ops.key"])

    def test_a_certificate_that_is_refused_leaves_no_file(self):
        with cli.folder() as folder:
            done, _ = self.issue(folder, reply=(409, {"error": "one is good still: revoke it"}),
                                 status=1)
            self.assertIn("one is good still", done.stderr)
            self.assertEqual(os.listdir(folder), [])
            reply = {"name": "ops", "serial": "1F", "certificate": None, "key": None, "ca": None,
                     "certificate_file": "/a/ops.crt", "key_file": "/a/ops.key"}
            done, _ = self.issue(folder, reply=(201, reply), status=1)
            self.assertIn("take them from there: /a/ops.crt, /a/ops.key\n", done.stderr)
            self.assertIn("the certificate 1F was issued, and is not kept here", done.stderr)
            self.assertEqual(os.listdir(folder), [])
            for words in (("--days", "x"), ("--days", "0"), ("--days", "-1")):
                done, asked = self.issue(folder, *words, status=3)
                self.assertEqual(asked, [])
            done, _ = self.issue(folder + "/not-there", status=3)
            self.assertIn("No such file or directory: choose another folder", done.stderr)
            done, asked = self.ask({}, "cert", "issue", "../ops", "viewer", status=3)
            self.assertEqual(asked, [])
            self.assertEqual(os.listdir(folder), [])

    def test_tokens_are_revoked_and_listed(self):
        path = "/v1/tokens/revoked"
        done, asked = self.ask({("POST", path): (200, {})}, "token", "revoke", "a/b", "--expires",
                               "2027-01-31")
        self.assertEqual(asked, [("POST", path, {"id": "a/b", "expires": 1801353600})])
        self.assertEqual(done.stdout, "a/b is revoked\n")
        self.ask({}, "token", "revoke", "x", "--expires", "soon", status=3)
        done, _ = self.ask({("GET", path): (200, {"revoked": [{
            "jti": "a/b", "revoked": "2026-11-01T00:00:00Z", "expires": None}]})}, "token", "list")
        self.assertEqual(done.stdout.splitlines()[1].split(), ["a/b", "2026-11-01T00:00:00Z", "-"])

    def test_users_are_set_with_a_password_from_standard_input(self):
        path = "/v1/users/anna%20%C3%A9"
        done, asked = self.ask({("PUT", path): (200, {})}, "user", "set", "anna é",
                               input="pass wörd\nmore\n")
        self.assertEqual(asked, [("PUT", path, {"password": "pass wörd"})])
        self.assertNotIn("wörd", done.stdout + done.stderr)
        for text, fragment in (("", "there is no password"), ("\n", "there is no password"),
                               ("x" * 256, "longer than 255"), ("a\0b\n", "a NUL in it")):
            with self.subTest(text):
                done, asked = self.ask({}, "user", "set", "anna", input=text, status=3)
                self.assertIn(fragment, done.stderr)
                self.assertEqual(asked, [])
        done, _ = self.ask({("GET", "/v1/users"): (200, {"users": [{"name": "b"}, {"name": "a"}]})},
                           "user", "list")
        self.assertEqual(done.stdout, "NAME\nb\na\n")
        _, asked = self.ask({("DELETE", "/v1/users/b"): (200, {})}, "user", "remove", "b")
        self.assertEqual(asked, [("DELETE", "/v1/users/b", None)])

    def test_a_password_is_asked_for_twice_and_not_shown(self):
        for second, status in (("s3cret\n", 0), ("other\n", 3), ("\x03", 1)):
            with self.subTest(second), cli.Fake({("PUT", "/v1/users/anna"): (200, {})}) as fake:
                terminal = cli.Terminal("user", "set", "anna", "--node", fake.path)
                terminal.read("Password: ")
                terminal.type("s3cret\n")
                terminal.read("Once more: ")
                terminal.type(second)
                self.assertEqual(terminal.end(), status, terminal.shown)
                self.assertNotIn("s3cret", terminal.shown)
                self.assertEqual(len(fake.asked), status == 0)

    def test_the_audit_log_is_asked_for_by_time_and_more(self):
        path = "/v1/audit?from=2026-11-27T00%3A00%3A00Z&to=2026-11-27T21%3A08%3A24Z&kind=change&" \
               "who=uid%200%20%28root%29&limit=5"
        line = {"seq": 3, "time": "2026-11-27T21:08:23.000123Z", "kind": "change",
                "action": "config.set", "result": "ok", "who": "uid 0 (root)", "from": "pid 3",
                "target": "eviction", "before": "lru", "prev": "0", "hash": "1"}
        done, asked = self.ask({("GET", path): (200, {"lines": [line], "damaged": 0})}, "audit",
                               "log", "--from", "2026-11-27", "--to", "2026-11-27T21:08:23.5Z",
                               "--kind", "change", "--who", "uid 0 (root)", "--limit", "5")
        self.assertIn("config.set  ok      uid 0 (root)  pid 3  eviction", done.stdout)
        done, _ = self.ask({("GET", "/v1/audit"): (200, {"lines": [line], "damaged": 2})}, "audit",
                           "log", status=1)
        self.assertIn("2 lines are not as they were written", done.stderr)
        done, asked = self.ask({}, "audit", "log", "--from", "1d", status=1)
        self.assertRegex(asked[0][1], r"^/v1/audit\?from=20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A\d\dZ$")
        for words in (("--from", "yesterday"), ("--kind", "changes"), ("--to", "2026-02-30")):
            _, asked = self.ask({}, "audit", "log", *words, status=3)
            self.assertEqual(asked, [])

    def test_a_broken_audit_log_is_the_exit_status(self):
        path = ("GET", "/v1/audit/verify")
        verdict = {"verified": True, "lines": 7, "files": 1, "first_seq": 1, "last_seq": 7,
                   "hash": "ab", "fault_count": 0, "faults": []}
        done, _ = self.ask({path: (200, verdict)}, "audit", "verify")
        self.assertRegex(done.stdout, r"^verified +yes\n")
        verdict |= {"verified": False, "fault_count": 1, "faults": ["audit.log:3: was changed"]}
        done, _ = self.ask({path: (200, verdict)}, "audit", "verify", status=1)
        self.assertIn("fault       audit.log:3: was changed\n", done.stdout)
        self.ask({path: (200, verdict)}, "audit", "verify", "--json", status=1)

    def test_a_report_comes_as_it_is(self):
        path = "/v1/audit/report?standard=pci-dss&from=2026-11-01T00%3A00%3A00Z&format="
        for words, form in (((), "text"), (("--format", "html"), "html"), (("--json",), "json")):
            done, _ = self.ask({("GET", path + form): (200, b"<p>\xc3\xa9 a report")}, "audit",
                               "report", "--standard", "pci-dss", "--from", "2026-11-01", *words)
            self.assertEqual(done.stdout, "<p>é a report")
        for words in ((), ("--standard", "iso"),
                      ("--standard", "sox", "--json", "--format", "html")):
            _, asked = self.ask({}, "audit", "report", *words, status=3)
            self.assertEqual(asked, [])


if __name__ == "__main__":
    unittest.main()
