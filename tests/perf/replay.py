#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Miss ratios of the store on the traces that eviction is judged by, beside what others reach.

replay.py REPLAY [TRACES [SEGMENTS]]

REPLAY is build/tests/replay, TRACES the folder with the traces and their README.md (default
../shared/traces beside this repository; ends with 77 when it is not there). For each trace, at 1 %
and 10 % of its working set, the request miss ratio of each policy, and how it compares:

  s3fifo    to the smaller of 1.02 x S3-FIFO's figure and LRU's, which it must not be above
  best      of the policies, to 1.02 x the best figure of the table without Belady's
  adaptive  to 1.03 x the best of our policies
  any       policy to 1.15 x LRU's

Prints a line for each, and ends with 1 when any ratio is above 1.
"""
import concurrent.futures
import lzma
import pathlib
import re
import subprocess
import sys
import tempfile

POLICIES = ("s3fifo", "lru", "lfu", "size", "adaptive")
PERCENTS = (1, 10)
SEGMENTS = 400
TRACES = pathlib.Path(__file__).resolve().parents[2] / "../shared/traces"


def published(readme):
    """By trace, for each percentage: the figures by algorithm. Shape: the README's second table."""
    table = readme.read_text().split("libCacheSim", 1)[1]
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")]
            for line in table.splitlines() if line.startswith("|")]
    names = rows[0][1:]
    result = {}
    for row in rows[2:]:
        figures = [re.findall(r"\.\d+|–", cell) for cell in row[1:]]
        result[row[0]] = [{name: float(figure[i]) for name, figure in zip(names, figures)
                           if figure[i] != "–"} for i in range(len(PERCENTS))]
    return result


def replay(program, path, percent, policy, segments):
    done = subprocess.run([program, path, str(percent), policy, str(segments)], check=True,
                          capture_output=True, text=True)
    return float(re.search(r"misses ([\d.]+)", done.stdout)[1])


def verdict(misses, figures):
    """Ratios by name; none may be above 1."""
    known = {name: figure for name, figure in figures.items() if name != "Belady"}
    bound = min(1.02 * known.get("S3-FIFO", 1), known["LRU"])
    best = min(misses[policy] for policy in POLICIES if policy != "adaptive")
    return {"s3fifo": misses["s3fifo"] / bound,
            "best": best / (1.02 * min(known.values())),
            "adaptive": misses["adaptive"] / (1.03 * best),
            "any": max(misses.values()) / (1.15 * known["LRU"])}


def replay_all(program, folder, segments=SEGMENTS):
    """Yields, for each trace and percentage, its name, the percentage, the misses by policy and the
    figures of others by algorithm."""
    table = published(folder / "README.md")
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name in table:
            plain = pathlib.Path(scratch) / name
            plain.write_bytes(lzma.decompress((folder / f"{name}.csv.xz").read_bytes()))
        futures = {(name, percent, policy): pool.submit(
            replay, program, pathlib.Path(scratch) / name, percent, policy, segments)
            for name in table for percent in PERCENTS for policy in POLICIES}
        for name, figures in table.items():
            for percent, known in zip(PERCENTS, figures):
                yield (name, percent,
                       {policy: futures[name, percent, policy].result() for policy in POLICIES},
                       known)


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else TRACES
    segments = int(sys.argv[3]) if len(sys.argv) > 3 else SEGMENTS
    if not (folder / "README.md").exists():
        print(f"no traces in {folder}: nothing is judged")
        return 77
    passed = failed = 0
    print(f"{'':22}" + "".join(f"{policy:>9}" for policy in POLICIES) + "   against bounds")
    for name, percent, misses, known in replay_all(program, folder, segments):
        ratios = verdict(misses, known)
        passed += max(ratios.values()) <= 1
        failed += max(ratios.values()) > 1
        print(f"{name:18} {percent:2}%" + "".join(f"{misses[p]:9.4f}" for p in POLICIES)
              + "   " + ", ".join(f"{key} {ratio:.3f}" for key, ratio in ratios.items())
              + (" ABOVE" if max(ratios.values()) > 1 else ""), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
