# SPDX-License-Identifier: Apache-2.0
"""libmemcached (Debian's libmemcached-dev) in C, on which PHP's and others' extensions are built,
and memccapable of libmemcached-tools, which speaks both protocols byte by byte."""
import pathlib
import re
import tempfile
import unittest

import rig as end_to_end
import test_clients_server as rig

SOURCE = pathlib.Path(__file__).parent / "clients" / "libmemcached.c"
IN_BOTH = ("get_gives_value_and_flags", "mget_of_1000_keys_gives_each_once",
           "add_and_replace_look_at_what_is_there", "append_and_prepend_join", "cas_stores_once",
           "increment_and_decrement_count", "touch_and_exist_look_without_getting",
           "delete_says_whether_the_key_was_there", "a_million_bytes_come_back",
           "a_value_over_the_limit_is_too_big_and_no_more", "a_key_of_250_bytes_is_good",
           "buffered_requests_are_sent_at_the_flush", "without_replies_all_is_the_same",
           "without_blocking_all_is_the_same", "stat_gives_numbers", "version_is_read",
           "after_quit_it_connects_again", "flush_leaves_nothing")


def compile_program(folder):
    program = str(pathlib.Path(folder) / "libmemcached")
    end_to_end.run("cc", "-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1",
                   str(SOURCE), "-lmemcached", "-o", program)
    return program


class Libmemcached:
    protocol = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory(prefix="kante-e2e-") as folder:
            cls.results = rig.Program(compile_program(folder), str(cls.server.port), cls.protocol)


@rig.program_tests(*IN_BOTH, "dump_walks_keys", "verbosity_is_accepted")
class LibmemcachedText(Libmemcached, rig.ServedTest):
    protocol = "text"


@rig.program_tests(*IN_BOTH, "increment_with_initial_creates")
class LibmemcachedBinary(Libmemcached, rig.ServedTest):
    protocol = "binary"


class Memccapable(rig.ServedTest):
    def capabilities(self, option):
        """What it says of each thing it tries, by name."""
        done = end_to_end.run("memccapable", "-h", rig.ADDRESS, "-p", str(self.server.port), "-t",
                              "2", option, check=False, timeout=180)
        said = dict(re.findall(r"^(.*\S)\s+\[(\w+)\]$", done.stdout, re.M))
        self.assertTrue(said, done.stdout + done.stderr)
        return said

    def test_27_of_27_in_text(self):
        said = self.capabilities("-a")
        self.assertEqual(said, {name: "pass" for name in said})
        self.assertEqual(len(said), 27)

    def test_27_of_27_in_binary(self):
        said = self.capabilities("-b")
        self.assertEqual(said, {name: "pass" for name in said})
        self.assertEqual(len(said), 27)


if __name__ == "__main__":
    unittest.main(verbosity=2)
