# SPDX-License-Identifier: Apache-2.0
"""`kante block` against a real node: who is blocked, by one word or by a file of ten thousand."""
import json
import pathlib
import time
import unittest

import cli
import control
import rig

BLOCKED = "127.0.0.2"


class Blocks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        cls.folder = pathlib.Path(cls.stack.enter_context(cli.folder()))
        cls.node = cls.stack.enter_context(control.Node(cls.host))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def tearDown(self):
        for prefix in self.listed():
            self.kante("block", "remove", prefix)

    def kante(self, *words, status=0, **options):
        environment = {"KANTE_NODE": str(self.node.socket_path)} | options.pop("environment", {})
        done = cli.kante(*words, environment=environment, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def terminal(self, *words):
        return cli.Terminal(*words, environment={"KANTE_NODE": str(self.node.socket_path)},
                            columns=120)

    def listed(self):
        blocks = json.loads(self.kante("block", "list", "--json").stdout)["blocks"]
        return [blocked["prefix"] for blocked in blocks]

    def serves(self, source):
        with rig.socket_in(self.host) as tcp:
            tcp.settimeout(5)
            tcp.bind((source, 0))
            try:
                tcp.connect(("127.0.0.1", 11211))
                tcp.sendall(b"version\r\n")
                return tcp.recv(100).startswith(b"VERSION")
            except (ConnectionError, TimeoutError):
                return False

    def comes_to_serve(self, is_served, source):
        """From each worker's next turn on: on a machine that is busy that may be a while."""
        rig.wait_until(lambda: self.serves(source) == is_served, 5, f"{source}: {is_served}")

    def test_one_is_blocked_listed_and_served_again(self):
        self.assertEqual(self.kante("block", "list").stderr, "no blocked prefixes\n")
        self.assertEqual(self.kante("block", "add", BLOCKED, "198.18.0.0/24", "fd00::/64",
                                    "--reason", "a scan").stdout,
                         "blocked: 3 more, 0 were already\n")
        self.comes_to_serve(False, BLOCKED)
        self.assertTrue(self.serves("127.0.0.1"))
        shown = self.kante("block", "list").stdout.splitlines()
        self.assertRegex(shown[0], r"^PREFIX +EXPIRES +SINCE +BY +REASON$")
        self.assertRegex(shown[1], r"^127\.0\.0\.2 +- +2\d{3}-\S+Z +uid 0 \(root\) +a scan$")
        self.assertEqual([line.split()[0] for line in shown[1:]],
                         [BLOCKED, "198.18.0.0/24", "fd00::/64"])
        self.assertEqual(json.loads(self.kante("block", "add", BLOCKED, "10.0.0.1",
                                               "--json").stdout), {"added": 1, "changed": 1})
        self.assertEqual(self.kante("block", "remove", BLOCKED).stdout,
                         f"{BLOCKED} is not blocked any more\n")
        self.comes_to_serve(True, BLOCKED)
        self.assertEqual(json.loads(self.kante("block", "remove", "198.18.0.0/24",
                                               "--json").stdout),
                         {"prefix": "198.18.0.0/24", "state": "removed"})
        self.assertEqual(self.listed(), ["10.0.0.1", "fd00::/64"])

    def test_a_file_is_read_without_its_comments(self):
        text = (f"# of the feed\n\n  {BLOCKED}\t# a scanner\r\n\t\n198.18.0.0/24\n#end\n"
                "fd00::/64")
        self.assertEqual(self.kante("block", "add", "-", input=text).stdout,
                         "blocked: 3 more, 0 were already\n")
        self.assertEqual(self.listed(), [BLOCKED, "198.18.0.0/24", "fd00::/64"])
        self.assertEqual(self.kante("block", "add", "10.0.0.1", "-", BLOCKED, "--expires", "1h",
                                    input="10.0.0.2\n").stdout,
                         "blocked: 2 more, 1 were already\n")

    def test_a_file_of_ten_thousand_is_taken_at_once(self):
        many = [f"10.{i // 256}.{i % 256}.0/25" for i in range(10000)]
        begun = time.monotonic()
        self.kante("block", "add", "-", input="\n".join(many))
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(self.listed(), many)
        self.assertEqual(len(self.kante("block", "list").stdout.splitlines()), 10001)
        words = self.kante("block", "add", *many, "--expires", "5s").stdout
        self.assertEqual(words, "blocked: 0 more, 10000 were already\n")
        rig.wait_until(lambda: self.listed() == [], 20, "they have expired")

    def test_it_expires_when_that_was_said(self):
        now = time.time()
        for text, seconds in (("12h", 43200), ("30d", 30 * 86400), ("90", 90),
                              (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 5000)), 5000)):
            self.kante("block", "add", "10.0.0.1", "--expires", text)
            (blocked,) = json.loads(self.kante("block", "list", "--json").stdout)["blocks"]
            expires = time.mktime(time.strptime(blocked["expires"], "%Y-%m-%dT%H:%M:%SZ"))
            self.assertAlmostEqual(expires - time.timezone, now + seconds, delta=10)
        for text in ("soon", "2020-01-01", "-1h", "99999999999999999999d", ""):
            done = self.kante("block", "add", "10.0.0.2", "--expires", text, status=3)
            self.assertIn(f"block add: --expires {text}: no time to come", done.stderr)
        self.assertEqual(self.listed(), ["10.0.0.1"])

    def test_what_is_wrong_is_said_and_nothing_is_blocked(self):
        for words, status, said in (
                (("add", BLOCKED, "198.18.0.2/24"), 1, "did you mean 198.18.0.0/24?"),
                (("add", "0.0.0.0/0"), 1, "would block everybody"),
                (("add", BLOCKED, "--reason", "x" * 128), 1, "up to 127 bytes"),
                (("add", BLOCKED, "--reason", "\udcff"), 3, "the reason is not UTF-8"),
                (("add", "\udcff"), 3, "a prefix is not UTF-8"), (("add",), 3, "is missing"),
                (("add", BLOCKED, ""), 3, "argument is empty"),
                (("add", "-"), 3, "no prefix is on standard input"),
                (("remove", "10.0.0.1"), 1, "10.0.0.1 is not on the list"),
                (("remove", "nonsense"), 1, "no network or address"),
                (("remove",), 3, "is missing"), (("remove", "10.0.0.1", "10.0.0.2"), 3, "too many"),
                ((), 3, "which?")):
            with self.subTest(words):
                self.assertIn(said, self.kante("block", *words, status=status).stderr)
        for text, status, said in (("# nothing\n\n", 3, "no prefix is on standard input"),
                                   (f"{BLOCKED}\n10.0.0.1 10.0.0.2\n", 1,
                                    "\"10.0.0.1 10.0.0.2\" is no network or address"),
                                   ("10.0.0.1\n" * 16385, 3, "more than the 16384 prefixes")):
            with self.subTest(text[:40]):
                done = self.kante("block", "add", "-", input=text, status=status)
                self.assertIn(said, done.stderr)
        self.assertEqual(self.listed(), [])

    def test_a_removal_is_asked_about_on_a_terminal(self):
        self.kante("block", "add", BLOCKED)
        terminal = self.terminal("block", "remove", BLOCKED)
        terminal.read(f"Unblock {BLOCKED}? [y/N] ")
        terminal.type("n\n")
        self.assertEqual(terminal.end(), 1)
        self.assertEqual(self.listed(), [BLOCKED])
        terminal = self.terminal("block", "remove", BLOCKED, "--yes")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(self.listed(), [])

    def test_who_may_look_is_told_what_changing_needs(self):
        viewer = self.folder / "viewer"
        viewer.write_text(self.node.key("viewer"))
        viewer.chmod(0o600)
        self.kante("block", "list", "--token-file", viewer)
        for words in (("add", BLOCKED), ("remove", BLOCKED)):
            done = self.kante("block", *words, "--token-file", viewer, status=1)
            self.assertIn("ask with a credential that has the role operator", done.stderr)

    def test_the_help_says_whom_it_concerns(self):
        shown = " ".join(self.kante("block", "add", "--help").stdout.split())
        for text in ("PREFIX...", "--expires TIME", "--reason TEXT", "the cache's ports, not the "
                     "admin API, nor Unix sockets", "connections that are open end",
                     "from standard input", "Needs the role operator"):
            self.assertIn(text, shown)


if __name__ == "__main__":
    unittest.main()
