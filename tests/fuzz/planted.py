#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the model of the fuzz targets text, meta, binary and udp sees: plants one bug at a
time into a copy of the code and lets the target look for it, from its corpus on, for a minute.

planted.py [WORD]     WORD: only bugs whose target, sentence or file contains it

Needs what the fuzz targets need. Exit status 0: every bug was found, and the code as it is holds.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import planting

BUG_SECONDS_MAX = 60

# target, what is wrong, file, what stands there exactly once, what stands there instead
BUGS = [
    ("text", "a touch changes the cas unique", "src/shard/get.c",
     """\
	reply_hit(shard->store, place.item, ret_reply);
	store_mark_read(shard->store, shard->number, hash, &place, now_s);
	if (!is_gat)
""",
     """\
	store_change(shard->store, &place, store_expiry_s(shard->store, place.item),
	             store_next_cas(shard->store));
	reply_hit(shard->store, place.item, ret_reply);
	store_mark_read(shard->store, shard->number, hash, &place, now_s);
	if (!is_gat)
"""),
    ("text", "an append loses the client's flags", "src/shard/write.c",
     "	    .client_flags = item_client_flags(old),\n",
     "	    .client_flags = item_client_flags(added),\n"),
    ("text", "client flags of 2 bytes are cut to 1", "src/store/write.c",
     ": client_flags <= UINT8_MAX      ? 1", ": client_flags <= UINT16_MAX     ? 1"),
    ("meta", "an item that moves counts as read just now", "src/store/store.c",
     "		atomic_store_explicit(&item->access, item_access(old), "
     "memory_order_relaxed);\n", ""),
    ("meta", "a cas unique that is far away is cut to 32 bits", "src/store/write.c",
     "		shape |= ITEM_CAS_IS_WIDE;\n",
     "		shape |= 0;\n"),
    ("text", "an item lives one second too long", "src/store/internal.h",
     "return expiry_s <= now_s ?", "return expiry_s < now_s ?"),
    ("text", "an absolute exptime is one second off", "src/shard/shard.c",
     "expiry_s = (uint64_t)exptime - shard->unix_time_at_start_s;",
     "expiry_s = (uint64_t)exptime - shard->unix_time_at_start_s + 1;"),
    ("text", "noreply replies", "src/worker/session_text.c",
     """\
	if (noreply)
		return;
""",
     ""),
    ("text", "an incr stops at 2^64 - 1", "src/shard/delta.c",
     "		number += request->delta;\n",
     "		number = number > UINT64_MAX - request->delta ? UINT64_MAX "
     ": number + request->delta;\n"),
    ("text", "a shorter number is not padded", "src/shard/delta.c",
     "	    .value_bytes = max_u32(count, item_value_bytes(old)),\n",
     "	    .value_bytes = count,\n"),
    ("text", "a set that is too large leaves the old value", "src/shard/write.c",
     "	remove_stale(shard, op, hash, key);\n	tell_stored",
     "	if (status != REPLY_TOO_LARGE)\n		remove_stale(shard, op, hash, key);\n"
     "	tell_stored"),
    ("text", "a get that waited goes on one key too far", "src/worker/session_text.c",
     "		request->key = line_next_word(&rest);\n	}\n	while (",
     "		request->key = line_next_word(&rest);\n"
     "		request->key = line_next_word(&rest);\n	}\n	while ("),
    ("text", "a flush takes what is stored after it", "src/store/store.c",
     "	store_seal_all(store);\n", ""),
    ("meta", "something stale is shown as fresh", "src/shard/get.c",
     "		ret_reply->marks |= REPLY_STALE;\n", "		ret_reply->marks |= 0;\n"),
    ("meta", "who makes an item by N has not won", "src/shard/get.c",
     "	settle_win(item, true, ret_reply);\n", "	settle_win(item, false, ret_reply);\n"),
    ("meta", "R wins once too often", "src/shard/get.c",
     "(item, &shape, marks | ITEM_WON));\n",
     "(item, &shape, won ? marks : marks | ITEM_WON));\n"),
    ("meta", "an md with I leaves the win", "src/shard/delete.c",
     "(item_marks(place->item) & ~ITEM_WON) | ITEM_STALE",
     "item_marks(place->item) | ITEM_STALE"),
    ("meta", "what is stored as stale gets an expiry of its own", "src/shard/write.c",
     "	store_expire_else(&state->reservation, store_expiry_s(shard->store, old));\n",
     ""),
    ("meta", "q hides hits", "src/proto/meta.c",
     "		return status == REPLY_MISS;\n",
     "		return status == REPLY_MISS || status == REPLY_HIT;\n"),
    ("meta", "u counts as a read", "src/shard/get.c",
     "	if (!(request->modifiers & REQUEST_NO_BUMP))\n		store_mark_read(home",
     "	if (true)\n		store_mark_read(home"),
    ("meta", "a key in base64 is shown without its last byte's end", "src/proto/base64.c",
     "left > 1 ? (uint8_t)digits[group >> 6 & 63] : '='",
     "left > 2 ? (uint8_t)digits[group >> 6 & 63] : '='"),
    ("binary", "a GETKQ that misses replies", "src/proto/binary.c",
     "[0x0d] = COMMAND(REQUEST_GET, 0, KEY | WITH_KEY | QUIET)",
     "[0x0d] = COMMAND(REQUEST_GET, 0, KEY | WITH_KEY)"),
    ("binary", "a quiet delete that misses is quiet", "src/proto/binary.c",
     "(1u << REPLY_MISS | ", "(1u << REPLY_MISS | 1u << REPLY_NOT_FOUND | "),
    ("binary", "an increment makes an item even with 0xffffffff", "src/proto/binary.c",
     "		if (expiration == VIVIFY_NEVER)\n			return;\n", ""),
    ("binary", "a delete does not look at the cas unique", "src/proto/binary.c",
     "[0x04] = COMMAND(REQUEST_DELETE, 0, KEY | CAS_GUARDS)",
     "[0x04] = COMMAND(REQUEST_DELETE, 0, KEY)"),
    ("binary", "a value that is too large is run", "src/worker/session.c",
     "	session_swallow_next(session, request->value_bytes + tail_bytes);\n",
     "	session_swallow_next(session, tail_bytes);\n"),
    ("binary", "prepend appends", "src/proto/binary.c",
     "[0x0f] = COMMAND(REQUEST_PREPEND,", "[0x0f] = COMMAND(REQUEST_APPEND,"),
    ("udp", "numbers of datagrams begin at 1", "src/worker/datagram.c",
     "(uint16_t)i, (uint16_t)total", "(uint16_t)(i + 1), (uint16_t)total"),
    ("udp", "a stranger is sent as much as a friend", "src/worker/datagram.c",
     "bytes_max = min_u64(bytes_max, amplified);", "bytes_max = max_u64(bytes_max, amplified);"),
    ("udp", "the heads of datagrams count for nothing", "src/worker/datagram.c",
     "	return payload_bytes + (uint64_t)UDP_FRAME_BYTES * datagram_count(payload_bytes);\n",
     "	return payload_bytes;\n"),
    ("udp", "an mg that sets an expiry is served", "src/worker/datagram.c",
     "(REQUEST_RENEW | REQUEST_VIVIFY | REQUEST_RECACHE)", "(REQUEST_VIVIFY | REQUEST_RECACHE)"),
    ("udp", "a datagram that is one of several is served", "src/proto/udp_frame.c",
     "	if (load_be16(datagram.data + 4) != 1)\n		return UDP_FRAME_BAD_TOTAL;\n", ""),
]


def programs(targets):
    return [f"tests/fuzz-{target}" for target in targets]


def hunt(code, target, seconds):
    """What the target has found, or None. 0 seconds: only the corpus is run."""
    limit = [f"-max_total_time={seconds}", "-len_control=0"] if seconds else ["-runs=0"]
    with tempfile.TemporaryDirectory(prefix="found-") as found:
        done = subprocess.run([code / f"build/tests/fuzz-{target}", "-entropic=0", *limit,
                               f"-artifact_prefix={found}/", found,
                               code / "tests/fuzz/corpus" / target],
                              capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return None
    signs = ("rule broken", "invariant broken", "ERROR: AddressSanitizer", "runtime error")
    lines = [line for line in done.stderr.splitlines() if any(sign in line for sign in signs)]
    return lines[0] if lines else f"exit status {done.returncode}"


def plant(code, bug):
    target, sentence = bug[:2]
    with planting.planted(code, bug, programs([target])):
        start = time.monotonic()
        found = hunt(code, target, BUG_SECONDS_MAX)
        took = time.monotonic() - start
    verdict = f"found in {took:.0f} s: {found}" if found else "NOT FOUND"
    print(f"{target}: {sentence}: {verdict}", flush=True)
    return found is not None


def run(code, bugs):
    targets = sorted({bug[0] for bug in bugs})
    subprocess.run(["meson", "setup", code / "build", code, "-Dfuzz=true", "-Dslow_asserts=true",
                    "-Db_sanitize=address,undefined", "-Dc_args=-fsanitize=fuzzer-no-link"],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "CC": "clang"})
    planting.build(code, programs(targets), "the code as it is")
    for target in targets:
        found = hunt(code, target, 0)
        if found:
            print(f"the code as it is fails: {target}: {found}")
            return None
    print("as it is: all of the corpus holds", flush=True)
    return sum([plant(code, bug) for bug in bugs])


if __name__ == "__main__":
    sys.exit(planting.main(BUGS, run))
