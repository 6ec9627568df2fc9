# SPDX-License-Identifier: Apache-2.0
"""pymemcache (Debian's python3-pymemcache) with its defaults: text, and no reply asked for where
that is possible."""
import threading
import unittest

import pymemcache
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import (MemcacheClientError, MemcacheIllegalInputError,
                                   MemcacheServerError)
from pymemcache.serde import pickle_serde

import test_clients_server as rig

MANY = {f"many-{i}": b"%d" % i * (i % 50) for i in range(1000)}
TIMEOUTS = {"connect_timeout": rig.SECONDS, "timeout": rig.SECONDS}


class Pymemcache(rig.ServedTest):
    def setUp(self):
        self.client = self.connect()
        self.addCleanup(self.client.close)

    def connect(self, **options):
        return pymemcache.Client((rig.ADDRESS, self.server.port), **TIMEOUTS, **options)

    def test_get_sees_a_set_that_waited_for_no_reply(self):
        self.client.set("plain", "value")
        self.assertEqual(self.client.get("plain"), b"value")
        self.client.set("empty", b"")
        self.assertEqual(self.client.get("empty"), b"")
        self.assertIsNone(self.client.get("missing"))
        self.assertEqual(self.client.get("missing", default=7), 7)

    def test_a_thousand_keys_are_set_without_replies_and_got_at_once(self):
        self.client.delete_many(MANY)
        self.assertEqual(self.client.set_many(MANY), [])
        self.assertEqual(self.client.get_many(list(MANY) + ["missing"]), MANY)

    def test_a_thousand_keys_are_set_with_replies_and_deleted(self):
        self.assertEqual(self.client.set_many(MANY, noreply=False), [])
        self.assertEqual(self.client.get_many(list(MANY)), MANY)
        self.assertTrue(self.client.delete_many(list(MANY)))
        self.assertEqual(self.client.get_many(list(MANY)), {})

    def test_gets_many_gives_each_key_a_cas_of_its_own(self):
        self.client.set_many(MANY)
        got = self.client.gets_many(list(MANY))
        self.assertEqual({key: value for key, (value, _) in got.items()}, MANY)
        self.assertEqual(len({cas for _, cas in got.values()}), len(MANY))

    def test_cas_stores_once(self):
        self.client.set("cas", b"old")
        value, cas = self.client.gets("cas")
        self.assertEqual(value, b"old")
        self.assertIs(self.client.cas("cas", b"new", cas), True)
        self.assertIs(self.client.cas("cas", b"newer", cas), False)
        self.assertEqual(self.client.get("cas"), b"new")
        self.assertIsNone(self.client.cas("cas-missing", b"x", cas))
        self.assertEqual(self.client.gets("cas-missing"), (None, None))

    def test_cas_without_reply_keeps_the_connection_in_step(self):
        self.client.set("quiet-cas", b"old")
        _, cas = self.client.gets("quiet-cas")
        for value in (b"new", b"newer"):
            self.client.cas("quiet-cas", value, cas, noreply=True)
        self.assertEqual(self.client.get("quiet-cas"), b"new")

    def test_add_stores_only_what_is_missing_and_replace_only_what_is_there(self):
        self.client.delete("add")
        self.assertIs(self.client.replace("add", b"0", noreply=False), False)
        self.assertIs(self.client.add("add", b"1", noreply=False), True)
        self.assertIs(self.client.add("add", b"2", noreply=False), False)
        self.assertIs(self.client.replace("add", b"3", noreply=False), True)
        self.client.add("add", b"4")
        self.assertEqual(self.client.get("add"), b"3")

    def test_append_and_prepend_join(self):
        self.client.set("joined", b"-")
        self.client.append("joined", b"right")
        self.client.prepend("joined", b"left")
        self.assertEqual(self.client.get("joined"), b"left-right")
        self.assertIs(self.client.append("joined-missing", b"x", noreply=False), False)
        self.assertIs(self.client.prepend("joined-missing", b"x", noreply=False), False)

    def test_incr_and_decr_count(self):
        self.client.set("counter", "10")
        self.assertEqual(self.client.incr("counter", 32), 42)
        self.assertEqual(self.client.decr("counter", 2), 40)
        self.assertEqual(self.client.decr("counter", 100), 0)
        self.client.incr("counter", 5, noreply=True)
        self.assertEqual(self.client.get("counter").strip(), b"5")
        self.assertIsNone(self.client.incr("counter-missing", 1))
        self.client.set("counter", str(2**64 - 1))
        self.assertEqual(self.client.incr("counter", 2), 1)

    def test_incr_of_text_is_a_client_error(self):
        self.client.set("words", "words")
        with self.assertRaisesRegex(MemcacheClientError, "non-numeric value"):
            self.client.incr("words", 1)
        self.client.incr("words", 1, noreply=True)
        self.assertEqual(self.client.get("words"), b"words")

    def test_touch_says_whether_the_key_is_there(self):
        self.client.set("touched", b"x")
        self.assertIs(self.client.touch("touched", 100, noreply=False), True)
        self.assertIs(self.client.touch("touch-missing", 100, noreply=False), False)
        self.client.touch("touched", 0)
        self.assertEqual(self.client.get("touched"), b"x")

    def test_delete_says_whether_the_key_was_there(self):
        self.client.set("deleted", b"x")
        self.assertIs(self.client.delete("deleted", noreply=False), True)
        self.assertIs(self.client.delete("deleted", noreply=False), False)

    def test_flags_bring_objects_back(self):
        client = self.connect(serde=pickle_serde)
        objects = {"bytes": b"\x00\r\n\xff", "text": "grüße", "number": 2**70, "none": None,
                   "object": {"a": [1, 2.5, ("x",)]}}
        client.set_many(objects)
        self.assertEqual(client.get_many(list(objects)), objects)
        client.close()

    def test_flags_have_32_bits(self):
        class Flags:
            serialize = staticmethod(lambda key, value: (value, 2**32 - 1))
            deserialize = staticmethod(lambda key, value, flags: flags)

        client = self.connect(serde=Flags)
        client.set("flags", b"x")
        self.assertEqual(client.get("flags"), 2**32 - 1)
        client.close()

    def test_a_million_bytes_come_back(self):
        value = bytes(range(250)) * 4000
        self.client.set("million", value)
        self.assertEqual(self.client.get("million"), value)

    def test_a_value_over_the_limit_is_a_server_error(self):
        with self.assertRaisesRegex(MemcacheServerError, "object too large for cache"):
            self.client.set("over", b"x" * (rig.VALUE_BYTES_MAX + 1), noreply=False)
        self.assertIsNone(self.client.get("over"))

    def test_a_value_over_the_limit_without_reply_leaves_the_connection_in_step(self):
        self.client.set("quiet-over", b"old")
        self.assertEqual(self.client.get("quiet-over"), b"old")
        connection = self.client.sock
        self.client.set("quiet-over", b"x" * (rig.VALUE_BYTES_MAX + 1))
        self.assertIsNone(self.client.get("quiet-over"))  # the old value is not left as if current
        self.client.set("quiet-over", b"new")
        self.assertEqual(self.client.get("quiet-over"), b"new")
        self.assertIs(self.client.sock, connection)

    def test_a_key_of_250_bytes_is_good_and_a_longer_one_is_not_sent(self):
        self.client.set("k" * 250, b"x")
        self.assertEqual(self.client.get("k" * 250), b"x")
        with self.assertRaises(MemcacheIllegalInputError):
            self.client.set("k" * 251, b"x")

    def test_keys_with_bad_characters_are_not_sent(self):
        for key in ("a b", "a\nb", "a\0b", "ключ"):
            with self.assertRaises(MemcacheIllegalInputError):
                self.client.set(key, b"x")

    def test_keys_may_be_of_any_script(self):
        client = self.connect(allow_unicode_keys=True)
        values = {key: key.encode() for key in ("ключ", "schlüssel", "鍵", "🗝")}
        client.set_many(values)
        self.assertEqual(client.get_many(list(values)), values)
        client.close()

    def test_a_bad_key_on_the_wire_is_an_error_and_no_more(self):
        self.client.check_key = lambda key: key.encode()
        with self.assertRaisesRegex(MemcacheClientError, "bad command line format"):
            self.client.get("k" * 251)
        self.assertIsNone(self.client.get("missing"))

    def test_flush_all_leaves_nothing(self):
        self.client.set("flushed", b"x")
        self.client.flush_all()
        self.assertIsNone(self.client.get("flushed"))
        self.assertIs(self.client.flush_all(noreply=False), True)
        self.client.set("flushed", b"y")
        self.assertEqual(self.client.get("flushed"), b"y")

    def test_stats_have_the_types_that_it_parses(self):
        self.client.set("counted", b"x")
        self.client.get("counted")
        stats = self.client.stats()
        for name in (b"pid", b"uptime", b"time", b"pointer_size", b"curr_items", b"total_items",
                     b"curr_connections", b"cmd_get", b"cmd_set", b"get_hits", b"get_misses",
                     b"bytes", b"bytes_read", b"bytes_written", b"limit_maxbytes", b"threads"):
            self.assertIsInstance(stats[name], int, name)
        self.assertGreater(stats[b"get_hits"], 0)
        self.assertIsInstance(stats[b"rusage_user"], float)
        self.assertIsInstance(stats[b"rusage_system"], float)
        self.assertIs(stats[b"hash_is_expanding"], False)
        self.assertIs(stats[b"slab_reassign_running"], False)
        self.assertRegex(stats[b"version"], rb"^\d+\.\d+\.\d+")

    def test_stats_settings_have_the_types_that_it_parses(self):
        settings = self.client.stats("settings")
        for name in (b"maxbytes", b"maxconns", b"tcpport", b"udpport", b"verbosity", b"oldest",
                     b"chunk_size", b"num_threads", b"num_threads_per_udp", b"reqs_per_event",
                     b"tcp_backlog", b"item_size_max", b"hashpower_init"):
            self.assertIsInstance(settings[name], int, name)
        self.assertEqual(settings[b"tcpport"], self.server.port)
        self.assertEqual(settings[b"item_size_max"], rig.VALUE_BYTES_MAX)
        self.assertIsInstance(settings[b"growth_factor"], float)
        self.assertEqual(settings[b"umask"], 0o700)
        self.assertEqual(settings[b"stat_key_prefix"], b":")
        self.assertEqual(settings[b"inter"], rig.ADDRESS.encode())
        self.assertIs(settings[b"auth_enabled_sasl"], False)
        self.assertEqual(settings[b"evictions"], b"on")
        for name in (b"cas_enabled", b"detail_enabled", b"maxconns_fast", b"slab_reassign"):
            self.assertIn(settings[name], (b"yes", b"no"), name)

    def test_stats_items_and_slabs_are_numbers_of_a_class(self):
        self.client.set("classed", b"x")
        for kind, pattern in (("items", rb"^items:\d+:number$"), ("slabs", rb"^\d+:chunk_size$")):
            stats = self.client.stats(kind)
            self.assertTrue(any(isinstance(value, int) for value in stats.values()))
            self.assertRegex(b"\n".join(stats), b"(?m)" + pattern)

    def test_version_is_one(self):
        self.assertRegex(self.client.version(), rb"^[1-9]\d*\.\d+\.\d+")

    def test_cache_memlimit_lowers_and_raises(self):
        limit = self.client.stats()[b"limit_maxbytes"]
        self.assertIs(self.client.cache_memlimit(100), True)
        self.assertLessEqual(self.client.stats()[b"limit_maxbytes"], 100 * 2**20)
        self.assertIs(self.client.cache_memlimit(-(-limit // 2**20)), True)
        self.assertEqual(self.client.stats()[b"limit_maxbytes"], limit)

    def test_quit_closes(self):
        self.client.version()
        connection = self.client.sock.dup()
        self.client.quit()
        connection.settimeout(rig.SECONDS)
        self.assertEqual(connection.recv(1), b"")
        connection.close()

    def test_a_pool_serves_threads_at_once(self):
        pool = pymemcache.PooledClient((rig.ADDRESS, self.server.port), max_pool_size=8,
                                       **TIMEOUTS)
        failures = []

        def work(number):
            for i in range(100):
                pool.set(f"pool-{number}", str(i), noreply=False)
                if pool.get(f"pool-{number}") != b"%d" % i:
                    failures.append((number, i))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(failures, [])
        pool.close()


class PymemcacheHash(rig.ServedTest):
    def test_two_servers_share_a_thousand_keys(self):
        other = rig.Server()
        self.addCleanup(other.end)
        servers = [(rig.ADDRESS, self.server.port), (rig.ADDRESS, other.port)]
        for options in ({}, {"use_pooling": True}):
            client = HashClient(servers, **TIMEOUTS, **options)
            self.assertEqual(client.set_many(MANY), [])
            self.assertEqual(client.get_many(list(MANY)), MANY)
            self.assertEqual(client.get("many-77"), MANY["many-77"])
            client.delete_many(MANY, noreply=False)
            self.assertEqual(client.get_many(list(MANY)), {})
            client.close()
        for port in (self.server.port, other.port):
            client = pymemcache.Client((rig.ADDRESS, port), **TIMEOUTS)
            self.assertGreater(client.stats()[b"cmd_set"], 500)
            client.close()


class PymemcacheAuthentication(rig.ServedTest):
    """The text protocol's way: the first command is a set whose value is user and password."""

    authentication = "text"

    def connect(self):
        client = pymemcache.Client((rig.ADDRESS, self.server.port), **TIMEOUTS)
        self.addCleanup(client.close)
        return client

    def test_a_first_set_with_the_password_opens(self):
        client = self.connect()
        self.assertTrue(client.set("login", f"{rig.USER} {rig.PASSWORD}", noreply=False))
        client.set("open", b"x")
        self.assertEqual(client.get("open"), b"x")
        self.assertIsNone(client.get("login"))

    def test_a_wrong_password_is_refused(self):
        client = self.connect()
        with self.assertRaisesRegex(MemcacheClientError, "authentication failure"):
            client.set("login", f"{rig.USER} wrong", noreply=False)

    def test_without_a_password_nothing_is_got(self):
        client = self.connect()
        with self.assertRaisesRegex(MemcacheClientError, "unauthenticated"):
            client.get("open")


if __name__ == "__main__":
    unittest.main(verbosity=2)
