# SPDX-License-Identifier: Apache-2.0
"""Finds the fewest commands that lead to a difference."""
import time

REDUCE_SECONDS = 20


def replay(judge, batches):
    """Returns the difference that the last unit makes, or None. An earlier one is another case."""
    judge.reset()
    for batch in batches[:-1]:
        if judge.perform(batch) is not None:
            return None
    difference = judge.perform(batches[-1])
    if difference is not None and difference.index == len(batches[-1].units) - 1:
        return difference
    return None


def minimised(items, holds):
    """Leaves out what can be left out so that it still holds: halves, quarters … single items."""
    size = len(items) // 2
    while size > 0:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size:]
            if holds(fewer):
                items = fewer
            else:
                at += size
        size //= 2
    return items


def joined(batches, commands):
    """Batches of the commands that are left: (index of the batch, index of the unit, command)."""
    units = {}
    for batch_index, unit_index, command in commands:
        units.setdefault(batch_index, {}).setdefault(unit_index, []).append(command)
    return [batches[i]._replace(units=[batches[i].units[j]._replace(commands=left)
                                       for j, left in in_batch.items()])
            for i, in_batch in units.items()]


def reduced(judge, batches, index):
    """`index`: the last batch's unit that differs. Returns batches and a difference that stands at
    their end; None when it does not come again, as it depends on when bytes arrive."""
    batches = batches[:-1] + [batches[-1]._replace(units=batches[-1].units[:index + 1])]
    whole = [batch._replace(piece_max=0, slow=False) for batch in batches]
    base = next((base for base in (whole, batches) if replay(judge, base)), None)
    if base is None:
        return batches, None
    deadline = time.monotonic() + REDUCE_SECONDS
    units = [[(i, j, command) for command in unit.commands]
             for i, batch in enumerate(base) for j, unit in enumerate(batch.units)]

    def holds(commands):
        """Of the last unit something has to be left."""
        return (time.monotonic() < deadline and commands and commands[-1][:2] == units[-1][0][:2]
                and replay(judge, joined(base, commands)) is not None)

    units = minimised(units, lambda fewer: holds(sum(fewer, [])))
    commands = minimised(sum(units, []), holds)
    case = joined(base, commands)
    return case, replay(judge, case)
