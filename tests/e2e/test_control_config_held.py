# SPDX-License-Identifier: Apache-2.0
"""A change of the config is whole, whatever becomes of kanted, of the control process, or of who
has asked for it."""
import contextlib
import json
import os
import signal
import threading
import unittest

import control
import rig
import test_control_config


class Kanted(test_control_config.Rig):
    def test_without_an_answer_of_kanted_the_file_is_as_it_was(self):
        before = self.file()
        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        replies = []

        def change(name, value):
            replies.append(self.client.ask("PUT", self.path(name), {"value": value}))

        first = threading.Thread(target=change, args=("eviction", "lfu"))
        first.start()
        rig.wait_until(lambda: self.file() != before, 10, "it is written")
        # meanwhile nobody else changes it
        change("eviction", "ttl")
        self.assertEqual(replies[0].status, 503)
        self.assertIn("another change of the config is under way", replies[0].error)
        first.join()
        self.assertEqual(replies[1].status, 503)
        self.assertIn("kanted does not answer", replies[1].error)
        self.assertIn("the file is as it was", replies[1].error)
        self.assertEqual(self.file(), before)
        os.kill(self.node.kanted_pid(), signal.SIGCONT)
        self.assertEqual(self.set("eviction", "lfu")["effect"], "live")
        self.assertEqual([line["result"] for line in self.lines("config.set")], ["failed", "ok"])

    def test_a_client_that_goes_leaves_nothing_half_done(self):
        os.kill(self.node.kanted_pid(), signal.SIGSTOP)
        before = self.file()
        connection = control.Connection(self.client.open_socket)
        connection.request("PUT", self.path("eviction"), json.dumps({"value": "lfu"}),
                           {"Content-Type": "application/json"})
        rig.wait_until(lambda: self.file() != before, 10, "it is written")
        connection.close()
        os.kill(self.node.kanted_pid(), signal.SIGCONT)
        rig.wait_until(lambda: self.lines("config.set"), 10, "it is written down")
        self.assertEqual(self.lines("config.set")[0]["result"], "ok")
        self.assertEqual(self.running("eviction"), "lfu")

    def test_a_new_control_process_goes_by_what_runs_and_not_by_the_file(self):
        self.set("memory", "1GiB")
        self.node.path.write_text(self.file().replace("lru", "best"))
        pid = self.node.control_pid()
        os.kill(pid, signal.SIGKILL)
        rig.wait_until(lambda: self.node.control_pid() not in (None, pid), 10, "it runs again")
        rig.wait_until(self.serves, 10, "it serves again")
        self.assertEqual((self.running("memory"), self.running("eviction")), ("64MiB", "lru"))

    def serves(self):
        try:
            with contextlib.closing(self.client.open_socket()):
                return True
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
