# SPDX-License-Identifier: Apache-2.0
"""Classic text commands: good ones on the hot keys, and each on its own what is at the edge of the
protocol or over it.

Where a line is refused, memcached 1.6.18 takes the value behind it for commands, and kanted
swallows it. So that nothing depends on that, the values of refused commands are BODY, which is no
command and is answered by ERROR."""
from generate import (CLIENT_FLAGS, DELTAS, HOT_KEYS, MISSING_KEY, NEGATIVE_VALUE_BYTES,
                      NEGATIVE_VALUES, Unit, VALUE_BYTES_EXCEEDING, VALUE_BYTES_FITTING, WithCas,
                      any_exptime, any_key, decimal, large_value, small_value, weighted)

BODY = b"zz"

# Where something may be stored by one server and refused by the other: it is made, asked for and
# deleted within a unit. NUL ends a line for memcached, so keys with one are other keys to it.
DOUBTFUL_KEY = b"doubtful"
CONTROL_KEYS = (b"ctl\x01", b"ctl\x7f", b"ctl\tx", b"ctl\0x", b"\x1fctl", b"ctl\r", b"ctl\x0b")
LONG_KEYS = tuple(b"l" * length for length in (251, 252, 300, 1000))
LINE_BYTES_MAX = 2048

EDGE_NUMBERS = (
    b"-1", b"-2", b"+1", b"-0", b"+0", b"+", b"-", b"--1", b"0000000000000000000000001", b"1x",
    b"x", b"0x10", b"1.5", b"1\t", b"\t1", b"1\0", b"1\0x", b"2147483646", b"2147483647",
    b"2147483648", b"4294967295", b"4294967296", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"99999999999999999999999", b"-2147483648",
    b"-2147483649", b"-9223372036854775808", b"-9223372036854775809", b"-18446744073709551615",
)
# What memcached 1.6.18 takes for the length of a value, though it is none, and such a value.
TAKEN_FOR_LENGTH = {
    b"+1": b"z", b"-0": b"", b"+0": b"", b"0000000000000000000000001": b"z", b"1\t": b"z",
    b"\t1": b"z", b"1\0": b"z", b"1\0x": b"z", b"4294967296": b"", b"-9223372036854775808": b"",
}

STORAGE = (b"set", b"set", b"set", b"add", b"replace", b"append", b"prepend")
COUNTING_WORDS = STORAGE[2:] + (b"cas", b"incr", b"decr", b"touch", b"delete", b"get", b"gets",
                               b"gat", b"gats", b"verbosity")
STATS = (b"stats reset", b"stats nonsense", b"stats detail", b"stats detail x", b"stats cachedump",
         b"stats cachedump 1", b"stats cachedump x 1", b"stats cachedump 99 1")
UNKNOWN = (b"GET", b"Get", b"SET", b"gett", b"ge", b"g", b"getsx", b"gat2", b"increment", b"xyzzy",
           b"flush", b"flush_alL", b"versionx", b"verbosityy", b"quit2", b"mx", b"zzzz", b"\x81",
           b"\xff\xfe", b"\t", b"\tget", b"0")


class TextGenerator:
    """Units of classic text commands."""

    def __init__(self, dice):
        self.dice = dice
        self.good = weighted(
            (30, self.store), (30, self.fetch), (6, self.touch), (6, self.delete),
            (4, self.fetch_and_touch), (4, self.cas), (1, self.version))
        self.edges = weighted(
            (4, self.bad_word_count), (8, self.edge_number), (4, self.edge_length),
            (4, self.control_key), (3, self.long_key), (5, self.bad_chunk), (4, self.odd_line),
            (3, self.unknown), (2, self.many_keys), (2, self.long_line), (2, self.verbosity),
            (1, self.flush), (2, self.stats), (2, self.delete_forms))
        self.cas_keys = ()

    # Units.

    def unit(self):
        kind = self.dice.random()
        if kind < 0.72:
            return self.run()
        if kind < 0.999:
            return self.dice.pick(self.edges)()
        return self.dice.pick((self.large, self.negative))()

    def run(self):
        """memcached pads what incr and decr write, but not while a reply with the item is still to
        be sent; so these come first."""
        made = [self.add_delta() for _ in range(self.dice.pick((0, 0, 1, 1, 2)))]
        made += [self.dice.pick(self.good)() for _ in range(1 + self.dice.below(5))]
        return Unit([command for command, _ in made], all(exact for _, exact in made))

    def first_units(self):
        """The cas uniques that the batch before has asked for are compared with before much else
        changes the items."""
        for key in self.cas_keys:
            yield Unit([self.cas_of(key)])
        self.cas_keys = ()

    def last_units(self):
        if self.dice.chance(0.7):
            start = self.dice.below(len(HOT_KEYS))
            self.cas_keys = HOT_KEYS[start:start + 1 + self.dice.below(6)]
            yield Unit([b"gets " + b" ".join(self.cas_keys) + b"\r\n"], False)

    def closing_unit(self):
        return Unit([self.dice.pick((
            b"quit\r\n", b"quit\n", b"quit now\r\n", b"  quit  \r\n", b"quit noreply\r\n",
            b"get k1\r\nquit\r\nget k2\r\n", b"GET / HTTP/1.0\r\n", b"POST /x HTTP/1.1\r\n",
            b"GET  /  HTTP/\r\n", b"x" * (LINE_BYTES_MAX + 1), b"get" * 700, b" " * 2100,
            b"gat 0 " + b"k1 " * 800, b"set " + b"k" * 3000, b" " * 101 + b"get " + b"k" * 2000))],
            closes=True)

    # Good commands: each returns the command, and whether its reply has to be the same bytes.

    def noreply(self):
        return b" noreply" if self.dice.random() < 0.15 else b""

    def line(self, line):
        """Now and then with what a line may also look like."""
        if self.dice.random() > 0.05:
            return line + b"\r\n"
        return self.dice.pick((
            line + b"\n", line + b" \r\n", b" " + line + b"\r\n", line.replace(b" ", b"   ") +
            b"  \n"))

    def store(self):
        dice = self.dice
        value = small_value(dice)
        line = b"%s %s %d %d %d%s" % (dice.pick(STORAGE), any_key(dice), dice.pick(CLIENT_FLAGS),
                                      any_exptime(dice), len(value), self.noreply())
        return self.line(line) + value + b"\r\n", True

    def cas_of(self, key):
        value = small_value(self.dice)
        return WithCas(b"cas %s %d %d %d " % (key, self.dice.pick(CLIENT_FLAGS),
                                              any_exptime(self.dice), len(value)),
                       key, self.noreply() + b"\r\n" + value + b"\r\n", decimal)

    def cas(self):
        return self.cas_of(any_key(self.dice)), True

    def keys(self):
        return b" ".join([any_key(self.dice) for _ in range(1 + self.dice.below(4))])

    def fetch(self):
        with_cas = self.dice.random() < 0.3
        return self.line((b"gets " if with_cas else b"get ") + self.keys()), not with_cas

    def fetch_and_touch(self):
        with_cas = self.dice.random() < 0.3
        return self.line(b"%s %d %s" % (b"gats" if with_cas else b"gat", any_exptime(self.dice),
                                        self.keys())), not with_cas

    def add_delta(self):
        return self.line(b"%s %s %d%s" % (self.dice.pick((b"incr", b"decr")), any_key(self.dice),
                                          self.dice.pick(DELTAS), self.noreply())), True

    def touch(self):
        return self.line(b"touch %s %d%s" % (any_key(self.dice), any_exptime(self.dice),
                                             self.noreply())), True

    def delete(self):
        return self.line(b"delete %s%s" % (any_key(self.dice), self.noreply())), True

    def version(self):
        return self.line(self.dice.pick((b"version", b"version", b"version noreply"))), False

    # At the edge.

    def around_doubtful_key(self, command):
        """What becomes of an item by a command that one server may take and the other refuse."""
        after = [command, b"get %s\r\n" % DOUBTFUL_KEY, b"delete %s noreply\r\n" % DOUBTFUL_KEY]
        if self.dice.chance(0.7):
            after.insert(0, b"set %s 7 0 1 noreply\r\n5\r\n" % DOUBTFUL_KEY)
        return Unit(after)

    def bad_word_count(self):
        """Too few, and too many. Without a length nothing follows; with one, BODY does."""
        name = self.dice.pick(COUNTING_WORDS)
        words = [b"k1", b"0", b"0", b"2", b"1", b"noreply", b"more", b"and"]
        line = b" ".join([name] + words[:self.dice.below(9)])
        if name in STORAGE + (b"cas",) and line.count(b" ") >= 4:
            return self.around_doubtful_key(line.replace(b"k1", DOUBTFUL_KEY) + b"\r\n" + BODY +
                                            b"\r\n")
        if name in (b"incr", b"decr", b"touch", b"delete") and line.count(b" ") >= 2:
            return self.around_doubtful_key(line.replace(b"k1", DOUBTFUL_KEY) + b"\r\n")
        return Unit([line + b"\r\n"], name not in (b"gets", b"gats"))

    def edge_number(self):
        number = self.dice.pick(EDGE_NUMBERS)
        noreply = self.noreply()
        form = self.dice.pick((
            b"%s %s %s 0 2%s\r\nzz\r\n", b"%s %s 1 %s 2%s\r\nzz\r\n", b"incr %s %s%s\r\n",
            b"decr %s %s%s\r\n", b"touch %s %s%s\r\n", b"gat %s %s%s\r\n", b"gats %s %s%s\r\n",
            b"cas %s 0 0 2 %s%s\r\nzz\r\n"))
        if form.startswith(b"%s"):
            command = form % (self.dice.pick(STORAGE), DOUBTFUL_KEY, number, noreply)
        elif form.startswith(b"ga"):
            command = form % (number, DOUBTFUL_KEY, b"")
        else:
            command = form % (DOUBTFUL_KEY, number, noreply)
        return self.around_doubtful_key(command)._replace(exact=not form.startswith(b"gats"))

    def edge_length(self):
        number = self.dice.pick(EDGE_NUMBERS)
        line = b"%s %s 0 0 %s%s\r\n" % (self.dice.pick(STORAGE), DOUBTFUL_KEY, number,
                                        self.noreply())
        value = TAKEN_FOR_LENGTH.get(number)
        return self.around_doubtful_key(line if value is None else line + value + b"\r\n")

    def control_key(self):
        key = self.dice.pick(CONTROL_KEYS)
        return Unit([self.dice.pick((
            b"get %s\r\n", b"get missing %s missing\r\n", b"set %s 0 0 2\r\nzz\r\n",
            b"add %s 0 0 2 noreply\r\nzz\r\n", b"append %s 0 0 2\r\nzz\r\n", b"incr %s 1\r\n",
            b"decr %s 1 noreply\r\n", b"touch %s 0\r\n", b"gat 0 %s\r\n", b"delete %s\r\n",
            b"delete %s noreply\r\n", b"cas %s 0 0 2 1\r\nzz\r\n")) % key])

    def long_key(self):
        key = self.dice.pick(LONG_KEYS)
        return Unit([self.dice.pick((
            b"get %s\r\n", b"get missing %s missing\r\n", b"gat 0 %s\r\n", b"set %s 0 0 2\r\nzz\r\n",
            b"add %s 0 0 2 noreply\r\nzz\r\n", b"incr %s 1\r\n", b"decr %s x\r\n",
            b"touch %s 0\r\n", b"touch %s 0 noreply\r\n", b"delete %s\r\n",
            b"delete %s 0\r\n", b"cas %s 0 0 2 1\r\nzz\r\n")) % key])

    def bad_chunk(self):
        """As many bytes as were announced are taken, and two; the rest is one more line, which is
        no command."""
        announced = self.dice.below(30)
        line = b"%s %s 0 0 %d%s\r\n" % (self.dice.pick(STORAGE), any_key(self.dice), announced,
                                        self.noreply())
        body = self.dice.pick((
            b"z" * (announced + 1 + self.dice.below(10)), b"z" * announced + b"\n",
            b"z" * announced + b"\rz", b"z" * announced + b"\n\n",
            b"\r\n" + b"z" * announced, b"zz\r\n".ljust(announced + 2, b"z")))
        return Unit([line + body.ljust(announced + 2, b"z") + b"\r\n"])

    def odd_line(self):
        """Empty lines, control bytes, words that mean nothing."""
        return Unit([self.dice.pick((
            b"\r\n", b"\n", b" \r\n", b"    \n", b"\r\r\n", b"\0\r\n", b"get\0 k1\r\n",
            b"get k1\r\r\n", b"get\r\n", b"gets\r\n", b"get  \r\n", b"gat 0\r\n", b"gat\r\n",
            b"get\tk1\r\n", b"delete k1\tk2\r\n", b"incr k1 \r\n", b"touch  k1\r\n",
            b"get k1 " + b" " * 300 + b"k2\r\n", b"touch k1 0 what\r\n", b"delete noreply\r\n",
            b"incr k1 1 NOREPLY\r\n", b"incr " + MISSING_KEY + b" 1 noreply\r\n",
            b"delete noreply noreply\r\n", b"zzzz noreply\r\n", b"get noreply\r\n",
            b"x HTTP\r\n", b"xyzzy HTTP/1.1 x\r\n"))])

    def unknown(self):
        return Unit([self.line(self.dice.pick(UNKNOWN) +
                               self.dice.pick((b"", b" k1", b" k1 0 0 2", b" noreply")))])

    def many_keys(self):
        """A hundred, and more than a line of other commands may hold."""
        keys = [any_key(self.dice) for _ in range(self.dice.pick((23, 24, 25, 50, 100)))]
        name = self.dice.pick((b"get", b"gets"))
        line = name + b" " + b" ".join(keys)
        return Unit([line[:40000].rpartition(b" ")[0] + b"\r\n"], name == b"get")

    def long_line(self):
        """Up to the longest, with the line feed or without it counted."""
        length = LINE_BYTES_MAX - self.dice.below(3)
        line = self.dice.pick((b"z", b"delete k1 ", b"touch k1 0", b"gat 0 k1", b"incr k1 1",
                               b"set k1", b"verbosity 0", b"get k1", b"flush"))
        return Unit([self.dice.pick((line.ljust(length, b" "), line.ljust(length, b"z"),
                                     line.rjust(length, b" "))) + b"\n"])

    def verbosity(self):
        level = self.dice.pick((b"0", b"1", b"0 noreply", b"0 x", b"", b"x", b"-1", b"+1", b"1x",
                                b"4294967295", b"4294967296", b"noreply", b"x noreply"))
        return Unit([b"verbosity %s\r\n" % level, b"verbosity 0\r\n"])

    def flush(self):
        """Some servers take what others refuse: the cache is empty afterwards. What a delay does
        to the items of before is not looked at: until it is over, memcached 1.6.18 brings back
        what was flushed already."""
        delay = self.dice.pick((b"", b"", b" 0", b" 0 noreply", b" noreply", b" x", b" x noreply",
                                b" -1", b" -5 noreply", b" 1x", b" 0 0", b" 0 0 0", b" +0", b" -0",
                                b" noreply 0", b" 1000", b" 2000000000", b" 2147483648",
                                b" 4294967296"))
        unit = self.around_doubtful_key(b"flush_all%s\r\n" % delay)
        return Unit(unit.commands + [b"flush_all\r\n"])

    def stats(self):
        return Unit([self.line(self.dice.pick(STATS))])

    def delete_forms(self):
        return self.around_doubtful_key(b"delete %s%s\r\n" % (DOUBTFUL_KEY, self.dice.pick((
            b" 0", b" 0 noreply", b" 00", b" 5", b" 5 noreply", b" noreply 0", b" 0 0", b" -0",
            b" 0 noreply more", b" noreply noreply"))))

    def large(self):
        """Near the limit and over it: a value that fits, one that does not and takes the old one
        with it, and an append that would not fit."""
        key = self.dice.pick(HOT_KEYS)
        fitting = large_value(self.dice, VALUE_BYTES_FITTING - self.dice.below(300000))
        exceeding = large_value(self.dice, self.dice.pick(VALUE_BYTES_EXCEEDING))
        store = b"%s %s 0 0 %d%s\r\n%s\r\n"
        name = self.dice.pick(STORAGE)
        join = self.dice.pick((b"append", b"prepend"))
        return Unit([store % (b"set", key, len(fitting), self.noreply(), fitting),
                     b"get %s\r\n" % key,
                     store % (join, key, 400000, self.noreply(), exceeding[:400000]),
                     store % (name, key, len(exceeding), self.noreply(), exceeding),
                     b"get %s\r\n" % key, b"incr %s 1\r\n" % key, b"delete %s\r\n" % key])

    def negative(self):
        """Of a number that is below zero, or minus zero."""
        key = self.dice.pick(HOT_KEYS)
        value = self.dice.pick(NEGATIVE_VALUES).ljust(NEGATIVE_VALUE_BYTES)
        return Unit([b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value),
                     b"incr %s 7\r\n" % key, b"decr %s 2\r\n" % key, b"get %s\r\n" % key,
                     b"delete %s\r\n" % key])
