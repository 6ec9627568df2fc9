# SPDX-License-Identifier: Apache-2.0
"""What the generators of the three protocols have in common: keys, values, numbers, and units.

Everything comes from a Dice, so that a seed says all."""
import collections
import random

# Commands are to meet at these.
HOT_KEYS = tuple(b"k%d" % i for i in range(20))
MISSING_KEY = b"missing"  # nobody stores it

# Relative up to 30 days, then absolute. None may run out while a run lasts.
EXPTIMES = (0, 0, 0, 0, 0, 1000, 5000, 2592000, 2000000000, 2147483647)
EXPTIMES_PAST = (-1, -1, -1000, -2147483648, 2592001, 1000000000)

CLIENT_FLAGS = (0, 0, 0, 1, 77, 65535, 65536, 4294967295)

# Values that incr and decr are to make sense of, or to refuse. For numbers of 2^63 and more,
# memcached looks for a minus even behind the value, in what is left of older items. So no value has
# one but NEGATIVE_VALUES, which are made so long that no number comes to lie there.
NUMBER_VALUES = (
    b"0", b"5", b"9", b"10", b"99", b"100", b"4294967295", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551610", b"18446744073709551615",
    b"18446744073709551616", b"99999999999999999999", b"100000000000000000000", b"007",
    b"00000000000000000000000000000000000005", b"5 ", b"5  x", b"  5", b"+5", b"+", b"5x", b"x5",
    b"5.5", b"5e3", b"0x10", b"5\0", b"5\0x", b"5\t", b"5\r\n", b"\r\n5", b"\0005",
)
NEGATIVE_VALUES = (
    b"-0", b"-5", b"--5", b"-", b"-0x", b" -0", b"-9223372036854775808", b"-9223372036854775809",
    b"-18446744073709551615", b"-18446744073709551616",
)
NEGATIVE_VALUE_BYTES = 40000
DELTAS = (0, 1, 1, 2, 10, 90, 1000, 18446744073709551615, 9223372036854775808, 9999999999)

VALUE_BYTES_LARGE = 1 << 20
# memcached counts an item's header and key too, so that a value near the limit is too large for it
# and not for kanted: these are on the same side of the limit for both.
VALUE_BYTES_FITTING = VALUE_BYTES_LARGE - 1000
VALUE_BYTES_EXCEEDING = (VALUE_BYTES_LARGE + 1, VALUE_BYTES_LARGE + 100, 1100000)

# Slices of it are values. The sentinels' replies must not occur in them.
BLOB = (random.Random(1).randbytes(VALUE_BYTES_LARGE + 200000).replace(b"MN", b"mn")
        .replace(b"-", b"_"))


class Dice:
    """A source of randomness that is quick at what generators ask for."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def chance(self, probability):
        return self.random() < probability

    def below(self, limit):
        return int(self.random() * limit)

    def pick(self, sequence):
        return sequence[int(self.random() * len(sequence))]


class WithCas:
    """A command that carries the cas unique which the server has last told for a key, so that each
    server gets its own number. `form` makes bytes of it."""

    __slots__ = ("before", "key", "after", "form")

    def __init__(self, before, key, after, form):
        self.before = before
        self.key = key
        self.after = after
        self.form = form

    def render(self, cas_by_key):
        """The number that no server gives stands for one that was never told."""
        return self.before + self.form(cas_by_key.get(self.key, 1 << 60)) + self.after


def decimal(number):
    return b"%d" % number


# Commands (bytes or WithCas) that are sent in a row and judged together. `exact`: the replies have
# to be the same bytes; else replies.py says what may differ. `closes`: the connection has to end.
Unit = collections.namedtuple("Unit", "commands exact closes", defaults=(True, False))

# What is sent over one connection before replies are awaited. `piece_max`: it is cut into pieces
# of 1 … so many bytes (0: not at all), with pauses in between when `slow`.
Batch = collections.namedtuple("Batch", "protocol connection units cut_seed piece_max slow")


def small_value(dice):
    kind = dice.random()
    if kind < 0.35:
        return dice.pick(NUMBER_VALUES)
    if kind < 0.45:
        return b""
    if kind < 0.55:
        return b"x"
    if kind < 0.6:
        return b"END\r\nSTORED\r\n"
    start = dice.below(100000)
    value = BLOB[start:start + dice.below(60 if kind < 0.95 else 3000)]
    # memcached looks for a number behind the end of a value that is nothing but spaces
    return b"x" if value.isspace() else value


def large_value(dice, length):
    """Not a number: how large a value may be that incr takes for one is each server's own."""
    start = dice.below(50000)
    return b"x" + BLOB[start:start + length - 1]


def cold_key(dice):
    """Of any length that is served, and with any bytes that every protocol can carry."""
    length = dice.pick((1, 2, 20, 100, 249, 250))
    return dice.pick((b"c", b"\xff", b"\xc3\xa9", b"~", b"!")).ljust(length, b"c")[:length]


def any_key(dice):
    return dice.pick(HOT_KEYS) if dice.random() < 0.95 else cold_key(dice)


def any_exptime(dice):
    return dice.pick(EXPTIMES) if dice.random() < 0.95 else dice.pick(EXPTIMES_PAST)


def weighted(*choices):
    """(weight, thing)… as a tuple to pick from."""
    return tuple(thing for weight, thing in choices for _ in range(weight))


class Batches:
    """An episode: batches of units from one seed, on a cache that was flushed before. `generators`
    is a list of (weight, protocol, function that makes a generator from a Dice)."""

    CONNECTION_COUNT = 2  # of each protocol

    def __init__(self, seed, generators):
        self.dice = Dice(seed)
        self.generators = weighted(*((weight, (protocol, make(self.dice)))
                                     for weight, protocol, make in generators))

    def run(self, command_count):
        """Yields batches until they hold so many commands."""
        while command_count > 0:
            protocol, generator = self.dice.pick(self.generators)
            units = self.units(generator)
            command_count -= sum(len(unit.commands) for unit in units)
            yield Batch(protocol, self.dice.below(self.CONNECTION_COUNT), units,
                        self.dice.below(1 << 30), *self.cuts(units))

    def units(self, generator):
        if self.dice.chance(0.1):
            return [generator.closing_unit()]
        count = self.dice.pick((1, 5, 40, 100, 150, 200))
        return ([*generator.first_units()] + [generator.unit() for _ in range(count)] +
                [*generator.last_units()])

    def cuts(self, units):
        """Small batches are often cut byte by byte, or nearly; piece_max and slow of a Batch."""
        kind = self.dice.random()
        if len(units) < 10 and kind < 0.5:
            return self.dice.pick((1, 2, 7)), False
        if kind < 0.02:
            return self.dice.pick((100, 1000)), True
        return self.dice.pick((0, 0, 0, 100, 1000, 5000)), False
