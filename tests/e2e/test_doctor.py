# SPDX-License-Identifier: Apache-2.0
"""What `kante doctor` says of this machine is so: kanted, the kernel and the shell say the same, and
what --fix does is done. All that is changed is in namespaces of the test's own, or put back."""
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile
import unittest

import rig

KANTE = str(rig.BUILD / "kante")
HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
MOUNT_POINT = pathlib.Path("/dev/hugepages")
SOCKET = 'ports: [{kind: socket, listen: "127.0.0.1:11211"}]\n'
TAP = ("ports: [{kind: tap, name: doctor0, addresses: [198.18.0.2/24], tcp: 11211, "
       "allow: [198.18.0.0/24]}]\n")
XDP = "ports: [{kind: xdp, interface: left0, tcp: 11211, allow: any}]\n"


def mapped_mib(process):
    """What kanted has mapped for workers: without hugepages, promised to be touched when needed."""
    total = size = 0
    for line in pathlib.Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("VmFlags:") and {"nr", "hg"} <= set(line.split()):
            total += size
    return total / 1024


class Doctor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        self.addCleanup(self.folder.cleanup)

    def put_back(self):
        """After the test there are as many hugepages as before, and /dev is as it was."""
        pages = (HUGEPAGES / "nr_hugepages").read_text()
        self.addCleanup((HUGEPAGES / "nr_hugepages").write_text, pages)
        if not MOUNT_POINT.exists():
            self.addCleanup(lambda: MOUNT_POINT.exists() and MOUNT_POINT.rmdir())
        return int(pages)

    def config(self, text):
        path = pathlib.Path(self.folder.name) / "kante.yaml"
        path.write_text(text)
        return str(path)

    def examine(self, text, *options, within=(), kante=KANTE):
        """Findings by check, fixes by check, and the exit status."""
        done = rig.run(*within, kante, "doctor", "--json", "--config", self.config(text),
                       *options, check=False)
        report = json.loads(done.stdout)
        self.assertEqual(report["status"], done.returncode)
        findings = {}
        for finding in report["findings"]:
            findings.setdefault(finding["check"], []).append(finding)
        return findings, {fix["check"]: fix for fix in report["fixes"]}, done.returncode

    def namespace(self):
        namespace = rig.Namespace()
        self.addCleanup(namespace.remove)
        return namespace

    def test_memory_is_what_kanted_takes(self):
        """Never too little, and at most a tenth too much."""
        if int((HUGEPAGES / "free_hugepages").read_text()) > 0:
            self.skipTest("needs a machine without free hugepages")
        namespace = self.namespace()
        for text in (SOCKET, "max_connections: 100\n" + SOCKET,
                     "max_connections: 15000\nmemory: 256MiB\n" + SOCKET,
                     "workers: 2\n" + SOCKET, TAP, "workers: 2\nmax_connections: 5000\n" + TAP):
            with self.subTest(text):
                findings, _, _ = self.examine(text, within=namespace.command())
                said = re.search(r"takes up to (\d+) MiB", findings["free memory"][0]["found"])
                with rig.Kanted(text, namespace) as kanted:
                    taken = mapped_mib(kanted.process)
                    packets = re.search(r"of (\d+) MB are free\)", kanted.log())
                self.assertGreater(taken, 64)
                taken += int(packets[1]) if packets else 0
                self.assertGreaterEqual(int(said[1]), taken)
                self.assertLessEqual(int(said[1]), taken * 1.1)

    def test_what_is_good_starts_and_what_is_a_fault_does_not(self):
        left, right = self.namespace(), self.namespace()

        def starts():
            done = subprocess.Popen(left.command(rig.KANTED, "-c", self.config(XDP)),
                                    stderr=subprocess.PIPE, text=True)
            line = ""
            for line in done.stderr:
                if line.endswith("ready\n") or "port xdp" in line:
                    break
            done.terminate()
            done.communicate()
            return line.endswith("ready\n")

        def expect(good, check):
            findings, _, status = self.examine(XDP, within=left.command())
            levels = {finding["level"] for finding in findings[check]}
            self.assertEqual("fault" not in levels, good, findings[check])
            self.assertEqual(status < 2, good, findings)
            self.assertEqual(starts(), good)

        findings, _, status = self.examine(XDP, within=left.command())
        self.assertEqual((findings["interface"][0]["level"], status), ("fault", 2))
        rig.veth(left, "left0", right, "right0")
        left.run("sysctl", "-qw", "net.ipv6.conf.left0.disable_ipv6=1")
        expect(False, "addresses")
        left.run("ip", "address", "add", "198.18.0.1/24", "dev", "left0")
        expect(True, "addresses")
        left.run("ip", "link", "set", "left0", "down")
        expect(False, "link")
        left.run("ip", "link", "set", "left0", "up", "mtu", "3499")
        expect(False, "mtu")
        left.run("ip", "link", "set", "left0", "mtu", "3498")
        expect(True, "mtu")

    def test_a_veths_peer_is_looked_at(self):
        namespace = self.namespace()
        namespace.run("ip", "link", "add", "left0", "numrxqueues", "2", "numtxqueues", "2",
                      "type", "veth", "peer", "name", "right0", "numtxqueues", "2",
                      "numrxqueues", "2")
        namespace.run("ethtool", "-L", "left0", "rx", "1", "tx", "1")
        namespace.run("ip", "link", "set", "right0", "mtu", "3507")
        findings, _, _ = self.examine(XDP, within=namespace.command())
        self.assertEqual(findings["mtu"][0]["level"], "fault")
        self.assertIn("ip link set dev right0 mtu 1500", findings["mtu"][0]["mend"])
        self.assertEqual(findings["native xdp"][0]["level"], "fault")
        for finding in (findings["mtu"][0], findings["native xdp"][0]):
            namespace.run(*finding["mend"].split())
        findings, _, _ = self.examine(XDP, within=namespace.command())
        self.assertEqual(findings["mtu"][0]["level"], "good")
        self.assertEqual(findings["native xdp"][0]["level"], "good")

    def test_who_has_a_port_is_told(self):
        namespace = self.namespace()
        with rig.Kanted(SOCKET, namespace) as kanted:
            findings, _, _ = self.examine(SOCKET, within=namespace.command())
            self.assertEqual(findings["port"][0]["level"], "note")
            self.assertIn(f"kanted (pid {kanted.process.pid})", findings["port"][0]["found"])
            self.assertIn("runs", findings["kanted"][0]["found"])
        listener = subprocess.Popen(namespace.command("nc", "-lk", "127.0.0.1", "11211"))
        self.addCleanup(rig.kill, listener)
        rig.wait_until(lambda: "11211" in namespace.run("ss", "-lnt").stdout, 10, "nc listens")
        findings, _, status = self.examine(SOCKET, within=namespace.command())
        self.assertEqual((findings["port"][0]["level"], status), ("fault", 2))
        self.assertIn(f"nc (pid {listener.pid})", findings["port"][0]["found"])
        findings, _, _ = self.examine(SOCKET.replace("127.0.0.1", "198.18.0.9")
                                      .replace("}]", ", allow: any}]"),
                                      within=namespace.command())
        self.assertIn("Cannot assign requested address", findings["port"][0]["found"])

    def test_fix_mends_what_is_the_namespaces(self):
        """The backlog's limit and links are a network namespace's, mounts those of a mount one."""
        namespace = self.namespace()
        namespace.run("sysctl", "-qw", "net.core.somaxconn=100")
        namespace.run("ip", "link", "add", "left0", "type", "veth", "peer", "name", "right0")
        text = (XDP.replace("}]", "}, {kind: socket, listen: \"127.0.0.1:11212\"}]") +
                "memory_file: /dev/shm/kante-doctor\nmemory: 4MiB\nmax_connections: 1\n")
        self.put_back()
        _, fixes, _ = self.examine(text, "--fix", within=namespace.command("unshare", "-m"))
        self.assertTrue(fixes["somaxconn"]["done"])
        self.assertTrue(fixes["link"]["done"])
        self.assertEqual(namespace.run("sysctl", "-n", "net.core.somaxconn").stdout, "4096\n")
        self.assertRegex(namespace.run("ip", "link", "show", "left0").stdout, r"[<,]UP[,>]")
        if "hugetlbfs" not in pathlib.Path("/proc/mounts").read_text():
            self.assertTrue(fixes["hugetlbfs"]["done"], fixes["hugetlbfs"])
        findings, fixes, _ = self.examine(text, "--fix",
                                          within=namespace.command("unshare", "-m"))
        self.assertNotIn("somaxconn", fixes)
        self.assertEqual(findings["somaxconn"][0]["level"], "good")

    def test_fix_reserves_hugepages(self):
        if self.put_back() > 0:
            self.skipTest("there are hugepages already")
        text = "memory: 4MiB\nmax_connections: 1\n" + SOCKET
        findings, fixes, _ = self.examine(text, "--fix")
        now = int((HUGEPAGES / "nr_hugepages").read_text())
        self.assertTrue(fixes["hugepages"]["done"])
        self.assertEqual(findings["hugepages"][0]["level"], "good")
        self.assertIn(f"the config needs {now}", findings["hugepages"][0]["found"])

    def test_those_who_may_not_are_told_so(self):
        namespace = self.namespace()
        namespace.run("sysctl", "-qw", "net.core.somaxconn=100")
        os.chmod(self.folder.name, 0o755)
        kante = shutil.copy(KANTE, self.folder.name)  # the build may be where nobody may go
        nobody = namespace.command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        findings, fixes, status = self.examine(SOCKET, "--fix", within=nobody, kante=kante)
        self.assertFalse(fixes["somaxconn"]["done"])
        self.assertIn("run it as root", fixes["somaxconn"]["text"])
        self.assertEqual(status, 2)
        findings, _, _ = self.examine(TAP, within=nobody, kante=kante)
        self.assertIn("lacks CAP_NET_ADMIN", findings["capabilities"][0]["found"])

    def test_a_wrong_config_is_told_line_by_line(self):
        done = rig.run(KANTE, "doctor", "-c", self.config("workers: no\nports: []\n"),
                       check=False)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stdout, r"fault +config +\S+kante.yaml:1: workers: ")
        self.assertRegex(done.stdout, r"fault +config +\S+kante.yaml:2: ports: ")
        done = rig.run(KANTE, "doctor", "-c", "/nowhere", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nowhere: there is no such file", done.stdout)

    def test_a_terminal_has_colour_and_lines_of_its_width(self):
        def shown(*options, **environment):
            master, slave = pty.openpty()
            subprocess.run(("stty", "rows", "24", "cols", "72"), stdin=slave, check=True)
            process = subprocess.Popen((KANTE, "doctor", *options), stdout=slave,
                                       env={**os.environ, "NO_COLOR": "", **environment})
            os.close(slave)
            text = b""
            try:
                while piece := os.read(master, 65536):
                    text += piece
            except OSError:  # the other side has ended
                pass
            os.close(master)
            process.wait()
            return text.decode()

        self.assertIn("\033[32mgood", shown())
        for plain in (shown("--no-color"), shown(NO_COLOR="1"),
                      rig.run(KANTE, "doctor", check=False).stdout):
            self.assertNotIn("\033", plain)
        lines = shown("--no-color").split("\r\n")
        self.assertGreater(max(map(len, lines)), 60)
        for line in lines:
            if len(line) > 72:
                self.assertNotIn(" ", line.strip().removeprefix("-> "))

    def test_help_and_errors(self):
        version = rig.run(KANTE, "version").stdout
        self.assertRegex(version, r"^kante \d+\.\d+\.\d+\n$")
        self.assertRegex(rig.run(KANTE, "doctor", "--list").stdout, r"(?m)^hugepages +\w")
        self.assertIn("--config FILE", rig.run(KANTE, "help", "doctor").stdout)
        self.assertEqual(rig.run(KANTE, "help", "doctor").stdout,
                         rig.run(KANTE, "doctor", "--help").stdout)
        for words in ((), ("docter",), ("doctor", "x"), ("doctor", "--config"),
                      ("help", "docter"), ("version", "--json")):
            done = rig.run(KANTE, *words, check=False)
            self.assertEqual((done.returncode, done.stdout), (3, ""), words)
            self.assertNotEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
