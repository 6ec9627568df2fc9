# SPDX-License-Identifier: Apache-2.0
"""Sends batches to both servers and says where the replies differ."""
import collections
import struct

import differences
from exchange import Connection, PIECE_COUNT, PIECE_COUNT_SLOW, cut, exchange
from generate import Batch, HOT_KEYS, Unit
from generate_binary import BinaryGenerator
from generate_meta import MetaGenerator
from generate_text import TextGenerator
import replies

# The sentinel and its reply, and what makes replies comparable. The sentinels also make memcached
# send what it holds back: it forgets that when a get's key is too long.
Protocol = collections.namedtuple("Protocol", "sentinel sentinel_reply canonical")
NOOP = struct.Struct(">BB6xIIQ")
NOOP_OPAQUE = 0x53594e43
PROTOCOLS = {
    "text": Protocol(b"mn\r\n", b"MN\r\n", replies.canonical_text),
    "meta": Protocol(b"mn\r\n", b"MN\r\n", replies.canonical_text),
    "binary": Protocol(NOOP.pack(0x80, 0x0a, 0, NOOP_OPAQUE, 0),
                       NOOP.pack(0x81, 0x0a, 0, NOOP_OPAQUE, 0), replies.canonical_binary),
}

# What an episode of a protocol is made of: weight, protocol of a batch, generator.
EPISODES = {
    "text": [(1, "text", TextGenerator)],
    "meta": [(1, "meta", MetaGenerator)],
    "binary": [(4, "binary", BinaryGenerator), (1, "text", TextGenerator)],
}

FLUSH = Batch("text", 0, [Unit([b"flush_all\r\n", b"verbosity 0\r\n"])], 0, 0, False)

# Of `batch`'s unit number `index`: both servers' replies, and the forms that were compared.
Difference = collections.namedtuple("Difference", "batch index replies forms")


class Side:
    """One of the two servers, and what is known of it."""

    def __init__(self, server):
        self.server = server
        self.connections = {}
        self.numbers = replies.Numbers()

    def connection(self, batch):
        key = batch.protocol, batch.connection
        if key not in self.connections:
            self.connections[key] = Connection(self.server.address)
        return self.connections[key]

    def render(self, unit):
        return [command if type(command) is bytes else command.render(self.numbers.cas_by_key)
                for command in unit.commands]

    def begin(self, batch):
        """Returns the connection, ready to be sent over."""
        protocol = PROTOCOLS[batch.protocol]
        sentinel = protocol.sentinel
        count = len(batch.units)
        if batch.units[-1].closes:
            sentinel = b""
            count = 0
        data = []
        for unit in batch.units:
            data += self.render(unit)
            data.append(sentinel)
        connection = self.connection(batch)
        pieces = cut(b"".join(data), batch.piece_max,
                     PIECE_COUNT_SLOW if batch.slow else PIECE_COUNT, batch.cut_seed)
        connection.begin(pieces, protocol.sentinel_reply, count)
        return connection

    def end(self):
        for connection in self.connections.values():
            connection.close()


class Judge:
    """Compares two servers. `deliberate` counts, by reason, the differences that are on purpose."""

    def __init__(self, servers):
        self.sides = [Side(server) for server in servers]
        self.deliberate = collections.Counter()

    def reset(self):
        """Empties both caches."""
        for side in self.sides:
            side.numbers = replies.Numbers()
        self.perform(FLUSH)

    def perform(self, batch):
        """Returns the first Difference that is not on purpose, or None."""
        pair = []
        try:
            for side in self.sides:
                pair.append(side.begin(batch))
        except ConnectionError:
            for side in self.sides:
                side.server.check()
            raise
        exchange(pair, batch.slow)
        left, right = (connection.replies() for connection in pair)
        if left == right and all(unit.exact for unit in batch.units):
            return None
        return self.compare(batch, left, right)

    def compare(self, batch, left, right):
        for index, unit in enumerate(batch.units):
            pair = tuple(side[index] if index < len(side) else b"" for side in (left, right))
            forms = self.forms(batch, unit, pair)
            if replies.same(*forms):
                continue
            request = b"".join(self.sides[0].render(unit))
            reason = differences.find(request, pair)
            if reason is None:
                return Difference(batch, index, pair, forms)
            self.deliberate[reason] += 1
            replies.align(*(side.numbers for side in self.sides))
        return None

    def forms(self, batch, unit, pair):
        """Of replies that need not be the same bytes; each side learns its numbers."""
        canonical = PROTOCOLS[batch.protocol].canonical
        if not unit.exact:
            try:
                return tuple(canonical(reply, side.numbers, HOT_KEYS)
                             for reply, side in zip(pair, self.sides))
            except (ValueError, struct.error):  # what one of them sends has no form
                pass
        return tuple((reply, ()) for reply in pair)

    def end(self):
        for side in self.sides:
            side.end()
