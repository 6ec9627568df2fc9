# SPDX-License-Identifier: Apache-2.0
"""`kante top` against a real kanted under load, on a terminal of tmux's."""
import pathlib
import re
import subprocess
import unittest

import cli
import control
import rig
import tmux

CLASSES = 'classes: [{name: loads, prefix: "load:"}]\n'


class UnderLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        cls.folder = pathlib.Path(cls.stack.enter_context(cli.folder()))
        cls.node = cls.stack.enter_context(control.Node(cls.host, "workers: 2\n" + CLASSES))
        # so much that the hottest keys are known soon
        rig.load(cls.host, "127.0.0.1", "--connections", "16", "--pipeline", "8", "--seconds", "1.5")
        load = subprocess.Popen(
            cls.host.command(rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "6",
                             "--rate", "10000", "--seconds", "600"), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        cls.stack.callback(rig.kill, load)
        rig.wait_until(lambda: cls.node.local().get("/v1/hot").json["keys"], 20, "keys are hot")

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def top(self, *words, **options):
        return tmux.Window(cli.KANTE, "top", "--node", self.node.socket_path, "--interval", "1",
                           *words, **options)

    # rates, and keys: what is there from the second look on
    READY = r"^GETs/s +\d[\d.]*( k)?  (.*\n)+HOTTEST KEY.*\nload:"

    def test_a_terminal_of_the_usual_size(self):
        with self.top() as top:
            shown = top.shows(self.READY)
            lines = shown.splitlines()
            self.assertRegex(lines[0], r"^kante \S+  up \d.*  every 1s  h help  q quit$")
            self.assertRegex(lines[1], r"^GETs/s +\S+( k)?   hits +\d+\.\d %   SETs/s +\d+   "
                                       r"evicted/s +0$")
            self.assertRegex(lines[2], r"^in/s +\S+ K?iB   out/s +\S+ \S?i?B   connections +6   "
                                       r"items +\d")
            self.assertRegex(lines[3], r"^p50 +\S+ [um]?s   p99 +\S+ [um]?s   p99\.9 +\S+ [um]?s   "
                                       r"memory +\d+\.\d %$")
            self.assertRegex(lines[5], r"^WORKER +BUSY +GETs/s +CONNECTIONS$")
            workers = [re.fullmatch(rf" +{i}  [█▏▎▍▌▋▊▉]+ +(\d+\.\d) % +(\S+)( k)? +(\d)", line)
                       for i, line in enumerate(lines[6:8])]
            self.assertTrue(all(workers), lines)
            self.assertEqual(sum(int(worker[4]) for worker in workers), 6)
            self.assertRegex(lines[9], r"^CLASS +GETs/s +HITS +ITEMS +SIZE +SETs/s +EVICTED/s$")
            self.assertRegex(shown, re.compile(r"^loads +\d+ +\d+\.\d %", re.M))
            self.assertRegex(lines[13], r"^HOTTEST KEY +GETs/s +SHARE +±$")
            self.assertRegex(lines[14], r"^load:\d+ +[\d.]+( k)? +\d+\.\d % +[\d.]+( k)?$")
            # all of it is used
            self.assertEqual(len(lines), 24)
            self.assertEqual(max(map(len, lines)), 80)
            self.assertTrue(lines[23].startswith("load:"), shown)

    def test_a_large_terminal(self):
        with self.top(columns=200, rows=50) as top:
            lines = top.shows(r"BELOW").splitlines()
            self.assertRegex(lines[1], r"^GETs/s .*  hits .* SETs/s .* evicted/s .* in/s .* out/s ")
            self.assertRegex(lines[4], r"^WORKER .* CLASS .* EVICTED/s$")
            self.assertEqual(max(map(len, lines)), 200)
            top.shows("FROM +BELOW +COUNT +SHARE")
            lines = top.shows("  load:").splitlines()
            self.assertGreater(sum("  load:" in line for line in lines), 5)

    def test_a_tiny_terminal(self):
        with self.top(columns=20, rows=5) as top:
            lines = top.shows(r"^GETs/s +\d").splitlines()
            self.assertRegex(lines[0], r"^kante \d\S+  up \d")
            self.assertRegex("\n".join(lines[1:]), r"^GETs/s +\S+( k)?\nhits +\d+\.\d %\n"
                                                   r"SETs/s +\d+\nevicted/s +0$")
            top.type("q")
            top.shows("ended with 0")

    def test_it_follows_the_size_of_the_terminal(self):
        with self.top() as top:
            top.shows(self.READY)
            top.tmux("resize-window", "-x", "170", "-y", "40")
            top.shows(r"^WORKER .* CLASS ")
            top.tmux("resize-window", "-x", "60", "-y", "10")
            lines = top.shows(r"^GETs/s [^G]*evicted/s|^evicted/s").splitlines()
            self.assertLessEqual(len(lines), 10)
            top.tmux("resize-window", "-x", "80", "-y", "24")
            top.shows(self.READY)

    def test_keys(self):
        with self.top() as top:
            top.shows(self.READY)
            top.type("+")
            top.shows("every 2s  h help")
            for _ in range(3):
                top.type("-")
            top.shows("every 1s  h help")
            top.type("h")
            top.shows("p  pause, and go on")
            top.type("h")
            top.shows(self.READY)
            top.type("p")
            before = top.shows("paused  every 1s")
            self.let_time_go_by()
            self.assertEqual(top.screen(), before)
            top.type("p")
            top.shows(r"\A(?!.*paused).*every 1s")
            top.type("C-c")
            # the terminal is as it was
            self.assertEqual(top.shows("ended with 0").strip(), "ended with 0")

    def let_time_go_by(self):
        """More than an interval, by the node's uptime."""
        def uptime():
            return self.node.local().get("/v1/status").json["uptime_s"]

        end = uptime() + 2
        rig.wait_until(lambda: uptime() >= end, 20, "time goes by")

    def test_a_viewer_sees_all_but_the_keys(self):
        viewer = self.folder / "viewer"
        viewer.write_text(self.node.key("viewer", "a watcher"))
        viewer.chmod(0o600)
        with self.top("--token-file", viewer) as top:
            shown = top.shows(r"^GETs/s +\d(.*\n)+HOTTEST KEY.*\n"
                              r"a watcher has the role viewer, this needs operator: ")
            self.assertNotIn("\nload:", shown)
        refused = [line for line in self.node.audit()
                   if line["kind"] == "refusal" and line.get("who") == "a watcher"]
        self.assertEqual(len(refused), 1)

    def test_colours_are_where_they_are_wanted(self):
        with self.top() as colour, self.top(environment={"NO_COLOR": "1"}) as plain, \
                self.top(environment={"TERM": "vt100"}) as monochrome:
            shown = []
            for top in (colour, plain, monochrome):
                top.shows(self.READY)
                shown.append(top.screen("-e"))
        green, bold, reverse = "\033[32m", "\033[1m", "\033[7m"
        for text, looks in zip(shown, ((green, bold, reverse), (reverse,), (bold, reverse))):
            self.assertEqual([look for look in (green, bold, reverse) if look in text],
                             list(looks))

    def test_a_terminal_without_utf8(self):
        with self.top(environment={"LC_ALL": "C"}) as top:
            shown = top.shows(self.READY)
            self.assertRegex(shown, re.compile(r"^ +0  #+ ", re.M))
            self.assertTrue(shown.isascii(), shown)

    def test_one_frame_is_text(self):
        done = cli.kante("top", "--once", "--interval", "1", "--node", self.node.socket_path,
                         environment={"LC_ALL": "C"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.isascii())
        self.assertRegex(done.stdout, re.compile(r"^GETs/s +\d\S*( k)?   hits +\d", re.M))
        self.assertRegex(done.stdout, re.compile(r"^WORKER .*\n +0 .*\n +1 ", re.M))

    def test_what_cannot_be_shown_is_refused(self):
        node = ("--node", self.node.socket_path)
        for words, status, fragment in (
                ((), 3, "no terminal is here: --once writes one frame"),
                (("--json",), 3, "`kante stats --json` is for programs"),
                (("--once", "--interval", "0"), 3, "not a time from 1s to 1h"),
                (("--once", "--interval", "2h"), 3, "not a time from 1s to 1h"),
                (("--once", "--node", "/nowhere/admin.sock"), 2, "no node here")):
            words = words if "--node" in words else (*words, *node)
            done = cli.kante("top", *words)
            self.assertEqual((done.returncode, done.stdout), (status, ""), words)
            self.assertIn(fragment, done.stderr)
        with self.top(environment={"TERM": "nothing"}) as top:
            top.shows("this terminal is not known: set TERM(.*\n)+ended with 3")


if __name__ == "__main__":
    unittest.main()
