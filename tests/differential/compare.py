#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the same commands, made from a seed, to kanted and to memcached, and compares the replies
byte for byte. Both are started by it, on 127.0.0.1.

compare.py [options] [COMMANDS [SEED]]     a million commands, and any seed

--protocol NAME     text (classic), meta or binary; may be given more than once. Else all
--kanted PATH       the server in question, which may be a memcached too; else kanted of KANTE_BUILD
                    or build/
--memcached PATH    the server to go by; else /usr/bin/memcached

Commands come in episodes: each starts with an empty cache and has a seed of its own, from SEED on.
`compare.py --protocol text 1000 17` runs the one of seed 17 again. What differs on purpose stands
in differences.py; any other difference is shown with the fewest commands that lead to it, and makes
the exit status 1.

A run of 100,000 commands and more ends with those that have to do with time, across ten seconds."""
import argparse
import random
import sys
import time

from expiry import compare_expiry
from generate import Batches
from judge import EPISODES, Judge
from reduce import reduced
from report import Report
from servers import KANTED, MEMCACHED, Server

EPISODE_COMMANDS = 1000
REPORT_COUNT_MAX = 20
EXPIRY_COMMANDS_MIN = 100000


def run_episode(judge, protocol, seed, command_count):
    """Returns how many commands were sent, and what led to a difference: the batches and it."""
    judge.reset()
    batches = []
    sent = 0
    for batch in Batches(seed, EPISODES[protocol]).run(command_count):
        batches.append(batch)
        sent += sum(len(unit.commands) for unit in batch.units)
        difference = judge.perform(batch)
        if difference is not None:
            return sent, (batches, difference)
    return sent, None


def run(judge, report, protocols, command_count, seed):
    """All episodes, one protocol after the other, until there is too much to show."""
    start = time.monotonic()
    sent = 0
    while sent < command_count and report.shown_count < REPORT_COUNT_MAX:
        protocol = protocols[seed % len(protocols)]
        count, found = run_episode(judge, protocol, seed,
                                   min(EPISODE_COMMANDS, command_count - sent))
        sent += count
        if found is not None:
            batches, difference = found
            if report.add(protocol, seed, difference):
                report.show_case(*reduced(judge, batches, difference.index))
        seed += 1
    report.commands(sent, time.monotonic() - start)


def parse_arguments():
    parser = argparse.ArgumentParser(usage="%(prog)s [options] [COMMANDS [SEED]]")
    parser.add_argument("commands", nargs="?", type=int, default=1000000)
    parser.add_argument("seed", nargs="?", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--protocol", action="append", choices=sorted(EPISODES))
    parser.add_argument("--kanted", default=KANTED)
    parser.add_argument("--memcached", default=MEMCACHED)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    protocols = arguments.protocol or sorted(EPISODES)
    with Server(arguments.kanted) as tested, Server(arguments.memcached) as reference:
        report = Report(tested.name, reference.name)
        print(f"seed {arguments.seed}: {', '.join(protocols)}: {tested.name} (1) and "
              f"{reference.name} (2)", flush=True)
        judge = Judge((tested, reference))
        run(judge, report, protocols, arguments.commands, arguments.seed)
        if arguments.commands >= EXPIRY_COMMANDS_MIN:
            compare_expiry(judge, report, protocols)
        judge.end()
    return report.summary(judge.deliberate)


if __name__ == "__main__":
    sys.exit(main())
