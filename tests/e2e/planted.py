#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that test_coherence.py sees: plants one bug at a time into a copy of the code, and looks
whether it fails. In that copy keys are shown again as soon as they may be, and the program dawdles
over each answer, so that what is written meets what is told.

planted.py [WORD]     WORD: only bugs whose kind, sentence or file contains it

Needs what the build needs, and root. Exit status 0: every bug was caught, and the code as it is
holds."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import planting

PROGRAMS = ["kanted", "tests/coherence"]
READS = "1000000"
CONDITIONS = [
    ("src/shard/show.h", "#define SHOW_INTERVAL_US  10000", "#define SHOW_INTERVAL_US  0"),
    ("src/xdp/hot.bpf.h", "/* XDP_PASS: it is the worker's, and *ret",
     """\
static long dawdle(__u32 i, void *context)
{
	return i == 1000000 && context;
}

/* XDP_PASS: it is the worker's, and *ret"""),
    ("src/xdp/hot.bpf.h", "	if (!make_room(", "	bpf_loop(10000, dawdle, NULL, 0);\n	if (!make_room("),
]

BUGS = [
    ("late", "a slot is out only when it is written anew, after the acknowledgement",
     "src/shard/show.c", "		slot_retract(&options->programs[i].slots[key->slot]);\n",
     "		(void)0;\n"),
    ("late", "what has changed is told on until somebody looks", "src/store/store.c",
     "	shown_hide(&store->shown, replaced->item);\n", ""),
    ("sequence", "a slot that is out is told", "src/xdp/hot.bpf.h", "*ret_sequence & 1 || ", ""),
    ("sequence", "nobody looks whether the slot was changed meanwhile", "src/xdp/hot.bpf.h",
     "	if (read_sequence(&slot->sequence) != sequence)\n",
     "	if (read_sequence(&slot->sequence) == 0)\n"),
]


def failure(code):
    """What the test says, or None: it holds."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest", "test_coherence"], cwd=code / "tests/e2e",
        env={**os.environ, "KANTE_BUILD": str(code / "build"), "KANTE_E2E_READS": READS},
        capture_output=True, text=True)
    print(done.stdout, flush=True)
    return done.stderr if done.returncode != 0 else None


def plant(code, bug):
    with planting.planted(code, bug, PROGRAMS):
        caught = failure(code)
    print(f"{bug[0]}: {bug[1]}: {'caught' if caught else 'NOT CAUGHT'}", flush=True)
    return caught is not None


def run(code, bugs):
    planting.check_table(code, [("conditions", file, file, text, instead)
                                for file, text, instead in CONDITIONS])
    for file, text, instead in CONDITIONS:
        path = code / file
        path.write_text(path.read_text().replace(text, instead))
    subprocess.run(["meson", "setup", code / "build", code, "-Dslow_asserts=true"], check=True,
                   stdout=subprocess.DEVNULL)
    planting.build(code, PROGRAMS, "the code as it is")
    fault = failure(code)
    if fault:
        print(f"the code as it is fails: {fault}")
        return None
    return sum([plant(code, bug) for bug in bugs])


if __name__ == "__main__":
    sys.exit(planting.main(BUGS, run))
