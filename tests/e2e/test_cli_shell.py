# SPDX-License-Identifier: Apache-2.0
"""What a shell completes of `kante`, its help, and its manual page: all made from one table."""
import pathlib
import re
import unittest

import cli
import rig

# what bash has once the line was typed up to here and Tab was pressed
BASH = r"""
source <("$KANTE" completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
_kante kante
printf '%s\n' "${COMPREPLY[@]}"
"""


def names():
    """Of all commands, as the help lists them."""
    return re.findall(r"^  (\w+(?: \w+)?)  +\S", cli.kante("help").stdout, re.M)


class Bash(unittest.TestCase):
    def complete(self, line, within=None):
        done = rig.run("bash", "--norc", "-c", BASH, "bash", line, cwd=within,
                       env=cli.CLEAN | {"KANTE": cli.KANTE})
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_each_word_of_each_command_is_completed(self):
        groups = {}
        for name in names():
            words = name.split()
            for i, word in enumerate(words):
                groups.setdefault(tuple(words[:i]), set()).add(word)
        self.assertGreater(len(groups), 5)
        for group, words in groups.items():
            line = " ".join(("kante", *group)) + " "
            with self.subTest(line):
                self.assertEqual(set(self.complete(line)), words)
        self.assertEqual(self.complete("kante key cr"), ["create"])
        self.assertEqual(self.complete("kante nothing "), [])

    def test_each_option_of_each_command_is_completed(self):
        for name in names():
            options = set(re.findall(r"^  (?:-\w, |    )(--[\w-]+)",
                                     cli.kante(*name.split(), "--help").stdout, re.M))
            with self.subTest(name):
                self.assertEqual(set(self.complete(f"kante {name} --")), options | {"--help"})
        self.assertEqual(self.complete("kante stats --by"), ["--by"])
        self.assertIn("--node", self.complete("kante --n"))

    def test_values_and_arguments_are_completed(self):
        for line, words in (
                ("kante stats --by ", ["worker", "port"]), ("kante stats --by=po", ["port"]),
                ("kante key create me ", ["viewer", "operator", "admin"]),
                ("kante key create --expires 30d me op", ["operator"]),
                ("kante key create me viewer ", []), ("kante key create ", []),
                ("kante audit report --format ht", ["html"]),
                ("kante --timeout 5s key re", ["revoke"]),
                ("kante --node https://a:1 key re", ["revoke"]),
                ("kante --json status --tim", ["--timeout"]),
                ("kante completion ", ["bash", "zsh"]), ("kante help audit v", ["verify"]),
                ("kante help ver", ["version"]), ("kante key list --timeout ", [])):
            with self.subTest(line):
                self.assertEqual(self.complete(line), words)

    def test_files_and_folders_are_completed(self):
        with cli.folder() as folder:
            pathlib.Path(folder, "one.yaml").touch()
            pathlib.Path(folder, "onset").mkdir()
            for line, words in (("kante config check o", ["one.yaml", "onset"]),
                                ("kante status --ca=one", ["one.yaml"]),
                                ("kante doctor -c one", ["one.yaml"]),
                                ("kante cert issue --out o", ["onset"]),
                                ("kante audit verify o", ["onset"]),
                                ("kante -n ./o", ["./one.yaml", "./onset"])):
                with self.subTest(line):
                    self.assertEqual(sorted(self.complete(line, folder)), words)

    def test_tab_completes_in_a_shell(self):
        environment = {"KANTE": cli.KANTE, "PS1": "", "TERM": "dumb"}
        terminal = cli.Terminal(program=("bash", "--norc", "-i"), environment=environment)
        terminal.type("kante() { echo \"<$*>\"; }; source <(\"$KANTE\" completion bash); "
                      "echo re''ady\n")
        terminal.read("ready")
        terminal.type("kante key cr\tme op\t\n")
        terminal.read("<key create me operator>")
        terminal.type("exit\n")
        self.assertEqual(terminal.end(), 0)


class Zsh(unittest.TestCase):
    def test_tab_completes_in_a_shell(self):
        environment = {"KANTE": cli.KANTE, "PS1": "", "TERM": "dumb"}
        with cli.folder() as folder:
            pathlib.Path(folder, "one.yaml").touch()
            terminal = cli.Terminal(program=("zsh", "-f", "-i"), environment=environment | {
                "HOME": folder})
            terminal.type("autoload -Uz compinit; compinit -D; kante() { echo \"<$*>\"; }; "
                          "source <($KANTE completion zsh); echo re''ady\n")
            terminal.read("ready")
            for typed, line in (("kante key cr\tme op\t\n", "<key create me operator>"),
                                ("kante config che\t~/o\t\n", f"<config check {folder}/one.yaml>"),
                                ("kante stats --by=po\t\n", "<stats --by=port>"),
                                ("kante help audit v\t\n", "<help audit verify>")):
                terminal.type(typed)
                terminal.read(line)
            terminal.type("kante key \t")
            terminal.read("Let nobody in with an API key any more")
            terminal.type("\x15exit\n")
            terminal.end()


class Manual(unittest.TestCase):
    def test_the_page_has_every_command_and_option(self):
        page = rig.run("mandoc", "-Tascii", input=cli.kante("help", "--manual").stdout).stdout
        page = re.sub(r".\x08", "", page)
        for name in names():
            self.assertRegex(page, re.compile(rf"^     {name}\b", re.M))
            for option in re.findall(r"^  (?:-\w, |    )(--[\w-]+)",
                                     cli.kante(*name.split(), "--help").stdout, re.M):
                self.assertIn(option, page)
        for text in ("KANTE_TOKEN_FILE", "NO_COLOR", "/run/kante/admin.sock", "EXIT STATUS"):
            self.assertIn(text, page)

    def test_the_build_makes_what_is_installed(self):
        for file, words in (("kante.1", ("help", "--manual")),
                            ("kante.bash", ("completion", "bash")),
                            ("_kante", ("completion", "zsh"))):
            self.assertEqual((rig.BUILD / file).read_text(), cli.kante(*words).stdout)


if __name__ == "__main__":
    unittest.main()
