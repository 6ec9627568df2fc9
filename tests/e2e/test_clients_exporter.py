# SPDX-License-Identifier: Apache-2.0
"""What the Prometheus exporter for memcached asks and reads: prometheus/memcached_exporter after
its 0.15.2, with the slab collector on (Debian 12 has no package of it). It asks `stats`,
`stats slabs` and `stats items` on one connection, then `stats settings`, and says memcached_up 0
when a line or a number is not as it expects; names that are missing are metrics that are missing.
"""
import re
import unittest

import pymemcache

import test_clients_server as rig

NUMBERS = """uptime time cmd_set cmd_flush get_hits get_misses delete_hits delete_misses incr_hits
    incr_misses decr_hits decr_misses cas_hits cas_misses cas_badval touch_hits touch_misses bytes
    limit_maxbytes curr_items total_items bytes_read bytes_written curr_connections
    total_connections rejected_connections conn_yields listen_disabled_num evictions reclaimed
    store_too_large store_no_memory lru_crawler_starts direct_reclaims crawler_items_checked
    crawler_reclaimed moves_to_cold moves_to_warm moves_within_lru accepting_conns
    total_malloced""".split()
ITEM_NUMBERS = """number number_hot number_warm number_cold age age_hot age_warm hits_to_hot
    hits_to_warm hits_to_cold hits_to_temp crawler_reclaimed evicted evicted_nonzero evicted_time
    evicted_unfetched expired_unfetched outofmemory reclaimed tailrepairs mem_requested
    moves_to_cold moves_to_warm moves_within_lru""".split()
SLAB_NUMBERS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks
    free_chunks_end get_hits delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits
    cmd_set""".split()
CRAWLER_NUMBERS = """lru_crawler_sleep lru_crawler_tocrawl hot_lru_pct warm_lru_pct hot_max_factor
    warm_max_factor""".split()
NUMBER = r"^\d+(\.\d+)?$"


class Exporter(rig.ServedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client = pymemcache.Client((rig.ADDRESS, cls.server.port), timeout=rig.SECONDS,
                                   default_noreply=False)
        client.set_many({"a": "1", "b": "2", "c": "3"})
        _, cas = client.gets("a")
        client.cas("a", "4", cas)
        client.cas("a", "5", cas)
        client.cas("missing", "6", cas)
        client.incr("a", 1)
        client.decr("b", 1)
        client.touch("c", 100)
        client.get_many(["a", "b", "missing"])
        client.delete("c")
        client.close()
        cls.replies = [cls.server.talk(f"{asked}\r\nquit\r\n")
                       for asked in ("stats\r\nstats slabs\r\nstats items", "stats settings")]
        cls.general, cls.slabs, cls.items = {}, {}, {}
        for line in cls.replies[0].split("\r\n"):
            words = line.split(" ")
            if len(words) == 3:
                cls.file_away(words[1].split(":"), words[2])
        cls.settings = dict(re.findall(r"^STAT (\S+) (.*)\r$", cls.replies[1], re.M))

    @classmethod
    def file_away(cls, name, value):
        if len(name) == 1:
            cls.general[name[0]] = value
        elif len(name) == 2:
            cls.slabs.setdefault(int(name[0]), {})[name[1]] = value
        elif len(name) == 3:
            cls.items.setdefault(int(name[1]), {})[name[2]] = value

    def assert_numbers(self, stats, names):
        for name in names:
            self.assertRegex(stats.get(name, "not there"), NUMBER, name)

    def test_every_line_is_a_name_and_a_value_up_to_the_end(self):
        for reply, ends in zip(self.replies, (3, 1)):
            lines = reply.split("\r\n")
            self.assertEqual(lines.count("END"), ends)
            self.assertEqual(lines[-2:], ["END", ""])
            for line in lines[:-1]:
                self.assertRegex(line, r"^(STAT \S+ \S*|END)$")

    def test_general_statistics_are_numbers(self):
        self.assert_numbers(self.general, NUMBERS)
        self.assertRegex(self.general["version"], r"^\S+$")

    def test_processor_time_is_seconds_a_point_and_microseconds(self):
        for name in ("rusage_user", "rusage_system"):
            self.assertRegex(self.general[name], r"^\d+\.\d{6}$")

    def test_sets_are_what_cas_leaves_of_cmd_set(self):
        cas = [int(self.general[name]) for name in ("cas_misses", "cas_hits", "cas_badval")]
        self.assertEqual(cas, [1, 1, 1])
        self.assertEqual(int(self.general["cmd_set"]) - sum(cas), 3)

    def test_there_is_a_class_of_items_and_its_statistics_are_numbers(self):
        self.assertTrue(self.items)
        for stats in self.items.values():
            self.assert_numbers(stats, ITEM_NUMBERS)
        self.assertEqual(sum(int(stats["number"]) for stats in self.items.values()),
                         int(self.general["curr_items"]))

    def test_there_is_a_slab_class_and_its_statistics_are_numbers(self):
        self.assertTrue(self.slabs)
        for stats in self.slabs.values():
            self.assert_numbers(stats, SLAB_NUMBERS)
            sets = int(stats["cmd_set"]) - int(stats["cas_hits"]) - int(stats["cas_badval"])
            self.assertGreaterEqual(sets, 0)

    def test_settings_are_numbers_and_yes_or_no(self):
        self.assertRegex(self.settings["maxconns"], r"^\d+$")
        self.assertIn(self.settings["lru_crawler"], ("yes", "no"))
        self.assertIn(self.settings["lru_maintainer_thread"], ("yes", "no"))
        self.assert_numbers(self.settings, CRAWLER_NUMBERS)


if __name__ == "__main__":
    unittest.main(verbosity=2)
