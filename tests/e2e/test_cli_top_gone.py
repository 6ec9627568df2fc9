# SPDX-License-Identifier: Apache-2.0
"""`kante top` of a node that goes away, comes back, and hangs."""
import re
import subprocess
import unittest

import cli
import control
import rig
import tmux


class Gone(unittest.TestCase):
    def test_a_node_that_goes_away_is_waited_for(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            # whoever listens there next is another process
            with tmux.Window(cli.KANTE, "top", "--node", node.socket_path, "--interval", "1", "--timeout", "1") as top:
                top.shows(r"^GETs/s +0 ")
                self.assertEqual(node.stop(), 0)
                shown = top.shows(r"^no answer, trying again: ")
                self.assertRegex(shown, re.compile(r"^GETs/s +-   hits +-", re.M))
                self.assertRegex(shown, re.compile(r"^WORKER", re.M))
                with open(node.log_path, "a", encoding="utf-8") as log:
                    again = subprocess.Popen(host.command(rig.KANTED, "-c", str(node.path)),
                                             stdout=log, stderr=log)
                try:
                    top.shows(r"\A(?!(.*\n)*no answer)(.*\n)*GETs/s +0 ")
                    # and one that does not say anything: keys still count
                    control_pid = rig.run("pgrep", "-P", str(again.pid), "kante-control").stdout
                    rig.os.kill(int(control_pid), rig.signal.SIGSTOP)
                    try:
                        top.shows(r"trying again: .* no answer\s+in\s+time")
                        top.type("q")
                        top.shows("ended with 0")
                    finally:
                        rig.os.kill(int(control_pid), rig.signal.SIGCONT)
                finally:
                    rig.kill(again)


if __name__ == "__main__":
    unittest.main()
