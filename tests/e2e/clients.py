# SPDX-License-Identifier: Apache-2.0
"""Unmodified memcached clients against one address: clients.py ADDRESS PORT. Run inside the
client's namespace. Exit status 0: all held."""
import sys

import memcache
import pymemcache


def check(holds, what):
    if not holds:
        sys.exit(f"does not hold: {what}")


def pymemcache_client(address, port):
    client = pymemcache.Client((address, port), connect_timeout=5, timeout=10)
    client.flush_all()
    client.set("a", b"1")  # without waiting for a reply, as is its default
    check(client.get("a") == b"1", "pymemcache set, get")
    check(client.incr("a", 41) == 42, "incr")
    check(client.decr("a", 2) == 40, "decr")
    check(client.add("a", b"x", noreply=False) is False, "add of what is there")
    check(client.append("a", b"!", noreply=False), "append")
    check(client.prepend("a", b"?", noreply=False), "prepend")
    check(client.get("a") == b"?40!", "append and prepend")
    value, cas = client.gets("a")
    check(client.cas("a", b"new", cas, noreply=False), "cas")
    check(client.cas("a", b"newer", cas, noreply=False) is False, "outdated cas")
    check(client.touch("a", 100, noreply=False), "touch")
    many = {f"key-{i}": b"v" * i for i in range(1000)}
    check(client.set_many(many, noreply=False) == [], "set of 1,000 keys")
    check(client.get_many(list(many)) == many, "get of 1,000 keys")
    big = bytes(range(256)) * 4096
    check(client.set("big", big, noreply=False) and client.get("big") == big, "1 MiB")
    check(client.set("empty", b"", noreply=False) and client.get("empty") == b"", "0 bytes")
    check(client.delete("a", noreply=False) and client.get("a") is None, "delete")
    check(int(client.stats()[b"curr_items"]) >= 1000, "stats")
    client.quit()


def python_memcache_client(address, port):
    host = f"inet6:[{address}]" if ":" in address else address
    client = memcache.Client([f"{host}:{port}"], socket_timeout=10)
    check(client.set("object", {"a": [1, 2, 3]}), "python-memcache set")
    check(client.get("object") == {"a": [1, 2, 3]}, "pickled object and flags")
    check(client.set_multi({str(i): i for i in range(100)}) == [], "set_multi")
    check(client.get_multi([str(i) for i in range(100)]) == {str(i): i for i in range(100)},
          "get_multi")
    check(client.delete("object") and client.get("object") is None, "delete")
    client.disconnect_all()


if __name__ == "__main__":
    for run in (pymemcache_client, python_memcache_client):
        run(sys.argv[1], int(sys.argv[2]))
