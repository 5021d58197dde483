# SPDX-License-Identifier: BSD-3-Clause
"""stele cat and stele tail: where reading begins and ends, what it looks like, following a live writer."""

import base64
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402


class Range(cli.Case):
    def setUp(self):
        super().setUp()
        self.records = cli.lines(4000)  # two segments of 64 KiB and a bit
        self.small_log(self.records)
        self.where = [int(n) for n in self.cat("-F", "%o\\n").split()]

    def shows(self, expect, *args):
        self.assertEqual(self.cat(*args), cli.text(expect), args)

    def test_reading_begins_where_it_is_asked_to(self):
        r, at = self.records, self.where
        self.shows(r)
        self.shows(r, "--from", "begin")
        self.shows(r, "--from", "0")
        self.shows([], "--from", "end")
        self.shows(r[-7:], "--from", "-7")
        self.shows([], "--from", "-0")
        self.shows(r, "--from", "-99999")
        self.shows(r[2000:], "--from", str(at[2000]))
        self.shows(r[2000:], "--from", hex(at[2000]))
        self.shows(r[2000:], "--from", str(at[1999] + 8))
        self.shows(r[2000:], f"--from={at[2000]}")

    def test_reading_ends_where_it_is_asked_to(self):
        r, at = self.records, self.where
        self.shows(r[:10], "-n", "10")
        self.shows([], "-n", "0")
        self.shows(r, "-n", "99999")
        self.shows(r[:1501], "--to", str(at[1500]))
        self.shows(r[:1501], "--to", str(at[1500] + 8))
        self.shows(r[100:201], "--from", str(at[100]), "--to", str(at[200]))
        self.shows(r[100:103], "--from", str(at[100]), "--to", str(at[200]), "-n", "3")
        self.shows([], "--from", str(at[200]), "--to", str(at[100]))

    def test_time_leaves_out_nothing_that_came_after_it(self):
        then = time.time()
        later = cli.lines(5, start=5000)
        self.append(later)
        self.assertTrue(self.cat("--from", f"@{then:.6f}").endswith(cli.text(later)))
        self.assertEqual(self.cat("--from", "@0"), cli.text(self.records + later))

    def test_durable_records_are_shown_as_such(self):
        self.shows(self.records, "--durable")

    def test_a_trimmed_position_is_an_error(self):
        self.stele("trim", self.log, "--before", str(self.where[-1]))
        first = self.json("stat", self.log)["first_lsn"]
        self.assertGreater(first, 0)
        self.complaint("cat", self.log, "--from", "0")
        self.shows([r for r, at in zip(self.records, self.where) if at >= first])


class Form(cli.Case):
    ODD = [b"plain", b"", b"\x00\xff\xfe", "gr\u00fc\u00df \u4f60\u597d \U0001f600 \"quoted\" \\ \x01".encode(),
           b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\tb\r", b"\x7f"]

    def setUp(self):
        super().setUp()
        self.stele("append", "--create", self.log, "-z", stdin=b"".join(r.replace(b"\0", b"Z") + b"\0" for r in self.ODD))
        self.records = [r.replace(b"\0", b"Z") for r in self.ODD]

    def test_json_holds_every_byte(self):
        rows = [json.loads(line) for line in self.cat("--json").splitlines()]
        self.assertEqual([base64.b64decode(row["base64"], validate=True) for row in rows], self.records)
        where = [int(n) for n in self.cat("-F", "%o ").split()]
        for row, record, lsn in zip(rows, self.records, where):
            self.assertEqual((row["schema"], row["lsn"], row["type"], row["length"]),
                             ("stele.record/1", lsn, 0, len(record)))
            try:
                text = record.decode()
            except UnicodeDecodeError:
                text = None
            self.assertEqual(row.get("utf8"), text)

    def test_raw_and_hex(self):
        self.assertEqual(self.cat("--raw"), b"".join(self.records))
        self.assertEqual([bytes.fromhex(line.decode()) for line in self.cat("--hex").splitlines()], self.records)

    def test_a_format_is_filled_in(self):
        where = [int(n) for n in self.cat("-F", "%o ").split()]
        expect = b"".join(b"%%%d|%s|%d|0\t\x01\\\n" % (lsn, r, len(r)) for lsn, r in zip(where, self.records))
        self.assertEqual(self.cat("-F", "%%%o|%s|%l|%T\\t\\x01\\\\\\n"), expect)
        self.assertEqual(self.cat("--format", "", "-n", "2"), b"")
        self.assertEqual(self.cat("-F", "no fields\\0\\r", "-n", "2"), b"no fields\0\r" * 2)


class NotALog(cli.Case):
    def test_what_is_no_log_is_an_error_of_every_reader(self):
        os.mkdir(self.path("empty"))
        os.mkdir(self.path("other"))
        self.file("other/file", b"x")
        places = [self.path("missing"), self.path("empty"), self.path("other"), self.file("plain", b"x")]
        for command in ("cat", "tail", "stat", "verify", "repair", "dump", "metrics"):
            for place in places:
                self.complaint(command, place)
        for place in places:
            self.complaint("trim", place, "--before", "1")
            self.complaint("trim", place, "--before", "1", "--dry-run")
            self.complaint("backup", place, self.path("copy"))
            self.assertFalse(os.path.exists(self.path("copy")))

    def test_no_permission_is_an_error(self):
        self.small_log([b"secret"])
        tool = self.path("stele")
        shutil.copy(cli.TOOL, tool)
        os.chmod(self.dir, 0o755)
        os.chmod(tool, 0o755)

        def nobody():
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
        if os.getuid() != 0:
            os.chmod(self.log, 0)
        kept, cli.TOOL = cli.TOOL, tool
        try:
            for command in ("cat", "stat", "verify", "append", "dump"):
                err = self.complaint(command, self.log, preexec_fn=nobody, stdin=b"x\n")
                self.assertIn("ermission", err)
        finally:
            cli.TOOL = kept
            os.chmod(self.log, 0o700)


class Follow(cli.Case):
    def write(self, writer, records):
        writer.stdin.write(cli.text(records))
        writer.stdin.flush()

    def test_a_follower_sees_every_record_across_segments_and_writers(self):
        records = cli.lines(6000)  # four segments and a bit
        self.small_log(records[:1000])
        follower = self.start("cat", self.log, "-f", "-n", "6000", "--timeout", "60")
        for part in (records[1000:1001], records[1001:4000], records[4000:]):
            self.append(part)
        self.assertEqual(self.end(follower)[0], cli.text(records))
        self.assertGreater(len({i["segment"] for i in self.dump() if i["kind"] == "record"}), 3)

    def test_tail_shows_the_last_ten_and_goes_on(self):
        records = cli.lines(30)
        self.append(records[:20])
        writer = self.start("append", self.log, "--ack")
        follower = self.start("tail", self.log)
        for record in records[10:20]:
            self.assertEqual(cli.read_line(follower), record + b"\n")
        for record in records[20:]:
            self.write(writer, [record])
            self.assertEqual(cli.read_line(follower), record + b"\n")
        follower.send_signal(signal.SIGINT)
        self.assertEqual(self.end(follower), (b"", b""))
        self.end(writer)

    def test_tail_takes_the_number_of_records(self):
        records = cli.lines(30)
        self.append(records)
        self.assertEqual(self.stele("tail", self.log, "-n", "3").stdout, cli.text(records[-3:]))
        self.assertEqual(self.stele("tail", self.log, "--from", "-12", "-n", "3").stdout, cli.text(records[18:21]))
        done = self.stele("tail", self.log, "--from", "-12", "--timeout", "0.1", code=cli.TIMEOUT)
        self.assertEqual(done.stdout, cli.text(records[18:]))

    def test_a_wait_that_is_too_long_ends_with_124(self):
        self.append(cli.lines(3))
        done = self.stele("cat", self.log, "-f", "--timeout", "0.05", code=cli.TIMEOUT)
        self.assertEqual((done.stdout, done.stderr), (cli.text(cli.lines(3)), b""))
        self.stele("cat", self.log, "-f", "--timeout", "0", "--from", "end", code=cli.TIMEOUT)

    def test_a_position_ends_following(self):
        records = cli.lines(20)
        self.append(records[:10])
        last = int(self.cat("--from", "-1", "-F", "%o"))
        done = self.stele("cat", self.log, "-f", "--to", str(last))
        self.assertEqual(done.stdout, cli.text(records[:10]))

    def test_sigterm_ends_following_too(self):
        self.append([b"x"])
        follower = self.start("cat", self.log, "-f")
        cli.read_line(follower)
        follower.send_signal(signal.SIGTERM)
        self.end(follower)

    def test_following_ends_when_nobody_reads(self):
        self.append([b"x"])
        follower = self.start("tail", self.log)
        cli.read_line(follower)
        follower.stdout.close()
        follower.stdout = None
        self.assertEqual(self.end(follower)[1], b"")

    def test_durable_following_sees_what_is_acknowledged(self):
        writer = self.start("append", "--create", self.log, "--ack", "--sync", "each")
        self.write(writer, [b"first"])
        cli.read_line(writer)
        follower = self.start("cat", self.log, "-f", "--durable")
        self.assertEqual(cli.read_line(follower), b"first\n")
        self.write(writer, [b"second"])
        self.assertEqual(cli.read_line(follower), b"second\n")
        cli.read_line(writer)
        self.end(writer)
        follower.send_signal(signal.SIGINT)
        self.end(follower)


class Damage(cli.Case):
    def test_records_before_damage_are_shown_and_the_damage_is_named(self):
        records = cli.lines(9000)
        self.small_log(records)
        item = self.flip_record(50)
        done = self.stele("cat", self.log, code=cli.CORRUPT)
        self.assertIn(item["segment"], done.stderr.decode())
        self.assertEqual(done.stdout, cli.text(records[:50]))

    def test_a_torn_tail_is_no_error(self):
        records = cli.lines(20)
        self.small_log(records)
        self.tear()
        self.assertEqual(self.cat(), cli.text(records))

    def test_a_quarantined_segment_is_a_gap(self):
        records = cli.lines(9000)
        self.small_log(records)
        item = self.flip_record(2500)
        self.stele("repair", self.log, "--apply", "--quarantine")
        lost = {i["lsn"] for i in self.dump() if i["kind"] == "record"}
        done = self.stele("cat", self.log, "-F", "%o %s\\n", code=cli.CORRUPT)
        shown = [line.split(b" ", 1) for line in done.stdout.splitlines()]
        self.assertEqual({int(lsn) for lsn, _ in shown}, lost)
        self.assertEqual([r for _, r in shown], [r for r in records if r in {s for _, s in shown}])
        self.assertLess(len(shown), len(records))
        self.assertEqual((shown[0][1], shown[-1][1]), (records[0], records[-1]))
        self.assertIn(item["segment"], done.stderr.decode())


if __name__ == "__main__":
    cli.main()
