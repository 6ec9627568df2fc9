# SPDX-License-Identifier: Apache-2.0
"""What all sections of the bench share: cases that take turns, the servers, and the client.

A row is one case of a section: a dict of "case" (its name), whatever else its section wants to know
it by, and "samples": for each measure (as "requests/s") the figures of all rounds.
"""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-release"
os.environ["KANTE_BUILD"] = str(BUILD)
sys.path.insert(0, str(ROOT / "tests/e2e"))
import rig  # noqa: E402  (it reads KANTE_BUILD)

LOAD_CORE, SERVER_CORE = "0", "1"


def note(text):
    print(text, file=sys.stderr, flush=True)


def take_turns(cases, rounds, measure):
    """The rows of cases (dicts) that measure(case) was called for in each round, one after the
    other: A B A B. It returns a figure by measure."""
    rows = [{**case, "samples": {}} for case in cases]
    for number in range(rounds):
        for case, row in zip(cases, rows):
            for name, figure in measure(case).items():
                row["samples"].setdefault(name, []).append(figure)
        note(f"  round {number + 1} of {rounds}")
    return rows


def median(row, name):
    return statistics.median(row["samples"][name])


def only(rows, **wanted):
    """The one row with these."""
    found = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    if len(found) != 1:
        raise KeyError(f"{len(found)} rows with {wanted}")
    return found[0]


def load(where, *options, within=()):
    """What kante-load reports; `where`: its options that say where to."""
    command = [*within, "taskset", "-c", LOAD_CORE, str(BUILD / "kante-load"), *where, *options,
               "--json"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120,
                          check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(map(str, command))}: exit {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
    report = json.loads(done.stdout)
    if report["counters"]["server_errors"] > 0:
        raise SystemExit(f"bench: {' '.join(map(str, command))}: server errors\n{done.stdout}")
    return report


def figures(report):
    """By measure, of a report."""
    lost = report["counters"]["unanswered"]
    if "link" in report:
        link = report["link"]
        lost += link["receive_drops"] + link["transmit_drops"] + link["frames_unsent"]
        lost += report["tcp"]["retransmitted"]
    latency = report["latency"]
    return {"requests/s": report["requests_per_second"],
            **{f"{name} us": latency[f"{name}_ns"] / 1000 for name in ("p50", "p99", "p999")},
            "lost or late": lost + report["overdue"]}


class Server:
    """A running process; stopped (SIGSTOP) while others are measured, so it takes nothing."""

    def __init__(self, process):
        self.process = process

    @contextlib.contextmanager
    def awake(self):
        self.process.send_signal(rig.signal.SIGCONT)
        time.sleep(0.05)
        try:
            yield
        finally:
            self.process.send_signal(rig.signal.SIGSTOP)


@contextlib.contextmanager
def running(command, is_up, log_path):
    """A process from when is_up(what it has said) to the end of the context."""
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=log,
                                   stderr=log)

    def up():
        if process.poll() is not None:
            raise SystemExit(f"bench: {command[0]} does not start:\n{log_path.read_text()}")
        return is_up(log_path.read_text())

    try:
        rig.wait_until(up, rig.START_SECONDS, f"{command[0]} is up")
        yield Server(process)
    finally:
        process.send_signal(rig.signal.SIGCONT)
        process.terminate()
        try:
            process.wait(rig.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            rig.kill(process)


def kanted(ports, folder, name, within=(), head="memory: 1GiB\n"):
    """A context: kanted with these lines of `ports:`, and before them."""
    config = folder / f"{name}.yaml"
    config.write_text(f"workers: [{SERVER_CORE}]\nudp_rate_max: 0\n{head}ports:\n"
                      + "".join(f"  - {{{port}}}\n" for port in ports))
    return running([*within, BUILD / "kanted", "-c", config], lambda log: "ready\n" in log,
                   folder / f"{name}.log")
