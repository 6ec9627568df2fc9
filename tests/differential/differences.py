# SPDX-License-Identifier: Apache-2.0
"""Where kanted answers otherwise than memcached 1.6.18 on purpose. What is not in this list, and is
not made equal by replies.py, is a fault of one of the two.

Where the releases of memcached differ, the meta commands go by 1.6.45. What is not the same in
1.6.18 is not generated; tests/conversation has it:
 - ms tells the length with `s`;
 - ma hides a number that it has made from N when there is a `q`;
 - a key of up to 250 bytes may be longer than that in base64;
 - an opaque of 32 bytes is good.

Nor are these, in which memcached is peculiar:
 - incr, decr and ma forget that an item is stale when its number grows by a digit, and 1.6.18 the
   new expiry that ma brings;
 - ms in a mode other than set, with a value over the limit, removes the old value there, while add,
   append and their like do not; kanted removes it when it was to be set;
 - `t` between N and T tells there of the first of the two; kanted tells of what is left behind."""
import re

BAD_FORMAT = rb"CLIENT_ERROR bad command line format\r\n"
BAD_NUMBER = (rb"(?:" + BAD_FORMAT + rb"|CLIENT_ERROR invalid numeric delta argument\r\n"
              rb"|CLIENT_ERROR invalid exptime argument\r\n)?")
STORAGE = rb"(?:set|add|replace|append|prepend)"

# What generate_text.py puts around a command to see what becomes of an item, and the item's state
# as it is shown afterwards: of any kind, or unchanged.
BEFORE = rb"(?:set doubtful 7 0 1 noreply\r\n5\r\n)?"
AFTER = rb"get doubtful\r\ndelete doubtful noreply\r\n"
STATE = rb"(?:VALUE doubtful \d+ \d+\r\n.*\r\n)?END\r\n"
UNCHANGED = rb"(?:VALUE doubtful 7 1\r\n5\r\n)?END\r\n"

# The same for generate_meta.py.
META_BEFORE = rb"(?:ms doubtful 1 F7 T5000 q\r\n5\r\n)?"
META_AFTER = rb"mg doubtful f t s v\r\nmd doubtful q\r\n"

# What strtoul() takes for an unsigned number, or what a NUL makes of a line.
NO_UNSIGNED = (rb"(?:\t1|1\t|1\0x?|-0|-9223372036854775809|-18446744073709551615)")
OVER_32_BITS = (rb"(?:4294967296|9223372036854775807|9223372036854775808|18446744073709551615)")
NO_SIGNED = rb"(?:\t1|1\t|1\0x?)"
# strtol() takes them, and 32 bits are left of them.
EXPTIME_OVER_32_BITS = (rb"(?:2147483648|4294967295|4294967296|9223372036854775807|-2147483649|"
                        rb"-9223372036854775808)")
LENGTH_OVER_32_BITS = rb"(?:4294967296|-9223372036854775808)"


def around(command):
    return BEFORE + command + AFTER


# Reason; what a unit of commands matches whole; and what kanted's replies, `|`, and memcached's
# replies match.
DIFFERENCES = tuple((reason, re.compile(request, re.DOTALL), re.compile(replies, re.DOTALL))
                    for reason, request, replies in (
    ("a refused line takes its value with it, memcached runs that as a command (HARDENING.md: a "
     "request that is refused is refused whole)",
     rb".*\b(?:set|add|replace|append|prepend|cas) [^\n]* [^\n]*\r\nzz\r\n(?:" + AFTER + rb")?",
     rb"((?:END\r\n)?(?:ERROR\r\n|" + BAD_FORMAT + rb")?)((?:" + UNCHANGED +
     rb")?)\|\1ERROR\r\n\2"),

    ("no key holds control bytes; NUL ends a line for memcached (HARDENING.md)",
     rb"[^\n]*[\x00-\x09\x0b-\x1f\x7f][^\n]*\r\n(?:zz\r\n)?",
     rb"(?:" + BAD_FORMAT + rb")?\|.*"),

    ("numbers are parsed whole, with range checks: client flags (HARDENING.md)",
     around(STORAGE + rb" doubtful (?:" + NO_UNSIGNED + rb"|" + OVER_32_BITS +
            rb") 0 2(?: noreply)?\r\nzz\r\n"),
     BAD_NUMBER + UNCHANGED + rb"\|.*" + STATE),

    ("numbers are parsed whole, with range checks: deltas, cas uniques (HARDENING.md)",
     around(rb"(?:incr doubtful|decr doubtful|cas doubtful 0 0 2) " + NO_UNSIGNED +
            rb"(?: noreply)?\r\n(?:zz\r\n)?"),
     BAD_NUMBER + UNCHANGED + rb"\|.*" + STATE),

    ("numbers are parsed whole, with range checks: exptimes (HARDENING.md)",
     around(rb"(?:" + STORAGE + rb" doubtful 1 " + NO_SIGNED + rb" 2(?: noreply)?\r\nzz\r\n|"
            rb"gats? " + NO_SIGNED + rb" doubtful\r\n|"
            rb"touch doubtful " + NO_SIGNED + rb"(?: noreply)?\r\n)"),
     BAD_NUMBER + UNCHANGED + rb"\|.*" + rb"END\r\n"),

    ("numbers are parsed whole, with range checks: lengths (HARDENING.md)",
     around(STORAGE + rb" doubtful 0 0 (?:" + NO_SIGNED + rb"|-0|" + LENGTH_OVER_32_BITS +
            rb")(?: noreply)?\r\nz?\r\n"),
     BAD_NUMBER + rb"ERROR\r\n" + UNCHANGED + rb"\|.*" + STATE),

    ("nothing is truncated: an exptime has 64 bits (HARDENING.md)",
     around(rb"(?:" + STORAGE + rb" doubtful 1 " + EXPTIME_OVER_32_BITS +
            rb" 2(?: noreply)?\r\nzz\r\n|"
            rb"gats? " + EXPTIME_OVER_32_BITS + rb" doubtful\r\n|"
            rb"touch doubtful " + EXPTIME_OVER_32_BITS + rb"(?: noreply)?\r\n)"),
     rb"((?:STORED\r\n|TOUCHED\r\n|VALUE doubtful 7 1(?: \d+)?\r\n5\r\nEND\r\n)?)" + STATE +
     rb"\|(?:VALUE doubtful 7 1(?: \d+)?\r\n5\r\nEND\r\n|\1)" + STATE),

    ("a negative delay is none (HARDENING.md: flush_all -5)",
     around(rb"flush_all -[15](?: noreply)?\r\n") + rb"flush_all\r\n",
     rb"(?:" + BAD_FORMAT + rb")?" + UNCHANGED + rb"OK\r\n\|(?:OK\r\n)?END\r\nOK\r\n"),

    ("nothing is truncated: a delay has 64 bits (HARDENING.md)",
     around(rb"flush_all (?:2147483648|4294967296)\r\n") + rb"flush_all\r\n",
     rb"OK\r\n" + UNCHANGED + rb"OK\r\n\|OK\r\nEND\r\nOK\r\n"),

    ("meta: base64 that is none is refused, as by memcached 1.6.45",
     rb"m[gsdae] [^ ]* (?:2 )?[^\n]*b[^\n]*\r\n(?:zz\r\n)?",
     rb"CLIENT_ERROR error decoding key\r\n\|.*"),

    ("meta: without a key it is a bad line, as with memcached 1.6.45",
     rb"m[gsdae]\r\n", rb"CLIENT_ERROR bad command line format\r\n\|ERROR\r\n"),

    ("meta: a refused line takes its value with it (HARDENING.md)",
     rb"ms [^\n]*\nzz\r\n", BAD_FORMAT + rb"\|" + BAD_FORMAT + rb"ERROR\r\n"),

    ("meta: what is wrong is said as by memcached 1.6.45, or as one reads from left to right",
     META_BEFORE + rb"m[gsda] doubtful [^\n]*\r\n(?:zz\r\n)?" + META_AFTER,
     rb"CLIENT_ERROR [^\n]*\n(.*)\|CLIENT_ERROR [^\n]*\n(?:ERROR\r\n)?\1"),

    ("meta: a command that is refused does nothing, memcached 1.6.18 does it all the same when it is "
     "the opaque",
     META_BEFORE + rb"m[gsda] doubtful [^\n]*O[^\n]{32,}\r\n(?:zz\r\n)?" + META_AFTER,
     rb"CLIENT_ERROR opaque token too long\r\n.*\|CLIENT_ERROR opaque token too long\r\n.*"),

    ("meta: q hides what ma has made, as with memcached 1.6.45",
     META_BEFORE + rb"ma doubtful (?=[^\n]*\bq\b)(?=[^\n]*\bN\d)[^\n]*\r\n" + META_AFTER,
     rb"(VA \d+ f0 )t[^\n]*( s\d+\r\n\d+\r\n)\|(?:VA \d+[^\n]*\n\d+\r\n|HD[^\n]*\n)\1t[^\n]*\2"),

    ("meta: a key is at most 250 bytes when it is no base64 any more, as with memcached 1.6.45",
     rb"m[gsdae] [^ ]{251,} [^\n]*b[^\n]*\r\n(?:zz\r\n)?",
     rb"(?!CLIENT_ERROR).*\|CLIENT_ERROR bad command line format\r\n(?:ERROR\r\n)?"),

    ("binary: what does not fit its body is an invalid argument (HARDENING.md)",
     rb"\x80.*", rb"(.*)\x04(...)\x11(.*)Invalid arguments<closed>\|"
     rb"\1\x81\2\x0f\3Unknown command<closed>"),

    ("meta: nothing is truncated: an exptime has 64 bits (HARDENING.md)",
     META_BEFORE + rb"m[gsda] doubtful (?:2 )?(?:I )?[TNR]" + EXPTIME_OVER_32_BITS +
     rb"\r\n(?:zz\r\n)?" + META_AFTER,
     rb"(?!CLIENT_ERROR).*\|(?!CLIENT_ERROR).*"),

    ("meta: numbers are parsed whole, with range checks (HARDENING.md)",
     META_BEFORE + rb"m[gsda] doubtful (?:2 )?(?:I )?[TNRFCJD]?(?:" + NO_UNSIGNED + rb"|" +
     NO_SIGNED + rb"|" + OVER_32_BITS + rb"|" + LENGTH_OVER_32_BITS + rb")\r\n(?:z?z?\r\n)?" +
     META_AFTER,
     rb"CLIENT_ERROR [^\n]*\n.*\|.*"),

    ("numbers are parsed whole, with range checks: verbosity (HARDENING.md)",
     rb"verbosity 4294967296\r\nverbosity 0\r\n", BAD_FORMAT + rb"OK\r\n\|OK\r\nOK\r\n"),
))


def find(request, replies):
    """Why two servers' replies to a request differ on purpose, or None."""
    both = b"|".join(replies)
    for reason, request_pattern, replies_pattern in DIFFERENCES:
        if request_pattern.fullmatch(request) and replies_pattern.fullmatch(both):
            return reason
    return None
