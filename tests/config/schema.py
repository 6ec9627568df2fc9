#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The JSON schema of the config beside the config's own reader.

schema.py CONFIG-DESCRIBE CONFIG-CHECK KANTED [SEED]

Whatever the reader takes, the schema takes; what is wrong with one value or name, it refuses, too.
Ends with how many cases passed and failed.
"""
import copy
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import jsonschema
import yaml

DESCRIBE, CHECK, KANTED = sys.argv[1:4]
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else random.SystemRandom().randrange(2**32)
MUTATIONS = 1500

PORTS = 'ports:\n- {kind: socket, listen: "127.0.0.1:11211"}\n'
ADMIN = PORTS + "admin:\n  directory: /d\n"
TOKENS = ADMIN + "  tokens:\n    issuer: i\n    audience: a\n"

GOOD = [
    PORTS,
    PORTS + "workers: [2, 3]\nmemory: 1GiB\nshutdown_command: true\neviction: lru\n",
    PORTS + "memory: 67108864\nidle_timeout: 0\nkeepalive: 0s\nrequest_timeout: 500ms\n",
    PORTS + 'memory: "67108864"\nshutdown_command: "true"\nworkers: "2"\n',
    "ports:\n- {kind: socket, listen: /run/k.sock, mode: 0770, backlog: 7}\n",
    "ports:\n- {kind: socket, listen: /run/k.sock, mode: 770}\n",
    'ports:\n- {kind: socket, listen: "[::]:1", udp: 2, allow: [10.0.0.0/8, "fd00::/8"]}\n',
    "ports:\n- {kind: tap, name: k0, addresses: [198.18.0.2/24], tcp: 1, allow: any}\n"
    "- {kind: xdp, interface: eth1.5, busy_poll: 64, udp: 1, allow: [198.18.0.0/24]}\n"
    "- {kind: memif, socket: /m.sock, addresses: [198.18.1.2/24], tcp: 1, allow: any}\n"
    '- {kind: pci, device: "0000:03:00.0", addresses: [198.18.2.2/24], tcp: 1, allow: any}\n',
    PORTS + 'classes:\n- {name: a, prefix: "a:", share_min: 20%, ttl_max: 24h, rate_max: 5}\n'
    '- {name: 7, prefix: "", priority: 0, share_max: 1%, ttl_default: 0}\n'
    "- {name: b, prefix: 12, share_min: 0}\n",
    PORTS + "auth_file: /etc/kante/users\nmemory_file: /dev/shm/kante\nuser: kante\n",
    ADMIN,
    ADMIN + '  listen: [127.0.0.1, "::1"]\n  port: 443\n  socket: /a.sock\n  metrics: open\n'
    "  certificate: /c\n  key: /k\n  client_ca: /ca\n  crl: /crl\n"
    '  clients: [{match: "CN=ops", role: admin}, {match: "DNS:a", role: none}]\n'
    "  audit: {file_size_max: 1MiB, files_kept: 3, when_full: allow}\n"
    "  connections_max: 1\n  request_timeout: 1h\n",
    TOKENS + "    role_claim: r\n    skew: 0\n    lifetime_max: 24h\n"
    "    keys: [{id: k, algorithm: HS256, file: /k}]\n",
]

# What one value or name is wrong with.
BAD = [
    "hello\n", "[]\n", "memory: 64MiB\n", PORTS + "memroy: 64MiB\n", PORTS + "memory:\n",
    PORTS + "memory: 64MB\n", PORTS + "memory: 64 MiB\n", PORTS + "memory: 3MiB\n",
    PORTS + "memory: -1\n", PORTS + "memory: 4097GiB\n", PORTS + "memory: [1GiB]\n",
    PORTS + "workers: 0\n", PORTS + "workers: []\n", PORTS + "workers: [1024]\n",
    PORTS + "workers: two\n", PORTS + "idle_timeout: 5\n", PORTS + "request_timeout: 0\n",
    PORTS + "eviction: arc\n", PORTS + "congestion: [cubic]\n", PORTS + "shutdown_command: 1\n",
    PORTS + "auth_file: users\n", PORTS + "max_connections: 1000001\n",
    "ports: []\n", "ports: {kind: tap}\n", "ports: [tap]\n", "ports: [{kind: tun}]\n",
    "ports: [{listen: /k}]\n", "ports: [{kind: socket}]\n",
    "ports: [{kind: socket, listen: localhost}]\n",
    'ports: [{kind: socket, listen: /k, mode: "77"}]\n',
    "ports: [{kind: socket, listen: /k, tcp: 1}]\n",
    "ports: [{kind: socket, listen: /k, nmae: x}]\n",
    "ports: [{kind: socket, listen: /k, backlog: 65536}]\n",
    'ports: [{kind: socket, listen: "10.0.0.1:1", allow: all}]\n',
    'ports: [{kind: socket, listen: "10.0.0.1:1", allow: []}]\n',
    "ports: [{kind: tap, tcp: 1, allow: any, addresses: [10.0.0.1/8]}]\n",
    "ports: [{kind: tap, name: sixteen-letters-, tcp: 1, allow: any, addresses: [10.0.0.1]}]\n",
    "ports: [{kind: xdp, interface: e, tcp: 1, allow: any, addresses: [10.0.0.1]}]\n",
    "ports: [{kind: xdp, interface: e, tcp: 1, allow: any, busy_poll: 65}]\n",
    'ports: [{kind: pci, device: "03:00.0", tcp: 1, allow: any, addresses: [10.0.0.1]}]\n',
    'ports: [{kind: memif, socket: "/a,b", tcp: 1, allow: any, addresses: [10.0.0.1]}]\n',
    PORTS + "classes: []\n", PORTS + "classes: [{name: a}]\n",
    PORTS + "classes: [{name: a b, prefix: a}]\n", PORTS + "classes: [{name: a, prefix: a b}]\n",
    PORTS + "classes: [{name: a, prefix: a, share_min: 91%}]\n",
    PORTS + "classes: [{name: a, prefix: a, share_max: 0}]\n",
    PORTS + "classes: [{name: a, prefix: a, priority: 10}]\n",
    PORTS + "classes: [{name: a, prefix: a, ttl_max: 87601h}]\n",
    PORTS + "classes: [{name: a, prefix: a, colour: red}]\n",
    PORTS + "user:\n", PORTS + 'user: "998"\n', PORTS + "user: a b\n", PORTS + "user: [kante]\n",
    PORTS + "user: a23456789012345678901234567890123\n",
    PORTS + "admin: {}\n", PORTS + "admin: {directory: d}\n", ADMIN + "  colour: red\n",
    ADMIN + "  listen: []\n", ADMIN + "  listen: [localhost]\n", ADMIN + "  port: 0\n",
    ADMIN + "  clients: []\n", ADMIN + "  clients: [{match: ops, role: admin}]\n",
    ADMIN + '  clients: [{match: "CN=", role: admin}]\n',
    ADMIN + '  clients: [{match: "CN=a", role: root}]\n', ADMIN + '  clients: [{match: "CN=a"}]\n',
    ADMIN + "  tokens: {}\n", TOKENS, TOKENS + "    keys: []\n",
    TOKENS + "    keys: [{id: k, algorithm: none, file: /k}]\n",
    TOKENS + "    skew: 500ms\n    keys: [{id: k, algorithm: ES256, file: /k}]\n",
    ADMIN + "  audit: {when_full: stop}\n", ADMIN + "  audit: {file_size_max: 1}\n",
    ADMIN + "  metrics: none\n", ADMIN + "  connections_max: 4097\n",
]

UNITS = {
    "size": ["", "KiB", "MiB", "GiB", "B"], "duration": ["us", "ms", "s", "min", "h", "", "d"],
    "percentage": ["%", ""], "whole": [""],
}
# What may come in the place of a value.
POOL = [0, 1, -1, 11211, 65536, 10**18, "0", "1", "x", "", "a b", "/x", "x/y", "1s", "10min", "5%",
        "64MiB", "127.0.0.1:1", "[::1]:1", "10.0.0.0/8", "10.0.0.1", "::1", "any", "socket", "tap",
        "lru", "cubic", "admin", "CN=a", "ES256", "open", True, False, [], {}, [1], ["x"]]


class Cases:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def claim(self, holds, text):
        self.passed += bool(holds)
        self.failed += not holds
        if not holds:
            print(f"FAILED: {text}")


def verdicts(texts):
    """What the config's reader says of each."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i, text in enumerate(texts):
            files.append(pathlib.Path(folder) / f"{i}.yaml")
            files[-1].write_text(text)
        lines = subprocess.run([CHECK, *map(str, files)], capture_output=True, text=True,
                               check=True).stdout.splitlines()
    assert len(lines) == len(texts)
    return lines


def is_good(validator, text):
    return validator.is_valid(yaml.safe_load(text))


def near_the_ends(schema, rng):
    """Values at and around the ends of each range, in quotes, so that no YAML comes in between."""
    for name, parameter in schema["properties"].items():
        # "A size from 4MiB to 4096GiB; ..."
        words = parameter["description"].split(". ")
        kind = next((k for k in UNITS for w in words if w.lower().startswith(f"a {k}")), None)
        if name == "workers":
            kind = "whole"
        if kind is None:
            continue
        for unit in UNITS[kind]:
            for number in {0, 1, 7, 9, 10, 11, 99, 100, 1023, 1024, 1025, 3600, 3601, 4095, 4096,
                           4097, 64, 65, 63, 1400, 1401, 100000, 99999, 604800, 604801, 168, 169,
                           1000000, 1000001, 4194303, 4194304, *(rng.randrange(10 ** rng.randrange(
                               1, 14)) for _ in range(12))}:
                yield name, f"{number}{unit}"
        yield from ((name, text) for text in ("", "00", "01", "1.0", "+1", "1 s", "1e3", "x"))


def places(value):
    """Every place of a value in a tree, as a container and its key."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


def mutated(tree, rng):
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        container, key = rng.choice(list(places(tree)))
        what = rng.randrange(4)
        if what == 0:
            del container[key]
        elif what == 1 and isinstance(container, dict):
            container["x"] = container.pop(key)
        elif what == 2 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = copy.deepcopy(rng.choice(POOL))
        if not tree:
            break
    return tree


def main():
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    cases = Cases()
    schema = json.loads(subprocess.run([DESCRIBE, "schema"], capture_output=True,
                                       check=True).stdout)
    example = subprocess.run([DESCRIBE, "example"], capture_output=True, text=True,
                             check=True).stdout
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    for text, verdict in zip(GOOD + [example], verdicts(GOOD + [example])):
        cases.claim(verdict == "good", f"{verdict}\n{text}")
        cases.claim(is_good(validator, text), f"the schema refuses\n{text}")
    for text, verdict in zip(BAD, verdicts(BAD)):
        cases.claim(verdict.startswith("bad"), f"the reader takes\n{text}")
        cases.claim(not is_good(validator, text), f"the schema takes\n{text}")

    # that the memory has room for the largest values is no matter of one value
    values = list(near_the_ends(schema, rng))
    texts = [PORTS + f'{name}: "{value}"\n' for name, value in values]
    for text, verdict in zip(texts, verdicts(texts)):
        together = "share of memory" in verdict or "share has to be" in verdict
        cases.claim(is_good(validator, text) == (verdict == "good" or together),
                    f"{verdict}\n{text}")

    trees = [mutated(yaml.safe_load(rng.choice(GOOD)), rng) for _ in range(MUTATIONS)]
    texts = [yaml.safe_dump(tree, sort_keys=False) for tree in trees]
    good = 0
    for text, verdict in zip(texts, verdicts(texts)):
        good += verdict == "good"
        if verdict == "good":
            cases.claim(is_good(validator, text), f"the schema refuses\n{text}")
    cases.claim(good > MUTATIONS // 50, f"only {good} of the mutated are good")

    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(example)
        file.flush()
        run = subprocess.run([KANTED, "--check", "-c", file.name], capture_output=True, text=True)
        cases.claim(run.returncode == 0, f"kanted --check: {run.stderr}")
    print(f"{cases.passed} passed, {cases.failed} failed")
    return 1 if cases.failed else 0


if __name__ == "__main__":
    sys.exit(main())
