# SPDX-License-Identifier: Apache-2.0
"""python-memcached (Debian's python3-memcache) with its defaults: text, pickled objects, flags."""
import unittest

import memcache

import test_clients_server as rig

MANY = {f"many-{i}": "%d " % i * (i % 50) for i in range(1000)}


class PythonMemcache(rig.ServedTest):
    def setUp(self):
        self.client = self.connect()

    def connect(self, **options):
        client = memcache.Client([self.server.name], socket_timeout=rig.SECONDS, **options)
        self.addCleanup(client.disconnect_all)
        return client

    def test_get_sees_a_set(self):
        self.assertTrue(self.client.set("plain", b"value"))
        self.assertEqual(self.client.get("plain"), b"value")
        self.assertTrue(self.client.set("empty", b""))
        self.assertEqual(self.client.get("empty"), b"")
        self.assertIsNone(self.client.get("missing"))

    def test_a_thousand_keys_are_set_got_and_deleted_at_once(self):
        self.assertEqual(self.client.set_multi(MANY), [])
        self.assertEqual(self.client.get_multi(list(MANY) + ["missing"]), MANY)
        self.assertTrue(self.client.delete_multi(list(MANY)))
        self.assertEqual(self.client.get_multi(list(MANY)), {})

    def test_without_replies_all_is_the_same(self):
        self.assertEqual(self.client.set_multi(MANY, noreply=True), [])
        self.client.set("many-1", "new", noreply=True)
        self.client.add("many-1", "refused", noreply=True)
        self.client.delete("many-2", noreply=True)
        self.client.touch("many-3", 100, noreply=True)
        expected = dict(MANY, **{"many-1": "new"})
        del expected["many-2"]
        self.assertEqual(self.client.get_multi(list(MANY)), expected)
        self.client.delete_multi(list(MANY), noreply=True)
        self.assertEqual(self.client.get_multi(list(MANY)), {})

    def test_cas_stores_once(self):
        client, other = self.connect(cache_cas=True), self.connect(cache_cas=True)
        client.set("cas", "old")
        self.assertEqual(client.gets("cas"), "old")
        self.assertEqual(other.gets("cas"), "old")
        self.assertTrue(client.cas("cas", "new"))
        self.assertFalse(other.cas("cas", "newer"))
        self.assertEqual(client.get("cas"), "new")

    def test_add_stores_only_what_is_missing_and_replace_only_what_is_there(self):
        self.client.delete("add")
        self.assertFalse(self.client.replace("add", "0"))
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

    def test_incr_and_decr_count(self):
        self.client.set("counter", 10)
        self.assertEqual(self.client.incr("counter", 32), 42)
        self.assertEqual(self.client.decr("counter", 2), 40)
        self.assertEqual(self.client.get("counter"), 40)
        self.assertEqual(self.client.decr("counter", 100), 0)
        self.assertIsNone(self.client.incr("counter-missing"))

    def test_touch_says_whether_the_key_is_there(self):
        self.client.set("touched", "x")
        self.assertTrue(self.client.touch("touched", 100))
        self.assertFalse(self.client.touch("touch-missing", 100))
        self.assertEqual(self.client.get("touched"), "x")

    def test_delete_works_with_a_time_of_0_too(self):
        for options in ({}, {"time": 0}):
            self.client.set("deleted", "x")
            self.assertTrue(self.client.delete("deleted", **options))
            self.assertIsNone(self.client.get("deleted"))
        self.client.set("deleted", "x")
        self.assertTrue(self.client.delete_multi(["deleted", "missing"], time=0))
        self.assertIsNone(self.client.get("deleted"))

    def test_flags_bring_objects_back(self):
        objects = {"bytes": b"\x00\r\n\xff", "text": "grüße", "number": -5, "large": 2**70,
                   "truth": True, "half": 0.5, "object": {"a": [1, ("x", None)]}}
        self.assertEqual(self.client.set_multi(objects), [])
        self.assertEqual(self.client.get_multi(list(objects)), objects)

    def test_compressed_values_come_back(self):
        value = "again and " * 50000
        self.assertTrue(self.client.set("compressed", value, min_compress_len=100))
        self.assertEqual(self.client.get("compressed"), value)

    def test_a_million_bytes_come_back(self):
        value = bytes(range(250)) * 4000
        self.assertTrue(self.client.set("million", value))
        self.assertEqual(self.client.get("million"), value)

    def test_a_value_over_the_limit_is_refused_and_no_more(self):
        client = self.connect(server_max_value_length=10 * rig.VALUE_BYTES_MAX)
        client.set_multi({"over": "old", "beside": "x"})
        connection = client.servers[0].socket
        self.assertFalse(client.set("over", b"x" * (rig.VALUE_BYTES_MAX + 1)))
        self.assertEqual(client.get("beside"), "x")
        self.assertIsNone(client.get("over"))  # the old value is not left as if current
        self.assertIs(client.servers[0].socket, connection)

    def test_a_key_of_250_bytes_is_good_and_a_longer_one_is_not_sent(self):
        self.assertTrue(self.client.set("k" * 250, "x"))
        self.assertEqual(self.client.get("k" * 250), "x")
        with self.assertRaises(memcache.Client.MemcachedKeyLengthError):
            self.client.set("k" * 251, "x")

    def test_flush_all_leaves_nothing(self):
        self.client.set("flushed", "x")
        self.client.flush_all()
        self.assertIsNone(self.client.get("flushed"))
        self.client.set("flushed", "y")
        self.assertEqual(self.client.get("flushed"), "y")

    def test_get_stats_gives_each_name_a_value(self):
        # get_slabs() and get_slab_stats() of 1.59 compare bytes with text and fail with any
        # server, so what they would ask is asked here.
        self.client.set("counted", "x")
        self.client.get("counted")
        for what, name in ((None, "curr_items"), ("settings", "maxbytes"),
                           ("items", "items:1:number"), ("slabs", "1:chunk_size")):
            (_, stats), = self.client.get_stats(what)
            if what in ("items", "slabs"):  # whichever class holds it
                name = next(key for key in stats if key.endswith(name.rpartition("1")[2]))
            self.assertRegex(stats[name], r"^[1-9]\d*$", name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
