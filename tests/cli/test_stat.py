# SPDX-License-Identifier: BSD-3-Clause
"""What looks at a log from outside or copies it: stele stat, metrics, dump, trim, backup."""

import base64
import os
import re
import shutil
import signal
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402


class Live(cli.Case):
    def hold(self, records, *args):
        """A writer that has the log open and everything durable."""
        writer = self.start("append", "--create", self.log, "--ack", *args)
        writer.stdin.write(cli.text(records))
        writer.stdin.flush()
        while not cli.read_line(writer).startswith(b"ACK %d " % len(records)):
            pass
        return writer


class Stat(Live):
    def test_facts_of_a_closed_log(self):
        self.small_log(cli.lines(4000), "--metadata", "\u00fc")
        stat = self.json("stat", self.log)
        where = [int(n) for n in self.cat("-F", "%o\\n").split()]
        self.assertEqual((stat["records"], stat["first_lsn"], stat["segment_bytes"]), (4000, 0, 64 << 10))
        self.assertGreater(stat["published_lsn"], where[-1])
        self.assertEqual(stat["durable_lsn"], stat["published_lsn"])
        self.assertEqual(str(uuid.UUID(stat["uuid"])), stat["uuid"])
        self.assertIn(stat["durability"], ("msync", "pmem"))
        self.assertTrue(stat["durability_reason"])
        self.assertEqual((stat["metadata"]["utf8"], stat["warnings"]), ("\u00fc", []))
        self.assertEqual((stat["pins"], stat["pinned_lsn"]), (0, None))
        self.assertEqual((stat["writer"]["alive"], stat["writer"]["pid"]), (False, None))
        sizes = {name: os.path.getsize(os.path.join(self.log, name)) for name in os.listdir(self.log)}
        for segment in stat["segments"]:
            self.assertEqual(segment["file_bytes"], sizes[segment["name"]])
            self.assertEqual(segment["name"], "%016x-%016x.stele" % (segment["sequence"], segment["base_lsn"]))
        self.assertEqual(stat["file_bytes"], sum(s["file_bytes"] for s in stat["segments"]))
        sealed = [s for s in stat["segments"] if s["state"] == "sealed"]
        self.assertEqual(len(sealed), 2)
        self.assertTrue(0 < sum(s["records"] for s in sealed) < 4000)
        self.assertIn("active", {s["state"] for s in stat["segments"]})

    def test_the_table_says_the_same(self):
        self.small_log(cli.lines(4000))
        stat = self.json("stat", self.log)
        out = self.stele("stat", self.log).stdout.decode()
        self.assertRegex(out, r"(?m)^records +4000$")
        self.assertRegex(out, rf"(?m)^durable LSN +{stat['durable_lsn']}$")
        self.assertRegex(out, r"(?m)^writer +none$")
        self.assertNotIn("WARNING", out)
        for segment in stat["segments"]:
            self.assertRegex(out, rf"(?m)^{segment['name']} +{segment['state']} ")

    def test_a_live_writer_is_named(self):
        writer = self.hold(cli.lines(5))
        stat = self.json("stat", self.log)
        self.assertEqual((stat["writer"]["alive"], stat["writer"]["pid"], stat["records"]), (True, writer.pid, 5))
        self.assertGreater(stat["writer"]["start_ns"], 10**18)
        self.assertRegex(self.stele("stat", self.log).stdout.decode(), rf"(?m)^writer +pid {writer.pid}, since \d{{4}}-")
        self.end(writer)

    def test_durability_none_is_loud(self):
        writer = self.hold(cli.lines(5), "--durability", "none")
        stat = self.json("stat", self.log)
        self.assertEqual((stat["durability"], len(stat["warnings"])), ("none", 1))
        self.assertIn(b"WARNING: durability is none", self.stele("stat", self.log).stdout)
        self.end(writer)

    def test_a_reader_shows_as_a_pin(self):
        self.small_log(cli.lines(4000))
        reader = self.start("cat", self.log, "-f")
        reader.stdout.read(len(cli.text(cli.lines(4000))))
        stat = self.json("stat", self.log)
        self.assertEqual(stat["pins"], 1)
        self.assertGreater(stat["pinned_lsn"], 0)
        reader.send_signal(signal.SIGINT)
        self.end(reader)


class Metrics(Live):
    SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (\d+)')

    def parse(self, text):
        """{name: {labels: value}} of OpenMetrics text, which must be well-formed."""
        self.assertTrue(text.endswith("# EOF\n"))
        families, found, name, kind = [], {}, None, None
        for line in text.split("\n")[:-2]:
            meta = re.fullmatch(r"# (TYPE|UNIT|HELP) ([a-z_]+) (.+)", line)
            if meta and meta.group(1) == "TYPE":
                name, kind = meta.group(2), meta.group(3)
                self.assertNotIn(name, families)
                families.append(name)
                self.assertIn(kind, ("gauge", "info"))
            elif meta:
                self.assertEqual(meta.group(2), name)
                if meta.group(1) == "UNIT":
                    self.assertTrue(name.endswith("_" + meta.group(3)))
            else:
                sample = self.SAMPLE.fullmatch(line)
                self.assertTrue(sample, line)
                self.assertEqual(sample.group(1), name + ("_info" if kind == "info" else ""))
                labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', sample.group(2)))
                found.setdefault(sample.group(1), []).append((labels, int(sample.group(3))))
        return found

    def same_as_stat(self):
        stat = self.json("stat", self.log)
        metrics = self.parse(self.stele("metrics", self.log).stdout.decode())
        self.assertEqual({labels["kind"]: value for labels, value in metrics["stele_lsn_bytes"]},
                         {kind: stat[kind + "_lsn"] for kind in ("first", "durable", "published")})
        self.assertEqual(metrics["stele_records"][0][1], stat["records"])
        self.assertEqual(metrics["stele_writer_alive"][0][1], stat["writer"]["alive"])
        self.assertEqual(metrics["stele_failed"][0][1], 0)
        states = {labels["state"]: value for labels, value in metrics["stele_segments"]}
        for state, count in states.items():
            self.assertEqual(count, sum(s["state"] == state for s in stat["segments"]), state)
        self.assertEqual(sum(states.values()), len(stat["segments"]))
        self.assertEqual(metrics["stele_info"][0][0]["uuid"], stat["uuid"])
        self.assertEqual(metrics["stele_info"][0][0]["durability"], stat["durability"])
        return stat

    def test_metrics_say_what_stat_says(self):
        self.small_log(cli.lines(4000))
        self.assertEqual(self.same_as_stat()["records"], 4000)

    def test_metrics_see_a_live_writer(self):
        writer = self.hold(cli.lines(5))
        self.assertTrue(self.parse(self.stele("metrics", self.log).stdout.decode())["stele_writer_alive"][0][1])
        self.end(writer)

    def test_odd_directory_names_are_escaped(self):
        self.log = os.path.join(os.fsencode(self.dir), b'a "b"\\\n\xff')
        self.stele("append", "--create", self.log, stdin=b"x\n")
        text = self.stele("metrics", self.log).stdout.decode()
        self.parse(text)
        self.assertIn('a \\"b\\"\\\\\\n?"', text)
        self.assertIn("a \"b\"\\\n\ufffd", self.json("stat", self.log)["path"])


class Dump(Live):
    def test_the_structure_is_shown_whole(self):
        records = cli.lines(4000)
        self.small_log(records, "--metadata", "head")
        items = self.dump()
        shown = [i for i in items if i["kind"] == "record"]
        self.assertEqual([base64.b64decode(i["base64"]) for i in shown], records)
        self.assertEqual([i["utf8"].encode() for i in shown], records)
        self.assertEqual([i["lsn"] for i in shown], [int(n) for n in self.cat("-F", "%o\\n").split()])
        for item in shown:
            self.assertEqual(item["length"], len(records[0]))
            self.assertEqual((item["type"], item["wire_type"]), (0, 1))
            with open(self.segment(item), "rb") as file:
                file.seek(item["offset"])
                head = file.read(16)
            self.assertEqual(int.from_bytes(head[:4], "little"), item["length"])
            self.assertEqual(int.from_bytes(head[5:7], "little"), item["epoch"])
            self.assertEqual(int.from_bytes(head[8:12], "little"), item["crc"])
            self.assertEqual(int.from_bytes(head[12:16], "little"), item["dback"])
        headers = [i for i in items if i["kind"] == "header"]
        stat = self.json("stat", self.log)
        self.assertEqual([i["segment"] for i in headers], [s["name"] for s in stat["segments"]])
        for header in headers:
            self.assertEqual((header["uuid"], header["valid_copies"]), (stat["uuid"], 3))
            self.assertEqual(header["metadata"]["utf8"], "head")
        footers = {i["segment"]: i for i in items if i["kind"] == "footer"}
        sealed = {s["name"]: s for s in stat["segments"] if s["state"] == "sealed"}
        self.assertEqual({n: f["records"] for n, f in footers.items()}, {n: s["records"] for n, s in sealed.items()})
        marks = [i for i in items if i["kind"] == "mark"]
        self.assertTrue(marks)
        for mark in marks:
            self.assertEqual(mark["record_number"], sum(i["lsn"] < mark["upto_lsn"] for i in shown))
            self.assertRegex(mark["chain"], r"^0x[0-9a-f]{16}$")

    def test_text_has_a_line_for_each_item(self):
        self.small_log(cli.lines(4000))
        out = self.stele("dump", self.log).stdout.decode()
        for kind in ("header", "record", "mark", "footer"):
            count = sum(i["kind"] == kind for i in self.dump())
            self.assertEqual(len(re.findall(rf"(?m)^ *\d+ +[\d-]+ {kind} ", out)), count, kind)
        self.assertIn("line 000000 of the test", out)

    def test_one_copied_segment_is_enough(self):
        self.small_log(cli.lines(4000))
        whole = self.dump()
        name = [i["segment"] for i in whole if i["kind"] == "footer"][1]
        copy = self.path(name)
        shutil.copy(os.path.join(self.log, name), copy)
        self.assertEqual(self.dump(copy), [i for i in whole if i["segment"] == name])

    def test_invalid_bytes_are_shown_as_such(self):
        self.small_log(cli.lines(100))
        item = self.flip_record(50)
        items = self.dump()
        bad = [i for i in items if i["kind"] == "invalid"]
        self.assertEqual([(i["offset"], i["segment"]) for i in bad], [(item["offset"], item["segment"])])
        self.assertTrue(bad[0]["detail"])
        self.assertEqual(sum(i["kind"] == "record" for i in items), 50)

    def test_a_live_log_can_be_dumped(self):
        writer = self.hold(cli.lines(10))
        self.assertEqual(sum(i["kind"] == "record" for i in self.dump()), 10)
        self.end(writer)


class Trim(Live):
    def setUp(self):
        super().setUp()
        self.records = cli.lines(9000)
        self.small_log(self.records)
        self.stat = self.json("stat", self.log)
        self.bases = [s["base_lsn"] for s in self.stat["segments"] if s["state"] in ("sealed", "active")]
        self.assertGreater(len(self.bases), 4)

    def trimmed(self, first, *args):
        """The dry run and the trim agree, and the log then begins at `first`."""
        before = cli.digest(self.log)
        dry = self.json("trim", self.log, *args, "--dry-run")
        self.assertEqual(cli.digest(self.log), before)
        done = self.json("trim", self.log, *args)
        self.assertEqual((dry["dry_run"], done["dry_run"], done["first_lsn"]), (True, False, first))
        self.assertEqual((dry["first_lsn"], dry["segments_dropped"]), (done["first_lsn"], done["segments_dropped"]))
        self.assertEqual(self.json("stat", self.log)["first_lsn"], first)
        self.assertTrue(cli.text(self.records).endswith(self.cat()))
        self.stele("verify", self.log)
        return done["segments_dropped"]

    def test_whole_segments_before_a_position_go(self):
        self.assertEqual(self.trimmed(0, "--before", "0"), 0)
        self.assertEqual(self.trimmed(0, "--before", str(self.bases[1] - 8)), 0)
        self.assertEqual(self.trimmed(self.bases[1], "--before", hex(self.bases[1])), 1)
        self.assertEqual(self.trimmed(self.bases[3], "--before", str(self.bases[3] + 8)), 2)

    def test_a_size_is_kept(self):
        end = self.stat["published_lsn"]
        self.trimmed(0, "--keep-size", "1G")
        keep = end - self.bases[2] - 8
        self.trimmed(self.bases[2], "--keep-size", str(keep))

    def test_a_number_of_segments_is_kept(self):
        self.trimmed(0, "--keep-segments", "99")
        self.assertEqual(self.trimmed(self.bases[-2], "--keep-segments", "2"), len(self.bases) - 2)
        out = self.stele("trim", self.log, "--keep-segments", "2").stdout.decode()
        self.assertIn(f"begins at LSN {self.bases[-2]}", out)

    def test_the_newest_segment_stays(self):
        self.stele("trim", self.log, "--before", str(2**63))
        stat = self.json("stat", self.log)
        self.assertEqual(stat["first_lsn"], self.bases[-1])
        self.assertTrue(self.cat().endswith(self.records[-1] + b"\n"))

    def test_a_reader_keeps_what_it_reads(self):
        reader = self.start("cat", self.log, "-f", "--from", str(self.bases[2]), "-n", "1000000")
        reader.stdout.read(1)
        dry = self.json("trim", self.log, "--keep-segments", "1", "--dry-run")
        done = self.json("trim", self.log, "--keep-segments", "1")
        self.assertEqual(dry["first_lsn"], done["first_lsn"])
        pinned = self.json("stat", self.log)
        self.assertLessEqual(done["first_lsn"], pinned["pinned_lsn"])
        reader.send_signal(signal.SIGINT)
        out, err = self.end(reader)
        self.assertEqual(err, b"")
        self.assertTrue(cli.text(self.records).endswith(out))


class Backup(Live):
    def test_a_copy_is_a_complete_log(self):
        records = cli.lines(4000)
        self.small_log(records)
        copy = self.path("copy")
        document = self.json("backup", self.log, copy)
        self.assertEqual((document["dest"], document["path"]), (copy, self.log))
        self.stele("verify", copy)
        self.assertEqual(self.cat(log=copy), cli.text(records))
        self.assertEqual(self.json("stat", copy)["uuid"], self.json("stat", self.log)["uuid"])
        self.assertLessEqual(document["end_lsn"], self.json("stat", copy)["published_lsn"])
        self.complaint("backup", self.log, copy)
        self.stele("append", copy, stdin=b"on its own\n")
        self.assertEqual(self.cat(), cli.text(records))

    def test_a_live_log_is_copied_up_to_what_is_durable(self):
        writer = self.hold(cli.lines(4000), "--segment-size", "64K")
        copy = self.path("copy")
        err = self.stele("backup", self.log, copy).stderr.decode()
        self.assertRegex(err, r"^stele: backup: .* ends at LSN \d+\n$")
        self.assertEqual(self.cat(log=copy), cli.text(cli.lines(4000)))
        self.end(writer)


if __name__ == "__main__":
    cli.main()
