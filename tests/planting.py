# SPDX-License-Identifier: Apache-2.0
"""Bugs planted one at a time into a copy of the code, to see whether a test finds them. A bug is a
tuple: what it is about, what is wrong, file, what stands there exactly once, what stands there
instead."""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def check_table(code, bugs):
    for about, sentence, file, text, _ in bugs:
        count = (code / file).read_text().count(text)
        if count != 1:
            sys.exit(f"{about}: {sentence}: its text occurs {count} times in {file}, not once: the "
                     f"code has changed: plant it anew\n{text}")


def copy_code(to):
    for folder in ("man", "packaging", "src", "tests"):
        shutil.copytree(ROOT / folder, to / folder)
    for file in ROOT.glob("meson*"):
        shutil.copy(file, to)


def build(code, programs, what):
    done = subprocess.run(["ninja", "-C", code / "build", *programs], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{what} does not compile:\n{done.stdout}")


@contextlib.contextmanager
def planted(code, bug, programs):
    """The programs with that bug in them, for as long as this lasts."""
    about, sentence, file, text, instead = bug
    path = code / file
    original = path.read_text()
    path.write_text(original.replace(text, instead))
    build(code, programs, f"{about}: {sentence}: what stands there instead")
    yield
    path.write_text(original)


def main(all_bugs, run):
    """run(code, bugs) is given a copy and the bugs that have to do with the word the user gives,
    and returns how many of them it has found, or None: the code as it is does not hold."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    bugs = [bug for bug in all_bugs if any(word in text for text in bug[:3])]
    if not bugs:
        sys.exit(f"no bug has to do with {word}")
    # an end by a signal removes the copy too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        code = pathlib.Path(folder)
        try:
            copy_code(code)
            check_table(code, all_bugs)
            found = run(code, bugs)
        except KeyboardInterrupt:
            return 130
    if found is None:
        print("0 passed, 1 failed")
        return 1
    print(f"{found} passed, {len(bugs) - found} failed")
    return 0 if found == len(bugs) else 1
