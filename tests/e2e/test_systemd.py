# SPDX-License-Identifier: Apache-2.0
"""kante.service under a real systemd, with all its restrictions: every kind of port comes up, the
directories are the user's, and what hangs or crashes comes again."""
import contextlib
import json
import os
import pathlib
import re
import signal
import tempfile
import unittest

import rig
import service
from test_service import thread_stopped

UNIT = re.sub(r"^(ExecStart=!|ExecReload=)\S+/kanted", r"\1/opt/kanted",
              (rig.BUILD / "kante.service").read_text(), flags=re.M)
SOON = "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n"  # beside what the unit says
CONFIG = """user: kante
memory_file: /dev/shm/kante
admin: {directory: /var/lib/kante, listen: [127.0.0.1]}
ports:
  - {kind: socket, listen: "127.0.0.1:11211"}
  - {kind: socket, listen: /run/kante/clients.sock}
  - {kind: tap, name: kante0, addresses: [198.18.0.2/24], tcp: 11211, allow: any}
  - {kind: memif, socket: /run/kante/memif.sock, addresses: [198.18.1.2/24], tcp: 11211, allow: any}
  - {kind: xdp, interface: veth0, tcp: 11211, allow: any}
"""
REQUEST = "set a 0 0 1\r\nb\r\nget a\r\nquit\r\n"
REPLY = "STORED\nVALUE a 0 1\nb\nEND\n"


class Unit(unittest.TestCase):
    def test_systemd_finds_nothing_wrong_with_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kante.service"
            path.write_text(UNIT.replace("/opt/", f"{rig.BUILD}/"))
            done = rig.run("systemd-analyze", "verify", "--man=no", str(path))
            self.assertEqual(done.stdout + done.stderr, "")
            done = rig.run("systemd-analyze", "security", "--offline=true", "--threshold=35",
                           "--no-pager", str(path))
        print("\n" + re.search("Overall exposure.*", done.stdout)[0])


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = cls.enterClassContext(service.Machine(
            {"kante.service": UNIT, "kante.service.d/soon.conf": SOON}, CONFIG))
        cls.machine.run("sh", "-c", "ip link add veth0 type veth peer name veth1 &&"
                        " ip addr add 198.18.2.2/24 dev veth0 && ip link set veth0 up &&"
                        " ip link set veth1 up")

    def setUp(self):
        self.machine.run("systemctl", "start", "kante")

    def status(self, *fields):
        text = self.machine.run("cat", f"/proc/{self.machine.show('MainPID')['MainPID']}/status")
        return [re.search(rf"^{field}:\s+(\S+)", text.stdout, re.M)[1] for field in fields]

    def talk(self, *where):
        return self.machine.run("nc.openbsd", "-N", "-w", "5", *where, input=REQUEST).stdout

    def write_config(self, text):
        self.machine.run("sh", "-c", "cat >/etc/kante/kante.yaml", input=text)

    def test_every_kind_of_port_comes_up_and_goes(self):
        machine = self.machine
        self.assertEqual(machine.show("ActiveState", "SubState", "StatusText"), {
            "ActiveState": "active", "SubState": "running", "StatusText": "1 worker serves"})
        self.assertEqual(self.status("Uid", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"),
                         ["998", "0" * 16, "0" * 16, "1", "2"])
        machine.run("sh", "-c", "ip link set kante0 up && ip addr add 198.18.0.1/24 dev kante0")
        machine.run("ping", "-c", "1", "-W", "5", "198.18.0.2")
        for where in (("127.0.0.1", "11211"), ("-U", "/run/kante/clients.sock"),
                      ("198.18.0.2", "11211")):
            self.assertEqual(self.talk(*where), REPLY, where)
        self.assertIn("xdp", machine.run("ip", "link", "show", "veth0").stdout)
        said = machine.run("stat", "-c", "%U %a %n", "/run/kante", "/var/lib/kante", "/dev/shm/kante",
                           "/run/kante/memif.sock", "/run/kante/admin.sock").stdout
        self.assertEqual(said.split("\n")[:-1], [
            "kante 755 /run/kante", "kante 700 /var/lib/kante", "kante 600 /dev/shm/kante",
            "kante 660 /run/kante/memif.sock", "kante 660 /run/kante/admin.sock"])
        machine.run("systemctl", "stop", "kante")
        self.assertEqual(machine.show("ActiveState", "Result"), {
            "ActiveState": "inactive", "Result": "success"})
        left = machine.run("sh", "-c", "ip link; ls -d /run/kante", check=False).stdout
        for gone in ("kante0", "xdp", "/run/kante"):
            self.assertNotIn(gone, left)
        machine.run("systemctl", "start", "kante")
        self.assertIn("items are there again", machine.journal())

    def test_reload_and_the_journal(self):
        machine = self.machine
        self.addCleanup(self.write_config, CONFIG)
        self.write_config("eviction: lru\n" + CONFIG)
        machine.run("systemctl", "reload", "kante")
        rig.wait_until(lambda: "eviction: lru from now on" in machine.journal(), 10, "it is read")
        machine.wait_for(10, ActiveState="active", StatusText="1 worker serves")
        self.write_config("eviction: best\n" + CONFIG)
        self.assertNotEqual(machine.run("systemctl", "reload", "kante", check=False).returncode, 0)
        self.assertEqual(machine.show("ActiveState"), {"ActiveState": "active"})
        lines = [json.loads(line) for line in machine.journal("-o", "json").splitlines()]
        levels = {line["MESSAGE"]: line["PRIORITY"] for line in lines}
        self.assertEqual(levels["ready"], "6")
        self.assertIn("/etc/kante/kante.yaml:1: eviction: \"best\" is not known: ",
                      "\n".join(levels))

    def test_a_crash_is_followed_by_a_start(self):
        machine = self.machine
        before = machine.pid()
        os.kill(before, signal.SIGKILL)
        rig.wait_until(lambda: machine.show("SubState") == {"SubState": "running"}
                       and machine.pid() not in (None, before), 20, "it runs again")
        self.assertEqual(self.talk("127.0.0.1", "11211"), REPLY)
        self.assertEqual(machine.run("ip", "link", "show", "veth0").stdout.count("prog/xdp"), 1)

    def test_one_that_hangs_is_ended_and_begun_again(self):
        @contextlib.contextmanager
        def stopped(pid):
            os.kill(pid, signal.SIGSTOP)
            yield

        machine = self.machine
        for number, hangs in enumerate((stopped,
                                        lambda pid: thread_stopped(rig.workers(pid)[0])), 1):
            before = machine.pid()
            with hangs(before):
                rig.wait_until(lambda: machine.journal().count("Watchdog timeout") == number, 20,
                               "the watchdog barks")
            rig.wait_until(lambda: machine.show("SubState") == {"SubState": "running"}
                           and machine.pid() not in (None, before), 20, "it runs again")
            self.assertEqual(self.talk("127.0.0.1", "11211"), REPLY)
        self.assertIn("worker 0 stands still: the watchdog ends kanted", machine.journal())


if __name__ == "__main__":
    unittest.main()
