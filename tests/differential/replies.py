# SPDX-License-Identifier: Apache-2.0
"""Replies in a form in which those of two servers can be compared.

Servers choose cas uniques by themselves: each becomes the order of its first appearance. Times left
and times since are rounded to seconds by each server's own clock, and a busy machine lets one wait
longer than the other: they may differ by two, and stand as `~` with the numbers aside."""
import base64
import re
import struct

from generate import HOT_KEYS

PLAIN_KEYS = {base64.b64encode(key): key
              for key in HOT_KEYS + tuple(b"%c%d" % (c, i) for c in b"sn" for i in range(20))}
VALUE_LINE = re.compile(rb"VALUE (\S+) (\d+) (\d+) (\d+)")
META_LINE = re.compile(rb"(?:VA (\d+)|HD|NS|EX|NF|EN)( .*)?", re.DOTALL)
ME_LINE = re.compile(rb"ME (\S+) exp=(-?\d+) la=\d+ cas=(\d+) (fetch=\w+) cls=\d+ size=\d+")
ME_NEVER = b"-1"
VERSION = re.compile(rb"[0-9][0-9A-Za-z.+~-]*")
# A time left that is below zero, as memcached writes it. For kanted nothing is left then.
TIME_PAST_MIN = 1 << 31

HEADER = struct.Struct(">BBHBBHIIQ")
OPCODE_VERSION = 0x0b
HOT_KEY_OF_OPAQUE_MASK = 0xff


class Numbers:
    """What one server has told of numbers that are its own, since the cache was flushed."""

    def __init__(self):
        self.order = {}       # of cas uniques
        self.cas_by_key = {}  # for WithCas
        self.next = 0

    def cas(self, number, key=None):
        if number == 0:
            return b"0"
        if key is not None:
            self.cas_by_key[key] = number
        if number not in self.order:
            self.order[number] = self.next
            self.next += 1
        return b"cas#%d" % self.order[number]


def align(*all_numbers):
    """After replies of which one told of a cas unique and the other did not."""
    following = max(numbers.next for numbers in all_numbers)
    for numbers in all_numbers:
        numbers.next = following


def same(left, right):
    """Compares two canonical forms."""
    return (left[0] == right[0] and len(left[1]) == len(right[1]) and
            all(abs(a - b) <= 2 for a, b in zip(left[1], right[1])))


def canonical_text(reply, numbers, _hot_keys):
    """Classic and meta replies: lines, and the values that some announce. Returns the bytes and the
    inexact numbers."""
    out, inexact, at = [], [], 0
    while at < len(reply):
        end = reply.find(b"\r\n", at)
        if end < 0:
            out.append(reply[at:])
            break
        line = reply[at:end]
        at = end + 2
        value_bytes = None
        if line[:6] == b"VALUE ":
            line, value_bytes = canonical_value_line(line, numbers)
        elif match := META_LINE.fullmatch(line):
            value_bytes = match[1]
            if match[2]:
                line = line[:match.start(2)] + canonical_flags(match[2], numbers, inexact)
        elif line[:3] == b"ME ":
            line = ME_LINE.sub(lambda match: canonical_me(match, numbers), line)
        elif line[:8] == b"VERSION " and VERSION.fullmatch(line, 8):
            line = b"VERSION"
        out.append(line + b"\r\n")
        if value_bytes is not None:
            value_end = at + int(value_bytes) + 2
            out.append(reply[at:value_end])
            at = value_end
    return b"".join(out), inexact


def canonical_value_line(line, numbers):
    match = VALUE_LINE.fullmatch(line)
    if match is None:  # without a cas unique
        length = line.rpartition(b" ")[2]
        return line, length if length.isdigit() else None
    key, client_flags, length, cas = match.groups()
    return b"VALUE %s %s %s %s" % (key, client_flags, length, numbers.cas(int(cas), key)), length


def plain_key(key):
    """A hot key as it is, when it stands there in base64."""
    return PLAIN_KEYS.get(key, key)


def canonical_flags(flags, numbers, inexact):
    """` c12 t100 k…`: the key, when it is told, says whose cas unique it is."""
    words = flags[1:].split(b" ")
    # whether an item's key is told in base64 depends on how the item was made
    words = [b"k" + plain_key(word[1:]) if word[:1] == b"k" else word for word in words
             if word != b"b"]
    key = next((word[1:] for word in words if word[:1] == b"k"), None)
    out = []
    for word in words:
        letter, token = word[:1], word[1:]
        if token.isdigit() and letter in (b"c", b"t", b"l"):
            number = int(token)
            if letter == b"c":
                token = numbers.cas(number, key)
            elif letter == b"t" and (number == 0 or number >= TIME_PAST_MIN):
                token = b"past"
            else:
                inexact.append(number)
                token = b"~"
        out.append(letter + token)
    return b" " + b" ".join(out)


def canonical_me(match, numbers):
    key, expiry, cas, fetched = match.groups()
    return b"ME %s exp=%s %s %s" % (plain_key(key), b"never" if expiry == ME_NEVER else b"~",
                                    numbers.cas(int(cas)), fetched)


def canonical_binary(reply, numbers, hot_keys):
    """Packets. The opaque's last byte says which hot key the request was about, if any."""
    out, at = [], 0
    while at + HEADER.size <= len(reply):
        fields = HEADER.unpack_from(reply, at)
        opcode, body_bytes, opaque, cas = fields[1], fields[6], fields[7], fields[8]
        body = reply[at + HEADER.size:at + HEADER.size + body_bytes]
        index = opaque & HOT_KEY_OF_OPAQUE_MASK
        key = hot_keys[index] if index < len(hot_keys) else None
        head = reply[at:at + 16]
        if opcode == OPCODE_VERSION and VERSION.fullmatch(body):
            head, body = b"version", b""
        out += head, numbers.cas(cas, key), body
        at += HEADER.size + body_bytes
    out.append(reply[at:])
    return b"".join(out), ()
