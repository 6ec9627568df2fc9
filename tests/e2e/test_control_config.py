# SPDX-License-Identifier: Apache-2.0
"""The config is looked at and changed through the admin API: whole or not at all, at once or from
the next start, as it says; and what runs is what kanted says, whatever its file says."""
import os
import pathlib
import signal
import unittest
import urllib.parse

import control
import rig

EXTRA = ("# what an operator has written\nmemory: 64MiB # enough\neviction: lru\n"
         "classes:\n- {name: sessions, prefix: \"sess:\", share_max: 50%}\n")
ADMIN = "listen: [127.0.0.1]\n  metrics: viewer\n  audit:\n    files_kept: 7"


class Rig(unittest.TestCase):
    def setUp(self):
        self.stack = control.contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        (host,) = self.stack.enter_context(rig.namespaces(1))
        self.host = host
        self.node = self.stack.enter_context(control.Node(host, EXTRA, ADMIN))
        self.client = self.node.local()

    def ask(self, status, method, path, body=None):
        reply = self.client.ask(method, path, body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json

    def path(self, name):
        return "/v1/config/" + urllib.parse.quote(name)

    def get(self, name):
        return self.ask(200, "GET", self.path(name))

    def set(self, name, value, status=200):
        return self.ask(status, "PUT", self.path(name), {"value": value})

    def running(self, name):
        for setting in self.ask(200, "GET", "/v1/config")["settings"]:
            if setting["name"] == name:
                return setting["value"]
        return None

    def file(self):
        return self.node.path.read_text()

    def lines(self, action):
        return [line for line in self.node.audit() if line["action"] == action]


class Config(Rig):
    def test_what_runs_is_told(self):
        told = self.ask(200, "GET", "/v1/config")
        self.assertEqual(told["file"], str(self.node.path))
        settings = {one["name"]: (one["value"], one["effect"]) for one in told["settings"]}
        self.assertEqual(settings["memory"], ("64MiB", "restart"))
        self.assertEqual(settings["eviction"], ("lru", "live"))
        self.assertEqual(settings["classes[sessions].share_max"][0], "50%")
        self.assertEqual(settings["ports[socket 127.0.0.1:11211].backlog"][0], "4096")
        self.assertEqual(settings["admin.audit.files_kept"], ("7", "live"))
        self.assertEqual(settings["admin.listen"], ("[127.0.0.1]", "restart"))
        self.assertNotIn("admin.certificate", settings)  # made by Kante itself
        one = self.get("request_timeout")
        self.assertEqual((one["value"], one["default"], one["unit"], one["effect"]),
                         ("10s", "10s", "h, min, s, ms, us", "live"))
        self.assertIn("from 100ms to 1h", one["range"])
        self.assertIn("not whole", one["help"])
        self.assertEqual(self.get("classes[sessions].share_max")["value"], "50%")
        self.assertEqual(self.get("eviction")["range"][:7], "One of ")
        self.assertIsNone(self.get("auth_file")["value"])
        self.assertIsNone(self.get("admin.tokens.issuer")["value"])
        self.assertIsNone(self.get("ports[socket 127.0.0.1:11211].udp")["value"])
        for name in ("memori", "classes[x].share_max", "classes", "ports[0].udp", "admin", "[",
                     "memory[0]", "classes[sessions]", ".", "a" * 255, "\u00e9"):
            self.assertTrue(self.ask(404, "GET", self.path(name))["error"], name)

    def test_a_value_that_is_set_counts_at_once_and_is_in_the_file(self):
        before = self.file()
        self.assertEqual(self.set("eviction", "lfu"), {
            "name": "eviction", "before": "lru", "after": "lfu", "effect": "live"})
        self.assertEqual(self.file(), before.replace("eviction: lru", "eviction: lfu"))
        self.assertEqual(self.running("eviction"), "lfu")
        rig.wait_until(lambda: rig.stats(self.host, "127.0.0.1")["store:policy"] == 2, 10,
                       "lfu evicts")
        self.assertEqual(self.set("eviction", None)["after"], "s3fifo")
        self.assertNotIn("eviction", self.file())
        # as it is already
        self.assertEqual(self.set("eviction", "s3fifo"), {
            "name": "eviction", "before": "s3fifo", "after": "s3fifo", "effect": "live"})
        line = self.lines("config.set")[0]
        self.assertEqual((line["kind"], line["result"], line["who"], line["target"],
                          line["before"], line["after"]),
                         ("change", "ok", "uid 0 (root)", "eviction", {"value": "lru"},
                          {"value": "lfu"}))
        self.assertEqual(self.lines("config.reload"), [])

    def test_a_value_that_needs_a_restart_is_in_the_file_and_does_not_run(self):
        self.assertEqual(self.set("memory", "128MiB")["effect"], "restart")
        self.assertIn("memory: 128MiB # enough\n", self.file())
        self.assertEqual(self.running("memory"), "64MiB")
        self.assertEqual(self.ask(200, "GET", "/v1/config/diff")["diff"], [
            {"path": "memory", "before": "64MiB", "after": "128MiB", "effect": "restart"}])
        # before is what the file said
        self.assertEqual(self.set("memory", "256MiB")["before"], "128MiB")
        self.assertEqual(self.set("memory", "64MiB")["effect"], "live")
        self.assertEqual(self.ask(200, "GET", "/v1/config/diff")["diff"], [])
        self.assertEqual(self.set("auth_file", "/a b")["before"], None)
        self.assertIsNone(self.set("auth_file", None)["after"])

    def test_fields_of_a_class_are_set_by_its_name(self):
        told = self.set("classes[sessions].share_max", "60%")
        self.assertEqual((told["before"], told["after"]), ("50%", "60%"))
        self.assertIn("share_max: 60%", self.file())
        self.assertIn("no class", self.set("classes[x].share_max", "60%", 404)["error"])
        self.assertIn("no such field", self.set("classes[sessions].share", "60%", 404)["error"])

    def test_what_is_set_of_admin_counts_at_once(self):
        open_client = self.node.https()
        self.assertEqual(open_client.get("/metrics").status, 401)
        self.assertEqual(self.set("admin.metrics", "open")["effect"], "live")
        self.assertEqual(open_client.get("/metrics").status, 200)
        self.assertEqual(self.set("admin.metrics", "viewer")["effect"], "live")
        self.assertEqual(open_client.get("/metrics").status, 401)
        # more connections than there may be wait to be taken
        self.set("admin.connections_max", "4")
        held = [self.node.connect(self.node.context()) for _ in range(4)]
        waiting = self.node.connect()
        self.addCleanup(waiting.close)
        waiting.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            self.node.context().wrap_socket(waiting, server_hostname="localhost")
        self.set("admin.connections_max", "64")
        self.assertEqual(self.node.as_admin().get("/v1/whoami").status, 200)
        for one in held:
            one.close()
        # a longer file of the audit log is full now
        for _ in range(100):
            self.set("x" * 255, "1", 404)
        self.set("admin.audit.file_size_max", "64KiB")
        self.assertEqual(len(list((self.node.admin / "audit").glob("audit-*.log"))), 1)
        self.assertEqual(self.set("admin.port", "11281")["effect"], "restart")
        self.assertEqual(open_client.get("/healthz").status, 200)
        self.assertIn("write it there by hand", self.set("admin.tokens.skew", "1s", 422)["error"])

    def test_what_was_written_by_hand_is_reloaded(self):
        text = self.file()
        self.node.path.write_text(text.replace("lru", "lfu").replace("64MiB", "1GiB"))
        self.assertEqual(self.running("eviction"), "lru")
        self.assertEqual(sorted(one["path"] for one in
                                self.ask(200, "GET", "/v1/config/diff")["diff"]),
                         ["eviction", "memory"])
        self.assertEqual(self.ask(200, "POST", "/v1/config/reload", {}),
                         {"applied": ["eviction"], "restart": ["memory"]})
        self.assertEqual(self.running("eviction"), "lfu")
        line = self.lines("config.reload")[0]
        self.assertEqual((line["before"], line["after"], line["who"]),
                         ({"eviction": "lru"}, {"eviction": "lfu"}, "uid 0 (root)"))
        # as by SIGHUP, which nobody is known to have sent
        self.node.path.write_text(text.replace("lru", "ttl").replace("metrics: viewer",
                                                                     "metrics: open"))
        os.kill(self.node.kanted_pid(), signal.SIGHUP)
        rig.wait_until(lambda: self.running("eviction") == "ttl", 10, "it is taken over")
        self.assertEqual(self.running("admin.metrics"), "open")
        self.assertEqual(self.node.https().get("/metrics").status, 200)
        line = self.lines("config.reload")[1]
        self.assertEqual(line["after"], {"eviction": "ttl", "admin.metrics": "open"})
        self.assertNotIn("who", line)
        # what somebody has written before is told of, too
        self.node.path.write_text(self.file().replace("ttl", "size"))
        self.assertEqual(self.set("idle_timeout", "1h")["before"], "0")
        self.assertEqual(self.lines("config.reload")[2]["after"], {"eviction": "size"})

    def test_a_config_is_checked_without_a_change(self):
        good = self.ask(200, "POST", "/v1/config/check",
                        {"text": self.file().replace("lru", "lfu")})
        self.assertEqual(good, {"good": True, "diff": [
            {"path": "eviction", "before": "lru", "after": "lfu", "effect": "live"}]})
        self.assertEqual(self.ask(200, "POST", "/v1/config/check", {})["diff"], [])
        bad = self.ask(422, "POST", "/v1/config/check",
                       {"text": "memory: 1\nevict: lru\n" + control.PORTS})["error"]
        self.assertEqual(bad.splitlines()[0],
                         "text:1: memory: 1 is out of range: choose a value from 4MiB to 4096GiB")
        self.assertIn("text:2: evict: no such parameter", bad)
        self.ask(422, "POST", "/v1/config/check", {"text": ""})
        # whether a file is there is not told for a text, but for the node's own config
        users = "auth_file: /nowhere\n"
        self.ask(200, "POST", "/v1/config/check", {"text": users + control.PORTS})
        self.node.path.write_text(users + self.file())
        self.assertIn("/nowhere", self.ask(422, "POST", "/v1/config/check", {})["error"])
        for body, said in (({"text": 1}, "Expected string"), ({"file": "x"}, "file"),
                           (None, "no body")):
            self.assertIn(said, self.ask(400, "POST", "/v1/config/check", body)["error"])
        self.assertEqual(self.running("eviction"), "lru")


FAULTS = (
    ("memory: 64MiB", "memory: 1KiB", 9, "memory: 1KiB is out of range: choose a value from 4MiB"),
    ("eviction: lru", "eviction: best", 10, 'eviction: "best" is not known'),
    ("eviction: lru", "evict: lru", 10, "evict: no such parameter"),
    ("eviction: lru", "eviction: [lru]", 10, "eviction: "),
    ("eviction: lru", "eviction: lru\neviction: lfu", 11, "eviction"),
    ("share_max: 50%", "share_max: 500%", 12, "classes[0].share_max: 500% is out of range: choose a "
     "value from 1% to 100%"),
    ("files_kept: 7", "files_kept: -1", 7, "admin.audit.files_kept: "),
    ("metrics: viewer", "metrics: all", 5, 'admin.metrics: "all" is not known'),
    ("ports:", "ports: {", 14, ""),
)


class Refusals(Rig):
    def test_with_a_fault_in_the_file_all_goes_on_as_before(self):
        good = self.file()
        running = self.ask(200, "GET", "/v1/config")
        for old, new, line, said in FAULTS:
            with self.subTest(new):
                text = good.replace(old, new)
                self.assertNotEqual(text, good)
                self.node.path.write_text(text)
                for error in (self.ask(422, "POST", "/v1/config/reload", {})["error"],
                              self.ask(422, "GET", "/v1/config/diff")["error"],
                              self.set("idle_timeout", "5s", 422)["error"]):
                    self.assertIn(f"{self.node.path}:{line}: {said}", error)
                self.assertEqual(self.file(), text)
                self.assertEqual(self.ask(200, "GET", "/v1/config"), running)
        self.node.path.unlink()
        self.assertIn("there is no such file",
                      self.ask(422, "POST", "/v1/config/reload", {})["error"])
        self.assertIn("there is no such file", self.set("idle_timeout", "5s", 503)["error"])
        self.assertFalse(self.node.path.exists())
        failed = self.lines("config.reload") + self.lines("config.set")
        self.assertEqual(len(failed), 2 * len(FAULTS) + 2)
        self.assertEqual({line["result"] for line in failed}, {"failed"})
        self.assertIn("is out of range", failed[0]["reason"])
        # what is faulty can be mended by what is set
        self.node.path.write_text(good.replace("lru", "best"))
        self.assertEqual(self.set("eviction", "lfu"), {
            "name": "eviction", "before": "lru", "after": "lfu", "effect": "live"})

    def test_what_cannot_be_set_is_refused_and_the_file_left_alone(self):
        before = self.file()
        for name, value, status, said in (
                ("memory", "1KiB", 422, "out of range: choose a value from 4MiB to 4096GiB"),
                ("memory", "64MiB\nworkers: 2", 422, "control characters"),
                ("memory", "x" * 1000, 422, "more than 255 bytes"),
                ("memory", "", 422, "no value given"),
                ("memori", "1GiB", 404, "no such parameter"),
                ("ports", "1", 422, "change it by hand"),
                ("admin.directory", None, 422, "missing"),
                ("admin.listen", "[::1]", 422, "change it by hand"),
                ("ports[socket 127.0.0.1:11211].udp", "1", 422, "change it by hand"),
                ("classes[sessions].name", None, 422, "missing")):
            self.assertIn(said, self.set(name, value, status)["error"], name)
        for body in (None, {}, {"value": 1}, {"value": True}, {"value": "1", "x": 1}, {"v": "1"}):
            self.assertIn("not a value", self.ask(400, "PUT", self.path("memory"), body)["error"])
        self.assertEqual(self.client.ask("PUT", self.path("memory"), "a=b", {
            "Content-Type": "text/plain"}).status, 415)
        self.assertIn("a reload takes nothing",
                      self.ask(400, "POST", "/v1/config/reload", {"now": True})["error"])
        self.assertEqual(self.file(), before)

    def test_a_file_that_cannot_be_written_is_said(self):
        before = self.file()
        mount = ("nsenter", "-m", "-t", str(self.node.kanted_pid()), "mount")
        rig.run(*mount, "-t", "tmpfs", "-o", "size=64k", "none", str(self.node.path.parent))
        folder = pathlib.Path(f"/proc/{self.node.kanted_pid()}/root{self.node.path.parent}")
        (folder / "kante.yaml").write_text(before)
        with open(folder / "ballast", "wb", buffering=0) as ballast:
            with self.assertRaises(OSError):
                while True:
                    ballast.write(b"x" * 4096)
        self.assertIn("the disk is full: make room", self.set("eviction", "lfu", 503)["error"])
        self.assertEqual(self.running("eviction"), "lru")
        rig.run(*mount, "-o", "remount,ro", str(self.node.path.parent))
        self.assertIn("read-only", self.set("eviction", "lfu", 503)["error"])
        self.assertEqual((folder / "kante.yaml").read_text(), before)
        self.assertEqual([one.name for one in folder.glob("kante.yaml*")], ["kante.yaml"])


if __name__ == "__main__":
    unittest.main()
