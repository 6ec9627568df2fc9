# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what may change while kanted runs does, at once, and all else stays as it is."""
import signal
import socket
import time
import unittest

import rig

PORTS = 'ports:\n  - {kind: socket, listen: "127.0.0.1:11211"}\n'


class Reload(unittest.TestCase):
    def reload(self, kanted, config, *fragments):
        before = kanted.log().count("\n")
        kanted.path.write_text(config)
        kanted.process.send_signal(signal.SIGHUP)
        rig.wait_until(lambda: kanted.log().count("\n") >= before + len(fragments),
                       rig.START_SECONDS, "kanted has said something")
        lines = kanted.log().splitlines()[before:]
        self.assertEqual(len(lines), len(fragments), lines)
        for line, fragment in zip(lines, fragments):
            self.assertIn(fragment, line)

    def policy(self, host, number):
        rig.wait_until(lambda: rig.stats(host, "127.0.0.1")["store:policy"] == number, 10,
                       f"the policy is {number}")

    def test_the_policy_changes(self):
        with rig.namespaces(1) as (host,), rig.Kanted(PORTS, host) as kanted:
            self.policy(host, 0)
            rig.load(host, "127.0.0.1", "--seconds", "1")
            self.reload(kanted, "eviction: lru\n" + PORTS, "eviction: lru from now on, s3fifo bef")
            self.policy(host, 1)
            self.reload(kanted, "eviction: lru\n" + PORTS, "nothing in it changes what runs")
            self.reload(kanted, "eviction: adaptive\nmemory: 1GiB\n" + PORTS,
                        "memory: 1GiB counts from the next start, it is 64MiB until then",
                        "eviction: adaptive from now on, lru before")
            rig.load(host, "127.0.0.1", "--seconds", "1")
            self.assertGreater(rig.stats(host, "127.0.0.1")["store:shadow_bytes"], 0)
            self.reload(kanted, "eviction: best\n" + PORTS, "\"best\" is not known",
                        "all goes on as before")
            self.reload(kanted, "eviction: adaptive\nclasses: [{name: default, prefix: \"\", "
                        "rate_max: 7}]\n" + PORTS + "  - {kind: socket, listen: /k}\n",
                        "classes[default].rate_max: 7 counts from the next start, it is 0 until",
                        "ports[socket /k]: {kind: socket, listen: /k, mode: 0700, backlog: 4096} "
                        "counts from the next start, it is none until then",
                        "nothing in it changes what runs")
            self.reload(kanted, PORTS, "eviction: s3fifo from now on, adaptive before")
            self.policy(host, 0)
            self.assertEqual(kanted.stop(), 0)

    def connect(self, host):
        client = rig.socket_in(host)
        client.settimeout(20)
        client.connect(("127.0.0.1", 11211))
        return client

    def udp_replies(self, host, count):
        """To so many requests."""
        with rig.socket_in(host, kind=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", 11211))
            client.settimeout(1)
            replies = []
            for number in range(count):
                client.send(number.to_bytes(2, "big") + b"\0\0\0\1\0\0get a\r\n")
            try:
                while len(replies) < count:
                    replies.append(client.recv(2000)[8:])
            except TimeoutError:
                pass
            return replies

    def test_each_live_parameter_counts_at_once(self):
        ports = PORTS.replace('11211"', '11211", udp: 11211')
        with rig.namespaces(1) as (host,), rig.Kanted(ports, host) as kanted:
            self.assertEqual(rig.talk(host, "127.0.0.1", "shutdown now\r\n"),
                             "ERROR: shutdown not enabled\n")
            rig.talk(host, "127.0.0.1", f"set a 0 0 60\r\n{'v' * 60}\r\n")
            self.assertEqual(len(self.udp_replies(host, 20)), 20)
            # they were there before the change
            with self.connect(host) as half, self.connect(host) as idle:
                half.sendall(b"set a 0 0 10\r\nhalf")
                idle.sendall(b"mn\r\n")
                self.assertEqual(idle.recv(100), b"MN\r\n")
                begun = time.monotonic()
                self.reload(kanted, "request_timeout: 200ms\nidle_timeout: 1s\n"
                            "shutdown_command: true\nudp_reply_bytes_max: 64\n"
                            "udp_amplification_max: 1000\nidle_sleep_max: 0\n"
                            "udp_rate_max: 0\n" + ports,
                            "request_timeout: 200ms from now on, 10s before",
                            "idle_timeout: 1s from now on, 0 before",
                            "shutdown_command: true from now on, false before",
                            "idle_sleep_max: 0 from now on, 1ms before",
                            "udp_reply_bytes_max: 64 from now on, 1400 before",
                            "udp_amplification_max: 1000 from now on, 10 before",
                            "udp_rate_max: 0 from now on, 1000 before")
                self.assertEqual(half.recv(100), b"")
                self.assertLess(time.monotonic() - begun, 8)
                self.assertEqual(idle.recv(100), b"")
            # the workers take it over a moment after it is said
            rig.wait_until(lambda: b"SERVER_ERROR" in b"".join(self.udp_replies(host, 1)), 10,
                           "a reply by UDP is too long now")
            self.reload(kanted, "udp_rate_max: 1\nshutdown_command: true\n" + ports,
                        "request_timeout: 10s from now on", "idle_timeout: 0 from now on",
                        "idle_sleep_max: 1ms from now on",
                        "udp_reply_bytes_max: 1400 from now on",
                        "udp_amplification_max: 10 from now on", "udp_rate_max: 1 from now on")
            rig.wait_until(lambda: len(self.udp_replies(host, 20)) < 10, 10,
                           "not all requests by UDP are answered any more")
            self.assertEqual(rig.talk(host, "127.0.0.1", "shutdown now\r\n"),
                             "CLIENT_ERROR invalid shutdown mode\n")
            rig.talk(host, "127.0.0.1", "shutdown\r\n")
            self.assertEqual(kanted.process.wait(rig.STOP_SECONDS), 0)


if __name__ == "__main__":
    unittest.main()
