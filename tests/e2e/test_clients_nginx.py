# SPDX-License-Identifier: Apache-2.0
"""nginx's memcached module (Debian's nginx): a page is the value whose key is its address. It takes
nothing but `VALUE key flags bytes`, the value and `END`."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

import pymemcache

import rig as end_to_end
import test_clients_server as rig

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
CONFIGURATION = """daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream cache {{
        server {server};
        keepalive 4;
    }}
    server {{
        listen {address}:{port};
        location / {{
            set $memcached_key $uri;
            memcached_pass cache;
            memcached_read_timeout 10s;
            default_type text/plain;
        }}
    }}
}}
"""


@unittest.skipUnless(NGINX, "nginx is not installed: package nginx")
class Nginx(rig.ServedTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.port = rig.free_port()
        path = cls.folder / "nginx.conf"
        path.write_text(CONFIGURATION.format(folder=folder.name, server=cls.server.name,
                                             address=rig.ADDRESS, port=cls.port))
        cls.nginx = subprocess.Popen((NGINX, "-e", str(cls.folder / "error.log"), "-c", str(path)),
                                     stderr=subprocess.DEVNULL)
        cls.addClassCleanup(end_to_end.kill, cls.nginx)
        end_to_end.wait_until(cls.answers, 10, "nginx answers")
        cls.client = pymemcache.Client((rig.ADDRESS, cls.server.port), timeout=rig.SECONDS,
                                       default_noreply=False)
        cls.addClassCleanup(cls.client.close)

    @classmethod
    def answers(cls):
        try:
            cls.get("/")
        except OSError:
            return False
        return True

    @classmethod
    def get(cls, path):
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://{rig.ADDRESS}:{cls.port}{path}",
                                        timeout=rig.SECONDS) as page:
                return page.status, page.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    def log(self):
        return (self.folder / "error.log").read_text()

    def test_a_page_is_its_value(self):
        for path, value in (("/page", b"hello"), ("/empty", b""), ("/odd", b"\r\nEND\r\n\0"),
                            ("/million", bytes(range(250)) * 4000)):
            self.client.set(path, value)
            for _ in range(3):  # the connection to the server is kept
                self.assertEqual(self.get(path), (200, value), self.log())

    def test_a_miss_is_not_found(self):
        for _ in range(3):
            self.assertEqual(self.get("/missing")[0], 404, self.log())

    def test_connections_to_the_server_are_kept(self):
        self.client.set("/kept", b"x")
        before = self.client.stats()[b"total_connections"]
        for _ in range(20):
            self.assertEqual(self.get("/kept"), (200, b"x"), self.log())
        self.assertLessEqual(self.client.stats()[b"total_connections"] - before, 1)

    def test_a_key_that_has_a_space_is_escaped(self):
        self.client.set("/a%20b", b"x")
        self.assertEqual(self.get("/a%20b"), (200, b"x"), self.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
