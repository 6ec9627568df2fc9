# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared, as processes of their own on 127.0.0.1."""
import os
import pathlib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KANTED = str(pathlib.Path(os.environ.get("KANTE_BUILD", ROOT / "build")) / "kanted")
MEMCACHED = "/usr/bin/memcached"
HOST = "127.0.0.1"
START_SECONDS = 30

# Much more memory than an episode stores: nothing is evicted. And what memcached does is to depend
# on nothing but commands: it pads what incr and decr write only when nobody else holds the item, so
# no_modern leaves out threads that do for a moment; for numbers of 2^63 and more it looks for a
# minus even behind the value, up to a NUL, so -n leaves room there.
MEMCACHED_OPTIONS = ("-m", "64", "-I", "1m", "-t", "1", "-o", "no_modern", "-n", "4000", "-l", HOST)
KANTED_CONFIG = """workers: 1
memory: 128MiB
ports:
  - {{kind: socket, listen: "{host}:{port}"}}
"""


def free_port():
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """Runs the kanted or memcached at `path`; use as a context. `name` is what it says it is."""

    def __init__(self, path):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        self.name = said.stdout.strip()
        self.address = (HOST, free_port())
        self.folder = tempfile.TemporaryDirectory(prefix="kante-differential-")
        self.log_path = pathlib.Path(self.folder.name) / "log"
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command(path), stdout=log, stderr=log)

    def command(self, path):
        port = self.address[1]
        if self.name.startswith("memcached"):
            user = ("-u", "nobody") if os.geteuid() == 0 else ()
            return path, *MEMCACHED_OPTIONS, "-p", str(port), *user
        config = pathlib.Path(self.folder.name) / "kante.yaml"
        config.write_text(KANTED_CONFIG.format(host=HOST, port=port), encoding="utf-8")
        return path, "-c", str(config)

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-2000:]

    def wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.check()
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} does not answer: {error}\n{self.log()}")
                time.sleep(0.02)

    def check(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended by itself, with status "
                             f"{self.process.returncode}:\n{self.log()}")

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
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()
