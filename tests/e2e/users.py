# SPDX-License-Identifier: Apache-2.0
"""What tests share in which kanted becomes another user, whom only its namespace has."""
import contextlib
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

import rig

USER, UID, GROUP = "kante-e2e", 29871, 29872
HEAD = f"user: {USER}\n"


class UserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # the user may be kept out of wherever the build is
        cls.programs = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory(prefix="kante-e2e-")))
        cls.programs.chmod(0o755)
        for name in ("kanted", "kante-control"):
            shutil.copy(rig.BUILD / name, cls.programs)
        cls.enterClassContext(mock.patch.object(rig, "KANTED", str(cls.programs / "kanted")))

    @contextlib.contextmanager
    def host(self):
        with rig.namespaces(1) as (host,):
            host.add_user(USER, UID, GROUP)
            yield host

    def has_no_privilege(self, pid):
        for thread in rig.threads(pid):
            status = dict(line.split(":\t", 1) for line in
                          (thread / "status").read_text().splitlines() if ":\t" in line)
            name = status["Name"]
            self.assertEqual(status["Uid"].split(), [str(UID)] * 4, name)
            self.assertEqual(status["Gid"].split(), [str(UID)] * 4, name)
            self.assertEqual(status["Groups"].split(), [str(UID), str(GROUP)], name)
            for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[field], 16), 0, (name, field))
            self.assertEqual(status["NoNewPrivs"], "1", name)
        # what leaves no core is root's in /proc
        self.assertEqual(pathlib.Path(f"/proc/{pid}/maps").stat().st_uid, 0)
