#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that compare.py sees: memcached is compared with itself, first as it is and then with one
fault at a time, which a proxy in front of it makes. A fault that no seed shows is a fault of the
generators or of the comparison.

planted.py [WORD]     WORD: only faults whose protocol or sentence contains it

Exit status 0: every fault was found, and without one nothing differs."""
import re
import socket
import sys
import threading

from compare import EPISODE_COMMANDS, run_episode
from exchange import SILENT
from judge import EPISODES, Judge
from report import divergence, shown
from servers import HOST, MEMCACHED, Server

SEED_COUNT = 100
SEED_COUNT_AS_IT_IS = 20
RECEIVE_BYTES = 1 << 18

# Protocol, what is wrong, whether that is made of requests or of replies, what stands there, and
# what stands there instead.
FAULTS = [
    ("text", "client flags lose their high half", "request",
     rb"(set|add|replace) (k\d+) 4294967295 ", rb"\1 \2 65535 "),
    ("text", "noreply is not heard by delete", "request", rb"(delete k\d+) noreply", rb"\1"),
    ("text", "cas compares nothing", "request", rb"cas (k\d+ \d+ \d+ \d+) \d+", rb"set \1"),
    ("text", "touch to the past expires nothing", "request",
     rb"touch (k\d+) 1000000000", rb"touch \1 0"),
    ("text", "append goes to the front", "request", rb"append (k\d+) ", rb"prepend \1 "),
    ("text", "gats is a gat", "request", rb"gats (\d+) ", rb"gat \1 "),
    ("text", "decr goes below zero", "reply",
     rb"(MN\r\n)0\r\n", rb"\g<1>18446744073709551615\r\n"),
    ("text", "a key of 250 bytes is one byte longer", "reply",
     rb"VALUE (\S{250}) ", rb"VALUE \1x "),
    ("text", "all items have the same cas unique", "reply",
     rb"(VALUE k\d+ \d+ \d+) \d+\r", rb"\1 7\r"),
    ("text", "a long value has one byte that is another", "reply",
     rb"(VALUE k\d+ \d+ 2\d\d\d\r\n[\s\S]{1500})[^x]", rb"\1x"),
    ("meta", "an item is won more than once", "reply", rb" Z\r\n", rb" W\r\n"),
    ("meta", "a time left is late by some seconds", "reply", rb"HD t1000\b", rb"HD t1003"),
    ("meta", "an invalidated item is deleted", "request", rb"(md k\d+) I\r", rb"\1\r"),
    ("meta", "an item that was read is new", "reply", rb" h1\b", rb" h0"),
    ("binary", "GetQ tells of a miss", "request",
     rb"\x80\x09(\x00[\x02\x03]\x00)", b"\x80\x00\\1"),
    ("binary", "Increment makes no item", "request",
     rb"(\x80\x05\x00[\x02\x03]\x14[\s\S]{35})\x00{4}", b"\\1\xff\xff\xff\xff"),
    ("binary", "Delete loses the opaque", "reply",
     rb"(\x81\x04\x00{10})[\s\S]{3}", b"\\1\x00\x00\x00"),
]


def start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


class Proxy:
    """In front of a server: changes what passes. Looks like the server to a Judge."""

    def __init__(self, server, fault):
        self.server = server
        self.check = server.check
        self.fault = fault
        self.listener = socket.create_server((HOST, 0))
        self.address = self.listener.getsockname()
        start(self.accept)

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:  # closed
                return
            upstream = socket.create_connection(self.server.address)
            start(self.pump, client, upstream, "request")
            start(self.pump, upstream, client, "reply")

    def change(self, data, direction):
        if self.fault is None or self.fault[2] != direction:
            return data
        return re.sub(self.fault[3], self.fault[4], data)

    def pump(self, source, destination, direction):
        try:
            while data := source.recv(RECEIVE_BYTES):
                destination.sendall(self.change(data, direction))
            destination.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side has ended
            pass
        if direction == "reply":
            source.close()

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def hunt(servers, fault, protocol, seed_count):
    """Returns the first seed with a difference, and that; or None."""
    proxy = Proxy(servers[0], fault)
    judge = Judge((proxy, servers[1]))
    try:
        for seed in range(1, seed_count + 1):
            _, found = run_episode(judge, protocol, seed, EPISODE_COMMANDS)
            if found is not None and SILENT not in b"".join(found[1].replies):
                return seed, found[1]
        return None
    finally:
        judge.end()
        proxy.end()


def plant(servers, fault):
    protocol, sentence = fault[:2]
    found = hunt(servers, fault, protocol, SEED_COUNT)
    if found is None:
        print(f"{protocol}: {sentence}: NOT FOUND by {SEED_COUNT} seeds", flush=True)
        return False
    seed, difference = found
    replies = " and ".join(shown(piece) for piece in divergence(difference))
    print(f"{protocol}: {sentence}: found by seed {seed}: {replies}", flush=True)
    return True


def holds_as_it_is(servers):
    for protocol in EPISODES:
        found = hunt(servers, None, protocol, SEED_COUNT_AS_IT_IS)
        if found is not None:
            print(f"{protocol}: without a fault seed {found[0]} differs: "
                  f"{[shown(reply) for reply in found[1].replies]}")
            return False
    print(f"as it is: {SEED_COUNT_AS_IT_IS} seeds hold", flush=True)
    return True


def main():
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    faults = [fault for fault in FAULTS if word in fault[0] or word in fault[1]]
    if not faults:
        sys.exit(f"no fault has to do with {word}")
    with Server(MEMCACHED) as first, Server(MEMCACHED) as second:
        if not holds_as_it_is((first, second)):
            print("0 passed, 1 failed")
            return 1
        found_count = sum([plant((first, second), fault) for fault in faults])
    print(f"{found_count} passed, {len(faults) - found_count} failed")
    return 0 if found_count == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
