# SPDX-License-Identifier: Apache-2.0
"""The audit log is read, verified and reported on through the admin API, however long it is, and
nobody else waits for that."""
import concurrent.futures
import datetime
import json
import os
import time
import unittest
import urllib.parse

import control
import rig


class Audit(unittest.TestCase):
    def setUp(self):
        self.stack = control.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        (host,) = self.stack.enter_context(rig.namespaces(1))
        self.node = self.stack.enter_context(control.Node(
            host, admin="listen: [127.0.0.1]\n  audit: {file_size_max: 64KiB}"))
        self.client = self.node.local()

    def ask(self, status, path, **query):
        reply = self.client.get(path + ("?" + urllib.parse.urlencode(query) if query else ""))
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def lines(self, **query):
        return self.ask(200, "/v1/audit", **query)["lines"]

    def verify(self):
        return self.ask(200, "/v1/audit/verify")

    def log(self):
        return self.node.admin / "audit/audit.log"

    def test_lines_come_newest_first(self):
        key = self.client.ask("POST", "/v1/keys", {"name": "one", "role": "viewer"}).json
        self.client.ask("DELETE", f"/v1/keys/{key['id']}")
        self.assertEqual(self.node.https(bearer=key["key"]).get("/v1/status").status, 401)
        self.assertEqual(self.node.as_admin().get("/v1/whoami").status, 200)
        written = self.node.audit()
        lines = self.lines()
        self.assertEqual(lines, written[::-1])
        self.assertEqual([line["action"] for line in self.lines(kind="credential")],
                         ["key.revoke", "key.create"])
        self.assertEqual([line["seq"] for line in self.lines(limit=2, kind="login")],
                         [line["seq"] for line in lines if line["kind"] == "login"][:2])
        self.assertEqual({line["kind"] for line in self.lines(who="uid 0 (root)")},
                         {"login", "credential", "read"})
        self.assertEqual(self.lines(who="nobody"), [])
        # who has looked is there, too
        self.assertEqual([(line["action"], line["result"]) for line in self.lines(kind="read")],
                         [("audit.read", "ok")] * 5)
        today = datetime.datetime.now(datetime.timezone.utc).date()
        tomorrow = today + datetime.timedelta(days=1)
        self.assertEqual(self.lines(to=today), [])
        self.assertEqual(self.lines(**{"from": tomorrow}), [])
        self.assertGreater(len(self.lines(**{"from": today, "to": tomorrow})), 5)
        at = written[-1]["time"]
        self.assertEqual(self.lines(to=at)[0]["seq"], written[-2]["seq"])
        self.assertEqual(self.lines(**{"from": at, "limit": 10000})[-1]["seq"], written[-1]["seq"])
        self.assertEqual([line for line in self.lines(to=at[:19] + "Z") if line["time"] > at], [])

    def test_what_is_asked_wrongly_is_refused(self):
        for query, said in (({"from": "yesterday"}, "not a time: give UTC"),
                            ({"to": "2026-02-31"}, "not a time"),
                            ({"to": "2026-11-27T21:08:23"}, "not a time"),
                            ({"to": "2026-11-27T21:08:23.Z"}, "not a time"),
                            ({"to": "2026-11-27T21:08:23+01:00"}, "not a time"),
                            ({"kind": "all"}, "there are login, refusal, read"),
                            ({"limit": "0"}, "from 1 to 10000"),
                            ({"limit": "10001"}, "from 1 to 10000"),
                            ({"limit": "99999999999999999999"}, "from 1 to 10000"),
                            ({"limit": "-1"}, "from 1 to 10000"),
                            ({"limit": ""}, "from 1 to 10000"),
                            ({"knd": "x"}, "knd is not known here")):
            self.assertIn(said, self.ask(400, "/v1/audit", **query)["error"], query)
        self.assertIn("not known", self.ask(400, "/v1/audit/verify", limit=1)["error"])
        for query, said in (({}, "sox, gdpr and pci-dss"), ({"standard": "x"}, "which standard"),
                            ({"standard": "sox", "format": "pdf"}, "json, text and html"),
                            ({"standard": "sox", "from": "2027-01-01", "to": "2026-01-01"},
                             "not before")):
            self.assertIn(said, self.ask(400, "/v1/audit/report", **query)["error"], query)

    def test_a_log_is_verified_and_each_change_of_it_found(self):
        for number in range(200):
            self.client.ask("POST", "/v1/keys", {"name": f"key {number}", "role": "viewer"})
        told = self.verify()
        self.assertEqual((told["verified"], told["faults"], told["first_seq"]), (True, [], 1))
        self.assertGreater(told["files"], 1)
        self.assertEqual(told["lines"], told["last_seq"])
        # read over files
        lines = self.lines(limit=10000)
        self.assertEqual([line["seq"] for line in lines], list(range(told["lines"] + 1, 0, -1)))
        full = next((self.node.admin / "audit").glob("audit-*.log"))
        text = full.read_text()
        full.write_text(text.replace("key 20", "key 21", 1))
        told = self.verify()
        self.assertEqual((told["verified"], told["fault_count"]), (False, 1))
        self.assertRegex(told["faults"][0], f"{full.name}:[0-9]+: line [0-9]+ was changed")
        self.assertEqual(self.ask(200, "/v1/audit", limit=10000)["damaged"], 1)
        written = text.splitlines(keepends=True)
        full.write_text("".join(written[:9] + written[10:]))
        self.assertRegex(self.verify()["faults"][0], "lines 10 to 10 are missing")
        full.write_text("".join(written[:8] + [written[9], written[8]] + written[10:]))
        self.assertFalse(self.verify()["verified"])
        full.write_text(text)
        self.assertTrue(self.verify()["verified"])
        # as a report says, too
        full.unlink()
        report = self.ask(200, "/v1/audit/report", standard="pci-dss")
        self.assertFalse(report["chain"]["verified"])

    def test_a_report_counts_what_was_done(self):
        for number in range(3):
            self.client.ask("POST", "/v1/keys", {"name": f"key {number}", "role": "viewer"})
        self.assertEqual(self.client.ask("PUT", "/v1/config/eviction", {"value": "lru"}).status, 200)
        self.assertEqual(self.client.ask("PUT", "/v1/config/eviction", {"value": "x"}).status, 422)
        for standard in ("sox", "gdpr", "pci-dss"):
            report = self.ask(200, "/v1/audit/report", standard=standard)
            self.assertEqual(report["standard"], standard)
            self.assertTrue(report["chain"]["verified"])
            self.assertEqual(report["counts"]["kinds"]["credential"]["ok"], 3)
            self.assertEqual(report["counts"]["kinds"]["change"], {"ok": 1, "refused": 0, "failed": 1})
        text = self.client.get("/v1/audit/report?standard=sox&format=text")
        self.assertEqual(text.headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertIn(b"config.set", text.body)
        page = self.client.get("/v1/audit/report?standard=sox&format=html")
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertTrue(page.body.lower().startswith(b"<!doctype html>"))
        later = self.ask(200, "/v1/audit/report", standard="sox", **{"from": "2026-01-01",
                                                                      "to": "2026-01-02"})
        self.assertEqual(later["counts"]["events"], 0)
        self.assertEqual([line["target"] for line in self.lines(kind="read", limit=2)],
                         ["sox", "sox"])

    def lengthen(self, megabytes):
        """A log of many lines; that they do not hang together has to be found, too."""
        sample = json.dumps(self.node.audit()[-1]).encode() + b"\n"
        with open(self.node.admin / "audit/audit-000000000000.log", "wb") as file:
            for _ in range(megabytes):
                file.write(sample * (1024 * 1024 // len(sample)))

    def test_others_do_not_wait_for_it(self):
        self.lengthen(200)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(self.client.get, "/v1/audit/verify") for _ in range(2)]
            rig.wait_until(lambda: len(self.children()) == 2, 10, "two are under way")
            self.assertEqual(self.client.get("/v1/audit/verify").status, 503)
            longest = 0
            while not all(one.done() for one in asked):
                begun = time.monotonic()
                self.assertEqual(self.client.get("/healthz").status, 200)
                longest = max(longest, time.monotonic() - begun)
            self.assertLess(longest, 1)
            for one in asked:
                self.assertFalse(one.result().json["verified"])
                self.assertEqual(len(one.result().json["faults"]), 100)
        # the newest of it are there at once, as all else
        self.assertEqual(len(self.lines(limit=3)), 3)

    def children(self):
        pid = self.node.control_pid()
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]

    def held(self, child):
        return [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]

    def test_who_goes_has_nothing_done_for_him(self):
        self.lengthen(200)
        connection = control.Connection(self.client.open_socket)
        connection.request("GET", "/v1/audit/verify")
        rig.wait_until(self.children, 10, "it is under way")
        (child,) = self.children()
        # it holds on to nothing of its parent
        rig.wait_until(lambda: "anon_inode:[eventpoll]" not in self.held(child), 10, "it does not")
        self.assertEqual(len([one for one in self.held(child) if one.startswith("socket:")]), 1)
        connection.close()
        rig.wait_until(lambda: not self.children(), 10, "it has ended")
        self.assertFalse(control.alive(child))
        # a child that is killed is told of
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.client.get, "/v1/audit/verify")
            rig.wait_until(self.children, 10, "it is under way")
            os.kill(self.children()[0], 9)
            self.assertEqual(asked.result().status, 503)
            self.assertIn("ended too soon", asked.result().error)
        self.assertEqual(self.lines(kind="read", limit=1)[0]["result"], "failed")


if __name__ == "__main__":
    unittest.main()
