# SPDX-License-Identifier: Apache-2.0
"""A systemd that is the first process of namespaces of its own, to run kante.service. Nothing of this
machine's can be written to in there: /usr is read-only, all else is made anew and in memory."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import rig

# The first process of the namespaces makes them a home, and is systemd from then on. The unit's own
# files are in /etc; there is nothing else to be started.
BOOT = r"""set -e
root=$1 programs=$2
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc var/log/journal tmp run dev proc sys root opt old
chmod 1777 tmp
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
mount --bind /usr usr
mount -o remount,bind,ro usr
cp -r "$programs"/. opt
cp -r /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d /etc/nsswitch.conf etc
printf 'root:x:0:0::/root:/bin/sh\nkante:x:998:998::/var/lib/kante:/usr/sbin/nologin\n' >etc/passwd
printf 'root:x:0:\nkante:x:998:\ntty:x:5:\nsystemd-journal:x:997:\n' >etc/group
touch etc/machine-id
mkdir -p etc/systemd/system
mv opt/units/* etc/systemd/system
mv opt/kante etc
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/shm dev/pts dev/net
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mknod -m 600 dev/net/tun c 10 200
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
	mount -t cgroup2 cgroup2 sys/fs/cgroup
else
	mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified sys/fs/cgroup/devices
	mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
	mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
	mount -t cgroup -o devices cgroup sys/fs/cgroup/devices
fi
ip link set lo up
pivot_root . old
umount -l /old
rmdir /old
exec env -i container=kante PATH=/usr/sbin:/usr/bin setpriv \
    --bounding-set=-sys_module,-sys_time,-sys_rawio,-sys_boot,-syslog \
    /usr/lib/systemd/systemd --unit=kante-test.target --log-target=journal
"""


def hierarchies():
    """Where a group of processes is to be made, so that systemd has one to itself."""
    root = pathlib.Path("/sys/fs/cgroup")
    if (root / "cgroup.procs").exists():
        return [root]
    return [root / name for name in ("systemd", "unified", "devices")]


class Machine:
    """Use as a context. `units`: texts by name, kante.service among them; `config`: kanted's."""

    def __init__(self, units, config):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        self.path = pathlib.Path(self.folder.name)
        self.log_path = self.path / "log"
        programs = self.path / "programs"
        (programs / "units").mkdir(parents=True)
        (programs / "kante").mkdir()
        (self.path / "root").mkdir()
        for name in ("kanted", "kante-control"):
            shutil.copy(rig.BUILD / name, programs)
        (programs / "units/kante-test.target").write_text(
            "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.service\n")
        for name, text in units.items():
            target = programs / "units" / name
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
        (programs / "kante/kante.yaml").write_text(config)
        self.groups = [top / f"kante-e2e-{os.getpid()}" for top in hierarchies()]
        for group in self.groups:
            group.mkdir()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net",
                 "--cgroup", "--propagation", "private", "sh", "-c", BOOT, "sh",
                 str(self.path / "root"), str(programs)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.join_groups)

    def join_groups(self):
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def first(self):
        """The first process's number, here."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def run(self, *command, **options):
        return rig.run("nsenter", "-t", str(self.first()), "-a", *command, **options)

    def show(self, *names):
        said = self.run("systemctl", "show", "kante", "-p", ",".join(names)).stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def wait_for(self, seconds, **wanted):
        """Until the service's properties are these."""
        rig.wait_until(lambda: self.show(*wanted) == wanted, seconds, f"{wanted}\n{self.journal()}")

    def pid(self):
        """kanted's, here; None: it does not run just now."""
        inner = self.show("MainPID")["MainPID"]
        for path in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in path.read_text().splitlines()
                              if ":\t" in line)
            except OSError:
                continue
            if fields["Name"] == "kanted" and fields["NSpid"].split()[1:] == [inner]:
                return int(path.parent.name)
        return None

    def journal(self, *options):
        return self.run("journalctl", "--no-pager", "-u", "kante", *options).stdout

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd has ended:\n{self.log_path.read_text()}")
        return self.first() is not None and self.run(
            "systemctl", "is-active", "kante-test.target", check=False).stdout == "active\n"

    def __enter__(self):
        try:
            rig.wait_until(self.is_up, 30, "systemd is up")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        rig.kill(self.process)  # and so all in its namespaces
        for group in self.groups:
            for path in (*sorted(group.rglob("*/"), reverse=True), group):
                self.remove_group(path)
        self.folder.cleanup()

    def remove_group(self, path):
        deadline = time.monotonic() + 10
        while path.is_dir():
            try:
                path.rmdir()
            except OSError:  # until the last process is gone
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
