# SPDX-License-Identifier: Apache-2.0
"""The conversation scripts, bad inputs above all, over a real connection to every kind of port."""
import pathlib
import tempfile
import unittest

import play
import rig

HERE = pathlib.Path(__file__).parent
SCRIPTS = HERE.parent / "conversation"
HEAD = """memory: 16MiB
classes:
  - {name: short, prefix: "short:", ttl_default: 20s, ttl_max: 60s}
  - {name: longer, prefix: "short:longer:", ttl_max: 100s}
"""  # as the scripts expect it
# By which play.py looks on; whose datagrams are trusted, since it has a list.
OBSERVED = ('  - {kind: socket, listen: "0.0.0.0:11212", %sallow: [127.0.0.0/8, '
            '198.18.0.0/24]}\n')
NOT_PLAYED = {"stats.script": "tells the pid, the clock and the figures of the rig in the process",
              "classes_rate.script": "a second may be over in the midst of it",
              "classes_rate_binary.script": "likewise"}
FIRST = "binary.script"  # counts cas uniques from a new server's first


def scripts_by_password():
    """Those that begin with the same login> play against the same server."""
    found = {}
    for path in sorted(SCRIPTS.glob("*.script"), key=lambda path: (path.name != FIRST, path.name)):
        if path.name not in NOT_PLAYED:
            found.setdefault(play.password_of(path), []).append(str(path))
    return found


class Hardening(unittest.TestCase):
    def play(self, kind):
        print(f"\n{self.id()}")
        for password, scripts in scripts_by_password().items():
            with tempfile.NamedTemporaryFile("w", prefix="kante-e2e-") as users:
                head, observed = HEAD, OBSERVED % ("" if password else "udp: 11212, ")
                if password:
                    hashed = rig.run("openssl", "passwd", "-6", password.decode()).stdout
                    users.write(f"user:{hashed}")
                    users.flush()
                    head += f"auth_file: {users.name}\n"
                with rig.served(kind, head, observed, udp=not password) as served:
                    played = served.client.run(
                        rig.PYTHON, str(HERE / "play.py"), served.address, served.host_address,
                        *scripts, check=False)
                    print(played.stdout, end="")
                    self.assertEqual(played.returncode, 0, played.stdout + played.stderr)
        for name, reason in NOT_PLAYED.items():
            print(f"skip {name}: {reason}")

    def test_socket(self):
        self.play("socket")

    def test_tap(self):
        self.play("tap")

    def test_memif(self):
        self.play("memif")

    def test_xdp(self):
        self.play("xdp")


if __name__ == "__main__":
    unittest.main(verbosity=2)
