# SPDX-License-Identifier: Apache-2.0
"""What has to do with time, compared across some seconds of it."""
import time

from generate import Batch, Unit
from generate_binary import (ADD, DELTA_EXTRAS, EXPTIME_EXTRAS, GAT, GETK, INCREMENT, SET,
                             STORAGE_EXTRAS, TOUCH, packet)

# Servers count whole seconds: what is to be over is awaited two longer.
SECONDS = 3
WAIT_SECONDS = SECONDS + 2


def text_stages():
    ask = Unit([b"get a b c d e f\r\n"])
    moment = time.time() + SECONDS
    return (
        [Unit([b"set a 0 %d 1\r\na\r\n" % SECONDS, b"set b 0 %d 1\r\nb\r\n" % moment,
               b"set c 0 0 1\r\nc\r\n", b"set d 0 0 1\r\nd\r\n", b"set e 0 %d 1\r\ne\r\n" % SECONDS,
               b"touch c %d\r\n" % SECONDS, b"gat %d d\r\n" % SECONDS, b"touch e 0\r\n",
               b"set f 0 1000 1\r\n1\r\n"]), ask],
        [ask, Unit([b"add a 0 0 1\r\na\r\n", b"append b 0 0 1\r\nb\r\n", b"incr c 1\r\n",
                    b"touch d 0\r\n", b"flush_all %d\r\n" % SECONDS, b"incr f 1\r\n"]), ask],
        [ask, Unit([b"set b 0 0 1\r\nb\r\n"]), ask])


def meta_stages():
    ask = Unit([b"mg m%s v t\r\n" % key for key in (b"a", b"b", b"c", b"d", b"e")], False)
    # of what is left of an hour some seconds will be gone
    due = Unit([b"mg mf R3600\r\n"])
    return (
        [Unit([b"ms ma 1 T%d\r\na\r\n" % SECONDS, b"ms mb 1\r\nb\r\n", b"mg mb T%d\r\n" % SECONDS,
               b"mg mc N%d\r\n" % SECONDS, b"ma md N%d J5\r\n" % SECONDS, b"ms me 1\r\ne\r\n",
               b"md me I T%d\r\n" % SECONDS, b"ms mf 1 T3602\r\nf\r\n"]), ask, due],
        [ask, due, Unit([b"ms ma 1 ME\r\na\r\n", b"mg mc N0 v\r\n", b"ma md N0 J6 v\r\n"]), ask])


def binary_stages():
    ask = Unit([packet(GETK, key) for key in (b"ba", b"bb", b"bc", b"bd")], False)
    for_ever = STORAGE_EXTRAS.pack(0, 0)
    soon = EXPTIME_EXTRAS.pack(SECONDS)
    return (
        [Unit([packet(SET, b"ba", STORAGE_EXTRAS.pack(0, SECONDS), b"a"),
               packet(SET, b"bb", for_ever, b"b"), packet(TOUCH, b"bb", soon),
               packet(SET, b"bc", for_ever, b"c"), packet(GAT, b"bc", soon),
               packet(INCREMENT, b"bd", DELTA_EXTRAS.pack(1, 5, SECONDS))], False), ask],
        [ask, Unit([packet(ADD, b"ba", for_ever, b"a"), packet(TOUCH, b"bb", soon)], False), ask])


# Units to run at once, after WAIT_SECONDS, after as long again.
STAGES = {"text": text_stages, "meta": meta_stages, "binary": binary_stages}
STAGE_COUNT = 3


def compare_expiry(judge, report, protocols):
    judge.reset()
    stages = {protocol: STAGES[protocol]() for protocol in protocols}
    for index in range(STAGE_COUNT):
        if index > 0:
            time.sleep(WAIT_SECONDS)
        for protocol in protocols:
            units = stages[protocol][index] if index < len(stages[protocol]) else []
            difference = judge.perform(Batch(protocol, 0, units, 0, 0, False)) if units else None
            if difference is not None:
                report.add(f"{protocol} (expiry.py)", 0, difference)
                return
