# SPDX-License-Identifier: Apache-2.0
"""tests/tools/fake_admin.c for tests: an admin listener of arild over a proxy that is none."""
import subprocess


class Fake:
    """Lines that it is told and answers are there."""

    def __init__(self, build, address):
        self.process = subprocess.Popen([build / "tests/tools/fake_admin", address], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.process.stdout.readline().strip()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", line

    def end(self):
        self.process.stdin.close()
        return self.process.wait(30)
