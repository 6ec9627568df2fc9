# SPDX-License-Identifier: Apache-2.0
"""A flood of half-open connections: those that are there lose nothing, new ones get in by cookie."""
import re
import subprocess
import sys
import threading
import unittest
from pathlib import Path

import rig

COUNT = 500000
A_SECOND = 40000
FLOOD = Path(__file__).with_name("syn_flood.py")
CONFIG = """memory: 256MiB
ports:
  - {kind: xdp, interface: veth0, tcp: 11211, allow: any}
"""
NEWCOMER = """
import socket, time
slowest, done, end = 0, 0, time.monotonic() + 10
while time.monotonic() < end:
    start = time.monotonic()
    with socket.create_connection(("198.18.0.2", 11211), timeout=20) as s:
        s.sendall(b"version\\r\\n")
        assert s.recv(100).startswith(b"VERSION"), "no answer"
    slowest, done = max(slowest, time.monotonic() - start), done + 1
    time.sleep(0.05)
print(done, slowest)
"""


class Flood(unittest.TestCase):
    def test_old_clients_lose_nothing_and_new_ones_get_in(self):
        with rig.namespaces(2) as (host, client):
            rig.veth(host, "veth0", client, "veth1")
            host.run("ip", "addr", "add", "198.18.0.2/24", "dev", "veth0")
            client.run("ip", "addr", "add", "198.18.0.1/24", "dev", "veth1")
            with rig.Kanted(CONFIG, host) as kanted:
                client.run("ping", "-c", "2", "-i", "0.2", "198.18.0.2")
                mac = re.search(r"link/ether (\S+)", host.run("ip", "link", "show", "veth0").stdout)
                report = []
                old = threading.Thread(target=lambda: report.append(rig.load(
                    client, "198.18.0.2", "--connections", "50", "--seconds", "20",
                    "--value-size", "0-10000", "--keys", "1000", "--populate")))
                old.start()
                flood = subprocess.Popen(
                    ["ip", "netns", "exec", client.name, sys.executable, str(FLOOD), "veth1",
                     mac[1], "198.18.0.2", str(COUNT), str(A_SECOND)],
                    stdout=subprocess.PIPE, text=True)
                rig.wait_until(lambda: rig.stats(client, "198.18.0.2")["tcp:cookies_sent"] > 1000,
                               10, "cookies are sent")
                done, slowest = client.run(sys.executable, "-c", NEWCOMER).stdout.split()
                said = flood.communicate(timeout=60)[0]
                old.join()
                counters = rig.stats(client, "198.18.0.2")
                print(f"\n{self.id()}\n{said}newcomers during the flood: {done}, the slowest "
                      f"{float(slowest):.3f} s; cookies sent {counters['tcp:cookies_sent']}, "
                      f"accepted {counters['tcp:cookies_accepted']}\n"
                      f"{report[0] if report else ''}", end="")
                # kante-load fails on any wrong byte and any lost connection
                self.assertEqual(len(report), 1, "those that were there lost something")
                self.assertGreater(int(done), 50)
                self.assertGreater(counters["tcp:cookies_sent"], COUNT * 8 // 10)
                self.assertGreater(counters["tcp:cookies_accepted"], 50)
                self.assertEqual(kanted.stop(), 0, kanted.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
