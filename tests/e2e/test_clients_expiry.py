# SPDX-License-Identifier: Apache-2.0
"""Items expire for every client, in real time. All clients wait at once: one wait in all."""
import concurrent.futures
import tempfile
import time
import unittest

import memcache
import pylibmc
import pymemcache

import test_clients_libmemcached
import test_clients_node
import test_clients_server as rig


def wait_for_expiry(left):
    """Calls `left`, which gives the names of the items that are still there: first all, and soon
    after the two seconds that the others were given only `stays`."""
    there = set(left())
    assert {"set", "touch", "stays"} <= there, f"from the start only {there}"
    deadline = time.monotonic() + 8
    while there != {"stays"}:
        assert time.monotonic() < deadline, f"still there: {there}"
        assert "stays" in there, "expired too soon"
        time.sleep(0.1)
        there = set(left())


def with_pymemcache(server):
    client = pymemcache.Client((rig.ADDRESS, server.port), timeout=rig.SECONDS)
    client.set("pymemcache-set", b"x", expire=2)
    client.set("pymemcache-touch", b"x")
    client.touch("pymemcache-touch", 2)
    client.set("pymemcache-absolute", b"x", expire=int(time.time()) + 3)
    client.set("pymemcache-stays", b"x", expire=100)
    client.set("pymemcache-negative", b"x", expire=-1)
    assert client.get("pymemcache-negative") is None
    keys = [f"pymemcache-{name}" for name in ("set", "touch", "absolute", "stays")]
    wait_for_expiry(lambda: [key.partition("-")[2] for key in client.get_many(keys)])
    client.close()


def with_pylibmc(server, binary):
    client = pylibmc.Client([server.name], binary=binary)
    options = {"key_prefix": f"pylibmc-{binary}-"}
    client.set_multi({"set": "x", "many": "x"}, time=2, **options)
    client.set_multi({"stays": "x"}, time=100, **options)
    client.set_multi({"touch": "x"}, **options)
    client.touch(f"pylibmc-{binary}-touch", 2)
    wait_for_expiry(lambda: client.get_multi(["set", "many", "touch", "stays"], **options))
    client.disconnect_all()


def with_python_memcache(server):
    client = memcache.Client([server.name], socket_timeout=rig.SECONDS)
    client.set("memcache-set", "x", time=2)
    client.set("memcache-stays", "x", time=100)
    client.set("memcache-touch", "x")
    client.touch("memcache-touch", 2)
    wait_for_expiry(lambda: client.get_multi(["set", "touch", "stays"], key_prefix="memcache-"))
    client.disconnect_all()


def with_libmemcached(server, protocol):
    with tempfile.TemporaryDirectory(prefix="kante-e2e-") as folder:
        program = test_clients_libmemcached.compile_program(folder)
        expires(rig.Program(program, str(server.port), protocol, "items_expire"))


def with_node(server, script):
    expires(test_clients_node.program(script, str(server.port), "items_expire"))


def expires(results):
    assert results.lines == {"items_expire": "ok - items_expire"}, results.output


def with_flush(_):
    """A flush that was asked for in two seconds, on a server that no other client uses."""
    server = rig.Server()
    client = pymemcache.Client((rig.ADDRESS, server.port), timeout=rig.SECONDS)
    client.set_many({"flushed-1": "x", "flushed-2": "x"})
    client.flush_all(delay=2)
    there = client.get_many(["flushed-1", "flushed-2"])
    assert len(there) == 2, there
    deadline = time.monotonic() + 8
    while client.get_many(["flushed-1", "flushed-2"]):
        assert time.monotonic() < deadline, "not flushed"
        time.sleep(0.1)
    client.close()
    server.end()


class DebugTime(rig.ServedTest):
    """A debug build's clock can be moved: what expires need not be waited for."""

    def test_items_expire_when_the_clock_is_advanced_and_not_while_it_stands(self):
        if rig.SERVER != "kanted" or "ERROR" in self.server.talk("debugtime r\r\nquit\r\n"):
            self.skipTest("not a debug build of kanted")
        self.assertEqual(self.server.talk(
            "debugtime\r\ndebugtime -1\r\ndebugtime x\r\nset a 0 1000 1\r\nx\r\n"
            "debugtime 990\r\nquit\r\n"), "ERROR\r\nERROR\r\nERROR\r\nSTORED\r\nOK\r\n")
        left = int(self.server.talk("mg a t\r\nquit\r\n").split("t")[1])
        self.assertIn(left, (9, 10))
        self.assertEqual(self.server.talk("set b 0 1 1\r\nx\r\ndebugtime p\r\nquit\r\n"),
                         "STORED\r\nOK\r\n")
        time.sleep(1.5)
        self.assertEqual(self.server.talk("mg b\r\nquit\r\n"), "HD\r\n")
        self.assertEqual(self.server.talk("debugtime 100\r\nmg a\r\nquit\r\n"), "OK\r\nHD\r\n")
        self.assertEqual(self.server.talk("mg a\r\ndebugtime r\r\nquit\r\n"), "EN\r\nOK\r\n")
        self.assertEqual(self.server.talk("debugtime 2147480000\r\n" * 3 + "quit\r\n"),
                         "OK\r\nERROR\r\nERROR\r\n")


class Expiry(rig.ServedTest):
    WAITS = {
        "pymemcache": with_pymemcache,
        "pylibmc_text": lambda server: with_pylibmc(server, False),
        "pylibmc_binary": lambda server: with_pylibmc(server, True),
        "python_memcache": with_python_memcache,
        "libmemcached_text": lambda server: with_libmemcached(server, "text"),
        "libmemcached_binary": lambda server: with_libmemcached(server, "binary"),
        "node_memcached": lambda server: with_node(server, "npm_memcached.js"),
        "node_memjs": lambda server: with_node(server, "npm_memjs.js"),
        "flush": with_flush,
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        waiters = concurrent.futures.ThreadPoolExecutor(len(cls.WAITS))
        cls.addClassCleanup(waiters.shutdown)
        cls.waits = {name: waiters.submit(wait, cls.server) for name, wait in cls.WAITS.items()}

    def held(self, name):
        self.waits[name].result(100)

    def test_with_pymemcache_relative_absolute_and_negative(self):
        self.held("pymemcache")

    def test_with_pylibmc_in_text(self):
        self.held("pylibmc_text")

    def test_with_pylibmc_in_binary(self):
        self.held("pylibmc_binary")

    def test_with_python_memcache(self):
        self.held("python_memcache")

    def test_with_libmemcached_in_text(self):
        self.held("libmemcached_text")

    def test_with_libmemcached_in_binary(self):
        self.held("libmemcached_binary")

    def test_with_node_memcached(self):
        self.held("node_memcached")

    def test_with_node_memjs(self):
        self.held("node_memjs")

    def test_a_delayed_flush_comes_when_it_is_due(self):
        self.held("flush")


if __name__ == "__main__":
    unittest.main(verbosity=2)
