# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, kanted and clients for the end-to-end tests.

Everything is made by a test and removed by it; nothing outside its namespaces is touched, but for
core_kept_free(), which measurements use.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("KANTE_BUILD", ROOT / "build"))
KANTED = str(BUILD / "kanted")
LOAD = str(BUILD / "kante-load")
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's memcached clients
# checked operations a port and address family; the figure is 1,000,000
OPERATIONS = int(os.environ.get("KANTE_E2E_OPERATIONS", "20000"))
CLONE_NEWNET = 0x40000000
START_SECONDS = 30
STOP_SECONDS = 15


def run(*command, check=True, timeout=120, **options):
    """Runs a command; its output on failure is in the error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}"
                             f"{done.stderr}")
    return done


def kill(process):
    """Ends it, if it has not ended by itself."""
    if process.poll() is None:
        process.kill()
        process.wait()


def wait_until(holds, seconds, what):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def all_threads():
    """The ids of all that there are, the kernel's too."""
    return [int(task.name) for task in pathlib.Path("/proc").glob("[0-9]*/task/[0-9]*")]


@contextlib.contextmanager
def core_kept_free(core):
    """Keeps all that can be moved off a core, as isolcpus does from the boot on: else a thread of the
    kernel's now and then makes a worker there wait for some milliseconds. In the context, what is to
    run there has to be put there (taskset). All go back afterwards."""
    moved, there = {}, set(all_threads())
    for thread in there:
        with contextlib.suppress(OSError):  # it has ended, or is the kernel's for this core
            before = os.sched_getaffinity(thread)
            if core in before and len(before) > 1:
                os.sched_setaffinity(thread, before - {core})
                moved[thread] = before
    try:
        yield
    finally:
        for thread in all_threads():
            with contextlib.suppress(OSError):
                if thread in moved:
                    os.sched_setaffinity(thread, moved[thread])
                elif thread not in there and core not in os.sched_getaffinity(thread):
                    # a child of one that was moved
                    os.sched_setaffinity(thread, os.sched_getaffinity(thread) | {core})


def cpu_seconds(process):
    """What all of its threads have taken."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads(pid):
    return list(pathlib.Path(f"/proc/{pid}/task").iterdir())


def workers(pid):
    """Those of kanted's threads that take precedence on their cores."""
    return [int(thread.name) for thread in threads(pid)
            if (thread / "stat").read_text().rsplit(")", 1)[1].split()[16] == "-20"]


class Namespace:
    """A network namespace with its loopback up."""

    count = 0

    def __init__(self):
        Namespace.count += 1
        self.name = f"kante-e2e-{os.getpid()}-{Namespace.count}"
        self.etc = pathlib.Path("/etc/netns") / self.name
        run("ip", "netns", "add", self.name)
        self.run("ip", "link", "set", "lo", "up")
        # Where the default is BBR (version 1) it takes the losses of an overrun queue for a slow
        # link and paces a connection at kilobytes a second for tens of seconds. Tests are not to
        # depend on a machine's default.
        self.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")

    def command(self, *command):
        return ("ip", "netns", "exec", self.name, *command)

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def links(self):
        shown = self.run("ip", "-o", "link").stdout
        return set(re.findall(r"^\d+: ([^:@]+)", shown, re.M))

    def add_user(self, name, uid, *groups):
        """For what runs in the namespace: `ip netns exec` has files of its own for it."""
        self.etc.mkdir(parents=True)
        for file, lines in (("passwd", f"{name}:x:{uid}:{uid}::/nowhere:/usr/sbin/nologin\n"),
                            ("group", f"{name}:x:{uid}:\n" + "".join(
                                f"{name}-{group}:x:{group}:{name}\n" for group in groups))):
            (self.etc / file).write_text(pathlib.Path(f"/etc/{file}").read_text() + lines)

    def remove(self):
        run("ip", "netns", "del", self.name)
        shutil.rmtree(self.etc, ignore_errors=True)


def socket_in(namespace, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    """A socket that belongs to a namespace: a thread goes there to make it."""
    made = []

    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/var/run/netns/{namespace.name}", "rb") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                made.append(OSError(ctypes.get_errno(), "setns"))
                return
        made.append(socket.socket(family, kind))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def veth(left, left_name, right, right_name):
    """A pair of interfaces, one end a namespace. Checksums are made by the sender: veth would leave
    them to a device that is not there, and the frames would look damaged to whoever bypasses the
    kernel."""
    run("ip", "link", "add", left_name, "netns", left.name, "type", "veth", "peer", "name",
        right_name, "netns", right.name)
    for namespace, name in ((left, left_name), (right, right_name)):
        namespace.run("ip", "link", "set", name, "up")
        namespace.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off")


class Kanted:
    """A running kanted; use as a context."""

    def __init__(self, config, namespace, environment=None):
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        os.chmod(self.folder.name, 0o755)  # whoever kanted becomes reads the config, too
        self.path = pathlib.Path(self.folder.name) / "kante.yaml"
        self.path.write_text(config)
        self.log_path = pathlib.Path(self.folder.name) / "log"
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(namespace.command(KANTED, "-c", str(self.path)),
                                            stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})

    def log(self):
        return self.log_path.read_text()

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"kanted ended at start:\n{self.log()}")
            return re.search(r"\bready$", self.log(), re.M) is not None

        wait_until(ready, START_SECONDS, f"kanted is ready:\n{self.log()}")

    def stop(self, with_signal=signal.SIGINT):
        self.process.send_signal(with_signal)
        return self.process.wait(STOP_SECONDS)

    def __enter__(self):
        try:
            self.wait_ready()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        kill(self.process)
        self.folder.cleanup()


@contextlib.contextmanager
def namespaces(count):
    made = [Namespace() for _ in range(count)]
    try:
        yield made
    finally:
        for namespace in made:
            namespace.remove()


def load(namespace, address, *options, port=11211, timeout=1200):
    """kante-load over kernel sockets; every reply is checked byte for byte. Returns its report."""
    host = f"[{address}]" if ":" in address else address
    return namespace.run(LOAD, "--socket", f"{host}:{port}", *options, timeout=timeout).stdout


def load_memif(path, local, remote, *options, port=11211, timeout=1200):
    """kante-load with its own TCP, over a memif; it and kanted poll, each on a core."""
    host = f"[{remote}]" if ":" in remote else remote
    return run("taskset", "-c", "0", LOAD, "--memif", path, "--local", local, "--remote",
               f"{host}:{port}", *options, timeout=timeout).stdout


def talk(namespace, address, text, port=11211, timeout=10):
    """Sends text over one connection from within a namespace; returns all that comes back."""
    return namespace.run("nc", "-N", "-w", str(timeout), address, str(port), input=text,
                         timeout=timeout + 5).stdout


def stats(namespace, address, port=11211):
    """What `stats kante` says, as numbers by name."""
    reply = talk(namespace, address, "stats kante\r\nquit\r\n", port)
    return {name: int(value) for name, value in re.findall(r"STAT (\S+) (\d+)", reply)}


class Served:
    """A running kanted with a port of a kind, 11211, and where its clients are."""

    def __init__(self, kanted, host, client, address, host_address):
        self.kanted = kanted
        self.host = host  # namespace
        self.client = client  # namespace
        self.address = address
        self.host_address = host_address  # of kernel sockets in kanted's own namespace


@contextlib.contextmanager
def memif_bridge(namespace, path, interface):
    """An interface in the namespace whose frames go over a memif."""
    bridge = subprocess.Popen(namespace.command(
        PYTHON, str(ROOT / "tests/e2e/memif_bridge.py"), path, interface))
    try:
        wait_until(lambda: interface in namespace.links(), START_SECONDS, "the memif is up")
        yield
    finally:
        kill(bridge)


@contextlib.contextmanager
def served(kind, head="", more_ports="", udp=True, user=None, port_options=""):
    """kanted on a port of the kind, which has to end well; with a user, a name and uid, as his."""
    ports = {
        "socket": 'kind: socket, listen: "127.0.0.1:11211"',
        "tap": "kind: tap, name: kante0, addresses: [198.18.0.2/24], tcp: 11211",
        "xdp": "kind: xdp, interface: veth0, tcp: 11211",
        "memif": "kind: memif, socket: {path}, addresses: [198.18.0.2/24], tcp: 11211",
    }
    with contextlib.ExitStack() as stack:
        host, client = stack.enter_context(namespaces(2))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kante-e2e-"))
        path = f"{folder}/memif.sock"
        if user is not None:
            host.add_user(*user)
            os.chown(folder, user[1], user[1])
        if kind == "xdp":
            veth(host, "veth0", client, "veth1")
            host.run("ip", "addr", "add", "198.18.0.2/24", "dev", "veth0")
            host.run("ip", "addr", "add", "fd00:198::2/64", "dev", "veth0", "nodad")
        port = ports[kind].format(path=path) + (", udp: 11211" if udp else "") + port_options
        kanted = stack.enter_context(Kanted(
            f"{head}ports:\n  - {{{port}, allow: any}}\n{more_ports}", host))
        stack.push(lambda error, *_: print(kanted.log()) if error else None)
        if kind == "socket":
            yield Served(kanted, host, host, "127.0.0.1", "127.0.0.1")
        else:
            if kind == "memif":
                stack.enter_context(memif_bridge(host, path, "kante0"))
            end, name = (client, "veth1") if kind == "xdp" else (host, "kante0")
            end.run("ip", "link", "set", name, "up")
            end.run("ip", "addr", "add", "198.18.0.1/24", "dev", name)
            end.run("ping", "-c", "1", "-W", "10", "198.18.0.2")
            yield Served(kanted, host, end, "198.18.0.2",
                         "198.18.0.2" if kind == "xdp" else "127.0.0.1")
        if kanted.stop() != 0:
            raise AssertionError(kanted.log())
