# SPDX-License-Identifier: Apache-2.0
"""What the admin API says of the items that clients have, and has go."""
import unittest

import control
import rig

CLASSES = 'classes: [{name: sessions, prefix: "s:"}, {name: pages, prefix: "page:"}]\n'


def sets(names, size=1, ttl=0):
    return "".join(f"set {name} 0 {ttl} {size}\r\n{'v' * size}\r\n" for name in names)


class Items(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        cls.node = cls.stack.enter_context(control.Node(cls.host, "workers: 2\n" + CLASSES))
        cls.client = cls.node.https(bearer=cls.node.key("operator"))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.talk("flush_all\r\n")

    def talk(self, text):
        return rig.talk(self.host, "127.0.0.1", text)

    def has(self, key):
        return self.talk(f"get {key}\r\n").startswith("VALUE")

    def audit(self, action):
        return [line for line in self.node.audit() if line["action"] == action]

    def test_the_hottest_keys_are_told(self):
        with rig.namespaces(1) as (host,), control.Node(host, "workers: 2\n") as node:
            rig.talk(host, "127.0.0.1",
                     "".join("get hot:a\r\nmg /w== b v\r\nget hot:a\r\n" + f"get cold:{i}\r\n"
                             for i in range(20000)))
            client = node.local()
            hot = {}

            def told():
                hot.update(client.get("/v1/hot?limit=2").json)
                return len(hot["keys"]) == 2

            rig.wait_until(told, 20, "a window has ended")
            self.assertEqual(hot["keys"][0]["key"], "hot:a")
            # a key that is no text
            self.assertEqual(hot["keys"][1]["key_escaped"], "%FF")
            self.assertAlmostEqual(hot["keys"][0]["share"], 1 / 2, delta=.1)
            self.assertGreater(hot["keys"][0]["rate"], 0)
            for wrong in ("0", "x", "", "-1", "5000"):
                self.assertIn("limit is a number", client.get(f"/v1/hot?limit={wrong}").error)
            self.assertEqual({line["kind"] for line in node.audit() if line["action"] == "hot"},
                             {"read"})

    def test_a_survey_tells_what_all_items_are_like(self):
        self.talk(sets((f"s:{i}" for i in range(100)), 10, 3000))
        self.talk(sets((f"page:{i}" for i in range(50)), 5000))
        self.talk(sets(("page:large",), 100000) + "get page:large\r\n")
        survey = self.client.get("/v1/survey").json
        self.assertEqual((survey["items"], survey["fetched"], survey["never_expire"]),
                         (151, 1, 51))
        self.assertEqual(survey["ttls"], [{"below": 4096, "count": 100}])
        self.assertEqual([step["count"] for step in survey["sizes"]], [100, 50, 1])
        self.assertEqual(len(survey["big"]), 64)
        self.assertEqual(survey["big"][0]["key"], "page:large")
        self.assertGreater(survey["big"][0]["bytes"], 100000)
        self.assertIsNone(survey["big"][0]["ttl_s"])
        self.assertEqual(survey["big"][1]["key"].split(":")[0], "page")

    def test_a_purge_takes_what_it_says(self):
        self.talk(sets(("s:1", "s:2", "page:1", "x")))
        self.assertEqual(self.client.ask("POST", "/v1/purges", {"prefix": "s:"}).json,
                         {"purged": {"prefix": "s:"}})
        self.assertEqual([self.has(key) for key in ("s:1", "s:2", "page:1", "x")],
                         [False, False, True, True])
        self.assertEqual(self.client.ask("POST", "/v1/purges", {"class": "pages"}).status, 200)
        self.assertEqual([self.has(key) for key in ("page:1", "x")], [False, True])
        self.assertEqual(self.client.ask("POST", "/v1/purges", {"all": True}).status, 200)
        self.assertFalse(self.has("x"))
        self.assertEqual([(line["kind"], line["result"], line["after"]) for line in
                          self.audit("purge")[-3:]],
                         [("erasure", "ok", {"prefix": "s:"}),
                          ("erasure", "ok", {"class": "pages"}), ("erasure", "ok", {"all": True})])

    def test_a_purge_that_is_wrong_takes_nothing(self):
        self.talk(sets(("kept",)))
        for body in ({}, {"all": False}, {"prefix": ""}, {"prefix": "a b"}, {"prefix": "a\r\nb"},
                     {"prefix": "k", "all": True}, {"prefix": "k" * 251}, {"prefix": 1},
                     {"class": "nobody"}, {"keys": "kept"}):
            reply = self.client.ask("POST", "/v1/purges", body)
            self.assertEqual(reply.status, 400, (body, reply.body))
            self.assertTrue(reply.error)
        self.assertTrue(self.has("kept"))
        viewer = self.node.https(bearer=self.node.key("viewer"))
        self.assertEqual(viewer.ask("POST", "/v1/purges", {"all": True}).status, 403)
        self.assertTrue(self.has("kept"))
        self.assertEqual(self.audit("purge")[-1]["result"], "failed")

    def test_classes_are_told_with_what_they_have(self):
        self.talk(sets((f"s:{i}" for i in range(7))) + "get s:1\r\nget s:none\r\n")
        classes = {entry["name"]: entry["counters"]
                   for entry in self.client.get("/v1/classes").json["classes"]}
        self.assertEqual(set(classes), {"default", "sessions", "pages"})
        self.assertGreaterEqual(classes["sessions"]["cmd_get"], 2)
        self.assertGreaterEqual(classes["sessions"]["cmd_set"], 7)

    def test_a_watch_tells_what_happens_as_it_happens(self):
        with self.client.stream("/v1/watch?kinds=mutations,fetchers&prefix=s:") as response:
            self.assertEqual(response.status, 200)
            self.talk(sets(("page:1", "s:a_b")) + "get s:none\r\nget x\r\n")
            # of the keys of different workers in any order
            stored, missed = sorted((response.readline().decode() for _ in range(2)),
                                    key=lambda line: "item_get" in line)
            self.assertIn("type=item_store key=s%3Aa_b status=stored", stored)
            self.assertIn("type=item_get key=s%3Anone status=not_found", missed)
        after = self.audit("watch")[-1]
        self.assertEqual((after["kind"], after["after"]),
                         ("read", {"kinds": "fetchers mutations", "prefix": "s:"}))

    def test_watches_are_few_and_end_with_their_clients(self):
        with control.contextlib.ExitStack() as stack:
            responses = [stack.enter_context(self.client.stream("/v1/watch"))
                         for _ in range(4)]
            self.assertEqual([response.status for response in responses], [200] * 4)
            self.assertIn("watching already", self.client.get("/v1/watch").error)
            self.assertEqual(self.client.get("/v1/hot").status, 200)
        rig.wait_until(lambda: self.client.get("/v1/watch").status == 200, 10,
                       "those that have gone leave their places")
        for wrong in ("kinds=", "kinds=all", "kinds=fetchers,", f"prefix={'k' * 251}"):
            self.assertEqual(self.client.get(f"/v1/watch?{wrong}").status, 400, wrong)

    def test_a_watch_that_is_not_read_is_told_what_it_has_missed(self):
        with self.client.stream("/v1/watch?kinds=fetchers") as response:
            rig.load(self.host, "127.0.0.1", "--connections", "4", "--pipeline", "16",
                     "--seconds", "3")
            # something has to happen when there is room again
            asker = rig.subprocess.Popen(self.host.command(
                rig.PYTHON, "-c", "import socket, time\n"
                "client = socket.create_connection(('127.0.0.1', 11211))\n"
                "while True:\n    client.sendall(b'get x\\r\\n')\n    time.sleep(.1)\n"))
            try:
                told = b""
                while b"\nskipped=" not in told:
                    told = told[-20:] + response.read1(65536)
            finally:
                rig.kill(asker)

    def test_it_is_told_while_clients_are_served(self):
        with rig.subprocess.Popen(
                self.host.command(rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "8",
                                  "--seconds", "3"), stdout=rig.subprocess.PIPE,
                stderr=rig.subprocess.STDOUT, text=True) as load:
            while load.poll() is None:
                self.assertGreater(self.client.get("/v1/survey").json["items"], -1)
                self.assertEqual(self.client.get("/v1/hot").status, 200)
                self.assertEqual(
                    self.client.ask("POST", "/v1/purges", {"prefix": "nothing:"}).status, 200)
            self.assertEqual(load.returncode, 0, load.stdout.read())


if __name__ == "__main__":
    unittest.main()
