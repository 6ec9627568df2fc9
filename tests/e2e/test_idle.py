# SPDX-License-Identifier: Apache-2.0
"""A worker that has nothing to do sleeps, wakes in time, and says how busy it was."""
import time
import unittest

import rig

IDLE_SECONDS = 3
LATE_SECONDS = 1  # more than any machine makes a reply wait, much less than a lost one


class Idle(unittest.TestCase):
    def test_an_idle_worker_sleeps_and_wakes(self):
        with rig.served("xdp", "idle_sleep_max: 20ms\n") as served:
            time.sleep(1)  # what starts and joins the network is over
            before = rig.cpu_seconds(served.kanted.process)
            time.sleep(IDLE_SECONDS)
            self.assertLess(rig.cpu_seconds(served.kanted.process) - before, 0.05 * IDLE_SECONDS)
            start = time.monotonic()
            self.assertIn("VERSION", rig.talk(served.client, served.address,
                                              "version\r\nquit\r\n"))
            self.assertLess(time.monotonic() - start, LATE_SECONDS)

    def test_what_says_zero_polls(self):
        with rig.served("memif", "idle_sleep_max: 0\n") as served:
            before = rig.cpu_seconds(served.kanted.process)
            time.sleep(IDLE_SECONDS)
            self.assertGreater(rig.cpu_seconds(served.kanted.process) - before, 0.3 * IDLE_SECONDS)

    def test_busy_is_the_time_of_turns_that_found_something(self):
        with rig.served("xdp") as served:
            busy = [rig.stats(served.client, served.address)["worker:busy_us"]]
            time.sleep(IDLE_SECONDS)
            busy.append(rig.stats(served.client, served.address)["worker:busy_us"])
            rig.load(served.client, served.address, "--seconds", str(IDLE_SECONDS))
            busy.append(rig.stats(served.client, served.address)["worker:busy_us"])
            idle, loaded = busy[1] - busy[0], busy[2] - busy[1]
            self.assertLess(idle, 0.05e6 * IDLE_SECONDS)
            self.assertGreater(loaded, 0.05e6 * IDLE_SECONDS)
            self.assertLess(loaded, 1.1e6 * (IDLE_SECONDS + 1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
