# SPDX-License-Identifier: Apache-2.0
"""Clients of Node.js: memcached (text) and memjs (binary, SASL), of the versions and with the
checksums that clients/package-lock.json pins. They are installed into build-node, beside builds.
"""
import os
import pathlib
import shutil
import threading
import unittest

import rig as end_to_end
import test_clients_server as rig

SOURCES = pathlib.Path(__file__).parent / "clients"
INSTALLING = threading.Lock()


def install():
    """Where the packages are; installs them when they, or their pinned versions, are new."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed: packages nodejs and npm")
    folder = end_to_end.ROOT / "build-node"
    wanted = (SOURCES / "package-lock.json").read_text()
    done = folder / "node_modules" / "done"
    with INSTALLING:
        if not done.exists() or done.read_text() != wanted:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(SOURCES / name, folder / name)
            end_to_end.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache",
                           str(folder / "cache"), cwd=folder)
            shutil.rmtree(folder / "cache", ignore_errors=True)
            done.write_text(wanted)
    return folder / "node_modules"


def program(name, *arguments):
    return rig.Program("node", "--no-deprecation", str(SOURCES / name), *arguments,
                       env={**os.environ, "NODE_PATH": str(install())})


@rig.program_tests("get_brings_back_text_numbers_objects_and_buffers",
                   "a_thousand_keys_are_set_in_parallel_and_got_at_once", "cas_stores_once",
                   "add_and_replace_look_at_what_is_there", "append_and_prepend_join",
                   "incr_and_decr_count", "touch_and_del_say_whether_the_key_was_there",
                   "a_million_bytes_come_back", "a_value_over_the_limit_is_not_stored_and_no_more",
                   "a_key_too_long_is_hashed", "stats_settings_items_and_slabs_are_read",
                   "cachedump_shows_items_of_a_class", "version_is_one_of_memcached",
                   "flush_leaves_nothing")
class NodeMemcached(rig.ServedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = program("npm_memcached.js", str(cls.server.port))


@rig.program_tests("get_sees_a_set",
                   "a_thousand_keys_are_set_and_got_without_waiting_in_between",
                   "add_and_replace_look_at_what_is_there", "append_joins",
                   "increment_creates_and_counts", "touch_and_delete_say_whether_the_key_was_there",
                   "a_million_bytes_come_back", "a_value_over_the_limit_is_an_error_and_no_more",
                   "stats_and_settings_are_read", "flush_leaves_nothing", "quit_is_answered")
class NodeMemjs(rig.ServedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = program("npm_memjs.js", str(cls.server.port))


@rig.program_tests("get_sees_a_set", "a_wrong_password_is_refused")
class NodeMemjsAuthentication(rig.ServedTest):
    authentication = "sasl"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.results = program("npm_memjs.js", f"{rig.USER}:{rig.PASSWORD}@{cls.server.port}",
                              "get_sees_a_set", "a_wrong_password_is_refused")


if __name__ == "__main__":
    unittest.main(verbosity=2)
