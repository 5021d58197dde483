# SPDX-License-Identifier: BSD-3-Clause
"""Where a log lies and what surrounds a command: crowds of files, very long logs, no permission, no locks, no standard
streams, a reader that leaves, holes on a full disk. Clear errors, bounded memory, no signal, no byte changed."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402

LONG = int(os.environ.get("STELE_TEST_MINUTES") or 0) > 0
SEGMENTS = 2000 if damage_lab.SLOW else 50000
NOBODY = 65534
# Of a process that takes its locks by fcntl(2), as on a file system without them.
NO_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
static int without_locks(const char *name, int fd, int cmd, void *argument)
{
    if (cmd == F_OFD_SETLK || cmd == F_OFD_GETLK || cmd == F_OFD_SETLKW) {
        errno = ENOLCK;
        return -1;
    }
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
    return real(fd, cmd, argument);
}
int fcntl(int fd, int cmd, ...)
{
    va_list list;
    va_start(list, cmd);
    void *argument = va_arg(list, void *);
    va_end(list);
    return without_locks("fcntl", fd, cmd, argument);
}
int fcntl64(int fd, int cmd, ...)
{
    va_list list;
    va_start(list, cmd);
    void *argument = va_arg(list, void *);
    va_end(list);
    return without_locks("fcntl64", fd, cmd, argument);
}
"""


class Place(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tearDown(self):
        damage_lab.forget(self.log)
        super().tearDown()

    def whole(self):
        shutil.copytree(self.lab.path("log"), self.log)
        self.truth = self.lab.truth["log"]

    def commands(self):
        """Each command once, those that write last; with what append reads."""
        source = self.file("input", b"appended\n")
        return [["verify", self.log], ["cat", self.log], ["stat", self.log], ["stat", self.log, "--json"],
                ["dump", self.log], ["metrics", self.log], ["repair", self.log], ["backup", self.log, self.path("copy")],
                ["trim", self.log, "--keep-segments", "100"], ["repair", self.log, "--apply"],
                ["append", self.log, source]]


class Crowds(Place):
    ROOM = 4 << 30  # the long log takes a fifth of it, and nobody else shall miss it

    def setUp(self):
        super().setUp()
        if damage_lab.SCRATCH and shutil.disk_usage(damage_lab.SCRATCH).free > self.ROOM:
            os.rmdir(self.dir)
            self.dir = tempfile.mkdtemp(prefix="stele-cli.", dir=damage_lab.SCRATCH)
            self.log = self.path("log")

    def frugal(self, *args, code=cli.FINE, stdin=b""):
        """With 64 descriptors, and not much memory: what a long log needs must not grow with it."""
        limits = (resource.RLIMIT_NOFILE, (64, 64))
        process = subprocess.Popen([cli.TOOL, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=cli.environment(),
                                   preexec_fn=lambda: resource.setrlimit(*limits))
        self.running.append(process)
        out, err = process.communicate(stdin, timeout=cli.SECONDS)
        self.assertEqual(process.returncode, code, err)
        return out

    def slim(self, *args):
        """In 400 MB of address space, most of which are libraries and stacks."""
        out = subprocess.run(["/usr/bin/env", "sh", "-c", 'ulimit -v 400000; exec "$@"', "sh", cli.TOOL, *args],
                             capture_output=True, env=cli.environment(), timeout=cli.SECONDS, check=False)
        self.assertEqual(out.returncode, cli.FINE, out.stderr)

    def test_a_log_of_very_many_segments_is_handled_with_few_descriptors_and_little_memory(self):
        entry, log, _ = self.lab.damage("many-segments", self.log, count=SEGMENTS)
        del entry, log
        count = SEGMENTS + len([n for n in os.listdir(self.lab.path("log")) if n.endswith(".stele")])
        stat = json.loads(self.frugal("stat", self.log, "--json"))
        self.assertLessEqual(abs(len(stat["segments"]) - count), 4)  # spares come and go
        last = b"segment %d\n" % (stat["published_lsn"] // 65536 - 1)
        if LONG:
            document = json.loads(self.frugal("verify", self.log, "--json"))
            self.assertEqual((document["verdict"], document["problems"]), ("clean", []))
            self.assertEqual(document["records"], len(self.lab.truth["log"]) + SEGMENTS)
        self.assertEqual(self.frugal("cat", self.log, "--from", "-1"), last)
        self.frugal("append", self.log, stdin=b"more\n")
        self.assertEqual(self.frugal("cat", self.log, "--from", "-2"), last + b"more\n")
        if not damage_lab.SLOW:  # a sanitizer's shadow needs more address space than this
            self.slim("stat", self.log)
        left = SEGMENTS // 5  # every byte of all of them takes longer than a commit should wait
        self.frugal("trim", self.log, "--keep-segments", str(left))
        document = json.loads(self.frugal("verify", self.log, "--json"))
        self.assertEqual((document["verdict"], document["problems"]), ("clean", []))
        self.assertLessEqual(abs(document["records"] - left), 4)
        self.frugal("trim", self.log, "--keep-segments", "10")
        self.assertLessEqual(len(os.listdir(self.log)), 20)

    def test_ten_thousand_foreign_files_are_left_alone(self):
        self.lab.damage("foreign-files", self.log, count=10000)
        names = set(os.listdir(self.log))
        truth = self.lab.truth["log"]
        self.assertEqual(self.frugal("cat", self.log), cli.text(truth))
        self.frugal("append", self.log, stdin=b"more\n")
        self.frugal("repair", self.log, "--apply")
        self.frugal("backup", self.log, self.path("copy"))
        self.assertEqual(self.cat(log=self.path("copy")), cli.text(truth + [b"more"]))
        self.assertLess(len(os.listdir(self.path("copy"))), 20)
        self.assertLessEqual(names, set(os.listdir(self.log)))
        for name in names - {n for n in names if n.endswith(".stele")} - {"control", "lock"}:
            if os.path.getsize(os.path.join(self.log, name)) != 0:
                self.fail(f"{name} was written to")


class Strangers(Place):
    def as_nobody(self, *args):
        """Run a copy of the command that nobody may run, as nobody."""
        def drop():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return subprocess.run([self.tool, *args], capture_output=True, stdin=subprocess.DEVNULL, env=cli.environment(),
                              timeout=cli.SECONDS, check=False, preexec_fn=drop if os.getuid() == 0 else None)

    def test_a_segment_that_may_not_be_read_is_named_and_nothing_is_judged(self):
        _, log, _ = self.lab.damage("no-permission", self.log)
        name = log.changes[0]["file"]
        os.chmod(self.dir, 0o755)
        os.chmod(self.log, 0o777)
        for other in os.listdir(self.log):
            if other != name:
                os.chmod(os.path.join(self.log, other), 0o666)
        self.tool = self.path("stele")
        shutil.copy(cli.TOOL, self.tool)
        os.chmod(self.tool, 0o755)
        for args in self.commands():
            if args[0] == "dump":  # shows what it can
                continue
            done = self.as_nobody(*args)
            err = done.stderr.decode()
            self.assertEqual(done.returncode, cli.IO, (args, err))
            self.assertIn(f"{self.log}/{name}: ", err)
            self.assertIn("Permission denied", err)
        self.assertFalse(os.path.exists(self.path("copy")))
        os.chmod(os.path.join(self.log, name), 0o600)
        self.json("verify", self.log)

    def test_without_locks_nothing_is_written_and_the_reason_is_given(self):
        if damage_lab.SLOW:
            damage_lab.skip("a file system without locks: an instrumented program takes no library in front of its own")
            return
        self.whole()
        source = self.file("nolocks.c", NO_LOCKS.encode())
        library = self.path("nolocks.so")
        if subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=False).returncode != 0:
            damage_lab.skip("a file system without locks was not tried: no C compiler here (cc)")
            return
        before = damage_lab.digest(self.log)
        env = cli.environment(LD_PRELOAD=library)
        for args in self.commands():
            if args[0] == "dump":  # looks at no lock
                continue
            err = self.stele(*args, code=cli.IO, env=env).stderr.decode()
            self.assertIn(f"{self.log}/lock: ", err)
            self.assertIn("No locks available", err)
            if args[0] == "append":
                self.assertIn("cannot hold a log", err)
        self.assertEqual(damage_lab.digest(self.log), before)


class Streams(Place):
    def test_closed_standard_streams_write_into_no_log(self):
        for closed in range(1, 8):
            self.whole()
            for args in self.commands():
                def close(closed=closed):
                    for fd in (0, 1, 2):
                        if closed >> fd & 1:
                            os.close(fd)
                done = subprocess.run([cli.TOOL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, env=cli.environment(), timeout=cli.SECONDS,
                                      check=False, preexec_fn=close)
                self.assertIn(done.returncode, (cli.FINE, cli.IO), (closed, args, done.stderr))
                if closed >> 1 & 1 == 0:
                    self.assertEqual(done.returncode, cli.FINE, (closed, args, done.stderr))
            verdict = self.json("verify", self.log)
            self.assertEqual(verdict["problems"], [])
            self.assertEqual(self.cat(), cli.text(self.truth + [b"appended"]))
            self.assertEqual(self.cat(log=self.path("copy")), cli.text(self.truth))
            shutil.rmtree(self.log)
            shutil.rmtree(self.path("copy"))

    def test_append_with_a_closed_input_says_so_and_appends_nothing(self):
        self.whole()
        done = subprocess.run([cli.TOOL, "append", self.log], stderr=subprocess.PIPE, env=cli.environment(), check=False,
                              timeout=cli.SECONDS, preexec_fn=lambda: os.close(0))
        self.assertEqual(done.returncode, cli.IO, done.stderr)
        self.assertEqual(self.cat(), cli.text(self.truth))

    def test_a_reader_that_leaves_ends_a_command_quietly_or_with_a_word(self):
        self.whole()
        for args in (["cat", self.log], ["cat", self.log, "--json"], ["dump", self.log], ["stat", self.log, "--json"],
                     ["verify", self.log, "--json"], ["tail", self.log, "-n", "5000"]):
            read, write = os.pipe()
            os.close(read)
            done = subprocess.run([cli.TOOL, *args], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE,
                                  env=cli.environment(), timeout=cli.SECONDS, check=False,
                                  restore_signals=True)  # SIGPIPE as a shell would have it
            os.close(write)
            self.assertIn(done.returncode, (cli.FINE, cli.IO), (args, done.stderr))
            self.assertLessEqual(done.stderr.count(b"\n"), 1)
        source = self.file("input", cli.text(cli.lines(3000)))
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([cli.TOOL, "append", self.log, "--ack", "--batch", "10", source], stdin=subprocess.DEVNULL,
                              stdout=write, stderr=subprocess.PIPE, env=cli.environment(), timeout=cli.SECONDS, check=False)
        os.close(write)
        self.assertEqual(done.returncode, cli.IO, done.stderr)
        self.assertIn(b"cannot write to standard output", done.stderr)
        shown = self.cat().split(b"\n")[:-1]
        self.assertEqual(shown, (self.truth + cli.lines(3000))[:len(shown)])
        self.assertEqual(self.json("verify", self.log)["problems"], [])


class Holes(Place):
    SCRIPT = """
mount -t tmpfs -o size=%d,mode=700 none "$1" || exit 77
cp -a --sparse=always "$2" "$1/log" || exit 78
dd if=/dev/zero of="$1/ballast" bs=4096 2>/dev/null
"$3" cat "$1/log" > "$1.cat"; echo "cat $?"
"$3" append "$1/log" "$4" 2>&1; echo "full $?"
"$3" verify "$1/log" 2>&1; echo "verify $?"
rm "$1/ballast"
"$3" append "$1/log" "$4" 2>&1; echo "room $?"
"$3" verify "$1/log" 2>&1; echo "verify $?"
"$3" cat "$1/log" > "$1.room"
"""

    def test_holes_of_a_sparse_copy_meet_a_full_disk_with_an_error_and_no_signal(self):
        _, log, source = self.lab.damage("sparse-copy", self.log)
        truth = cli.text(self.lab.truth[source])
        size = sum(os.stat(log.path / n).st_blocks for n in os.listdir(self.log)) * 512 + (3 << 20)
        os.mkdir(self.path("small"))
        done = subprocess.run(["unshare", "-m", "sh", "-c", self.SCRIPT % size, "sh", self.path("small"), self.log,
                               cli.TOOL, self.file("truth", truth)], capture_output=True, timeout=cli.SECONDS,
                              env=cli.environment(), check=False)
        out = done.stdout.decode()
        if done.returncode == 77 or b"unshare" in done.stderr:
            damage_lab.skip("a full disk was not tried: no mounts here (root, or user name spaces with mounts, are needed)")
            return
        # Even to look at a hole through a map a tmpfs needs a page: what was read before is right, and then an error.
        self.assertRegex(out, "(?m)^cat [03]$")
        with open(self.path("small.cat"), "rb") as file:
            self.assertTrue(truth.startswith(file.read()))
        self.assertIn("full 4\n", out)
        self.assertIn("No space left on device", out)
        self.assertIn("room 0\n", out)
        self.assertEqual(out.count("verify 0\n"), 2, out)
        with open(self.path("small.room"), "rb") as file:
            shown = file.read()
        self.assertTrue(shown.endswith(truth))
        before = shown[:-len(truth)]  # what was there, and what the first append may have got in
        self.assertTrue(before.startswith(truth) and (truth + truth).startswith(before))


if __name__ == "__main__":
    cli.main()
