# SPDX-License-Identifier: Apache-2.0
"""What happens to the control process concerns nobody who asks the cache; and it holds out itself
against those who are slow, too many, or guess."""
import http.client
import os
import re
import signal
import socket
import ssl
import threading
import time
import unittest

import control
import rig

# the figure is 30
STOP_SECONDS = float(os.environ.get("KANTE_E2E_STOP_SECONDS", "4"))
LOOK_SECONDS = 0.1


class Counts(threading.Thread):
    """Looks at the count of GETs while a client asks, ten times a second."""

    def __init__(self, host):
        super().__init__()
        self.host = host
        self.ends = threading.Event()
        self.counts = []

    def run(self):
        with rig.socket_in(self.host) as client:
            client.connect(("127.0.0.1", 11211))
            file = client.makefile("rb")
            while not self.ends.wait(LOOK_SECONDS):
                client.sendall(b"stats\r\n")
                for line in iter(file.readline, b"END\r\n"):
                    if line.startswith(b"STAT cmd_get "):
                        self.counts.append(int(line.split()[2]))

    def end(self):
        self.ends.set()
        self.join()
        return self.counts


class Process(unittest.TestCase):
    def test_it_can_be_stopped_and_killed_without_a_request_lost(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            load = rig.subprocess.Popen(
                host.command(rig.LOAD, "--socket", "127.0.0.1:11211", "--connections", "8",
                             "--seconds", str(STOP_SECONDS + 4)), stdout=rig.subprocess.PIPE,
                stderr=rig.subprocess.STDOUT, text=True)
            counts = Counts(host)
            counts.start()
            time.sleep(1)
            pid = node.control_pid()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(STOP_SECONDS)
            os.kill(pid, signal.SIGKILL)
            node.log_has("control process was ended by signal 9: kanted serves on without it")
            out = load.communicate(timeout=60)[0]
            self.assertEqual(load.returncode, 0, out)
            seen = counts.end()
            # from when the first request was there to when the last one was
            first = next(i for i, count in enumerate(seen) if count > 0)
            last = next(i for i, count in enumerate(seen) if count == seen[-1])
            self.assertGreater(last - first, STOP_SECONDS / LOOK_SECONDS / 2)
            for before, after in zip(seen[first:last], seen[first + 1:last + 1]):
                self.assertGreater(after, before, "a tenth of a second without a request")
            rig.wait_until(lambda: node.control_pid() not in (None, pid), 10, "it runs again")
            rig.wait_until(node.socket_path.exists, 10, "it listens again")
            rig.wait_until(lambda: self.is_ready(node), 10, "it is ready again")
            self.assertEqual(node.local().get("/v1/status").json["alarms"], [])

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one core is all there is")
    def test_it_keeps_off_the_workers_core(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            core = int(re.search(r"worker on core (\d+)", node.log())[1])
            for pid in (node.control_pid(), node.process.pid):
                self.assertNotIn(core, os.sched_getaffinity(pid))

    def is_ready(self, node):
        try:
            return node.local().get("/readyz").status == 200
        except ConnectionRefusedError:
            return False

    def test_it_says_so_when_kanted_does_not_answer(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            replies = {}

            def look(path):
                replies[path] = node.local().get(path)

            ask = [threading.Thread(target=look, args=(path,))
                   for path in ("/readyz", "/metrics", "/v1/counters")]
            os.kill(node.kanted_pid(), signal.SIGSTOP)
            for thread in ask:
                thread.start()
            for thread in ask:
                thread.join()
            os.kill(node.kanted_pid(), signal.SIGCONT)
            self.assertEqual(replies["/readyz"].status, 503)
            self.assertIn("kanted does not answer", replies["/readyz"].json["reasons"][0])
            self.assertEqual(replies["/v1/counters"].status, 503)
            self.assertIn(b"\nkante_up 0\n", replies["/metrics"].body)
            self.assertIn(b"\nkante_admin_requests_total ", replies["/metrics"].body)
            self.assertNotIn(b"kante_session", replies["/metrics"].body)
            self.assertEqual(node.local().get("/readyz").status, 200)

    def test_it_ends_with_kanted_and_leaves_no_socket(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            pid = node.control_pid()
            self.assertEqual(node.stop(), 0)
            self.assertFalse(control.alive(pid))
            self.assertFalse(node.socket_path.exists())
            kinds = [line["action"] for line in node.audit()]
            self.assertEqual(kinds[0], "audit.started")
            self.assertEqual(kinds[-2:], ["control.stopped", "audit.stopped"])

    def test_it_ends_when_kanted_is_killed(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            pid = node.control_pid()
            node.process.kill()
            node.process.wait()
            rig.wait_until(lambda: not control.alive(pid), 10, "it has ended")

    def test_a_port_that_is_taken_is_said_and_kanted_does_not_start(self):
        with rig.namespaces(1) as (host,), rig.socket_in(host) as other:
            other.bind(("127.0.0.1", control.PORT))
            other.listen()
            node = control.Node(host)
            try:
                self.assertNotEqual(node.process.wait(rig.START_SECONDS), 0)
                self.assertIn("admin.listen: 127.0.0.1, port 11280 cannot be listened on",
                              node.log())
                self.assertIn("the control process cannot serve", node.log())
            finally:
                node.end()


class Clients(unittest.TestCase):
    admin = "listen: [127.0.0.1]\n  request_timeout: 1s\n  connections_max: 8"

    def test_who_is_slow_is_ended_and_others_are_served(self):
        with rig.namespaces(1) as (host,), control.Node(host, admin=self.admin) as node:
            slow = node.connect(node.context())
            self.addCleanup(slow.close)
            begun = time.monotonic()
            with self.assertRaises((ssl.SSLError, ConnectionError, TimeoutError, EOFError)):
                slow.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
                for _ in range(300):
                    slow.sendall(b"x")
                    time.sleep(0.1)
                    slow.settimeout(0.001)
                    try:
                        if slow.recv(1) == b"":
                            raise EOFError
                    except (TimeoutError, ssl.SSLWantReadError):
                        slow.settimeout(30)
            self.assertLess(time.monotonic() - begun, 10)
            self.assertEqual(node.https().get("/healthz").status, 200)

    def test_idle_handshakes_take_no_place_for_long(self):
        with rig.namespaces(1) as (host,), control.Node(host, admin=self.admin) as node:
            idle = [node.connect() for _ in range(40)]
            # those behind them are served when the first were given up
            self.assertEqual(node.https().get("/healthz").status, 200)
            for one in idle:
                one.close()

    def test_what_is_too_large_is_refused(self):
        with rig.namespaces(1) as (host,), control.Node(host, admin=self.admin) as node:
            client = node.as_admin()
            body = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'
            self.refused(413, lambda: client.ask("POST", "/v1/keys", body))
            self.refused(400, lambda: client.get("/healthz", x="x" * 40000))
            self.refused(400, lambda: client.get("/healthz?" + "x" * 40000))
            self.assertEqual(client.get("/healthz").status, 200)

    def refused(self, status, ask):
        """Or cut off: the client is still sending when the server has had enough."""
        try:
            self.assertEqual(ask().status, status)
        except (ConnectionError, ssl.SSLError, http.client.HTTPException):
            pass

    def test_who_guesses_is_locked_out_and_a_certificate_is_no_guess(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            good = node.https(bearer=node.key("viewer"))
            guesser = node.https(bearer="kante_aaaaaaaaaa_" + "b" * 43)
            statuses = [guesser.get("/v1/status").status for _ in range(8)]
            self.assertEqual(statuses, [401] * 5 + [429] * 3)
            self.assertEqual(good.get("/v1/status").status, 429)
            self.assertEqual(node.as_admin().get("/v1/status").status, 200)
            self.assertEqual(node.local().get("/v1/status").status, 200)
            time.sleep(1.2)  # what is summed up is written by then
            refused = [line for line in node.audit()
                       if line["action"] == "login" and line["result"] == "refused"]
            self.assertEqual(sum(line.get("count", 1) for line in refused), 9)
            self.assertTrue(all(line["from"].startswith("127.0.0.1:") for line in refused))

    def test_no_plain_text_is_spoken_at_the_port_for_tls(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            plain = node.connect()
            self.addCleanup(plain.close)
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"HTTP/1.1 200", plain.recv(1000))

    def test_nobody_reads_or_writes_the_secrets(self):
        with rig.namespaces(1) as (host,), control.Node(host) as node:
            node.key("admin")
            for path in node.admin.rglob("*"):
                if path.is_file() and path.suffix != ".crt":
                    self.assertEqual(path.stat().st_mode & 0o077, 0, path)
            self.assertEqual(node.socket_path.stat().st_mode & 0o777, 0o660)


if __name__ == "__main__":
    unittest.main()
