# SPDX-License-Identifier: BSD-3-Clause
"""stele create and stele append: what becomes a record, when it is acknowledged, and how a run ends."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402

RECORD_MAX = (64 << 10) // 4 - 16  # in segments of 64 KiB


def pieces(records):
    return b"".join(struct.pack("<I", len(record)) + record for record in records)


def acks(out):
    """[(count, lsn)] of the lines that --ack printed."""
    found = [re.fullmatch(rb"ACK (\d+) (\d+)", line) for line in out.splitlines()]
    assert all(found), out
    return [(int(m.group(1)), int(m.group(2))) for m in found]


class Create(cli.Case):
    def test_a_log_is_made_once(self):
        document = self.json("create", self.log, "--segment-size", "128K", "--metadata", "node 7")
        self.assertEqual(document["segment_bytes"], 128 << 10)
        self.assertIn(document["durability"], ("msync", "pmem"))
        self.assertTrue(document["durability_reason"])
        before = cli.digest(self.log)
        self.complaint("create", self.log)
        self.assertEqual(cli.digest(self.log), before)
        stat = self.json("stat", self.log)
        self.assertEqual((stat["metadata"]["utf8"], stat["uuid"]), ("node 7", document["uuid"]))

    def test_what_it_says_goes_to_stderr(self):
        done = self.stele("create", self.log)
        self.assertEqual(done.stdout, b"")
        self.assertIn(b"64 MiB", done.stderr)

    def test_an_empty_directory_is_taken_and_others_are_not(self):
        os.mkdir(self.log)
        self.stele("create", self.log, "--segment-size", "64K")
        os.mkdir(self.path("other"))
        self.file("other/file", b"mine")
        before = cli.digest(self.path("other"))
        self.complaint("create", self.path("other"))
        self.complaint("create", self.file("plain", b""))
        self.complaint("create", self.path("no/such/parent"))
        self.assertEqual(cli.digest(self.path("other")), before)

    def test_too_much_metadata_is_refused(self):
        self.stele("create", self.log, "--metadata", "m" * 1921, code=cli.USAGE)
        self.stele("create", self.log, "--metadata", "m" * 1920, "--segment-size", "64K")

    def test_files_are_private(self):
        self.stele("create", self.log, "--segment-size", "64K")
        self.assertEqual(os.stat(self.log).st_mode & 0o777, 0o700)
        for name in os.listdir(self.log):
            self.assertEqual(os.stat(os.path.join(self.log, name)).st_mode & 0o777, 0o600, name)


class Records(cli.Case):
    def taken(self, data, *args, expect):
        """Append `data`; the log then holds the records `expect`."""
        log = self.path(f"log{len(os.listdir(self.dir))}")
        self.stele("append", "--create", "--segment-size", "64K", log, *args, stdin=data)
        self.assertEqual(self.cat("--raw", log=log), b"".join(expect))
        got = [int(n) for n in self.cat("-F", "%l\\n", log=log).split()]
        self.assertEqual(got, [len(record) for record in expect])

    def test_a_line_is_a_record(self):
        self.taken(b"", expect=[])
        self.taken(b"one\ntwo\n", expect=[b"one", b"two"])
        self.taken(b"one\nlast", expect=[b"one", b"last"])
        self.taken(b"\n\nx\n\n", expect=[b"", b"", b"x", b""])
        self.taken(b"\x00\xff\r\n\x80\n", expect=[b"\x00\xff\r", b"\x80"])

    def test_other_delimiters(self):
        self.taken(b"a\nb\x00c\x00\x00d", "-z", expect=[b"a\nb", b"c", b"", b"d"])
        self.taken(b"a,b\n,c", "-D", ",", expect=[b"a", b"b\n", b"c"])
        self.taken(b"a\tb", "-D", "\\t", expect=[b"a", b"b"])
        self.taken(b"a\\b", "-D", "\\\\", expect=[b"a", b"b"])
        self.taken(b"a\x1eb\n", "-D", "\\x1e", expect=[b"a", b"b\n"])
        self.taken(b"a\nb\n", "-D", "\\n", expect=[b"a", b"b"])
        self.taken(b"a\0b", "--delimiter", "\\0", expect=[b"a", b"b"])

    def test_length_prefixed_records_hold_any_byte(self):
        records = [b"", b"one\n", bytes(range(256)) * 8, b"\n", b"x" * RECORD_MAX]
        self.taken(pieces(records), "--length-prefixed", expect=records)

    def test_a_length_prefixed_record_that_is_cut_short_is_an_error(self):
        whole = pieces([b"first", b"second"])
        for cut in (1, 5, 8, 9):
            log = self.path(f"cut{cut}")
            err = self.complaint("append", "--create", log, "--length-prefixed", stdin=whole[:-cut])
            self.assertIn("record 2", err)
            self.assertEqual(self.cat(log=log), b"first\n")

    def test_files_are_read_in_order_and_end_records(self):
        one, two = self.file("one", b"a\nb"), self.file("two", b"c\n")
        self.stele("append", "--create", self.log, one, "-", two, stdin=b"middle")
        self.assertEqual(self.cat(), b"a\nb\nmiddle\nc\n")

    def test_the_largest_record_fits_and_a_larger_one_is_named(self):
        fits = b"m" * RECORD_MAX
        self.small_log([b"small", fits])
        self.assertEqual(self.cat(), cli.text([b"small", fits]))
        for data in (b"ok\n" + fits + b"m\nnever\n", b"ok\n" + fits + b"m", b"ok\n" + fits + b"m" * 9000000):
            before = self.cat()
            err = self.complaint("append", self.log, stdin=data)
            self.assertIn("line 2 ", err)
            self.assertIn(str(RECORD_MAX), err)
            self.assertEqual(self.cat(), before + b"ok\n")
        err = self.complaint("append", self.log, "--length-prefixed", stdin=pieces([b"1", b"2", fits + b"m"]))
        self.assertIn("record 3 ", err)

    def test_lines_longer_than_any_buffer_are_records(self):
        records = [b"x" * (3 << 20), b"short", b"y" * (5 << 20)]
        self.append(records)
        self.assertEqual(self.cat(), cli.text(records))

    def test_types_are_kept(self):
        self.append([b"plain"])
        self.append([b"typed"], "--type", "112")
        self.assertEqual(self.cat("-F", "%T %s\\n"), b"0 plain\n112 typed\n")


class Acknowledge(cli.Case):
    def test_each_mode_says_what_is_durable(self):
        records = cli.lines(100)
        expected = {"each": list(range(1, 101)), "batch": [30, 60, 90, 100], "end": [100], "none": [100]}
        for when, counts in expected.items():
            log = self.path(when)
            data = self.file("data", cli.text(records))
            out = self.stele("append", "--create", log, data, "--ack", "--sync", when, "--batch", "30").stdout
            said = acks(out)
            self.assertEqual([count for count, _ in said], counts, when)
            where = [int(n) for n in self.cat("-F", "%o\\n", log=log).split()]
            self.assertEqual([lsn for _, lsn in said], [where[count - 1] for count in counts])

    def test_large_records_fill_a_batch_by_bytes(self):
        data = self.file("data", cli.text([b"x" * (1 << 20)] * 10))
        said = acks(self.stele("append", "--create", self.log, data, "--ack").stdout)
        self.assertEqual([count for count, _ in said], [4, 8, 10])

    def test_a_slow_pipe_does_not_delay_an_acknowledgement(self):
        process = self.start("append", "--create", self.log, "--ack")
        for count in range(1, 6):
            process.stdin.write(b"line %d\npart of the next " % count)
            process.stdin.flush()
            said = cli.read_line(process)  # comes although the next line is unfinished
            self.assertEqual(acks(said)[0][0], count)
            self.assertEqual(self.cat("-n", "1", "--from", "-1", "--durable"), self.cat("--from", "-1"))
        self.end(process)
        self.assertEqual(self.cat("--from", "-1"), b"part of the next \n")

    def test_json_summary_has_the_facts(self):
        document = self.json("append", "--create", self.log, stdin=b"one\ntwo\nthree\n")
        where = [int(n) for n in self.cat("-F", "%o\\n").split()]
        self.assertEqual((document["records"], document["bytes"]), (3, 11))
        self.assertEqual((document["first_lsn"], document["last_lsn"]), (where[0], where[-1]))
        self.assertGreater(document["durable_lsn"], where[-1])
        self.assertEqual((document["status"], document["durable_records"]), ("complete", 3))
        self.assertGreaterEqual(document["seconds"], 0)
        none = self.json("append", self.log)
        self.assertEqual((none["records"], none["first_lsn"], none["last_lsn"]), (0, None, None))

    def test_the_summary_goes_to_stderr_unless_quiet(self):
        done = self.append([b"one", b"two"])
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.stderr.decode(), r"^stele: append: 2 records, 6 B, LSN \d+ to \d+, [\d.]+ s\n$")
        self.assertEqual(self.append([b"three"], "-q").stderr, b"")

    def test_durability_classes(self):
        self.append([b"a"], "--durability", "msync")
        done = self.append([b"b"], "--durability", "none")
        self.assertIn(b"durability is none", done.stderr)
        where = "/dev/shm" if os.path.isdir("/dev/shm") else self.dir
        pmem = os.path.join(where, os.path.basename(self.dir))
        try:
            self.stele("append", "--create", pmem, "--durability", "pmem", "--segment-size", "64K", stdin=b"c\n",
                       env=cli.environment(PMEM_IS_PMEM_FORCE="1"))
            self.assertEqual(self.cat(log=pmem), b"c\n")
        finally:
            shutil.rmtree(pmem, ignore_errors=True)
        self.assertEqual(self.cat(), b"a\nb\n")


class Ends(cli.Case):
    def test_a_second_writer_is_told_who_holds_the_lock(self):
        holder = self.start("append", "--create", self.log, "--ack")
        holder.stdin.write(b"x\n")
        holder.stdin.flush()
        cli.read_line(holder)
        for args in (["append", self.log], ["trim", self.log, "--keep-segments", "1"],
                     ["repair", self.log, "--apply"]):
            err = self.complaint(*args, code=cli.LOCKED)
            self.assertIn(str(holder.pid), err)
            self.assertRegex(err, r"\d\d:\d\d:\d\d")  # since when
        self.end(holder)
        self.append([b"y"])
        self.assertEqual(self.cat(), b"x\ny\n")

    def test_a_signal_makes_durable_what_was_read(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for when in ("batch", "end", "none", "each"):
                log = self.path(f"{when}{number}")
                process = self.start("append", "--create", log, "--sync", when, "--json")
                process.stdin.write(b"whole\n" * 1000 + b"part")
                process.stdin.flush()
                self.wait_for_records(log, 1000)
                process.send_signal(number)
                out, err = self.end(process, code)
                self.assertIn(b"unfinished record of 4 bytes", err)
                document = json.loads(out)
                self.assertEqual((document["status"], document["durable_records"]), ("interrupted", 1000))
                self.assertEqual(self.cat(log=log), b"whole\n" * 1000)

    def wait_for_records(self, log, count):
        """Until so many records are published; the first poll may come before the log is there."""
        while not os.path.exists(os.path.join(log, "lock")):
            os.sched_yield()
        for _ in range(100000):
            done = subprocess.run([cli.TOOL, "cat", log, "-f", "-n", str(count), "--timeout", "60"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, env=cli.environment())
            if done.returncode == 0:
                return
        self.fail(f"{log}: {done}")

    FAILING_MSYNC = r"""
        #define _GNU_SOURCE
        #include <errno.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        int msync(void *at, size_t len, int flags)
        {
            static int calls;
            if (++calls <= atoi(getenv("MSYNC_CALLS")))
                return (int)syscall(SYS_msync, at, len, flags);
            errno = EIO;
            return -1;
        }
        """

    def test_a_failed_sync_is_said_once_and_nothing_after_it_is_acknowledged(self):
        source, library = self.file("fail.c", self.FAILING_MSYNC.encode()), self.path("fail.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        records = cli.lines(200)
        data = self.file("data", cli.text(records))
        for calls in (5, 20, 50, 51, 52, 53):  # the helper's calls come in between at any of them
            self.stele("create", self.log + str(calls))
            env = cli.environment(LD_PRELOAD=library, MSYNC_CALLS=str(calls),
                                  ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
            done = self.stele("append", self.log + str(calls), data, "--sync", "each", "--ack", "--durability", "msync",
                              "-q", env=env, code=cli.IO)
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
            self.assertIn(b"Input/output error", done.stderr)
            said = [count for count, _ in acks(done.stdout)]
            self.assertEqual(said, list(range(1, len(said) + 1)))
            self.assertTrue(len(said) <= calls)
            self.assertEqual(self.stele("cat", self.log + str(calls), "-n", str(len(said))).stdout,
                             cli.text(records[:len(said)]))

    def test_when_nobody_hears_acknowledgements_appending_ends(self):
        process = self.start("append", "--create", self.log, "--ack")
        process.stdout.close()
        process.stdout = None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        err = process.stderr.readline()
        self.assertIn(b"Broken pipe", err)
        self.end(process, cli.IO)
        self.assertEqual(self.cat(), b"one\n")

    def test_input_that_cannot_be_read_is_an_error_and_what_came_before_is_durable(self):
        good = self.file("good", b"good\n")
        for bad in (self.dir, self.path("missing")):
            err = self.complaint("append", "--create", self.log, good, bad, good)
            self.assertIn(bad, err)
        self.assertEqual(self.cat(), b"good\ngood\n")

    def test_a_closed_stdin_is_an_error(self):
        err = self.complaint("append", "--create", self.log, stdin=None, preexec_fn=lambda: os.close(0))
        self.assertIn("standard input", err)

    def test_closed_standard_streams_do_not_become_files_of_the_log(self):
        self.small_log(cli.lines(10))
        before = {name: data for name, data in cli.digest(self.log).items() if name.endswith(".stele")}
        for closed in ("<&-", "<&- >&-", "<&- >&- 2>&-"):
            ended = subprocess.run(["sh", "-c", f'"$0" append --ack "$1" "$1/no-such-file" {closed}', cli.TOOL, self.log],
                                   env=cli.environment(), check=False, capture_output=True).returncode
            self.assertEqual(ended, cli.IO)
            after = cli.digest(self.log)  # there may be new spares
            self.assertEqual({name: after[name] for name in before}, before, closed)
        self.assertEqual(self.json("verify", self.log)["problems"], [])  # both blocks of the control file are whole
        with open(os.path.join(self.log, "lock"), "rb") as lock:
            self.assertTrue(lock.read().startswith(b"pid "))

    def test_without_create_there_must_be_a_log(self):
        self.complaint("append", self.log, stdin=b"x\n")
        self.assertFalse(os.path.exists(self.log))
        os.mkdir(self.log)
        self.complaint("append", self.log, stdin=b"x\n")
        self.assertEqual(os.listdir(self.log), [])
        self.file("log/file", b"mine")
        self.complaint("append", "--create", self.log, stdin=b"x\n")
        self.assertEqual(os.listdir(self.log), ["file"])

    def test_create_goes_on_with_an_existing_log(self):
        self.small_log([b"a"])
        self.append([b"b"], "--segment-size", "1M")
        self.assertEqual(self.cat(), b"a\nb\n")
        self.assertEqual(self.json("stat", self.log)["segment_bytes"], 64 << 10)

    def test_damage_stops_a_writer_before_it_changes_anything(self):
        self.small_log(cli.lines(9000))
        self.flip_record(-500)  # above the last seal: sealed segments are not read again at every open
        before = cli.digest(self.log)
        err = self.complaint("append", self.log, stdin=b"x\n", code=cli.CORRUPT)
        self.assertIn(".stele", err)
        before.pop("lock"), before.pop("control")
        after = cli.digest(self.log)
        self.assertEqual({name: after[name] for name in before}, before)


if __name__ == "__main__":
    cli.main()
