#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C program in README.md and docs/ compiles alone, runs, and ends with "ok".

A block that begins with ```c and has a main() is a program; the first one of README.md
must be one. Others are parts of programs and only read by people.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)
CFLAGS = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror"]


def run_program(source, name, library, folder):
    """None, or what is wrong."""
    path = folder / "example.c"
    path.write_text(source, encoding="utf-8")
    command = [os.environ.get("CC", "cc"), *CFLAGS, "-I", str(ROOT / "include"), str(path), "-o",
               str(folder / "example"), str(library), f"-Wl,-rpath,{library.parent}"]
    compiled = subprocess.run(command, capture_output=True, text=True)
    if compiled.returncode != 0:
        return f"{name} does not compile:\n{compiled.stderr}"
    ran = subprocess.run([str(folder / "example")], capture_output=True, text=True, cwd=folder,
                         timeout=60)
    last = ran.stdout.strip().splitlines()[-1:]
    if ran.returncode != 0 or last != ["ok"]:
        return f"{name} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
    return None


def main():
    library = pathlib.Path(os.environ.get("ARIL_BUILD_DIR", ROOT / "build/release")) / "libaril.so"
    if not library.exists():
        print("this build has no libaril.so")
        return 77
    passed, failed = 0, 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        programs = [block for block in blocks if "int main(" in block]
        if page.name == "README.md":
            assert blocks[:1] == programs[:1] != [], "the first C block of README.md is a program"
        for number, source in enumerate(programs, 1):
            with tempfile.TemporaryDirectory() as folder:
                wrong = run_program(source, f"{page.name}, program {number}", library,
                                    pathlib.Path(folder))
            if wrong is None:
                passed += 1
            else:
                failed += 1
                print(f"FAILED: {wrong}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
