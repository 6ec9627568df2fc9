# SPDX-License-Identifier: Apache-2.0
"""Meta commands with the flags that memcached 1.6.18 has, in any order, and classic ones between.

`mn` ends every unit and is not made here. ma comes first in a unit, for the reason that incr does
in TextGenerator."""
import base64

from generate import (BLOB, CLIENT_FLAGS, DELTAS, HOT_KEYS, Unit, VALUE_BYTES_EXCEEDING, WithCas,
                      any_exptime, any_key, decimal, large_value, small_value, weighted)
from generate_text import (BODY, CONTROL_KEYS, DOUBTFUL_KEY, EDGE_NUMBERS, LONG_KEYS,
                           TAKEN_FOR_LENGTH, TextGenerator)

# Without line ends: memcached 1.6.18 tells some of them as they are.
HOT_BINARY_KEYS = tuple(base64.b64encode(key) for key in HOT_KEYS)
BINARY_KEYS = HOT_BINARY_KEYS + tuple(base64.b64encode(key) for key in (
    b"\0", b"a b", b"\1\2\3", b"\xff\x80", BLOB[:60], BLOB[:186]))
STALE_KEYS = tuple(b"s%d" % i for i in range(20))
NUMBER_KEYS = tuple(b"n%d" % i for i in range(20))
BAD_BASE64 = (b"k1", b"abc", b"a===", b"====", b"ab=c", b"ab!d", b"YQ", b"YQ=", b"YQ==x", b"YR==",
              b"-_-_", b"=", b"YQ==YQ==")
OPAQUES = (b"", b"1", b"1", b"abc", b"t9", b"123456789", b"x" * 30, b"x" * 31)
OPAQUES_LONG = (b"x" * 33, b"x" * 200)
# Not near any time left that items have.
RECACHE_TIMES = (0, -1, 30, 500, 3000, 3000, 100000, 1000000000)

# Without I: whether incr keeps an item stale depends for memcached on the number's length. And so
# does whether 1.6.18 hears the T of ma.
FLAGS = {
    b"mg": b"cfhklOqstuvNRT",
    b"ms": b"cCFkOqTM",
    b"md": b"CkOqT",
    b"ma": b"NJDMOqtcvkC",
}
MODES = {b"ms": b"EAPRS", b"ma": b"ID+-"}
INEXACT_FLAGS = frozenset(b"ctlk")
BAD_FLAGS = (b"!", b"z", b"Z", b"0", b"\xff", b"v v", b"k O1 k", b"Tx", b"T", b"T1x",
             b"Nx", b"N", b"Rx", b"R", b"Cx", b"C", b"C-1", b"Fx", b"F", b"F-1", b"M", b"MX",
             b"MEE", b"Dx", b"D", b"D-1", b"Jx", b"J", b"T9999999999999999999",
             b"C99999999999999999999999", b"v" * 40, b" ".join([b"v"] * 300),
             b"c f h k l q s t u v O1 I b N0 R0 T0 C1 F1 MS J1 D1")


class MetaGenerator:
    """Units of meta commands."""

    def __init__(self, dice):
        self.dice = dice
        self.text = TextGenerator(dice)
        self.good = weighted((40, self.get), (30, self.set), (10, self.delete), (6, self.inspect))
        self.edges = weighted((6, self.bad_flag), (6, self.edge_number), (3, self.bad_base64),
                              (3, self.edge_length), (3, self.bad_chunk), (3, self.odd_key),
                              (3, self.odd_line), (3, self.long_opaque))
        self.cas_keys = ()

    # Units.

    def unit(self):
        kind = self.dice.random()
        if kind < 0.5:
            return self.run()
        if kind < 0.65:
            return self.stale()
        if kind < 0.85:
            return self.text.unit()
        return self.dice.pick(self.edges)() if kind < 0.9995 else self.too_large()

    def run(self):
        makers = [self.dice.pick(self.good) for _ in range(self.dice.below(6))]
        if not makers or self.dice.chance(0.3):
            makers.insert(0, self.add_delta)
        made = [make(any_key(self.dice)) for make in makers]
        return Unit([command for command, _ in made], all(exact for _, exact in made))

    def stale(self):
        """Who has won, and when, is what a row of commands on one item shows."""
        key = self.dice.pick(STALE_KEYS)
        made = [self.dice.pick((
            (b"md %s I\r\n" % key, True), (b"md %s I T1000 q\r\n" % key, True),
            (b"md %s q\r\n" % key, True), (b"mg %s v c k t\r\n" % key, False),
            (b"mg %s N1000 v h\r\n" % key, True), (b"mg %s R3000 s\r\n" % key, True),
            (b"mg %s u t T2592000\r\n" % key, False), (b"ms %s 1 T1000\r\nx\r\n" % key, True),
            (b"ms %s 2 ME N0 T0\r\nyy\r\n" % key, True),
            (WithCas(b"ms %s 3 I T5000 C" % key, key, b"\r\nzzz\r\n", decimal), True)))
            for _ in range(3 + self.dice.below(6))]
        return Unit([command for command, _ in made], all(exact for _, exact in made))

    def first_units(self):
        for key in self.cas_keys:
            make = self.dice.pick((self.set, self.delete, self.add_delta))
            command, exact = make(key, must=b"C")
            yield Unit([command], exact)
        self.cas_keys = ()

    def last_units(self):
        if self.dice.chance(0.7):
            start = self.dice.below(len(HOT_KEYS))
            self.cas_keys = HOT_KEYS[start:start + 1 + self.dice.below(6)]
            yield Unit([b"mg %s k c\r\n" % key for key in self.cas_keys], False)

    def closing_unit(self):
        return self.text.closing_unit()

    # Commands. Each returns the command, and whether its reply has to be the same bytes.

    def flag(self, name, letter):
        """A letter with the token that it takes."""
        dice = self.dice
        if letter == b"O":
            return b"O" + dice.pick(OPAQUES)
        if letter in (b"T", b"N"):
            return letter + decimal(any_exptime(dice))
        if letter == b"R":
            return letter + decimal(dice.pick(RECACHE_TIMES))
        if letter == b"F":
            return letter + decimal(dice.pick(CLIENT_FLAGS))
        if letter in (b"D", b"J"):
            return letter + decimal(dice.pick(DELTAS))
        if letter == b"M":
            at = dice.below(len(MODES[name]))
            return letter + MODES[name][at:at + 1]
        return letter

    def flags(self, name, must=b""):
        """None or some of a command's flags, each once, in any order."""
        letters = list(FLAGS[name])
        chosen = list(must)
        for _ in range(self.dice.below(min(7, len(letters) + 1))):
            letter = letters.pop(self.dice.below(len(letters)))
            if letter not in chosen:
                chosen.insert(self.dice.below(len(chosen) + 1), letter)
        return chosen

    def command(self, name, key, head, tail, must=b""):
        """`head` is what stands between key and flags, `tail` what follows the flags."""
        letters = self.flags(name, must)
        if b"N"[0] in letters and b"T"[0] in letters and b"t"[0] in letters:
            letters.remove(b"t"[0])
        if not {b"N"[0], b"R"[0]}.isdisjoint(letters):  # who has won is a mark like being stale
            key = self.dice.pick(NUMBER_KEYS if name == b"ma" else STALE_KEYS)
        words = [self.flag(name, bytes((letter,))) for letter in letters]
        told_key = key
        if self.dice.random() < 0.1:
            # of an item that N, an append or ma has made 1.6.18 tells the key as it is, with
            # whatever is in it
            told_key = self.dice.pick(HOT_BINARY_KEYS if b"M"[0] in letters else BINARY_KEYS)
            if name == b"ma" or b"N"[0] in letters:
                told_key = base64.b64encode(key if len(key) < 10 else HOT_KEYS[0])
            words.insert(self.dice.below(len(words) + 1), b"b")
        line = b" ".join([name, told_key] + head + words)
        exact = INEXACT_FLAGS.isdisjoint(letters)
        if b"C" not in words:
            return line + tail, exact
        before, _, after = line.partition(b" C")
        return WithCas(before + b" C", key, after + tail, decimal), exact

    def get(self, key):
        return self.command(b"mg", key, [], b"\r\n")

    def set(self, key, must=b""):
        value = small_value(self.dice)
        return self.command(b"ms", key, [decimal(len(value))], b"\r\n" + value + b"\r\n", must)

    def delete(self, key, must=b""):
        return self.command(b"md", key, [], b"\r\n", must)

    def add_delta(self, key, must=b""):
        while True:
            command, exact = self.command(b"ma", key, [], b"\r\n", must)
            line = command if type(command) is bytes else command.before + command.after
            if not (b" q" in line and b" N" in line):
                return command, exact

    def inspect(self, key):
        if self.dice.chance(0.2):
            return b"me %s b\r\n" % self.dice.pick(BINARY_KEYS), False
        return b"me %s\r\n" % key, False

    # At the edge.

    def any_line(self, key, more):
        """Any of the commands with a value that is none of its own, and more flags."""
        name = self.dice.pick(tuple(FLAGS))
        head, tail = ([b"2"], b"\r\n" + BODY + b"\r\n") if name == b"ms" else ([], b"\r\n")
        words = [self.flag(name, bytes((letter,))) for letter in self.flags(name)
                 if letter not in b"Ct" + more[:1]]
        words.insert(self.dice.below(len(words) + 1), more)
        return b" ".join([name, key] + head + words) + tail

    def around_doubtful_key(self, command):
        """What becomes of an item by a command that one server may take and the other refuse."""
        after = [command, b"mg %s f t s v\r\n" % DOUBTFUL_KEY, b"md %s q\r\n" % DOUBTFUL_KEY]
        if self.dice.chance(0.7):
            after.insert(0, b"ms %s 1 F7 T5000 q\r\n5\r\n" % DOUBTFUL_KEY)
        return Unit(after, False)

    def bad_flag(self):
        return self.around_doubtful_key(self.any_line(DOUBTFUL_KEY, self.dice.pick(BAD_FLAGS)))

    def edge_number(self):
        name, letter = self.dice.pick((
            (b"mg", b"T"), (b"mg", b"N"), (b"mg", b"R"), (b"ms", b"T"), (b"ms", b"F"),
            (b"ms", b"C"), (b"md", b"C"), (b"md", b"I T"), (b"ma", b"N"), (b"ma", b"J"),
            (b"ma", b"D"), (b"ma", b"T"), (b"ma", b"C")))
        head, tail = (b" 2", b"\r\nzz\r\n") if name == b"ms" else (b"", b"\r\n")
        return self.around_doubtful_key(b"%s %s%s %s%s%s" % (
            name, DOUBTFUL_KEY, head, letter, self.dice.pick(EDGE_NUMBERS), tail))

    def bad_base64(self):
        key = self.dice.pick(BAD_BASE64)
        return Unit([self.any_line(key, b"b")], False)

    def edge_length(self):
        number = self.dice.pick(EDGE_NUMBERS)
        value = TAKEN_FOR_LENGTH.get(number)
        line = b"ms %s %s\r\n" % (DOUBTFUL_KEY, number)
        return self.around_doubtful_key(line if value is None else line + value + b"\r\n")

    def bad_chunk(self):
        """As in TextGenerator."""
        announced = self.dice.below(30)
        line = b"ms %s %d%s\r\n" % (any_key(self.dice), announced,
                                    self.dice.pick((b"", b" q", b" k c O1")))
        return Unit([line + self.dice.pick((
            b"z" * (announced + 5), b"\r\n" + b"z" * announced,
            b"z" * announced + b"\n\n")).ljust(announced + 2, b"z") + b"\r\n"], False)

    def odd_key(self):
        key = self.dice.pick(LONG_KEYS + CONTROL_KEYS)
        return Unit([self.dice.pick((
            b"mg %s v\r\n", b"mg %s\r\n", b"mg %s b v\r\n", b"ms %s 2\r\nzz\r\n",
            b"ms %s 2 b\r\nzz\r\n", b"md %s\r\n", b"md %s q\r\n", b"ma %s\r\n", b"ma %s N0\r\n",
            b"me %s\r\n", b"me %s b\r\n")) % key], False)

    def odd_line(self):
        return Unit([self.dice.pick((
            b"mg\r\n", b"ms\r\n", b"ms k1\r\n", b"ms k1 S2\r\n", b"md\r\n", b"ma\r\n", b"me\r\n",
            b"mg  k1   s  \r\n", b"mg k1 s\n", b" mg k1 s\r\n", b"mz k1\r\n", b"m k1\r\n",
            b"MG k1\r\n", b"mgx k1\r\n", b"me k1 b\r\n", b"me k1 v\r\n",
            b"mg k1 s\r\r\n", b"mg missing\0 s\r\n", b"mn2\r\n",
            b"me k1 k2\r\n"))], False)

    def long_opaque(self):
        opaque = b"O" + self.dice.pick(OPAQUES_LONG)
        return self.around_doubtful_key(self.any_line(DOUBTFUL_KEY, opaque))

    def too_large(self):
        key = self.dice.pick(HOT_KEYS)
        value = large_value(self.dice, self.dice.pick(VALUE_BYTES_EXCEEDING))
        mode = self.dice.pick((b"", b" MS", b" k", b" q"))
        return Unit([b"ms %s 1\r\nx\r\n" % key,
                     b"ms %s %d%s\r\n%s\r\n" % (key, len(value), mode, value),
                     b"mg %s s\r\n" % key])
