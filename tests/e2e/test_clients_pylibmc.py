# SPDX-License-Identifier: Apache-2.0
"""pylibmc (Debian's python3-pylibmc: libmemcached for Python), by the text and by the binary
protocol, with its defaults and with the behaviours that its manual recommends."""
import unittest

import pylibmc

import test_clients_server as rig

MANY = {f"many-{i}": "%d " % i * (i % 50) for i in range(1000)}


class Operations:
    """What holds for both protocols."""

    binary = False

    def setUp(self):
        self.client = self.connect(tcp_nodelay=True, cas=True)

    def connect(self, **behaviors):
        client = pylibmc.Client([self.server.name], binary=self.binary, behaviors=behaviors)
        self.addCleanup(client.disconnect_all)
        return client

    def test_defaults_set_and_get(self):
        client = pylibmc.Client([self.server.name], binary=self.binary)
        self.assertTrue(client.set("plain", b"value"))
        self.assertEqual(client.get("plain"), b"value")
        self.assertTrue(client.set("empty", b""))
        self.assertEqual(client.get("empty"), b"")
        self.assertIsNone(client.get("missing"))
        client.disconnect_all()

    def test_a_thousand_keys_are_set_got_and_deleted_at_once(self):
        self.assertEqual(self.client.set_multi(MANY), [])
        self.assertEqual(self.client.get_multi(list(MANY) + ["missing"]), MANY)
        self.assertTrue(self.client.delete_multi(list(MANY)))
        self.assertEqual(self.client.get_multi(list(MANY)), {})

    def test_misses_among_a_thousand_keys_are_left_out(self):
        there = dict(list(MANY.items())[::3])
        self.client.set_multi(there, key_prefix="some-")
        self.assertEqual(self.client.get_multi(list(MANY), key_prefix="some-"), there)

    def test_add_multi_says_what_was_there(self):
        self.client.delete_multi([f"added-{i}" for i in range(10)])
        self.client.set("added-4", "x")
        refused = self.client.add_multi({f"added-{i}": "y" for i in range(10)})
        self.assertEqual(refused, ["added-4"])
        self.assertEqual(self.client.get("added-4"), "x")

    def test_cas_stores_once(self):
        self.client.set("cas", "old")
        value, cas = self.client.gets("cas")
        self.assertEqual(value, "old")
        self.assertIs(self.client.cas("cas", "new", cas), True)
        self.assertIs(self.client.cas("cas", "newer", cas), False)
        self.assertEqual(self.client.get("cas"), "new")
        self.assertEqual(self.client.gets("cas-missing"), (None, None))
        with self.assertRaises(pylibmc.NotFound):
            self.client.cas("cas-missing", "x", cas)

    def test_add_stores_only_what_is_missing_and_replace_only_what_is_there(self):
        self.client.delete("add")
        self.assertTrue(self.client.add("add", "1"))
        self.assertFalse(self.client.add("add", "2"))
        self.assertTrue(self.client.replace("add", "3"))
        self.assertEqual(self.client.get("add"), "3")

    def test_append_and_prepend_join(self):
        self.client.set("joined", "-")
        self.assertTrue(self.client.append("joined", "right"))
        self.assertTrue(self.client.prepend("joined", "left"))
        self.assertEqual(self.client.get("joined"), "left-right")
        self.assertFalse(self.client.append("joined-missing", "x"))
        self.assertFalse(self.client.prepend("joined-missing", "x"))

    def test_incr_and_decr_count(self):
        self.client.set("counter", 10)
        self.assertEqual(self.client.incr("counter", 32), 42)
        self.assertEqual(self.client.decr("counter", 2), 40)
        self.assertEqual(self.client.get("counter"), 40)
        self.assertEqual(self.client.decr("counter", 100), 0)
        with self.assertRaises(pylibmc.NotFound):
            self.client.incr("counter-missing", 1)
        self.client.set_multi({f"counter-{i}": i for i in range(100)})
        self.client.incr_multi([f"counter-{i}" for i in range(100)], delta=1000)
        self.assertEqual(self.client.get_multi([f"counter-{i}" for i in range(100)]),
                         {f"counter-{i}": i + 1000 for i in range(100)})

    def test_incr_of_text_is_an_error_and_no_more(self):
        self.client.set("words", "words")
        with self.assertRaises(pylibmc.Error):
            self.client.incr("words", 1)
        self.assertEqual(self.client.get("words"), "words")

    def test_touch_says_whether_the_key_is_there(self):
        self.client.set("touched", "x")
        self.assertIs(self.client.touch("touched", 100), True)
        self.assertIs(self.client.touch("touch-missing", 100), False)
        self.assertEqual(self.client.get("touched"), "x")

    def test_delete_says_whether_the_key_was_there(self):
        self.client.set("deleted", "x")
        self.assertIs(self.client.delete("deleted"), True)
        self.assertIs(self.client.delete("deleted"), False)

    def test_flags_bring_objects_back(self):
        objects = {"bytes": b"\x00\r\n\xff", "text": "grüße", "number": -5, "large": 2**70,
                   "truth": True, "half": 0.5, "none": None, "object": {"a": [1, ("x", None)]}}
        self.assertEqual(self.client.set_multi(objects), [])
        self.assertEqual(self.client.get_multi(list(objects)), objects)

    def test_compressed_values_come_back(self):
        value = "again and " * 50000
        self.assertTrue(self.client.set("compressed", value, min_compress_len=100))
        self.assertEqual(self.client.get("compressed"), value)
        many = {f"compressed-{i}": value[:i * 100] for i in range(100)}
        self.client.set_multi(many, min_compress_len=100, compress_level=1)
        self.assertEqual(self.client.get_multi(list(many)), many)

    def test_a_million_bytes_come_back(self):
        value = bytes(range(250)) * 4000
        self.assertTrue(self.client.set("million", value))
        self.assertEqual(self.client.get("million"), value)
        self.client.set_multi({f"million-{i}": value for i in range(5)})
        self.assertEqual(self.client.get_multi([f"million-{i}" for i in range(5)]),
                         {f"million-{i}": value for i in range(5)})

    def test_a_value_over_the_limit_is_an_error_and_no_more(self):
        self.client.set_multi({"over": "old", "beside": "x"})
        with self.assertRaises(pylibmc.TooBig):
            self.client.set("over", b"x" * (rig.VALUE_BYTES_MAX + 1))
        self.assertEqual(self.client.get("beside"), "x")
        self.assertIsNone(self.client.get("over"))  # the old value is not left as if current
        with self.assertRaises(pylibmc.TooBig):
            self.client.set("over", b"x" * (5 * rig.VALUE_BYTES_MAX))
        self.assertEqual(self.client.get("beside"), "x")

    def test_a_key_of_250_bytes_is_good_and_a_longer_one_is_not_sent(self):
        self.assertTrue(self.client.set("k" * 250, "x"))
        self.assertEqual(self.client.get("k" * 250), "x")
        with self.assertRaises(ValueError):
            self.client.set("k" * 251, "x")

    def test_flush_all_leaves_nothing(self):
        self.client.set("flushed", "x")
        self.assertTrue(self.client.flush_all())
        self.assertIsNone(self.client.get("flushed"))
        self.client.set("flushed", "y")
        self.assertEqual(self.client.get("flushed"), "y")

    def test_get_stats_has_what_libmemcached_reads(self):
        self.client.set("counted", "x")
        self.client.get("counted")
        (_, stats), = self.client.get_stats()
        for name in ("pid", "uptime", "time", "pointer_size", "curr_items", "total_items", "bytes",
                     "curr_connections", "total_connections", "connection_structures", "cmd_get",
                     "cmd_set", "get_hits", "get_misses", "evictions", "bytes_read",
                     "bytes_written", "limit_maxbytes", "threads"):
            self.assertRegex(stats[name], rb"^\d+$", name)
        for name in ("pid", "time", "curr_items", "get_hits", "limit_maxbytes", "threads"):
            self.assertGreater(int(stats[name]), 0, name)
        self.assertRegex(stats["version"], rb"^\d+\.\d+\.\d+")

    def test_without_waiting_to_send_all_is_the_same(self):
        client = self.connect(no_block=True, tcp_nodelay=True)
        self.assertEqual(client.set_multi(MANY, key_prefix="nb-"), [])
        self.assertEqual(client.get_multi(list(MANY), key_prefix="nb-"), MANY)
        value = b"v" * 1000000
        client.set("nb-million", value)
        self.assertEqual(client.get("nb-million"), value)

    def test_without_replies_all_is_the_same(self):
        client = self.connect(_noreply=True, tcp_nodelay=True)
        client.set_multi(MANY, key_prefix="nr-")
        client.set("nr-many-1", "new")
        client.add("nr-many-1", "refused")
        client.delete("nr-many-2")
        expected = dict(MANY, **{"many-1": "new"})
        del expected["many-2"]
        self.assertEqual(client.get_multi(list(MANY), key_prefix="nr-"), expected)

    def test_clones_have_connections_of_their_own(self):
        clones = [self.client.clone() for _ in range(20)]
        for i, clone in enumerate(clones):
            clone.set(f"clone-{i}", i)
        for i, clone in enumerate(reversed(clones)):
            self.assertEqual(clone.get(f"clone-{i}"), i)
        for clone in clones:
            clone.disconnect_all()


class PylibmcText(Operations, rig.ServedTest):
    def test_replace_of_what_is_missing_is_false(self):
        self.assertFalse(self.client.replace("replace-missing", "x"))


class PylibmcBinary(Operations, rig.ServedTest):
    binary = True

    def test_replace_of_what_is_missing_is_not_found(self):
        with self.assertRaises(pylibmc.NotFound):
            self.client.replace("replace-missing", "x")


class PylibmcAuthentication(rig.ServedTest):
    """SASL PLAIN, which is the binary protocol's alone."""

    authentication = "sasl"

    def connect(self, **options):
        client = pylibmc.Client([self.server.name], binary=True, **options)
        self.addCleanup(client.disconnect_all)
        return client

    def test_the_password_opens(self):
        client = self.connect(username=rig.USER, password=rig.PASSWORD)
        self.assertEqual(client.set_multi(MANY), [])
        self.assertEqual(client.get_multi(list(MANY)), MANY)

    def test_a_wrong_password_is_refused(self):
        with self.assertRaises(pylibmc.Error):
            self.connect(username=rig.USER, password="wrong").set("locked", "x")

    def test_without_a_password_nothing_is_set(self):
        with self.assertRaises(pylibmc.Error):
            self.connect().set("locked", "x")
        self.assertIsNone(self.connect(username=rig.USER, password=rig.PASSWORD).get("locked"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
