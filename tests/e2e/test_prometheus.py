# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus reads the metrics over mutual TLS, and knows what the clients have asked."""
import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.parse

import control
import rig

REQUESTS = 5000

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: kante
    scheme: https
    tls_config:
      ca_file: {admin}/ca.crt
      cert_file: {admin}/clients/admin.crt
      key_file: {admin}/clients/admin.key
      server_name: localhost
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """A Prometheus in the node's namespace; use as a context."""

    def __init__(self, node):
        self.namespace = node.namespace
        self.folder = tempfile.TemporaryDirectory(prefix="kante-e2e-")
        config = pathlib.Path(self.folder.name) / "prometheus.yml"
        config.write_text(CONFIG.format(admin=node.admin, port=control.PORT))
        self.log = open(f"{self.folder.name}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            self.namespace.command("prometheus", f"--config.file={config}",
                                   f"--storage.tsdb.path={self.folder.name}/data",
                                   "--web.listen-address=127.0.0.1:9090"),
            stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        rig.kill(self.process)
        self.log.close()
        self.folder.cleanup()

    def query(self, expression):
        """The one value of an expression; None: there is none yet."""
        where = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with rig.socket_in(self.namespace) as client:
                client.settimeout(10)
                client.connect(("127.0.0.1", 9090))
                client.sendall(f"GET {where} HTTP/1.0\r\n\r\n".encode())
                reply = b"".join(iter(lambda: client.recv(65536), b""))
        except ConnectionRefusedError:
            return None
        if not reply.startswith(b"HTTP/1.0 200 "):
            return None  # it is not ready yet
        result = json.loads(reply.split(b"\r\n\r\n", 1)[1])["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, expression, value):
        rig.wait_until(lambda: self.query(expression) == value, 60,
                       f"{expression} is {value}, and not {self.query(expression)}")


class Metrics(unittest.TestCase):
    def test_promtool_is_content(self):
        with rig.namespaces(1) as (host,), control.Node(host, "workers: 2\n") as node:
            rig.talk(host, "127.0.0.1", "set k 0 0 1\r\nx\r\n" + "get k\r\n" * 10)
            text = node.local().get("/metrics").body
            checked = rig.run("promtool", "check", "metrics", input=text.decode(), check=False)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_a_query_gives_the_number_of_requests(self):
        classes = 'classes: [{name: sessions, prefix: "s:"}]\n'
        with rig.namespaces(1) as (host,), control.Node(host, "workers: 2\n" + classes) as node:
            with Prometheus(node) as prometheus:
                prometheus.wait_for("kante_up", 1)
                rig.talk(host, "127.0.0.1", "set k 0 0 1\r\nx\r\n" + "get s:k\r\n" * REQUESTS)
                prometheus.wait_for("sum(kante_shard_cmd_get_total)", REQUESTS)
                prometheus.wait_for('sum(kante_class_cmd_get_total{class="sessions"})', REQUESTS)
                prometheus.wait_for('sum(kante_latency_seconds_count{command="get"})', REQUESTS)
                prometheus.wait_for('sum(kante_latency_seconds_count{command="set"})', 1)
                slow = prometheus.query("histogram_quantile(0.99, "
                                        "sum by (le) (kante_latency_seconds_bucket))")
                self.assertTrue(0 < slow < 67, slow)
                self.assertEqual(prometheus.query('up{job="kante"}'), 1)


if __name__ == "__main__":
    unittest.main()
