#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The corpus of proxy_loop is what its generator makes, and a changed file is seen."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parent / "fuzz" / "corpus" / "proxy_loop"


def check(folder):
    script = HERE / "gen_proxy_loop_corpus.py"
    return subprocess.run([sys.executable, script, "--check", folder], check=False,
                          stdout=subprocess.DEVNULL).returncode


def main():
    with tempfile.TemporaryDirectory() as temp:
        copy = pathlib.Path(temp) / "copy"
        shutil.copytree(CORPUS, copy)
        (copy / "set-get").write_bytes(b"another")
        if check(copy) == 0:
            sys.exit("a changed file was not seen")
    return check(CORPUS)


if __name__ == "__main__":
    sys.exit(main())
