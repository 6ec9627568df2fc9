# SPDX-License-Identifier: Apache-2.0
"""kanted as a service: what systemd is told, played by a socket of ours, and what its journal gets."""
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import tempfile
import time
import unittest

import control
import rig

TAP = ("ports:\n  - {kind: tap, name: kante0, addresses: [198.18.0.2/24], tcp: 11211, allow: any}\n"
       '  - {kind: socket, listen: "127.0.0.1:11211"}\n')
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_DETACH = 17
WALL = 0x40000000  # __WALL
WATCHDOG_SECONDS = 2


class Systemd:
    """Hears what a service says of itself; use as a context."""

    def __init__(self, name=None):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        self.name = name or f"{self.folder.name}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0"))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.environment = {"NOTIFY_SOCKET": self.name,
                            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1000000)}
        self.senders = set()

    def hear(self, seconds):
        """The next message, or None."""
        self.socket.settimeout(seconds)
        try:
            message, credentials, *_ = self.socket.recvmsg(4096, 100)
        except (TimeoutError, BlockingIOError):
            return None
        self.senders.add(int.from_bytes(credentials[0][2][:4], "little"))
        return message.decode()

    def wait_for(self, pattern, seconds=rig.START_SECONDS):
        """The first message that has the pattern; all that came before are forgotten."""
        deadline = time.monotonic() + seconds
        heard = []
        while time.monotonic() < deadline:
            message = self.hear(max(0.01, deadline - time.monotonic()))
            if message is not None and re.search(pattern, message):
                return message
            heard.append(message)
        raise AssertionError(f"not within {seconds} s: {pattern}: {heard}")

    def forget(self):
        while self.hear(0) is not None:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.folder.cleanup()


@contextlib.contextmanager
def thread_stopped(tid):
    """As a debugger does it: the others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    def ptrace(request):
        if libc.ptrace(request, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")

    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        try:
            ptrace(PTRACE_DETACH)
        except ProcessLookupError:
            os.waitpid(tid, WALL)  # killed meanwhile, and for others it ends with that


class Notified(unittest.TestCase):
    def test_systemd_hears_how_it_does_from_kanted_alone(self):
        with rig.namespaces(1) as (host,), Systemd() as systemd, \
                control.Node(host, environment=systemd.environment) as node:
            self.assertEqual(systemd.wait_for("READY=1"), "READY=1\nSTATUS=1 worker serves")
            self.assertEqual(rig.talk(host, "127.0.0.1", "mn\r\nquit\r\n"), "MN\n")
            before_us = time.monotonic_ns() // 1000
            node.process.send_signal(signal.SIGHUP)
            reloading = systemd.wait_for("RELOADING=1")
            begun_us = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)[1])
            self.assertLessEqual(before_us, begun_us)
            self.assertLessEqual(begun_us, time.monotonic_ns() // 1000)
            systemd.wait_for("READY=1")
            # nothing that would let it speak in kanted's name came to the control process
            environment = pathlib.Path(f"/proc/{node.control_pid()}/environ").read_bytes()
            self.assertNotIn(b"NOTIFY_SOCKET", environment)
            self.assertNotIn(b"WATCHDOG", environment)
            os.kill(node.control_pid(), signal.SIGKILL)
            systemd.wait_for("STATUS=1 worker serves; the control process does not")
            systemd.wait_for("^STATUS=1 worker serves$")
            self.assertEqual(node.stop(signal.SIGTERM), 0)
            systemd.wait_for("STOPPING=1")
            self.assertEqual(systemd.senders, {node.process.pid})

    def test_it_is_told_at_a_name_without_a_file_too(self):
        class Here:
            @staticmethod
            def command(*command):
                return command

        with tempfile.TemporaryDirectory() as folder, \
                Systemd(f"@kante-e2e-{os.getpid()}") as systemd, \
                rig.Kanted(f"ports: [{{kind: socket, listen: {folder}/s}}]", Here,
                           systemd.environment) as kanted:
            systemd.wait_for("READY=1")
            self.assertEqual(kanted.stop(), 0)

    def stands_still(self, ports):
        with rig.namespaces(1) as (host,), Systemd() as systemd, \
                rig.Kanted(ports, host, systemd.environment) as kanted:
            systemd.wait_for("WATCHDOG=1")
            worker, = rig.workers(kanted.process.pid)
            with thread_stopped(worker):
                systemd.wait_for("STATUS=worker 0 stands still")
                self.assertIn("worker 0 stands still: the watchdog ends kanted", kanted.log())
                self.assertIsNone(systemd.hear(WATCHDOG_SECONDS))
            systemd.wait_for("WATCHDOG=1")
            systemd.wait_for("STATUS=1 worker serves")
            self.assertEqual(kanted.stop(), 0)

    def test_a_worker_that_hangs_is_no_life(self):
        self.stands_still(control.PORTS)

    def test_a_worker_with_a_device_that_hangs_is_no_life(self):
        self.stands_still(TAP)

    def test_nothing_is_heard_of_a_process_that_is_stopped(self):
        with rig.namespaces(1) as (host,), Systemd() as systemd, \
                rig.Kanted(control.PORTS, host, systemd.environment) as kanted:
            systemd.wait_for("WATCHDOG=1")
            kanted.process.send_signal(signal.SIGSTOP)
            systemd.forget()
            self.assertIsNone(systemd.hear(WATCHDOG_SECONDS))
            kanted.process.send_signal(signal.SIGCONT)
            systemd.wait_for("WATCHDOG=1")
            self.assertEqual(kanted.stop(), 0)

    def test_workers_that_rest_as_long_as_may_be_live(self):
        ports = "idle_sleep_max: 100ms\n" + TAP
        with rig.namespaces(1) as (host,), Systemd() as systemd, \
                rig.Kanted(ports, host, systemd.environment) as kanted:
            for _ in range(4):
                systemd.wait_for("WATCHDOG=1", WATCHDOG_SECONDS)
            self.assertNotIn("stands still", kanted.log())
            self.assertEqual(kanted.stop(), 0)


if __name__ == "__main__":
    unittest.main()
