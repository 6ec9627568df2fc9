# SPDX-License-Identifier: Apache-2.0
"""Packets of the binary protocol: all opcodes, the quiet ones too, good and bad.

The last byte of an opaque says which hot key it is about, so that replies.py learns its cas unique.
Increment and Decrement come first in a unit, for the reason that incr does in TextGenerator."""
import struct

from generate import (CLIENT_FLAGS, DELTAS, HOT_KEYS, Unit, VALUE_BYTES_EXCEEDING, WithCas,
                      any_exptime, large_value, small_value, weighted)

REQUEST = 0x80
HEADER = struct.Struct(">BBHBBHIIQ")
CAS = struct.Struct(">Q")
STORAGE_EXTRAS = struct.Struct(">II")
DELTA_EXTRAS = struct.Struct(">QQI")
EXPTIME_EXTRAS = struct.Struct(">I")
CAS_OFFSET = 16
NO_HOT_KEY = 255

GET, SET, ADD, REPLACE, DELETE, INCREMENT, DECREMENT, QUIT, FLUSH = range(9)
GETQ, NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT = range(0x09, 0x11)
SETQ, ADDQ, REPLACEQ, DELETEQ, INCREMENTQ, DECREMENTQ, QUITQ, FLUSHQ = range(0x11, 0x19)
APPENDQ, PREPENDQ = 0x19, 0x1a
TOUCH, GAT, GATQ, SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = (0x1c, 0x1d, 0x1e, 0x20, 0x21,
                                                                0x22, 0x23, 0x24)
UNKNOWN = (0x1b, 0x1f, 0x25, 0x30, 0x40, 0x80, 0xff)

# Opcodes that take the same: what is to be asked for often stands there often.
STORING = (SET, SET, SET, SETQ, ADD, ADDQ, REPLACE, REPLACEQ)
GETTING = (GET, GET, GETQ, GETK, GETKQ)
TOUCHING = (TOUCH, GAT, GATQ, GATK, GATKQ)
JOINING = (APPEND, APPENDQ, PREPEND, PREPENDQ)
ADDING = (INCREMENT, INCREMENTQ, DECREMENT, DECREMENTQ)
KEYS = (b"\0", b" ", b"a b", b"\r\n", b"\x80\xff", b"c", b"c" * 249, b"c" * 250)
LONG_KEY = b"l" * 251
EXPTIME_NONE = 0xffffffff  # of incr and decr: a miss makes no item


def packet(opcode, key=b"", extras=b"", value=b"", opaque=0, cas=0, body_bytes=None):
    """body_bytes: what the header says, if it is not what there is."""
    if body_bytes is None:
        body_bytes = len(extras) + len(key) + len(value)
    return HEADER.pack(REQUEST, opcode, len(key), len(extras), 0, 0, body_bytes, opaque,
                       cas) + extras + key + value


class BinaryGenerator:
    """Units of packets."""

    def __init__(self, dice):
        self.dice = dice
        self.good = weighted((34, self.get), (34, self.store), (8, self.delete), (8, self.touch),
                             (8, self.join), (2, self.version))
        self.edges = weighted((4, self.unknown), (3, self.stat), (2, self.sasl), (1, self.flush))

    # Units. Cas uniques are in all replies.

    def unit(self):
        kind = self.dice.random()
        if kind < 0.95:
            return self.run()
        return Unit(self.dice.pick(self.edges)() if kind < 0.9995 else self.too_large(), False)

    def run(self):
        makers = [self.dice.pick(self.good) for _ in range(self.dice.below(8))]
        if not makers or self.dice.chance(0.3):
            makers.insert(0, self.add_delta)
        return Unit([make() for make in makers], False)

    def first_units(self):
        return ()

    def last_units(self):
        return ()

    # Good packets.

    def keyed(self, opcode, extras=b"", value=b""):
        """With a key, and now and then with a cas unique that must match."""
        dice = self.dice
        index = dice.below(len(HOT_KEYS))
        key = HOT_KEYS[index]
        if dice.random() < 0.05:
            index, key = NO_HOT_KEY, dice.pick(KEYS)
        opaque = dice.below(1 << 24) << 8 | index
        kind = dice.random()
        if kind < 0.75 or index == NO_HOT_KEY:
            return packet(opcode, key, extras, value, opaque)
        if kind < 0.78:
            return packet(opcode, key, extras, value, opaque, 1 << 62)
        data = packet(opcode, key, extras, value, opaque)
        return WithCas(data[:CAS_OFFSET], key, data[HEADER.size:], CAS.pack)

    def exptime(self):
        return any_exptime(self.dice) & 0xffffffff

    def get(self):
        return self.keyed(self.dice.pick(GETTING))

    def store(self):
        extras = STORAGE_EXTRAS.pack(self.dice.pick(CLIENT_FLAGS), self.exptime())
        return self.keyed(self.dice.pick(STORING), extras, small_value(self.dice))

    def join(self):
        return self.keyed(self.dice.pick(JOINING), b"", small_value(self.dice))

    def delete(self):
        return self.keyed(self.dice.pick((DELETE, DELETEQ)))

    def touch(self):
        return self.keyed(self.dice.pick(TOUCHING), EXPTIME_EXTRAS.pack(self.exptime()))

    def add_delta(self):
        exptime = EXPTIME_NONE if self.dice.chance(0.5) else self.exptime()
        return self.keyed(self.dice.pick(ADDING), DELTA_EXTRAS.pack(
            self.dice.pick(DELTAS), self.dice.pick(DELTAS), exptime))

    def version(self):
        return packet(VERSION, opaque=self.dice.below(1 << 24) << 8 | NO_HOT_KEY)

    # At the edge.

    def unknown(self):
        """With a key, memcached 1.6.18 would wait for more bytes than the header tells."""
        return [packet(self.dice.pick(UNKNOWN), value=small_value(self.dice), opaque=NO_HOT_KEY)]

    def stat(self):
        return [packet(STAT, self.dice.pick((b"reset", b"nonsense")), opaque=NO_HOT_KEY)]

    def sasl(self):
        """Where nobody has to log in."""
        return [self.dice.pick((packet(SASL_LIST, opaque=NO_HOT_KEY),
                                packet(SASL_AUTH, b"PLAIN", value=b"\0u\0p", opaque=NO_HOT_KEY),
                                packet(SASL_STEP, b"PLAIN", value=b"\0u\0p", opaque=NO_HOT_KEY)))]

    def flush(self):
        """The second one takes back a delay."""
        opcode = self.dice.pick((FLUSH, FLUSHQ))
        extras = self.dice.pick((b"", EXPTIME_EXTRAS.pack(0), EXPTIME_EXTRAS.pack(5000)))
        return [packet(opcode, extras=extras, opaque=NO_HOT_KEY), packet(FLUSH, opaque=NO_HOT_KEY)]

    def too_large(self):
        value = large_value(self.dice, self.dice.pick(VALUE_BYTES_EXCEEDING))
        key = self.dice.pick(HOT_KEYS)
        extras = STORAGE_EXTRAS.pack(0, 0)
        return [packet(SET, key, extras, b"x", NO_HOT_KEY),
                self.dice.pick((packet(SET, key, extras, value, NO_HOT_KEY),
                                packet(ADDQ, key, extras, value, NO_HOT_KEY),
                                packet(APPEND, key, b"", value, NO_HOT_KEY))),
                packet(GETK, key, opaque=NO_HOT_KEY)]

    def closing_unit(self):
        """After a packet that is good, so that the connection is a binary one, and that memcached
        1.6.18 answers at once: where the magic is bad, it forgets what it has not sent."""
        return Unit([packet(NOOP, opaque=NO_HOT_KEY), self.dice.pick((
            self.quit, self.bad_key, self.bad_extras, self.bad_body, self.bad_magic))()], False,
            True)

    def quit(self):
        return packet(self.dice.pick((QUIT, QUITQ)), opaque=NO_HOT_KEY)

    def bad_key(self):
        """None where there has to be one, one that is too long, or one too many."""
        opcode, extras = self.dice.pick((
            (SET, STORAGE_EXTRAS.pack(0, 0)), (GET, b""), (GETKQ, b""), (DELETE, b""),
            (INCREMENTQ, DELTA_EXTRAS.pack(1, 1, 0)), (APPEND, b""),
            (TOUCH, EXPTIME_EXTRAS.pack(0)), (GATKQ, EXPTIME_EXTRAS.pack(0))))
        if self.dice.chance(0.2):
            return packet(self.dice.pick((NOOP, VERSION, QUIT, FLUSH)), b"k1", opaque=NO_HOT_KEY)
        return packet(opcode, self.dice.pick((b"", LONG_KEY)), extras, opaque=NO_HOT_KEY)

    def bad_extras(self):
        opcode = self.dice.pick((SET, ADDQ, GET, GETKQ, DELETE, INCREMENT, DECREMENTQ, APPEND,
                                 TOUCH, GAT, FLUSH, NOOP, VERSION, QUIT, STAT))
        length = self.dice.pick([length for length in (1, 3, 4, 5, 7, 8, 9, 12, 19, 20, 21, 255)
                                 if length not in GOOD_EXTRAS.get(opcode, ())])
        return packet(opcode, b"k1", b"\0" * length, opaque=NO_HOT_KEY)

    def bad_body(self):
        """Longer than key and extras, where no value belongs, or shorter."""
        opcode, key, extras = self.dice.pick((
            (SET, b"k1", STORAGE_EXTRAS.pack(0, 0)), (ADD, b"k1", STORAGE_EXTRAS.pack(0, 0)),
            (GET, b"k1", b""), (DELETE, b"k1", b""), (INCREMENT, b"k1", DELTA_EXTRAS.pack(1, 1, 0)),
            (NOOP, b"", b""), (VERSION, b"", b"")))
        if not key or opcode not in (SET, ADD) and self.dice.chance(0.5):
            return packet(opcode, key, extras, b"x", NO_HOT_KEY)
        return packet(opcode, key, extras, b"", NO_HOT_KEY,
                      body_bytes=len(key) + len(extras) - 1)

    def bad_magic(self):
        data = packet(GET, b"k1", opaque=NO_HOT_KEY)
        return self.dice.pick((b"\x81", b"\0", b"g")) + data[1:]


# How many bytes of extras an opcode takes.
GOOD_EXTRAS = {SET: (8,), ADDQ: (8,), INCREMENT: (20,), DECREMENTQ: (20,), TOUCH: (4,), GAT: (4,)}
