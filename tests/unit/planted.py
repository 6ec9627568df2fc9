#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the tests of hot keys see: plants one bug at a time into a copy of the code, and looks
which test fails. A bug that none catches is a fault of the tests.

planted.py [WORD]     WORD: only bugs whose kind, sentence or file contains it

Needs what the build needs, and root. Exit status 0: every bug was caught, and the code as it is
holds."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import planting

PROGRAMS = ["tests/unit-show_random", "tests/unit-xdp_frames", "tests/unit-xdp_random",
            "tests/unit-xdp_verdicts"]

BUGS = [
    ("hide", "what is replaced is told on", "src/store/store.c",
     "	shown_hide(&store->shown, replaced->item);\n", ""),
    ("hide", "what is deleted is told on", "src/store/store.c",
     "	shown_hide(&store->shown, place->item);\n", ""),
    ("hide", "what is evicted is told on", "src/store/store.c",
     """\
	shown_hide(&store->shown, item);
	counter_add(live ?""", "	counter_add(live ?"),
    ("hide", "what is touched is told on as it was", "src/store/store.c",
     """\
	shown_hide(&store->shown, item);
	if (item_set_expiry""", "	if (item_set_expiry"),
    ("hide", "what is flushed is told on", "src/store/store.c",
     "	shown_hide_all(&store->shown);\n", ""),
    ("hide", "what is purged is told on", "src/store/purge.c",
     "	shown_hide_all(&store->shown);\n", ""),
    ("hide", "what has moved is not known any more", "src/store/write.c",
     "	shown_hide(&store->shown, item); /* it is another one now */\n", ""),
    ("hide", "who has won a key is not told of", "src/shard/get.c",
     "		shown_hide(store_shown(shard->store), place->item);\n", "		(void)0;\n"),
    ("show", "what is stale is shown", "src/shard/show.c",
     "	    item_marks(place.item) != 0 ||\n", ""),
    ("show", "the filter forgets too much", "src/store/shown.h",
     "	--*shown_place(shown, item);\n", "	*shown_place(shown, item) = 0;\n"),
    ("slot", "a slot is not put out", "src/shard/slot.c", "sequence | 1", "sequence + 2"),
    ("slot", "the value's sum is of one byte less", "src/shard/slot.c",
     "slot->body + XDP_BODY_VALUE, value.length)", "slot->body + XDP_BODY_VALUE, value.length / 2)"),
    ("program", "a slot that is out is told", "src/xdp/hot.bpf.h", "*ret_sequence & 1 || ", ""),
    ("program", "the hash alone says which key it is", "src/xdp/hot.bpf.h",
     "if (slot->line[XDP_LINE_KEY + i] != scratch->request[at + i])", "if (at == bytes + 1000)"),
    ("program", "what has expired is told", "src/xdp/hot.bpf.h",
     "	if (reply.seconds_left == 0)\n", "	if (reply.seconds_left == 77)\n"),
    ("program", "sums do not matter", "src/xdp/request.bpf.h",
     "!= 0xffff)\n			return 0;\n	} else", "== 0x12345)\n			return 0;\n	} else"),
    ("program", "a body at an odd place is summed as at an even one", "src/xdp/reply.bpf.h",
     "bytes & 1 ? __builtin_bswap16(reply->body_sum) : reply->body_sum", "reply->body_sum"),
    ("program", "a flag may come twice", "src/xdp/reply.bpf.h", " || (meta->seen & bit)", ""),
    ("program", "control characters are as others", "src/xdp/request.bpf.h",
     " || byte == 0x7f", ""),
    ("program", "source routes are answered", "src/xdp/request.bpf.h",
     " || option == IP4_OPTION_LOOSE_ROUTE", ""),
    ("program", "who is on the list has limits", "src/xdp/limits.bpf.h",
     "	if (!settings->allow_any)\n		return is_allowed(frame);\n",
     "	if (!settings->allow_any && !is_allowed(frame))\n		return false;\n"),
    ("program", "the last address of a blocked range is not blocked", "src/xdp/blocked.bpf.h",
     "range->last[1] < low", "range->last[1] <= low"),
    ("program", "the filter leaves out the end of a range", "src/xdp/xdp.c",
     "i <= last; i++", "i < last; i++"),
]


def failing(code):
    """The first test that fails, or None. Random ones get three tries."""
    for program in PROGRAMS:
        for _ in range(3 if "random" in program else 1):
            if subprocess.run([code / "build" / program], capture_output=True).returncode != 0:
                return program
    return None


def plant(code, bug):
    with planting.planted(code, bug, PROGRAMS):
        found = failing(code)
    print(f"{bug[0]}: {bug[1]}: {'caught by ' + found if found else 'NOT CAUGHT'}", flush=True)
    return found is not None


def run(code, bugs):
    subprocess.run(["meson", "setup", code / "build", code, "-Dslow_asserts=true"], check=True,
                   stdout=subprocess.DEVNULL)
    planting.build(code, PROGRAMS, "the code as it is")
    found = failing(code)
    if found:
        print(f"the code as it is fails: {found}")
        return None
    return sum([plant(code, bug) for bug in bugs])


if __name__ == "__main__":
    sys.exit(planting.main(BUGS, run))
