# SPDX-License-Identifier: Apache-2.0
"""Virtual machines: one with an IOMMU and a NIC that nobody drives yet, for kanted's pci ports, one
whose NIC is the kernel's and has several queues, for xdp ports, and a bare one, for programs that
want another kernel.

    vm.py [--nic virtio-net-pci | e1000e | vmxnet3]

boots the first, starts kanted in it, says where it is, and takes it down on Ctrl-C. The kernel is
Debian's (downloaded once, nothing is installed), the rest is busybox, kanted and its libraries.
"""
import argparse
import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile

import rig

KERNEL = rig.BUILD / "vm"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
# in the order in which they need each other
VFIO_MODULES = ("irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "vfio-pci-core",
                "vfio-pci")
VIRTIO_MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
                  "virtio_pci", "failover", "net_failover", "virtio_net")
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
PCI_DRIVERS = ("bus_pci", "bus_vdev", "mempool_ring", "net_virtio", "net_e1000", "net_vmxnet3")
XDP_DRIVERS = ("bus_vdev", "mempool_ring", "net_af_xdp")
# What makes a virtio device go through the IOMMU, as a card does by itself.
NIC_OPTIONS = {"virtio-net-pci": ",iommu_platform=on,disable-legacy=on", "e1000e": "",
               "vmxnet3": ""}
DEVICE = "0000:00:03.0"
TAP = "vm0"
ADDRESSES = ("198.18.0.2", "fd00:198::2")
CONFIG = f"""memory: 64MiB
max_connections: 200
ports:
  - kind: pci
    device: "{DEVICE}"
    addresses: [198.18.0.2/24, "fd00:198::2/64"]
    tcp: 11211
    udp: 11211
    allow: [198.18.0.0/24, "fd00:198::/64"]
"""
HUGEPAGES = 100  # of 2 MiB: for packets and items
BOOT_SECONDS = 40
# The kernel's console is the first serial line, the shell's the second.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /sys /tmp /var/run
/bin/busybox --install -s /bin
chmod 755 /
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do
	insmod /modules/$module.ko
done
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
echo up
exec sh /dev/ttyS1
"""


def kernel_fetch():
    """The kernel and the modules wanted of it, from Debian's package."""
    if KERNEL.exists():
        return
    rig.run("apt-get", "update", "-qq")
    package = re.search(r"linux-image-\d\S+",
                        rig.run("apt-cache", "show", "--no-all-versions", KERNEL_PACKAGE).stdout)[0]
    with tempfile.TemporaryDirectory(dir=rig.BUILD) as folder:
        folder = pathlib.Path(folder)
        rig.run("apt-get", "download", "-qq", package, cwd=folder)
        tree = folder / "vm"
        tree.mkdir()
        with subprocess.Popen(("dpkg-deb", "--fsys-tarfile", next(folder.glob("*.deb"))),
                              stdout=subprocess.PIPE) as unpack, \
                tarfile.open(fileobj=unpack.stdout, mode="r|") as files:
            for file in files:
                name = pathlib.Path(file.name)
                if name.suffix == ".ko" and name.stem in VFIO_MODULES + VIRTIO_MODULES:
                    (tree / name.name).write_bytes(files.extractfile(file).read())
                elif name.name.startswith("vmlinuz-"):
                    (tree / "vmlinuz").write_bytes(files.extractfile(file).read())
        tree.rename(KERNEL)


def libraries_of(program):
    return re.findall(r"(/\S+) \(0x", rig.run("ldd", str(program)).stdout)


def install(tree, path):
    """A file of this machine, at its place in the tree, under the names that lead to it here."""
    path = pathlib.Path(path).parent.resolve() / pathlib.Path(path).name
    target = tree / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(path.readlink())
        install(tree, path.parent / path.readlink())
    else:
        shutil.copy(path, target)


def initramfs_make(path, programs, modules, drivers):
    """All that the machine has of a file system."""
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in ("bin", "modules", "usr/lib", "usr/lib64"):
            (tree / name).mkdir(parents=True)
        for name in ("lib", "lib64"):
            (tree / name).symlink_to(f"usr/{name}")
        shutil.copy("/usr/bin/busybox", tree / "bin")
        for program in programs:
            shutil.copy(program, tree / "bin")
        for module in modules:
            shutil.copy(KERNEL / f"{module}.ko", tree / "modules")
        files = [file for driver in drivers
                 for file in LIBRARIES.glob(f"dpdk/pmds-*/librte_{driver}.so.*")]
        for file in files:
            install(tree, file)
        for program in (*programs, *files):
            for library in libraries_of(program):
                install(tree, library)
        (tree / "init").write_text(INIT.format(modules=" ".join(modules)))
        (tree / "init").chmod(0o755)
        names = "\n".join(str(file.relative_to(tree)) for file in sorted(tree.rglob("*")))
        with open(path, "wb") as archive:
            subprocess.run(("busybox", "cpio", "-o", "-H", "newc"), input=names.encode(), cwd=tree,
                           stdout=archive, stderr=subprocess.DEVNULL, check=True)


class BareMachine:
    """A machine with these programs and no device; use as a context, in which it runs. A shell in
    it takes commands."""

    def __init__(self, programs, modules=(), drivers=()):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-vm-")
        folder = pathlib.Path(self.folder.name)
        self.console_path = folder / "console"
        self.shell_path = folder / "shell"
        self.complaints_path = folder / "complaints"  # QEMU's own
        kernel_fetch()
        initramfs_make(folder / "initramfs", programs, modules, drivers)
        self.command = (
            # in software, as KVM is not to be had everywhere; DPDK needs SSE 4.2
            "qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "Nehalem",
            "-smp", "2", "-m", "1G",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", f"file:{self.console_path}", "-serial", "stdio",
            "-kernel", str(KERNEL / "vmlinuz"), "-initrd", str(folder / "initramfs"),
            "-append", "console=ttyS0 panic=-1 mitigations=off intel_iommu=on")

    def start(self):
        self.shell_read = 0  # characters of what the shell has said that were seen
        with open(self.shell_path, "wb") as shell, open(self.complaints_path, "wb") as complaints:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=shell,
                                            stderr=complaints)

    def read_until(self, pattern, seconds, what):
        """What the shell has said since the last time, up to the pattern: its match."""
        found = None

        def came():
            nonlocal found
            said = self.shell_path.read_text(errors="replace")
            found = re.compile(pattern).search(said, self.shell_read)
            if found is None and self.process.poll() is not None:
                raise AssertionError(f"the machine has ended: {what}")
            return found is not None

        try:
            rig.wait_until(came, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from error
        self.shell_read = found.end()
        return found

    def said(self):
        return "".join(path.read_text(errors="replace") for path in (
            self.complaints_path, self.console_path, self.shell_path) if path.exists())

    def run(self, command, check=True, seconds=20):
        """Runs a command in the machine. Returns its exit status and what it says."""
        self.process.stdin.write(f"{{ {command}\n}} </dev/null; echo \"=$?=\"\n".encode())
        self.process.stdin.flush()
        said, status = self.read_until(r"(?s)(.*?)=(\d+)=\n", seconds, command).groups()
        if check and status != "0":
            raise AssertionError(f"{command}: exit {status}\n{said}")
        return int(status), said

    def power_off(self):
        """Returns QEMU's exit status."""
        self.process.stdin.write(b"poweroff -f\n")
        self.process.stdin.flush()
        return self.process.wait(rig.STOP_SECONDS)

    def prepare(self):
        """What is to be done first in the machine."""

    def __enter__(self):
        self.start()
        try:
            try:
                self.read_until("up\n", BOOT_SECONDS, "the machine is up")
            except AssertionError as error:
                # one boot in a hundred hangs before the first program; that is not what is tested
                print(error)
                self.kill()
                self.start()
                self.read_until("up\n", BOOT_SECONDS, "the machine is up")
            self.prepare()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def kill(self):
        rig.kill(self.process)
        self.process.stdin.close()

    def end(self):
        self.kill()
        self.folder.cleanup()


class KantedMachine(BareMachine):
    """One with kanted. A network device that is added has its other end, the interface TAP, in the
    namespace."""

    def add_nic(self, namespace, queue_count, *devices):
        namespace.run("ip", "tuntap", "add", TAP, "mode", "tap", "vnet_hdr",
                      *["multi_queue"] * (queue_count > 1))
        namespace.run("ip", "addr", "add", "198.18.0.1/24", "dev", TAP)
        namespace.run("ip", "-6", "addr", "add", "fd00:198::1/64", "dev", TAP, "nodad")
        namespace.run("ip", "link", "set", TAP, "up")
        queues = f",queues={queue_count}" if queue_count > 1 else ""
        self.command = namespace.command(
            *self.command, *devices[:-1], "-netdev",
            f"tap,id=net0,ifname={TAP},script=no,downscript=no,vhost=off{queues}",
            "-device", f"{devices[-1]},netdev=net0,addr=3")

    def write_config(self, config):
        self.run(f"cat >/kante.yaml <<'END'\n{config}END")

    def kanted_start(self):
        self.run("kanted -c /kante.yaml >/log 2>&1 & kanted=$!")
        self.run("until grep -q 'ready$' /log || ! kill -0 $kanted; do sleep 0.1; done",
                 seconds=rig.START_SECONDS)
        log = self.log()
        if not log.endswith("ready\n"):
            raise AssertionError(f"kanted ended at start:\n{log}")

    def kanted_stop(self):
        """Returns kanted's exit status."""
        return self.run("kill -TERM $kanted; wait $kanted", check=False,
                        seconds=rig.STOP_SECONDS)[0]

    def log(self):
        return self.run("cat /log")[1]


class Machine(KantedMachine):
    """One with an IOMMU, for a pci port."""

    def __init__(self, namespace, nic):
        super().__init__((rig.KANTED,), VFIO_MODULES, PCI_DRIVERS)
        # as wide as a server's: else DPDK takes physical addresses
        self.add_nic(namespace, 1, "-device",
                     "intel-iommu,intremap=on,caching-mode=on,aw-bits=48",
                     f"{nic},romfile={NIC_OPTIONS[nic]}")

    def bind(self):
        """Gives the NIC to vfio-pci."""
        self.run(f"echo vfio-pci >/sys/bus/pci/devices/{DEVICE}/driver_override &&"
                 f" echo {DEVICE} >/sys/bus/pci/drivers_probe")

    def reserve_hugepages(self):
        self.run(f"echo {HUGEPAGES} >/proc/sys/vm/nr_hugepages")


class XdpMachine(KantedMachine):
    """One whose virtio-net device is the kernel's eth0, for an xdp port on several queues."""

    def __init__(self, namespace, queue_count):
        super().__init__((rig.KANTED, "/usr/sbin/ethtool"), VIRTIO_MODULES, XDP_DRIVERS)
        # with XDP the driver takes no frames that are put together or not summed up
        self.add_nic(namespace, queue_count,
                     "virtio-net-pci,romfile=,mq=on,vectors=16,guest_csum=off,guest_tso4=off,"
                     "guest_tso6=off,guest_ecn=off,guest_ufo=off")

    def prepare(self):
        self.run("ethtool -L eth0 combined 2")
        self.run("ip addr add 198.18.0.2/24 dev eth0 && ip link set eth0 up")
        self.run("ip link set lo up")


def main():
    parser = argparse.ArgumentParser(description="kanted in a virtual machine, until Ctrl-C")
    parser.add_argument("--nic", choices=NIC_OPTIONS, default="virtio-net-pci")
    nic = parser.parse_args().nic
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with rig.namespaces(1) as (host,), Machine(host, nic) as machine:
        machine.write_config(CONFIG)
        machine.reserve_hugepages()
        machine.bind()
        machine.kanted_start()
        print(f"{machine.log()}ip netns exec {host.name} nc {ADDRESSES[0]} 11211", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
