# SPDX-License-Identifier: Apache-2.0
"""The newest memcached of a Debian release, built from Debian's source: bookworm's (1.6.18) is from
before 1.6.35, and sends the reply to each pipelined request by itself."""
import os
import shutil
import subprocess

import measure

SUITE, PACKAGE, VERSION = "trixie", "memcached=1.6.38-1", "1.6.38"
FOLDER = measure.BUILD / f"memcached-{VERSION}"
PROGRAM = FOLDER / "source/memcached"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def said(command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          **options)
    if done.returncode != 0:
        raise SystemExit(f"bench: memcached {VERSION} of Debian's {SUITE}: {' '.join(command[:3])}"
                         f": exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build():
    """The program, made when it is not there; what apt knows of the system stays as it is."""
    if PROGRAM.exists():
        return PROGRAM
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "lists/partial").mkdir(parents=True)
    sources = FOLDER / "sources.list"
    sources.write_text(f"deb-src [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n")
    apt = ["apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}", "-o",
           "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={FOLDER}/lists", "-o",
           "APT::Sandbox::User=root"]
    said([*apt, "update"])
    said([*apt, "source", "--download-only", PACKAGE], cwd=FOLDER)
    source = FOLDER / "source"
    source.mkdir()
    said(["tar", "-x", "-f", f"memcached_{VERSION}.orig.tar.xz", "-C", source,
          "--strip-components=1"], cwd=FOLDER)
    said(["./configure", "--disable-docs", "CFLAGS=-O2 -g"], cwd=source)
    said(["make", f"-j{os.cpu_count()}", "memcached"], cwd=source)
    return PROGRAM
