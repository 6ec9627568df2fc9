# SPDX-License-Identifier: Apache-2.0
"""`kante` about clients' items: hot, big, purge, class and hist, against a real node."""
import json
import pathlib
import re
import unittest

import cli
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
        cls.folder = pathlib.Path(cls.stack.enter_context(cli.folder()))
        cls.node = cls.stack.enter_context(control.Node(cls.host, "workers: 2\n" + CLASSES))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def setUp(self):
        self.talk("flush_all\r\n")

    def talk(self, text):
        return rig.talk(self.host, "127.0.0.1", text)

    def has(self, key):
        return self.talk(f"get {key}\r\n").startswith("VALUE")

    def kante(self, *words, status=0, **options):
        environment = {"KANTE_NODE": str(self.node.socket_path)} | options.pop("environment", {})
        done = cli.kante(*words, environment=environment, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def terminal(self, *words, **options):
        environment = {"KANTE_NODE": str(self.node.socket_path)} | options.pop("environment", {})
        return cli.Terminal(*words, environment=environment, **options)

    def test_the_hottest_keys_are_shown(self):
        # a key with an escape sequence, and one that is no text
        self.talk("".join("get hot:a\r\nmg GzJK b v\r\nmg /w== b v\r\nget hot:a\r\n" +
                          f"get cold:{i}\r\n" for i in range(20000)))
        shown = ""

        def told():
            nonlocal shown
            shown = self.kante("hot", "--limit", "3").stdout
            return shown.count("\n") == 4

        rig.wait_until(told, 20, "a window has ended")
        lines = shown.splitlines()
        self.assertRegex(lines[0], r"^KEY +GETS/S +± +SHARE +BY XDP$")
        self.assertRegex(lines[1], r"^hot:a +\d[\d.]*( [kM])? +\d[\d.]*( [kM])? +[345]\d\.\d % +-$")
        self.assertEqual({line.split()[0] for line in lines[2:]}, {r"\x1b2J", r"\xff"})
        keys = json.loads(self.kante("hot", "--limit", "1", "--json").stdout)["keys"]
        self.assertEqual([key["key"] for key in keys], ["hot:a"])
        for wrong in ("0", "x", "-1", "5000"):
            self.assertIn("limit is a number",
                          self.kante("hot", "--limit", wrong, status=1).stderr)

    def test_a_node_that_nobody_asks_has_no_hot_keys(self):
        with cli.Fake({("GET", "/v1/hot"): (200, {"requests": 0.0, "keys": []})}) as fake:
            done = cli.kante("hot", "--node", fake.path)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertEqual(done.stderr, "no keys that are asked for often\n")

    def test_the_largest_items_are_shown(self):
        self.talk(sets((f"s:{i}" for i in range(30)), 10, 3000) + sets(("page:large",), 100000) +
                  sets(("page:soon",), 5000, 7200))
        shown = self.kante("big").stdout.splitlines()
        self.assertRegex(shown[0], r"^KEY +SIZE +TTL LEFT +NOT READ FOR$")
        self.assertRegex(shown[1], r"^page:large +97\.\d KiB +never +\ds$")
        self.assertRegex(shown[2], r"^page:soon +4\.\d KiB +(2h 0min|1h 59min) +\ds$")
        self.assertEqual(len(shown), 21)
        self.assertEqual(len(self.kante("big", "--limit", "2").stdout.splitlines()), 3)
        big = json.loads(self.kante("big", "--limit", "1", "--json").stdout)["big"]
        self.assertEqual([item["key"] for item in big], ["page:large"])
        for wrong in ("0", "65", "x", "-1", "1x"):
            self.assertIn("not a number from 1 to 64",
                          self.kante("big", "--limit", wrong, status=3).stderr)

    def test_a_purge_takes_what_it_says(self):
        self.talk(sets(("s:1", "s:2", "page:1", "x")))
        self.assertEqual(self.kante("purge", "prefix", "s:").stdout,
                         "all items whose keys begin with s: are gone; their memory comes back in "
                         "the background\n")
        self.assertEqual([self.has(key) for key in ("s:1", "s:2", "page:1", "x")],
                         [False, False, True, True])
        self.assertEqual(json.loads(self.kante("purge", "class", "pages", "--json").stdout),
                         {"purged": {"class": "pages"}})
        self.assertEqual([self.has(key) for key in ("page:1", "x")], [False, True])
        self.assertIn("all items are gone", self.kante("purge", "all").stdout)
        self.assertFalse(self.has("x"))

    def test_a_purge_is_asked_about_on_a_terminal(self):
        self.talk(sets(("x",)))
        terminal = self.terminal("purge", "all")
        terminal.read("Have all items go? [y/N] ")
        terminal.type("n\n")
        self.assertEqual(terminal.end(), 1)
        self.assertTrue(self.has("x"))
        terminal = self.terminal("purge", "prefix", "x\033[2J")
        terminal.read(r"keys begin with x\x1b[2J go? [y/N] ")
        terminal.type("\n")
        self.assertEqual(terminal.end(), 1)
        terminal = self.terminal("purge", "prefix", "x", "--yes")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("[y/N]", terminal.shown)
        self.assertFalse(self.has("x"))

    def test_a_purge_that_is_wrong_takes_nothing(self):
        self.talk(sets(("kept",)))
        for words, status, fragment in (
                (("class", "nobody"), 1, "no such class"), (("prefix", "a b"), 1, "without blanks"),
                (("prefix", "k" * 251), 1, "250 bytes"), (("prefix",), 3, "argument is missing"),
                (("prefix", ""), 3, "argument is empty"), (("prefix", "\udcff"), 3, "not UTF-8"),
                (("all", "kept"), 3, "argument too many"), ((), 3, "which?")):
            with self.subTest(words):
                self.assertIn(fragment, self.kante("purge", *words, status=status).stderr)
        self.assertTrue(self.has("kept"))

    def test_classes_are_listed_with_what_they_have(self):
        self.talk(sets(f"s:{i}" for i in range(7)) + "get s:1\r\nget s:none\r\n")
        shown = self.kante("class", "list").stdout.splitlines()
        self.assertRegex(shown[0],
                         r"^CLASS +ITEMS +SIZE +GETS +HITS +SETS +EVICTED +REFUSED$")
        rows = {line.split()[0]: line for line in shown[1:]}
        self.assertEqual(set(rows), {"default", "sessions", "pages"})
        self.assertRegex(rows["sessions"], r"^sessions +\d+ +\d\S* K?i?B +\d+ +\d+\.\d % +\d+ +0 +0$")
        self.assertRegex(rows["pages"], r"^pages +\d")
        classes = json.loads(self.kante("class", "list", "--json").stdout)["classes"]
        self.assertEqual({entry["name"] for entry in classes}, set(rows))
        with cli.Fake({("GET", "/v1/classes"): (200, {"classes": []})}) as fake:
            done = cli.kante("class", "list", "--node", fake.path)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", "no classes of keys\n"))

    def test_how_long_requests_take_is_a_histogram(self):
        load = rig.load(self.host, "127.0.0.1", "--connections", "8", "--requests", "20000")
        self.assertIn("\nok", load)
        counters = json.loads(self.kante("hist", "--json").stdout)["counters"]
        self.assertEqual({counter["module"] for counter in counters}, {"latency"})
        total = sum(bucket["count"] for counter in counters for bucket in counter["buckets"])
        self.assertGreaterEqual(total, 20000)
        for words in (("hist",), ("hist", "latency")):
            shown = self.kante(*words, environment={"LC_ALL": "C"}).stdout
            bars, table = shown.split("\n\n")
            self.assertRegex(bars.splitlines()[0], r"^ +FROM +BELOW +COUNT +SHARE$")
            shares = [float(share) for share in re.findall(r" (\d+\.\d) %", bars)]
            self.assertAlmostEqual(sum(shares), 100, delta=1)
            self.assertRegex(bars, r"\d %  #+\n")
            self.assertRegex(table, r"^COMMAND +REQUESTS +P50 +P90 +P99 +P99\.9\n")
            for name in ("get", "set", "all"):
                self.assertRegex(table, re.compile(
                    rf"^{name} +\S+( [kM])?( +\d+(\.\d)? (us|ms|s)){{4}}$", re.M))
            self.assertRegex(table, re.compile(r"^delete +0( +-){4}$", re.M))

    def test_what_items_are_like_is_a_histogram(self):
        def hist(*words):
            return self.kante("hist", *words, environment={"LC_ALL": "C"}).stdout.splitlines()

        self.talk(sets((f"s:{i}" for i in range(30)), 3000, 3000) + sets(("page:1",), 100))
        self.assertRegex(hist("size")[-1], r"^ +2 KiB +4 KiB +30 +96\.8 %  #{36}$")
        shown = hist("ttl")
        self.assertRegex(shown[1], r"^ +34min 8s +1h 8min +30 +96\.8 %  #{36}$")
        self.assertRegex(shown[2], r"^ +never +1 +3\.2 %  #$")
        self.assertRegex(hist("idle")[1], r"^ +\ds +\ds +\d+ ")
        self.assertEqual(json.loads(self.kante("hist", "size", "--json").stdout)["items"], 31)
        self.assertIn("none of latency|size|ttl|idle",
                      self.kante("hist", "nothing", status=3).stderr)
        viewer = self.folder / "viewer"
        viewer.write_text(self.node.key("viewer"))
        viewer.chmod(0o600)
        self.kante("hist", "latency", "--token-file", viewer)
        self.assertIn("ask with a credential that has the role operator",
                      self.kante("hist", "ttl", "--token-file", viewer, status=1).stderr)

    def test_a_histogram_is_as_wide_as_the_terminal(self):
        self.talk(sets((f"s:{i}" for i in range(30)), 3000))
        for locale, block in (("C.UTF-8", "█"), ("C", "#")):
            for columns in (80, 200):
                terminal = self.terminal("hist", "size", columns=columns,
                                         environment={"LC_ALL": locale, "NO_COLOR": "1"})
                self.assertEqual(terminal.end(), 0)
                self.assertEqual(max(map(len, terminal.shown.splitlines())), columns)
                self.assertIn(f"{block * (columns - 44)}\r\n", terminal.shown)

    def test_without_requests_and_items_there_is_no_histogram(self):
        self.assertIn("no items\n", self.kante("hist", "size").stderr)
        with cli.Fake({("GET", "/v1/counters"): (200, {"counters": []})}) as fake:
            done = cli.kante("hist", "--node", fake.path)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "", "no requests have been answered yet\n"))


if __name__ == "__main__":
    unittest.main()
