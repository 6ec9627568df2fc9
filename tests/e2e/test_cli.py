# SPDX-License-Identifier: Apache-2.0
"""`kante` against a real node: each command right and wrong, for whom it is and for whom not."""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import subprocess
import time
import unittest

import cli
import control
import rig

SECRET = b"s" * 64
HASH = rig.run("openssl", "passwd", "-6", "password").stdout.strip()
ROLES = ["viewer", "operator", "admin"]
# what each command asks for, with arguments that change nothing
COMMANDS = {
    ("status",): "viewer",
    ("stats",): "viewer",
    ("whoami",): "viewer",
    ("hot",): "operator",
    ("big",): "operator",
    ("hist",): "viewer",
    ("watch", "--kinds", "nothing"): "operator",
    ("capture", "--port", "nobody", "--out", "-"): "admin",
    ("top", "--once", "--interval", "1"): "viewer",
    ("purge", "prefix", "no blanks"): "operator",
    ("purge", "class", "nobody"): "operator",
    ("class", "list"): "viewer",
    ("block", "list"): "viewer",
    ("block", "add", "nonsense"): "operator",
    ("block", "remove", "nonsense"): "operator",
    ("key", "list"): "admin",
    ("key", "create", "x" * 65, "viewer"): "admin",
    ("key", "revoke", "not-there"): "admin",
    ("config", "get"): "viewer",
    ("config", "diff"): "viewer",
    ("config", "check"): "viewer",
    ("config", "set", "eviction", "nothing"): "admin",
    ("config", "reload"): "admin",
    ("audit", "log"): "admin",
    ("audit", "verify"): "admin",
    ("audit", "report", "--standard", "sox"): "admin",
    ("cert", "list"): "admin",
    ("cert", "issue", "two words", "viewer", "--out", "/dev/shm"): "admin",
    ("cert", "revoke", "not-there"): "admin",
    ("cert", "renew"): "admin",
    ("token", "list"): "admin",
    ("token", "revoke", "x" * 128): "admin",
    ("user", "list"): "admin",
    ("user", "set", "a:b"): "admin",
    ("user", "remove", "not-there"): "admin",
}


def token(jti):
    """A JSON Web Token that the node takes."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    now = int(time.time())
    head = part(json.dumps({"alg": "HS256", "kid": "k"}).encode())
    body = part(json.dumps({"iss": "i", "aud": "kante", "sub": "eve", "role": "viewer", "iat": now,
                            "exp": now + 600, "jti": jti}).encode())
    sign = part(hmac.new(SECRET, head + b"." + body, hashlib.sha256).digest())
    return (head + b"." + body + b"." + sign).decode()


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = control.contextlib.ExitStack()
        (cls.host,) = cls.stack.enter_context(rig.namespaces(1))
        cls.folder = pathlib.Path(cls.stack.enter_context(cli.folder()))
        users = cls.write("users", f"ada:{HASH}\n")
        secret = cls.write("secret", SECRET.decode())
        cls.node = cls.stack.enter_context(control.Node(
            cls.host, extra=f"workers: 2\nauth_file: {users}\n",
            admin="listen: [127.0.0.1]\n  tokens: {issuer: i, audience: kante, "
                  f"keys: [{{id: k, algorithm: HS256, file: {secret}}}]}}"))
        for role in ROLES:
            cls.write(role, cls.node.key(role))

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    @classmethod
    def write(cls, name, text, mode=0o600):
        path = cls.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def kante(self, *words, status=0, **options):
        """By the node's socket, as root."""
        environment = {"KANTE_NODE": str(self.node.socket_path)} | options.pop("environment", {})
        done = cli.kante(*words, environment=environment, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def https(self, *words, status=0, node="https://localhost", ca=True, **options):
        """By HTTPS, in the node's namespace."""
        environment = {"KANTE_NODE": node} | options.pop("environment", {})
        if ca:
            environment["KANTE_CA"] = str(self.node.admin / "ca.crt")
        done = cli.kante(*words, within=self.host.command(), environment=environment, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def test_status_says_what_the_node_is(self):
        shown = self.kante("status").stdout
        for line in (r"^version +\d", r"^config +/.*kante\.yaml$", r"^uptime +\S",
                     r"^workers +2$", r"^memory +64 MiB$", r"^hit ratio +\S",
                     r"^port +socket 127\.0\.0\.1:11211: hot keys by workers \(only a port"):
            self.assertRegex(shown, re.compile(line, re.M))
        status = json.loads(self.kante("status", "--json").stdout)
        self.assertEqual(status["pid"], self.node.kanted_pid())
        self.assertEqual(status["memory_bytes"], 64 << 20)

    def test_stats_are_summed_up_filtered_and_kept_apart(self):
        gets = "".join(f"get key{i}\r\n" for i in range(20))
        rig.talk(self.host, "127.0.0.1", f"set login 0 0 12\r\nada password\r\n{gets}quit\r\n")
        shown = self.kante("stats", "shard:cmd_get").stdout.splitlines()
        self.assertRegex(shown[0], r"^NAME +VALUE +UNIT +MEANING$")
        self.assertEqual(len(shown), 2)
        total = int(shown[1].split()[1])
        self.assertGreaterEqual(total, 20)
        apart = self.kante("stats", "cmd_get", "--by", "worker").stdout.splitlines()
        self.assertRegex(apart[0], r"^NAME +WORKER +VALUE")
        self.assertEqual([line.split()[1] for line in apart[1:]], ["0", "1"])
        self.assertEqual(sum(int(line.split()[2]) for line in apart[1:]), total)
        ports = self.kante("stats", "socket", "--by", "port").stdout.splitlines()
        self.assertRegex(ports[0], r"^NAME +PORT +VALUE")
        self.assertGreater(len(ports), 5)
        every = self.kante("stats").stdout.splitlines()
        self.assertGreater(len(every), 150)
        names = [line.split()[0] for line in every[1:]]
        self.assertEqual(names, sorted(set(names)))
        counters = json.loads(self.kante("stats", "--json", "store:curr_*").stdout)["counters"]
        self.assertEqual({counter["module"] for counter in counters}, {"store"})
        self.assertTrue(all(counter["name"].startswith("curr_") for counter in counters))
        self.assertEqual(len(json.loads(self.kante("stats", "--json").stdout)["counters"]),
                         len(self.node.local().get("/v1/counters").json["counters"]))
        self.assertIn("no counter is like nothing", self.kante("stats", "nothing", status=1).stderr)
        self.assertIn("none of worker|port", self.kante("stats", "--by", "core", status=3).stderr)

    def test_whoami_tells_each_way_in(self):
        self.assertRegex(self.kante("whoami").stdout, r"credential +socket\n")
        viewer = self.folder / "viewer"
        who = json.loads(self.kante("whoami", "--json", "--token-file", viewer).stdout)
        self.assertEqual((who["name"], who["role"], who["credential"]),
                         ("a viewer", "viewer", "key"))
        clients = self.node.admin / "clients"
        shown = self.https("whoami", "--cert", clients / "admin.crt", "--key",
                           clients / "admin.key")
        self.assertRegex(shown.stdout, r"name +CN=admin,OU=kante-role:admin\nrole +admin\n")
        operator = str(self.folder / "operator")
        shown = self.https("whoami", environment={"KANTE_TOKEN_FILE": operator})
        self.assertRegex(shown.stdout, r"role +operator\n")
        self.https("--json", "--token-file", self.folder / "viewer", "whoami",
                   node="https://127.0.0.1:11280")

    def test_each_command_is_for_its_role_and_those_above_it(self):
        for words, needed in COMMANDS.items():
            for role in ROLES:
                with self.subTest(f"{role}: {' '.join(words)}"):
                    done = cli.kante(*words, "--node", self.node.socket_path, "--token-file",
                                     self.folder / role, input="password\n")
                    if ROLES.index(role) >= ROLES.index(needed):
                        self.assertNotIn("this needs", done.stderr)
                    else:
                        self.assertEqual(done.returncode, 1)
                        self.assertIn(f"has the role {role}, this needs {needed}: ask with a "
                                      f"credential that has the role {needed}", done.stderr)
                        self.assertEqual(done.stdout, "")
            help_text = cli.kante(*words[:2], "--help").stdout
            self.assertIn(f"Needs the role {needed}.", help_text)

    def test_a_key_is_made_listed_used_and_revoked(self):
        done = self.kante("key", "create", "a life", "operator", "--expires", "30d")
        self.assertRegex(done.stdout, r"^kante_\w{10}_\w{43}\n$")
        self.assertIn("shown this once", done.stderr)
        key = self.write("life", done.stdout)
        self.assertRegex(self.kante("whoami", "--token-file", key).stdout, r"name +a life\n")
        row = next(line for line in self.kante("key", "list").stdout.splitlines()
                   if " a life " in line)
        self.assertRegex(row, r"^\w{10}  a life +operator +good +\S+Z +\S+Z +uid 0 \(root\)$")
        self.assertNotIn(done.stdout.strip().split("_")[2], row)
        key_id = row.split()[0]
        self.assertEqual(self.kante("key", "revoke", key_id).stdout, f"{key_id} is revoked\n")
        refused = self.kante("whoami", "--token-file", key, status=1).stderr
        self.assertIn("the node does not let you in: the API key was revoked", refused)
        self.assertIn("(--cert and --key, or --token-file)", refused)
        self.kante("key", "revoke", key_id, status=1)

    def test_keys_that_make_no_sense_are_refused(self):
        made = json.loads(self.kante("key", "create", "as json", "viewer", "--json").stdout)
        self.assertEqual(set(made), {"id", "name", "role", "key"})
        for words, status, fragment in (
                (("as json", "viewer"), 1, "has that name"),
                (("x", "root"), 3, '"root" is none of viewer|operator|admin'),
                (("x",), 3, "an argument is missing"),
                (("x", "viewer", "--expires", "tomorrow"), 3, "write 30d, 12h, 2027-01-31"),
                (("x", "viewer", "--expires", "2001-01-01"), 3, "no time to come"),
                (("x", "viewer", "--expires", "99999999999999999d"), 3, "no time to come"),
                (("", "viewer"), 3, "an argument is empty"),
                ((b"\xff", "viewer"), 3, "not UTF-8")):
            with self.subTest(words):
                done = subprocess.run([cli.KANTE, "key", "create", "--node",
                                       str(self.node.socket_path), *words], capture_output=True,
                                      env=cli.CLEAN, timeout=30)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(fragment, done.stderr.decode())
        for key_id in ("not-there", "a/b", "..", "%2e%2e", "a?b=c"):
            with self.subTest(key_id):
                self.assertTrue(self.kante("key", "revoke", key_id, status=1).stderr)

    def test_a_name_from_elsewhere_does_no_harm_to_the_terminal(self):
        self.kante("key", "create", "größe 漢字", "viewer")
        shown = self.kante("key", "list").stdout.splitlines()
        row = next(line for line in shown if "größe" in line)
        self.assertEqual(row.index("viewer") + 2, shown[0].index("ROLE"))

    def test_what_is_wrong_with_the_way_to_a_node_is_told(self):
        missing = self.folder / "missing.sock"
        stale = self.folder / "stale.sock"
        rig.run("/usr/bin/python3", "-c",
                f"import socket; socket.socket(socket.AF_UNIX).bind({str(stale)!r})")
        for node, fragment in (
                (missing, "no node here"), (f"{missing}/x", "no node here"),
                (stale, "Connection refused: nothing listens there"),
                (self.folder, "nothing listens there"),
                ("https://no-such-host.invalid", "no such host: check --node")):
            with self.subTest(node):
                done = self.kante("status", "--node", node, status=2)
                self.assertIn(fragment, done.stderr)
        for node in ("localhost", "http://localhost", "https://", "https://localhost/x",
                     "https://me:secret@localhost", "https://localhost?x", "ftp://x", "",
                     "/" * 200):
            with self.subTest(node):
                done = self.kante("status", "--node", node, status=3)
                self.assertIn("--node" if len(node) == 200 else "https://HOST[:PORT]", done.stderr)
                self.assertEqual(done.stdout, "")
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        done = self.kante("status", within=nobody, status=2)
        self.assertIn("permission denied: run this as root", done.stderr)
        for node, fragment in (("https://localhost:1", "connection refused"),
                               ("https://localhost:11211", "TLS does not come about"),
                               ("https://198.51.100.1", "check the address")):
            with self.subTest(node):
                self.assertIn(fragment, self.https("status", node=node, status=2).stderr)

    def test_what_is_wrong_with_who_asks_is_told(self):
        self.assertIn("signed by a CA that is not known: give that CA's by --ca",
                      self.https("status", ca=False, status=2).stderr)
        self.assertIn("no credential", self.https("status", status=1).stderr)
        clients = self.node.admin / "clients"
        open_to_all = self.write("open", "kante_x", 0o644)
        two = self.write("two", "kante_a kante_b\n")
        for words, fragment in (
                (("--key", clients / "admin.key"), "--key without its --cert"),
                (("--cert", self.folder / "no"), "No such file or directory: check --cert"),
                (("--cert", clients / "admin.crt", "--key", self.folder / "viewer"),
                 "--cert and --key do not go together"),
                (("--ca", self.folder / "viewer"), "--ca is no file of certificates"),
                (("--ca", self.folder / "no"), "No such file or directory: check --ca"),
                (("--token-file", self.folder / "no"), "there is no such file"),
                (("--token-file", self.folder), "not a regular file"),
                (("--token-file", open_to_all), "a secret that others may read"),
                (("--token-file", two), "one is a single word"),
                (("--token-file", self.write("none", "\n")), "one is a single word"),
                (("--timeout", "0"), "write 5s or 2min"),
                (("--timeout", "soon"), "write 5s or 2min")):
            with self.subTest(words):
                self.assertIn(fragment, self.https("status", *words, status=3).stderr)
        wrong = self.write("wrong", "kante_" + "a" * 53)
        self.assertIn("no such API key",
                      self.https("status", "--token-file", wrong, status=1).stderr)

    def test_a_certificate_lets_in_until_it_is_revoked(self):
        out = self.folder / "out"
        out.mkdir()
        done = self.kante("cert", "issue", "ops", "operator", "--days", "30", "--out", out)
        self.assertEqual(done.stdout, f"{out}/ops.crt\n{out}/ops.key\n")
        words = ("whoami", "--cert", out / "ops.crt", "--key", out / "ops.key")
        self.assertRegex(self.https(*words).stdout, r"role +operator\ncredential +certificate\n")
        row = next(line for line in self.kante("cert", "list").stdout.splitlines()
                   if " ops " in line)
        self.assertRegex(row, r"^[0-9A-F]{32}  ops +operator +good +\S+Z$")
        (out / "ops.crt").rename(out / "first.crt")
        (out / "ops.key").rename(out / "first.key")
        done = self.kante("cert", "issue", "ops", "operator", "--out", out, status=1)
        self.assertIn("that one is good still", done.stderr)
        serial = row.split()[0]
        self.assertEqual(self.kante("cert", "revoke", serial).stdout, f"{serial} is revoked\n")
        done = self.https("whoami", "--cert", out / "first.crt", "--key", out / "first.key",
                          status=2)
        self.assertRegex(done.stderr, "the node has closed the connection .*, was revoked")
        self.assertIn("revoked already", self.kante("cert", "revoke", serial, status=1).stderr)
        self.assertIn("no certificate", self.kante("cert", "revoke", "x", status=1).stderr)
        self.assertIn("cannot be a file's", self.kante(
            "cert", "issue", "two words", "viewer", "--out", out, status=1).stderr)
        self.kante("cert", "renew")
        self.https("whoami", "--token-file", self.folder / "viewer")

    def test_a_token_lets_in_until_it_is_revoked(self):
        file = self.write("token", token("t/1") + "\n")
        shown = self.https("whoami", "--token-file", file).stdout
        self.assertRegex(shown, r"name +eve\nrole +viewer\ncredential +token\nid +t/1\n")
        self.assertEqual(self.kante("token", "revoke", "t/1").stdout, "t/1 is revoked\n")
        self.assertIn("revoked", self.https("whoami", "--token-file", file, status=1).stderr)
        self.assertRegex(self.kante("token", "list").stdout, re.compile(r"^t/1 +\S+Z +", re.M))
        self.kante("token", "revoke", "t/1", status=1)

    def test_users_are_made_changed_and_removed(self):
        self.kante("user", "set", "berta", input="a password\n")
        self.assertEqual(self.kante("user", "list").stdout, "NAME\nada\nberta\n")
        self.kante("user", "set", "berta", input="another\n")
        self.assertEqual(self.kante("user", "remove", "berta").stdout, "berta is removed\n")
        self.kante("user", "remove", "berta", status=1)
        self.assertIn("no space, colon",
                      self.kante("user", "set", "a:b", input="x\n", status=1).stderr)
        self.assertEqual(self.kante("user", "list").stdout, "NAME\nada\n")

    def test_a_setting_is_looked_at_and_changed(self):
        shown = self.kante("config", "get").stdout
        self.assertRegex(shown, r"^NAME +VALUE +A CHANGE COUNTS\n")
        self.assertRegex(shown, re.compile(r"^workers +2 +next start$", re.M))
        self.assertRegex(shown, re.compile(r"^eviction +s3fifo +at once$", re.M))
        self.assertEqual(self.kante("config", "get", "eviction").stdout, "s3fifo\n")
        memory = json.loads(self.kante("config", "get", "memory", "--json").stdout)
        self.assertEqual(memory["value"], "64MiB")
        self.assertIn("no", self.kante("config", "get", "nothing", status=1).stderr)
        self.assertEqual(self.kante("config", "set", "eviction", "lru").stdout,
                         "eviction: s3fifo -> lru: it counts now\n")
        self.assertEqual(self.kante("config", "get", "eviction").stdout, "lru\n")
        done = self.kante("config", "set", "eviction", "best", status=1)
        self.assertIn('"best" is not known: write s3fifo', done.stderr)
        self.assertRegex(self.kante("config", "set", "eviction", "--default").stdout,
                         "^eviction: lru -> .*: it counts now\n$")
        self.assertEqual(self.kante("config", "get", "eviction").stdout, "s3fifo\n")
        for words in (("eviction",), ("eviction", "lru", "--default")):
            self.assertIn("give a value, or --default",
                          self.kante("config", "set", *words, status=3).stderr)

    def test_a_file_that_was_changed_is_compared_and_read_again(self):
        before = self.node.path.read_text()
        self.assertIn("no differences", self.kante("config", "diff").stderr)
        self.node.path.write_text(before + "eviction: ttl\nmemory: 128MiB\n")
        try:
            for words in (("config", "diff"), ("config", "check"),
                          ("config", "check", self.node.path)):
                shown = self.kante(*words).stdout
                self.assertRegex(shown, re.compile("^eviction +s3fifo +ttl +at once$", re.M))
                self.assertRegex(shown, re.compile("^memory +64MiB +128MiB +next start$", re.M))
            shown = self.kante("config", "reload").stdout
            self.assertRegex(shown, r"counts now +eviction\n.*next start +memory\n")
            self.node.path.write_text(before + "memory: 1\n")
            for words in (("config", "diff"), ("config", "check"), ("config", "reload"),
                          ("config", "check", self.node.path)):
                done = self.kante(*words, status=1)
                self.assertRegex(done.stderr, r"kante\.yaml:\d+: memory: ")
                self.assertEqual(done.stdout, "")
        finally:
            self.node.path.write_text(before)
            self.kante("config", "reload")

    def test_a_config_is_checked_without_a_node(self):
        good = self.write("good.yaml", "memory: 8MiB\n" + control.PORTS)
        bad = self.write("bad.yaml", "memory: 8MiB\nmemroy: 1\n" + control.PORTS)
        done = cli.kante("config", "check", good)
        self.assertEqual((done.returncode, done.stdout), (0, f"{good}: good\n"))
        self.assertEqual(cli.kante("config", "check", good, "--json").stdout, '{"good":true}\n')
        done = cli.kante("config", "check", bad)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("bad.yaml:2: memroy: no such parameter", done.stderr)
        done = cli.kante("config", "check", self.folder / "missing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no such file", done.stderr)
        self.assertEqual(cli.kante("config", "check").returncode, 2)
        shown = cli.kante("config", "help", "memory").stdout
        self.assertIn("A size from 4MiB to 4096GiB; the default is 64MiB.", shown)
        self.assertIn("when_full", cli.kante("config", "help").stdout)
        done = cli.kante("config", "help", "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no parameter is called nothing", done.stderr)

    def test_the_audit_log_tells_what_was_done(self):
        self.kante("key", "create", "to be seen", "viewer")
        shown = self.kante("audit", "log", "--kind", "credential", "--from", "1h").stdout
        self.assertRegex(shown.splitlines()[0], r"^TIME +KIND +ACTION +RESULT +WHO +FROM +TARGET")
        self.assertRegex(shown, r"Z  credential  key\.create +ok +uid 0 \(root\)  pid \d+")
        lines = json.loads(self.kante("audit", "log", "--limit", "3", "--json").stdout)["lines"]
        self.assertEqual(len(lines), 3)
        done = self.kante("audit", "log", "--to", "2001-01-01")
        self.assertEqual((done.stdout, done.stderr), ("", "no such lines in the audit log\n"))
        for limit in ("0", "x", "-1", "10001"):
            self.assertIn("limit", self.kante("audit", "log", "--limit", limit, status=1).stderr)

    def test_the_audit_log_is_verified_on_the_node_or_from_a_copy(self):
        self.assertRegex(self.kante("audit", "verify").stdout, r"^verified +yes\n")
        copy = self.folder / "audit"
        copy.mkdir()
        # it tells up to where the log is whole, so it must not be newer
        (copy / "audit.head").write_bytes((self.node.admin / "audit/audit.head").read_bytes())
        log = (self.node.admin / "audit/audit.log").read_bytes()
        (copy / "audit.log").write_bytes(log)
        done = cli.kante("audit", "verify", copy)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        (copy / "audit.log").write_bytes(log.replace(b"audit.started", b"audit.stopped", 1))
        done = cli.kante("audit", "verify", copy)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"verified +no\n(.*\n)*fault +audit\.log:1: ")
        verdict = json.loads(cli.kante("audit", "verify", copy, "--json").stdout)
        keys = json.loads(self.kante("audit", "verify", "--json").stdout).keys()
        self.assertEqual(verdict.keys(), keys)
        self.assertEqual(cli.kante("audit", "verify", self.folder / "missing").returncode, 1)

    def test_a_report_is_written_in_each_form(self):
        text = self.kante("audit", "report", "--standard", "pci-dss", "--from", "1d").stdout
        self.assertGreater(len(text.splitlines()), 10)
        report = json.loads(self.kante("audit", "report", "--standard", "gdpr", "--json").stdout)
        self.assertEqual(report["standard"], "gdpr")
        page = self.kante("audit", "report", "--standard", "sox", "--format", "html").stdout
        self.assertTrue(page.lower().startswith("<!doctype html>"))

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([cli.KANTE, "stats", "--node", str(self.node.socket_path)],
                                  stdout=full, stderr=subprocess.PIPE, env=cli.CLEAN, timeout=30,
                                  text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("cannot write to standard output", done.stderr)

    def terminal(self, *words, environment=None, columns=100):
        return cli.Terminal(*words, columns=columns, environment={
            "KANTE_NODE": str(self.node.socket_path)} | (environment or {}))

    def test_headings_are_bold_on_a_terminal_only(self):
        terminal = self.terminal("key", "list")
        self.assertEqual(terminal.end(), 0)
        self.assertIn("\033[1mID ", terminal.shown)
        for environment in ({"NO_COLOR": "1"}, {"NO_COLOR": "0"}):
            terminal = self.terminal("key", "list", environment=environment)
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn("\033", terminal.shown)
        terminal = self.terminal("key", "list", environment={"NO_COLOR": ""})
        terminal.end()
        self.assertIn("\033[1m", terminal.shown)
        self.assertNotIn("\033", self.kante("key", "list").stdout)

    def test_a_table_is_as_wide_as_the_terminal(self):
        terminal = self.terminal("stats", "session", columns=80)
        self.assertEqual(terminal.end(), 0)
        lines = re.sub(r"\033\[\d+m", "", terminal.shown).splitlines()
        self.assertEqual(max(map(len, lines)), 80)
        self.assertIn("…", terminal.shown)
        self.assertNotIn("…", self.kante("stats", "session").stdout)

    def test_json_is_laid_out_on_a_terminal(self):
        terminal = self.terminal("whoami", "--json")
        self.assertEqual(terminal.end(), 0)
        self.assertTrue(terminal.shown.startswith("{\r\n  \"credential\": \"socket\","))
        self.assertEqual(len(self.kante("whoami", "--json").stdout.splitlines()), 1)

    def test_what_cannot_be_undone_is_asked_about_on_a_terminal(self):
        key_id = json.loads(self.kante("key", "create", "asked", "viewer", "--json").stdout)["id"]
        for answer in ("n\n", "\n", "\x04", "yess\n"):
            terminal = self.terminal("key", "revoke", key_id)
            terminal.read(f"Revoke the API key {key_id}? [y/N] ")
            terminal.type(answer)
            self.assertEqual(terminal.end(), 1)
        self.assertRegex(self.kante("key", "list").stdout, rf"{key_id}  asked +viewer +good")
        terminal = self.terminal("key", "revoke", key_id)
        terminal.read("[y/N] ")
        terminal.type("y\n")
        self.assertEqual(terminal.end(), 0)
        self.assertIn("is revoked", terminal.shown)
        made = self.kante("key", "create", "not asked", "viewer", "--json").stdout
        key_id = json.loads(made)["id"]
        terminal = self.terminal("key", "revoke", key_id, "--yes")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("[y/N]", terminal.shown)


if __name__ == "__main__":
    unittest.main()
