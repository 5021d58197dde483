# SPDX-License-Identifier: BSD-3-Clause
"""The command line itself: help, versions, wrong usage, sizes, completions, the manual, colour, a broken stdout."""

import os
import pty
import re
import resource
import select
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402

COMMANDS = "create append cat tail dump verify repair stat trim backup bench metrics version help".split()
CREATES = "--create --segment-size --durability --metadata".split()
OPTIONS = {  # the contract, written down a second time
    "create": ["--segment-size", "--durability", "--metadata", "--json"],
    "append": CREATES + ["-D", "-z", "--length-prefixed", "--sync", "--batch", "--ack", "--json"],
    "cat": ["--from", "--to", "-n", "-f", "--durable", "--timeout", "--raw", "--hex", "--json", "-F"],
    "tail": ["--from", "-n", "-f", "--timeout"],
    "dump": ["--json"],
    "verify": ["--json", "-j"],
    "repair": ["--dry-run", "--apply", "--backup", "--allow-data-loss", "--quarantine", "--json"],
    "stat": ["--json"],
    "trim": ["--before", "--keep-size", "--keep-segments", "--dry-run", "--json"],
    "backup": ["--json"],
    "bench": ["--size", "--threads", "--seconds", "--rate", "--sync", "--json"],
    "metrics": [],
    "version": ["--json"],
    "help": [],
}


def listed(help_text):
    """The options that a --help lists, long and short."""
    found = set()
    for line in re.findall(r"^ +(-.*)$", help_text, re.MULTILINE):
        found |= set(re.findall(r"(?:^|, )(--?[\w-]+)", line))
    return found


class Help(cli.Case):
    def test_every_command_explains_itself(self):
        self.assertEqual(set(OPTIONS), set(COMMANDS))
        for command in COMMANDS:
            done = self.stele(command, "--help")
            help_text = done.stdout.decode()
            self.assertEqual(done.stderr, b"")
            self.assertTrue(help_text.startswith(f"Usage: stele {command}"), help_text)
            self.assertIn("Exit status:", help_text)
            missing = set(OPTIONS[command] + ["-h", "--help"]) - listed(help_text)
            self.assertFalse(missing, command)
            self.assertEqual(self.stele("help", command).stdout, done.stdout)
            self.assertEqual(self.stele(command, "-h").stdout, done.stdout)
            self.assertLessEqual(max(map(len, help_text.split("\n"))), 100)

    def test_the_overview_names_every_command(self):
        overview = self.stele("--help").stdout.decode()
        for command in COMMANDS:
            self.assertRegex(overview, rf"(?m)^  {command} ")
        self.assertEqual(self.stele("help").stdout.decode(), overview)

    def test_manual_and_completions_come_from_the_same_tables(self):
        manual = self.stele("--man").stdout.decode()
        shells = {s: self.stele("--completion", s).stdout.decode() for s in ("bash", "zsh", "fish")}
        for command in COMMANDS:
            section = manual.split(f"## stele {command} ", 1)[1].split("\n## ")[0]
            for option in listed(self.stele(command, "--help").stdout.decode()) - {"-h", "--help"}:
                self.assertIn(f"*{option}*", section, command)
                if option.startswith("--"):
                    self.assertIn(option, shells["bash"])
                    self.assertIn(option, shells["zsh"])
                    self.assertIn(f"-l {option[2:]}", shells["fish"])
            for text in shells.values():
                self.assertIn(command, text)
        for code in "0 1 2 3 4 5 124 130 143".split():
            self.assertIn(f"*{code}*\n", manual.split("# EXIT STATUS")[1])

    def test_the_manual_is_a_page(self):
        source = self.stele("--man").stdout
        page = subprocess.run(["scdoc"], input=source, stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertIn('.TH "stele" "1"', page)
        for heading in ("EXIT STATUS", "EXAMPLES", "ENVIRONMENT"):
            self.assertIn(heading, page)


class Version(cli.Case):
    def test_versions_are_those_of_the_header(self):
        with open(os.path.join(cli.SOURCE, "include/stele/base.h"), encoding="utf-8") as header:
            version = re.search(r'STELE_VERSION_STRING "(.*)"', header.read()).group(1)
        document = self.json("version")
        self.assertEqual((document["tool"], document["library"], document["format"]), (version, version, 1))
        self.assertIn(version.encode(), self.stele("version").stdout)
        self.assertEqual(self.stele("--version").stdout, self.stele("version").stdout)


class WrongUsage(cli.Case):
    def refused(self, *args):
        done = self.stele(*args, code=cli.USAGE)
        self.assertEqual(done.stdout, b"", args)
        self.assertTrue(done.stderr.startswith(b"stele: "), args)
        self.assertIn(b"--help", done.stderr)
        return done.stderr.decode()

    def test_a_missing_or_unknown_command_is_refused(self):
        self.refused()
        self.assertIn("'sing'", self.refused("sing"))
        self.assertIn("'sing'", self.refused("help", "sing"))
        self.refused("--completion")
        self.refused("--completion", "tcsh")
        self.refused("--nonsense")

    def test_operands_are_counted(self):
        for command in COMMANDS:
            if OPTIONS[command] and command != "version":
                self.assertIn("missing operand", self.refused(command))
                self.assertIn("empty", self.refused(command, *[""] * (2 if command == "backup" else 1)))
            if command != "append":
                self.assertIn("'z'", self.refused(command, *["x", "y", "z"][-3 if command == "backup" else -2:], "z")
                              if command not in ("version", "help") else self.refused(command, *["z"] * 2))

    def test_options_are_checked_one_by_one(self):
        for command in COMMANDS:
            self.assertIn("'-?'", self.refused(command, "-?"))
            self.assertIn("--nonsense", self.refused(command, "--nonsense"))
        self.assertIn("needs an argument", self.refused("cat", "x", "--from"))
        self.assertIn("needs an argument", self.refused("cat", "x", "-n"))
        self.assertIn("takes no argument", self.refused("stat", "x", "--json=yes"))
        self.assertIn("ambiguous", self.refused("cat", "x", "--f", "0"))

    def test_arguments_out_of_range_are_refused(self):
        for args in (["cat", "x", "-n", "many"], ["cat", "x", "-n", "-1"], ["cat", "x", "--from", "12x"],
                     ["cat", "x", "--from", "--5"], ["cat", "x", "--from", ""], ["cat", "x", "--from", "@"],
                     ["cat", "x", "--to", "0xg"], ["cat", "x", "-f", "--timeout", "soon"],
                     ["cat", "x", "-f", "--timeout", "-1"], ["cat", "x", "--timeout", "1"],
                     ["cat", "x", "--raw", "--hex"], ["cat", "x", "--json", "-F", "%s"],
                     ["cat", "x", "-F", "%q"], ["cat", "x", "-F", "%"], ["cat", "x", "-F", "\\q"],
                     ["cat", "x", "-F", "\\x4"], ["cat", "x", "-F", "x" * 600], ["cat", "x", "-F", "%o,%s" * 40],
                     ["append", "x", "-D", "ab"], ["append", "x", "-D", ""], ["append", "x", "-D", "\\xZZ"],
                     ["append", "x", "-z", "--length-prefixed"], ["append", "x", "--sync", "often"],
                     ["append", "x", "--batch", "0"], ["append", "x", "--type", "113"],
                     ["append", "x", "--segment-size", "64K"], ["append", "x", "--durability", "paper"],
                     ["verify", "x", "-j", "0"], ["verify", "x", "-j", "65"],
                     ["repair", "x", "--dry-run", "--apply"], ["trim", "x"],
                     ["trim", "x", "--before", "1", "--keep-size", "1"], ["trim", "x", "--keep-segments", "0"],
                     ["trim", "x", "--keep-size", "1.5G"], ["bench", "x", "--size", "1,,2"],
                     ["bench", "x", "--threads", "0"], ["bench", "x", "--threads", "257"],
                     ["bench", "x", "--seconds", "0"], ["bench", "x", "--rate", "0"], ["bench", "x", "--sync", "all"]):
            self.refused(*args)
        self.assertFalse(os.path.exists("x"))


class Sizes(cli.Case):
    def test_sizes_are_read_as_people_write_them(self):
        for word in ("65536", "64K", "64k", "64KiB", "64kib", "0x10000"):
            path = self.path("log-" + word)
            self.assertEqual(self.json("create", path, "--segment-size", word)["segment_bytes"], 65536, word)
        self.assertEqual(self.json("create", self.path("m"), "--segment-size", "1MiB")["segment_bytes"], 1 << 20)

    def test_what_is_no_size_or_no_segment_size_is_refused(self):
        for word in ("", "K", "64Q", "-65536", "+65536", " 65536", "1.5M", "64 K", "0x", "99999999999999999999",
                     "99999999999T", "64KB", "1MB", "65537", "32K", "8G"):
            self.stele("create", self.log, "--segment-size", word, code=cli.USAGE)
            self.assertFalse(os.path.exists(self.log), word)


class Completion(cli.Case):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = self.file("stele.bash", self.stele("--completion", "bash").stdout)
        subprocess.run(["bash", "-n", script], check=True)
        call = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _stele; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", call, "bash", script, "stele", *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=True, cwd=self.dir)
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode().split()

    def test_bash_completes_commands_options_and_values(self):
        self.assertEqual(self.complete("ver"), ["verify", "version"])
        self.assertEqual(self.complete("append", "dir", "--se"), ["--segment-size"])
        self.assertEqual(self.complete("append", "--sync", ""), ["each", "batch", "end", "none"])
        self.assertEqual(self.complete("bench", "--sync", "g"), ["group"])
        self.assertEqual(self.complete("create", "--durability", "p"), ["pmem"])
        self.assertEqual(self.complete("help", "back"), ["backup"])
        self.assertEqual(self.complete("--completion", ""), ["bash", "zsh", "fish"])
        self.assertNotIn("--from", self.complete("stat", "--"))

    def test_bash_completes_file_names_otherwise(self):
        self.file("some-file", b"")
        self.assertEqual(self.complete("cat", "some"), ["some-file"])
        self.assertEqual(self.complete("repair", "x", "--backup", "some"), ["some-file"])


class Terminal(cli.Case):
    def on_terminal(self, *args, env):
        """Run with stdout on a terminal; returns what it shows."""
        master, slave = pty.openpty()
        try:
            subprocess.run([cli.TOOL, *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=env,
                           timeout=cli.SECONDS, check=False)
            os.close(slave)
            slave = -1
            shown = b""
            while True:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other end is closed
                    piece = b""
                if not piece:
                    return shown
                shown += piece
        finally:
            os.close(master)
            if slave >= 0:
                os.close(slave)

    def test_colour_is_for_terminals_that_want_it(self):
        self.small_log(cli.lines(3))
        wanted = cli.environment(TERM="xterm")
        self.assertIn(b"\x1b[32mclean", self.on_terminal("verify", self.log, env=wanted))
        self.assertNotIn(b"\x1b", self.on_terminal("verify", self.log, env=cli.environment(TERM="xterm", NO_COLOR="1")))
        self.assertNotIn(b"\x1b", self.on_terminal("verify", self.log, env=cli.environment(TERM="dumb")))
        self.assertNotIn(b"\x1b", self.stele("verify", self.log, env=wanted).stdout)

    def test_short_work_shows_no_progress(self):
        data = self.file("data", cli.text(cli.lines(1000)))
        shown = self.on_terminal("append", "--create", self.log, data, env=cli.environment(TERM="xterm"))
        self.assertNotIn(b"\r\x1b[K", shown)
        self.assertIn(b"1000 records", shown)


    def test_long_work_shows_progress_and_wipes_it(self):
        master, slave = pty.openpty()
        process = self.start("append", "--create", self.log, "-q", stderr=slave, stdout=subprocess.DEVNULL)
        os.close(slave)
        shown = b""
        try:
            while b"\r" not in shown:  # which takes two seconds; the test's own limit is its only clock
                process.stdin.write(b"x\n" * 100)
                process.stdin.flush()
                if select.select([master], [], [], 0.05)[0]:
                    shown += os.read(master, 65536)
            process.stdin.close()
            process.stdin = None
            self.assertEqual(process.wait(cli.SECONDS), 0)
            shown += os.read(master, 65536)
        finally:
            os.close(master)
        self.assertRegex(shown.decode(), r"^\r[\d.]+ (B|KiB|MiB), [\d.]+ (B|KiB|MiB)/s\x1b\[K(.|\n|\r)*\r\x1b\[K$")


class Output(cli.Case):
    def test_a_full_disk_under_stdout_is_an_error(self):
        self.small_log(cli.lines(3))
        for args in (["version"], ["--help"], ["cat", self.log], ["stat", self.log], ["dump", self.log],
                     ["verify", self.log, "--json"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([cli.TOOL, *args], stdout=full, stderr=subprocess.PIPE, timeout=cli.SECONDS,
                                      env=cli.environment(), check=False)
            self.assertEqual(done.returncode, cli.IO, args)
            self.assertIn(b"No space left on device", done.stderr)

    def test_a_reader_that_leaves_is_no_error(self):
        self.small_log(cli.lines(20000))
        for args in (["cat", self.log], ["dump", self.log], ["dump", self.log, "--json"]):
            process = self.start(*args)
            process.stdout.read(10)
            process.stdout.close()
            process.stdout = None
            self.assertEqual(self.end(process)[1], b"", args)

    def test_a_bus_error_is_a_message_and_an_exit_status(self):
        self.small_log(cli.lines(3))
        process = self.start("tail", self.log)
        cli.read_line(process)
        process.send_signal(7)  # SIGBUS
        self.assertIn(b"stele verify", self.end(process, cli.IO)[1])

    def test_a_file_size_limit_is_an_error(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        self.complaint("create", self.log, preexec_fn=limit)


if __name__ == "__main__":
    cli.main()
