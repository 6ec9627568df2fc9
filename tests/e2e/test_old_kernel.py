# SPDX-License-Identifier: Apache-2.0
"""The XDP program in Debian's kernel, which may be older than the one that is here: its verifier
takes the program without a complaint, and what becomes of frames is the same."""
import re
import unittest

import rig
import vm

TESTS = ("unit-xdp_verdicts", "unit-xdp_frames", "unit-xdp_random")
TEST_SECONDS = 60


class OldKernel(unittest.TestCase):
    def test_the_xdp_program_is_verified_and_right(self):
        said = {}
        with vm.BareMachine([rig.BUILD / "tests" / name for name in TESTS]) as machine:
            for name in TESTS:
                with self.subTest(name):
                    status, said[name] = machine.run(name, check=False, seconds=TEST_SECONDS)
                    self.assertEqual(status, 0, said[name])  # not 77, either
            self.assertEqual(machine.power_off(), 0)
        print("", *re.findall("Linux .*", said["unit-xdp_verdicts"]), sep="\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
