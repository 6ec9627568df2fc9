# SPDX-License-Identifier: Apache-2.0
"""What kanted does when it has become the config's `user`: what is read again, control processes, the
items that outlive it; and what is said where that cannot be."""
import os
import pathlib
import signal
import tempfile
import unittest

import control
import rig
from users import GROUP, HEAD, UID, USER, UserTest


class Afterwards(UserTest):
    def node(self, host, extra="", ports=control.PORTS):
        return control.Node(host, extra, ports=ports, user=USER)

    def is_ready(self, node):
        try:
            return node.local().get("/readyz").status == 200
        except (ConnectionRefusedError, FileNotFoundError):
            return False

    def test_the_control_process_is_the_users_and_so_is_what_it_makes(self):
        with self.host() as host, self.node(host) as node:
            self.has_no_privilege(node.kanted_pid())
            self.has_no_privilege(node.control_pid())
            self.assertIn(f"runs as {USER} (uid {UID}), with no privilege", node.log())
            for path in (node.admin, node.socket_path.parent, node.socket_path,
                         *node.admin.rglob("*")):
                self.assertEqual((path.stat().st_uid, path.stat().st_gid), (UID, UID), path)
            self.assertEqual(node.admin.stat().st_mode & 0o777, 0o700)
            self.assertEqual(node.as_admin().get("/v1/status").status, 200)
            before = node.control_pid()
            os.kill(before, signal.SIGKILL)
            rig.wait_until(lambda: node.control_pid() not in (None, before), 10, "it runs again")
            rig.wait_until(lambda: self.is_ready(node), 10, "it serves again")
            self.has_no_privilege(node.control_pid())
            self.assertEqual(node.stop(signal.SIGTERM), 0, node.log())
            self.assertFalse(node.socket_path.exists())

    def test_config_and_users_are_read_again(self):
        with self.host() as host, tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            users = pathlib.Path(folder) / "users"
            users.write_text("anna:$6$x$" + "a" * 86 + "\n")
            with self.node(host, f"auth_file: {users}\n") as node:
                node.path.write_text("eviction: lru\n" + node.path.read_text())
                node.process.send_signal(signal.SIGHUP)
                node.log_has("eviction: lru from now on, s3fifo before")
                users.write_text("bert:$6$x$" + "a" * 86 + "\n")
                node.log_has("users: read again: 1 users")
                self.assertEqual(node.stop(), 0)

    def test_the_config_is_changed_where_it_is_the_users(self):
        with self.host() as host, self.node(host) as node:
            def change(value):
                return node.local().ask("PUT", "/v1/config/eviction", {"value": value})

            refused = change("lru")
            self.assertEqual(refused.status, 503, refused.body)
            self.assertIn("not written, it is as it was: no permission: kanted's user has to own "
                          "it and its folder (chown)", refused.error)
            os.chown(node.path, UID, UID)
            os.chown(node.path.parent, UID, UID)
            self.assertEqual(change("lru").json["after"], "lru")
            self.assertIn("eviction: lru\n", node.path.read_text())
            self.assertEqual((node.path.stat().st_uid, node.path.stat().st_mode & 0o777),
                             (UID, 0o644))

    def test_items_outlive_a_restart_and_sockets_do_not(self):
        with self.host() as host, tempfile.TemporaryDirectory() as folder, \
                tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
            os.chown(folder, UID, UID)
            # the place of the items is anybody's, so the kernel keeps even root from some
            os.chmod(shm, 0o1777)
            config = HEAD + (f"memory_file: {shm}/items\nports:\n"
                             f"  - {{kind: socket, listen: {folder}/socket}}\n")
            for expected in ("END\n", "VALUE a 0 1\nb\nEND\n", "VALUE a 0 1\nb\nEND\n"):
                with rig.Kanted(config, host) as kanted:
                    self.assertEqual(os.stat(f"{folder}/socket").st_uid, UID)
                    self.assertEqual(os.stat(f"{shm}/items").st_uid, UID)
                    said = rig.run("nc", "-N", "-U", f"{folder}/socket",
                                   input="get a\r\nset a 0 0 1\r\nb\r\nquit\r\n").stdout
                    self.assertEqual(said, expected + "STORED\n")
                    self.assertEqual(kanted.stop(), 0, kanted.log())
                self.assertFalse(os.path.exists(f"{folder}/socket"))

    def test_it_can_be_started_as_the_user(self):
        with self.host() as host, rig.Kanted(HEAD + control.PORTS, AsUser(host)) as kanted:
            self.has_no_privilege(kanted.process.pid)
            self.assertEqual(kanted.stop(), 0)


class AsUser:
    """As rig.Namespace: whatever is run there is run by the user."""

    def __init__(self, host, *options):
        self.host = host
        self.options = options or ("--bounding-set=-all",)

    def command(self, *command):
        return self.host.command("setpriv", f"--reuid={UID}", f"--regid={UID}",
                                 f"--groups={UID},{GROUP}", *self.options, *command)


class Refusals(UserTest):
    def refused(self, config, *fragments, where=None):
        """kanted does not start, and says why in one line."""
        with self.host() as host:
            kanted = rig.Kanted(config, host if where is None else where(host))
            try:
                self.assertEqual(kanted.process.wait(rig.START_SECONDS), 1, kanted.log())
                for fragment in fragments:
                    self.assertIn(fragment, kanted.log())
                self.assertEqual(len(kanted.log().splitlines()), 1, kanted.log())
            finally:
                kanted.end()

    def test_who_cannot_be_become_is_named(self):
        self.refused("user: nobody-here\n" + control.PORTS,
                     "user: there is no nobody-here on this machine: make it (useradd --system")
        self.refused("user: root\n" + control.PORTS, "user: root is root: name one who is not")
        self.refused("user: daemon\n" + control.PORTS,
                     f"user: kanted was started as uid {UID}, who cannot become daemon: start it "
                     "as root or as daemon", where=AsUser)
        self.refused(HEAD + control.PORTS, "but with capabilities", where=lambda host: AsUser(
            host, "--inh-caps=+net_raw", "--ambient-caps=+net_raw"))

    def test_what_the_user_cannot_do_later_is_said_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            users = pathlib.Path(folder) / "users"
            users.write_text("anna:$6$x$" + "a" * 86 + "\n")
            users.chmod(0o600)
            socket = f"ports: [{{kind: socket, listen: {folder}/socket}}]\n"
            self.refused(HEAD + f"auth_file: {users}\n" + control.PORTS,
                         f"user: {USER} may not read {users} (Permission denied): it is read "
                         "again while kanted runs: chgrp it")
            self.refused(HEAD + socket, f"user: {USER} may not write to {folder} (Permission "
                         "denied): a socket there is to be removed at the end: chown the folder")
            admin = f"admin: {{directory: {folder}/admin, socket: {folder}/admin.sock}}\n"
            os.mkdir(f"{folder}/admin", 0o700)
            self.refused(HEAD + admin + control.PORTS, f"may not write to {folder}/admin (",
                         "admin.directory is to be his with all that is in it: chown -R")
            os.chown(f"{folder}/admin", UID, UID)
            self.refused(HEAD + admin + control.PORTS, f"may not write to {folder} (")
            self.refused(HEAD + control.PORTS + f"admin: {{directory: {folder}/no/admin}}\n",
                         f"admin.directory: the folder {folder}/no/admin cannot be made: No such "
                         "file or directory: make it for")

    def test_a_config_that_the_user_cannot_read(self):
        with self.host() as host:
            umask = os.umask(0o077)
            try:
                kanted = rig.Kanted(HEAD + control.PORTS, host)
            finally:
                os.umask(umask)
            try:
                self.assertEqual(kanted.process.wait(rig.START_SECONDS), 1, kanted.log())
                self.assertIn(f"user: {USER} may not read {kanted.path} (Permission denied): it "
                              "is read again while kanted runs", kanted.log())
            finally:
                kanted.end()


if __name__ == "__main__":
    unittest.main()
