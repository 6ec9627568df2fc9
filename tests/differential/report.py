# SPDX-License-Identifier: Apache-2.0
"""What is printed."""
import collections
import os
import re

SHOWN_BYTES_MAX = 400
SHOWN_COMMANDS_MAX = 60
PIECE_BYTES = 40


def shown(data):
    """Bytes as Python writes them, the middle of long ones left out."""
    if len(data) > SHOWN_BYTES_MAX:
        half = SHOWN_BYTES_MAX // 2
        return (f"{shown(data[:half])} … {len(data) - 2 * half} bytes … {shown(data[-half:])}")
    return repr(bytes(data))[2:-1]


def shown_command(command):
    if type(command) is bytes:
        return shown(command)
    return f"{shown(command.before)}<cas unique of {shown(command.key)}>{shown(command.after)}"


def divergence(difference):
    """A piece of both replies, from the first line that differs."""
    texts = [text for text, _ in difference.forms]
    if texts[0] == texts[1]:  # it is in the inexact numbers
        texts = difference.replies
    start = texts[0].rfind(b"\n", 0, len(os.path.commonprefix(texts))) + 1
    return [text[start:start + PIECE_BYTES] for text in texts]


def kind(protocol, difference):
    """Differences of a kind look alike, but for numbers."""
    return protocol, *(re.sub(rb"\d+", b"#", piece) for piece in divergence(difference))


class Report:
    """Shows the first difference of each kind, and counts."""

    def __init__(self, first, second):
        self.names = f"1: {first}", f"2: {second}"
        self.kinds = collections.Counter()

    @property
    def shown_count(self):
        return len(self.kinds)

    def add(self, protocol, seed, difference):
        """Returns whether it is the first of its kind, which is shown."""
        key = kind(protocol, difference)
        self.kinds[key] += 1
        if self.kinds[key] > 1:
            return False
        print(f"\ndifference {self.shown_count}: --protocol {protocol}, seed {seed}")
        self.show_unit(difference)
        return True

    def show_unit(self, difference):
        for command in difference.batch.units[difference.index].commands:
            print(f"    {shown_command(command)}")
        for name, reply in zip(self.names, difference.replies):
            print(f"  {name}: {shown(reply)}", flush=True)

    def show_case(self, batches, difference):
        """`difference` None: it came once only."""
        if difference is None:
            print("  it did not come again when the same was sent: it depends on the moment",
                  flush=True)
            return
        commands = [(batch, command) for batch in batches for unit in batch.units
                    for command in unit.commands]
        print(f"  the shortest case found, from an empty cache ({len(commands)} commands):")
        for batch, command in commands[-SHOWN_COMMANDS_MAX:]:
            cuts = f", pieces of at most {batch.piece_max}" if batch.piece_max else ""
            print(f"    {batch.protocol} {batch.connection}{cuts}: {shown_command(command)}")
        for name, reply in zip(self.names, difference.replies):
            print(f"  {name}: {shown(reply)}", flush=True)

    def commands(self, count, seconds):
        print(f"\n{count} commands in {seconds:.1f} s: {count / seconds:.0f} a second")

    def summary(self, deliberate):
        """Returns the exit status."""
        for reason, count in deliberate.most_common():
            print(f"on purpose, {count} times: {reason}")
        for key, count in self.kinds.items():
            print(f"DIFFERENT, {count} times: {key[0]}: {shown(key[1])} and "
                  f"{shown(key[2])}")
        print(f"{len(self.kinds)} kinds of difference")
        return 1 if self.kinds else 0
