# SPDX-License-Identifier: BSD-3-Clause
"""The README does what it says: its sessions are run as they stand there, its program is compiled and run, and both
must answer what it shows ("..." stands for anything)."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.environ.get("STELE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STELE_BINARY_DIR") or os.path.join(TOP, "build", "release")
TOOL = os.environ.get("STELE_TOOL") or os.path.join(BUILD, "stele")
SANITIZE = os.environ.get("STELE_SANITIZE") or ""
SECONDS = 120  # for any one command

with open(os.path.join(TOP, "README.md"), encoding="utf-8") as readme:
    TEXT = readme.read()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def session(block):
    """[(command, what it shall print)]"""
    steps = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def pattern(expected):
    """A regular expression for lines in which "..." stands for anything, also for several lines."""
    return ".*".join(re.escape(part) for part in "".join(line + "\n" for line in expected).split("..."))


class Readme(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="stele-readme.")
        self.env = dict(os.environ, TERM="dumb", LC_ALL="C.UTF-8")
        self.env.pop("PMEM_IS_PMEM_FORCE", None)
        self.put_first("PATH", os.path.dirname(TOOL))

    def tearDown(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def put_first(self, variable, path):
        self.env[variable] = path + (":" + self.env[variable] if self.env.get(variable) else "")

    def run_step(self, command, expected):
        done = subprocess.run(["bash", "-c", command], cwd=self.dir, env=self.env, timeout=SECONDS, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, f"$ {command}\n{done.stdout}")
        self.assertRegex(done.stdout, re.compile(rf"\A{pattern(expected)}\Z", re.DOTALL), f"$ {command}")

    def install(self):
        """Install the library as the README says, but for the prefix, and find it as a user would."""
        stage = os.path.join(self.dir, "stage")
        for component in ("lib", "dev"):
            subprocess.run(["cmake", "--install", BUILD, "--prefix", stage, "--component", component], check=True,
                           stdout=subprocess.DEVNULL)
        package, = glob.glob(os.path.join(stage, "**", "stele.pc"), recursive=True)
        self.put_first("PKG_CONFIG_PATH", os.path.dirname(package))
        self.put_first("LD_LIBRARY_PATH", os.path.dirname(os.path.dirname(package)))
        if SANITIZE and SANITIZE != "coverage":  # a library with instrumentation wants a program with it
            wrapper = os.path.join(self.dir, "bin", "cc")
            os.mkdir(os.path.dirname(wrapper))
            with open(wrapper, "w", encoding="utf-8") as script:
                script.write(f'#!/bin/sh\nexec {shutil.which("cc")} -fsanitize={SANITIZE} "$@"\n')
            os.chmod(wrapper, 0o755)
            self.put_first("PATH", os.path.dirname(wrapper))

    def test_the_quick_start_does_what_it_shows(self):
        steps = session(blocks("console")[0])
        self.assertLessEqual(len(steps), 10)
        self.assertGreaterEqual(sum("stele " in command for command, _ in steps), 5)
        for command, expected in steps:
            self.run_step(command, expected)

    def test_the_program_compiles_with_the_line_beside_it_and_runs(self):
        program, = blocks("c")
        self.assertLessEqual(len(program.splitlines()), 21)
        steps = session(blocks("console")[1])
        source = re.search(r"\w+\.c\b", steps[0][0]).group()
        with open(os.path.join(self.dir, source), "w", encoding="utf-8") as file:
            file.write(program)
        self.install()
        for command, expected in steps:
            self.run_step(command, expected)

    def test_the_two_commands_exist_and_can_be_run(self):
        commands = re.findall(r"^    (tools/\w+)", TEXT, re.MULTILINE)
        self.assertEqual(commands, ["tools/demo", "tools/test"])
        for command in commands:
            self.assertTrue(os.access(os.path.join(TOP, command), os.X_OK), command)

    def test_it_fits_two_screens(self):
        self.assertLessEqual(len(TEXT.splitlines()), 150)


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
