# SPDX-License-Identifier: Apache-2.0
"""What the store holds in a memory, beside memcached, and what it misses on the traces."""
import importlib.util

import measure

TITLE = "store: items in the same memory, misses on traces"
MEMORY_MIB = 256


def part(name):
    """A measurement of tests/perf, as a module."""
    spec = importlib.util.spec_from_file_location(name, measure.ROOT / f"tests/perf/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


held = part("held")
traces = part("replay")


def run(_rounds):
    """Rows of both; neither depends on how fast the machine is, so once is enough."""
    rows = []
    for value_bytes in held.ASKED:
        for server in ("memcached", "kanted"):
            items, resident = held.hold_within(server, MEMORY_MIB, value_bytes)
            rows.append({"case": f"{server}, values of {value_bytes} bytes, {MEMORY_MIB} MiB "
                                 "resident", "server": server, "value bytes": value_bytes,
                         "samples": {"items": [items], "MiB": [resident]}})
    if not (traces.TRACES / "README.md").exists():
        measure.note(f"  no traces in {traces.TRACES}: no misses")
        return rows
    for name, percent, misses, known in traces.replay_all(
            str(measure.BUILD / "tests/replay"), traces.TRACES):
        rows.append({"case": f"{name}, memory for {percent} % of the working set",
                     "trace": name, "percent": percent, "known": known,
                     "samples": {f"{policy} misses": [ratio]
                                 for policy, ratio in misses.items()}})
    return rows


def goals(rows):
    """What is asked for: (what, figure, asked, holds)."""
    for value_bytes, asked in held.ASKED.items():
        theirs, ours = (measure.median(measure.only(rows, server=server, **{
            "value bytes": value_bytes}), "items") for server in ("memcached", "kanted"))
        yield (f"items of {value_bytes} bytes in the same memory, beside memcached",
               f"{ours / theirs:.2f}", f">= {asked}", ours / theirs >= asked)
    ratios = [(ratio, name, row["case"]) for row in rows if "trace" in row
              for name, ratio in traces.verdict({
                  policy: row["samples"][f"{policy} misses"][0]
                  for policy in traces.POLICIES}, row["known"]).items()]
    if ratios:
        worst, name, case = max(ratios)
        yield (f"misses on the traces, against their bounds: the nearest of {len(ratios)} ({name}, "
               f"{case})", f"{worst:.3f}", "<= 1", worst <= 1)


def charts(rows):
    yield "bars", "items held", "items", [row for row in rows if "server" in row]
    replayed = [row for row in rows if "trace" in row]
    for policy in traces.POLICIES if replayed else ():
        yield "bars", "misses of the requests", f"{policy} misses", replayed
