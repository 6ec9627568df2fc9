# SPDX-License-Identifier: Apache-2.0
"""A program that has a whole terminal: tmux's, of any size, which can be looked at."""
import re
import shlex

import cli
import rig


class Window:
    """It runs in a window; what is on the screen, and what is typed."""

    count = 0

    def __init__(self, *command, columns=80, rows=24, environment=None):
        Window.count += 1
        self.server = ("tmux", "-L", f"kante-e2e-{rig.os.getpid()}-{Window.count}", "-f", "/dev/null")
        variables = {"LC_ALL": "C.UTF-8"} | (environment or {})
        line = shlex.join(["env", *(f"{name}={value}" for name, value in variables.items()),
                           *map(str, command)])
        # what it leaves behind stays to be looked at
        rig.run(*self.server, "new-session", "-d", "-x", str(columns), "-y", str(rows),
                f"{line}; echo \"ended with $?\"; exec cat", env=cli.CLEAN)

    def tmux(self, *words):
        return rig.run(*self.server, *words).stdout

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def shows(self, pattern, seconds=20, options=()):
        """Waits for it; returns the screen."""
        shown = ""

        def found():
            nonlocal shown
            shown = self.screen(*options)
            return re.search(pattern, shown, re.M)

        try:
            rig.wait_until(found, seconds, "")
        except AssertionError:
            raise AssertionError(f"not shown: {pattern}:\n{shown}") from None
        return shown

    def type(self, key):
        self.tmux("send-keys", key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        rig.run(*self.server, "kill-server", check=False)
