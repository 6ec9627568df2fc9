# SPDX-License-Identifier: Apache-2.0
"""What a request costs a worker without a network: cycles and, by callgrind, instructions."""
import json
import pathlib
import re
import subprocess
import tempfile

import measure

TITLE = "replay: what a request costs a worker, without a network"
PROGRAM = measure.BUILD / "tests/requests"
GROWTH_KEYS = (10000, 100000, 1000000)  # and 10,000,000, which all cases are run with
ONE_TURN = "text hit 32x1"
INSTRUCTION_TURNS = 20
PARTS = ("net", "tcp", "proto", "shard", "store", "worker", "base", "libraries", "the replay")
WHERE_CASES = {"udp text hit 32x1 cache": "UDP text hit, 32 in a turn",
               "tcp text hit 32x1 cache": "TCP text hit, 32 in a turn",
               "tcp text hit 1x32 cache": "TCP text hit, 32 pipelined",
               "tcp text set 32x1 cache": "TCP text set, 32 in a turn"}
# A case takes a few milliseconds a round.
ROUNDS_FOR_ONE = 3


def requests(*options, prefix=()):
    """What the program tells: its cases, and how far a neighbour of the virtual machine disturbed
    the core."""
    done = subprocess.run([*prefix, PROGRAM, *map(str, options), "--json"], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def instructions():
    """Instructions a request by case and by part: a folder of src/, or libraries."""
    with tempfile.TemporaryDirectory(prefix="kante-bench-") as name:
        out = pathlib.Path(name) / "out"
        cases = requests("--keys", 1000, "--rounds", 1, "--turns", INSTRUCTION_TURNS, "--only",
                         "cache", "--once", prefix=(
                             "valgrind", "--tool=callgrind", "--collect-atstart=no",
                             "--toggle-collect=measured_turn", "--dump-after=measured_case",
                             f"--callgrind-out-file={out}"))["cases"]
        return {case["case"]: {part: count / case["requests"] for part, count in parts_of(
            pathlib.Path(f"{out}.{number}").read_text()).items()}
                for number, case in enumerate(cases, 1)}


def parts_of(profile):
    """Instructions by part, of a file in callgrind's format. What was inlined counts where it was
    written."""
    names, parts, part, is_call = {}, {}, None, False
    for line in profile.splitlines():
        source = re.match(r"(c?)f[lie]=\((\d+)\)(?: (.*))?", line)
        if source:
            callee, number, name = source.groups()
            name = names.setdefault(number, name)
            if callee:
                continue
            folder = re.search(r"/src/(\w+)/", name)
            part = (folder[1] if folder else "the replay" if "/tests/perf/" in name
                    else "libraries")
        elif line.startswith("calls="):
            is_call = True  # the next line is what the call cost, which is counted where it goes to
        elif re.match(r"[+*\d-]", line):
            if not is_call:
                parts[part] = parts.get(part, 0) + int(line.split()[1])
            is_call = False
    return parts


def run(rounds):
    """Rows of all cases, and of some with other numbers of keys (growth)."""
    rounds *= ROUNDS_FOR_ONE
    told = requests("--rounds", rounds)
    quality = (f"a neighbour disturbed {told['disturbed_percent']} % of the turns, left out; "
               f"{told['disturbed_measurements']} of {rounds * len(told['cases'])} measurements "
               "have hardly others")
    rows = [{"case": case["case"], "quality": quality, "samples": {"cycles": case["cycles"]}}
            for case in told["cases"]]
    for keys in GROWTH_KEYS:
        for case in requests("--rounds", rounds, "--keys", keys, "--only", ONE_TURN)["cases"]:
            if case["case"].endswith("dram"):
                rows.append({"case": f"{case['case'].removesuffix(' dram')}, {keys} keys",
                             "growth": "keys", "keys": keys,
                             "samples": {"cycles": case["cycles"]}})
    counted = instructions()
    for row in rows:
        if row["case"] in counted:
            row["parts"] = counted[row["case"]]
            row["samples"]["instructions"] = [sum(row["parts"].values())]
    return rows


def goals(rows):
    """What is asked for: (what, figure, asked, holds)."""
    for transport, asked in (("udp", 400), ("tcp", 800)):
        case = f"{transport} text hit 32x1 cache"
        row = measure.only(rows, case=case)
        cycles = measure.median(row, "cycles")
        yield (f"GET hit of 32 bytes over {transport.upper()}, 32 in a turn, keys in cache "
               f"({row['quality']})",
               f"{cycles:.0f} cycles", f"<= {asked}", cycles <= asked)


def charts(rows):
    for transport in ("udp", "tcp"):
        yield ("bars", f"{transport.upper()}, keys in cache", "cycles",
               [row for row in rows if row["case"].startswith(transport)
                and row["case"].endswith("cache")])
    yield ("lines", "GET hit, 32 in a turn, by number of keys", "keys", "cycles",
           {transport: {row["keys"]: row for row in rows if row.get("growth") == "keys"
                        and row["case"].startswith(f"{transport} text")}
            for transport in ("udp", "tcp")}, True)


def summaries(rows):
    """For the README: (title, head, body) of each table."""
    columns = (("32x1 cache", "32 in a turn"), ("1x1 cache", "1 in a turn"),
               ("1x32 cache", "32 pipelined"), ("32x1 dram", "32 in a turn, 10,000,000 keys"))
    medians = {row["case"]: f"{measure.median(row, 'cycles'):.0f}" for row in rows}
    body = [[f"{transport.upper()} {protocol} {op}",
             *(medians.get(f"{transport} {protocol} {op} {column}", "") for column, _ in columns)]
            for transport in ("udp", "tcp") for protocol in ("text", "meta", "binary")
            for op in ("hit", "miss", "set") if transport == "tcp" or op != "set"]
    yield "cycles a request, 32 bytes", [name for _, name in columns], body
    body = []
    for case, name in WHERE_CASES.items():
        parts = measure.only(rows, case=case)["parts"]
        total = sum(parts.values())
        body.append([name, f"{total:.0f}",
                     *(f"{parts.get(part, 0) / total:.0%}".replace("%", " %") for part in PARTS)])
    yield "where its instructions are", ["instructions", *PARTS], body
