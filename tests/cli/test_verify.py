# SPDX-License-Identifier: BSD-3-Clause
"""stele verify and stele repair: the verdict, what is said about each problem, and what a repair keeps."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402


class Verify(cli.Case):
    def verify(self, code, *args):
        return self.json("verify", self.log, *args, code=code)

    def test_a_clean_log_is_clean(self):
        self.small_log(cli.lines(3000))
        document = self.verify(cli.FINE)
        stat = self.json("stat", self.log)
        self.assertEqual((document["verdict"], document["records"], document["problems"]), ("clean", 3000, []))
        self.assertEqual((document["first_lsn"], document["end_lsn"]), (0, stat["published_lsn"]))
        self.assertEqual(document["durable_lsn"], document["end_lsn"])
        self.assertGreaterEqual(document["segments"], 3)
        self.assertFalse(document["live"])
        out = self.stele("verify", self.log).stdout.decode()
        self.assertRegex(out, r"^clean: .*: 3000 records in \d+ segments")

    def test_an_empty_log_is_clean(self):
        self.stele("create", self.log, "--segment-size", "64K")
        self.assertEqual(self.verify(cli.FINE)["records"], 0)

    def test_checking_with_threads_finds_the_same(self):
        self.small_log(cli.lines(9000))
        self.flip_record(2000)
        self.flip_record(5000)
        alone = self.verify(cli.CORRUPT)
        self.assertEqual(self.verify(cli.CORRUPT, "-j", "4"), alone)
        self.assertEqual(self.verify(cli.CORRUPT, "--jobs=64"), alone)

    def test_a_torn_tail_is_told_from_corruption(self):
        self.small_log(cli.lines(100))
        lsn = self.tear()
        document = self.verify(cli.TORN)
        self.assertEqual((document["verdict"], document["records"], document["end_lsn"]), ("torn", 100, lsn))
        self.assertEqual([(p["kind"], p["lsn"]) for p in document["problems"] if p["kind"] == "torn"], [("torn", lsn)])
        out = self.stele("verify", self.log, code=cli.TORN).stdout.decode()
        self.assertIn("nothing acknowledged is lost", out)
        self.assertIn(f"LSN {lsn}", out)

    def test_damage_is_named_by_place(self):
        self.small_log(cli.lines(9000))
        item = self.flip_record(50)
        document = self.verify(cli.CORRUPT)
        self.assertEqual(document["verdict"], "corrupt")
        bad = [p for p in document["problems"] if not p["harmless"]]
        self.assertTrue(bad)
        self.assertEqual((bad[0]["segment"], bad[0]["offset"], bad[0]["lsn"], bad[0]["kind"]),
                         (item["segment"], item["offset"], item["lsn"], "record"))
        self.assertTrue(bad[0]["detail"] and bad[0]["advice"])
        out = self.stele("verify", self.log, code=cli.CORRUPT).stdout.decode()
        self.assertIn(f"{item['segment']} at offset {item['offset']}, LSN {item['lsn']}", out)
        self.assertIn("what to do:", out)
        self.assertRegex(out, r"(?m)^corrupt: ")

    def test_damage_that_a_copy_heals_is_harmless(self):
        self.small_log(cli.lines(9000))
        header = [i for i in self.dump() if i["kind"] == "header"][1]
        self.flip(self.segment(header), 10)
        document = self.verify(cli.FINE)
        self.assertEqual([(p["kind"], p["harmless"]) for p in document["problems"]], [("header-copy", True)])
        self.stele("repair", self.log, "--apply")
        self.assertEqual(self.verify(cli.FINE)["problems"], [])

    def test_a_missing_segment_is_corruption(self):
        self.small_log(cli.lines(9000))
        names = sorted({i["segment"] for i in self.dump() if i["kind"] == "record"})
        os.rename(os.path.join(self.log, names[1]), self.path("away"))
        document = self.verify(cli.CORRUPT)
        self.assertIn("missing", [p["kind"] for p in document["problems"]])

    def test_verifying_changes_nothing(self):
        self.small_log(cli.lines(3000))
        self.tear()
        before = cli.digest(self.log)
        self.verify(cli.TORN)
        self.stele("verify", self.log, code=cli.TORN)
        self.stele("repair", self.log, code=cli.TORN)
        self.assertEqual(cli.digest(self.log), before)

    def test_a_live_log_can_be_verified(self):
        writer = self.start("append", "--create", self.log, "--ack", "--segment-size", "64K")
        writer.stdin.write(cli.text(cli.lines(3000)))
        writer.stdin.flush()
        while not cli.read_line(writer).startswith(b"ACK 3000 "):
            pass
        document = self.verify(cli.FINE)
        self.assertEqual((document["records"], document["live"]), (3000, True))
        self.end(writer)


class Repair(cli.Case):
    def test_a_clean_log_needs_nothing(self):
        self.small_log(cli.lines(10))
        before = cli.digest(self.log)
        document = self.json("repair", self.log, "--dry-run")
        self.assertEqual((document["before"], document["after"], document["applied"]), ("clean", "clean", False))
        self.assertEqual((document["cut_lsn"], document["backup"], document["records_removed"]), (None, None, 0))
        self.assertEqual(cli.digest(self.log), before)

    def test_a_torn_tail_is_cut_and_kept_aside(self):
        self.small_log(cli.lines(100))
        lsn = self.tear()
        dry = self.json("repair", self.log, code=cli.TORN)
        self.assertEqual((dry["before"], dry["after"], dry["applied"], dry["cut_lsn"]), ("torn", "clean", False, lsn))
        self.assertIn(b"--apply", self.stele("repair", self.log, code=cli.TORN).stdout)
        aside = self.path("aside")
        document = self.json("repair", self.log, "--apply", "--backup", aside)
        self.assertEqual((document["before"], document["after"], document["applied"]), ("torn", "clean", True))
        self.assertEqual((document["cut_lsn"], document["backup"]), (lsn, aside))
        self.assertTrue(os.listdir(aside))
        self.json("verify", self.log)
        self.append([b"more"])
        self.assertEqual(self.cat(), cli.text(cli.lines(100) + [b"more"]))

    def test_corruption_is_refused_without_permission(self):
        self.small_log(cli.lines(9000))
        self.flip_record(2500)
        before = cli.digest(self.log)
        for args in ([], ["--apply"], ["--yes"]):
            err = self.stele("repair", self.log, *args, code=cli.CORRUPT).stderr.decode()
            self.assertIn("--allow-data-loss", err)
            self.assertIn("--quarantine", err)
            after = cli.digest(self.log)
            self.assertEqual({k: after[k] for k in before if k != "lock"}, {k: before[k] for k in before if k != "lock"})
        out = self.stele("repair", self.log, "--json", code=cli.CORRUPT).stdout
        document = json.loads(out)
        self.assertFalse(document["applied"])
        self.assertTrue(document["problems"] and document["error"])

    def test_with_permission_the_log_is_cut_at_the_damage(self):
        records = cli.lines(9000)
        self.small_log(records)
        item = self.flip_record(2500)
        dry = self.json("repair", self.log, "--allow-data-loss", code=cli.CORRUPT)
        self.assertEqual((dry["applied"], dry["cut_lsn"], dry["after"]), (False, item["lsn"], "clean"))
        document = self.json("repair", self.log, "--allow-data-loss", "--yes")
        self.assertEqual((document["cut_lsn"], document["records_removed"]), (item["lsn"], 9000 - 2501))
        self.assertTrue(os.listdir(document["backup"]))
        self.assertEqual(self.json("verify", self.log)["records"], 2500)
        self.assertEqual(self.cat(), cli.text(records[:2500]))
        self.append([b"more"])
        self.assertEqual(self.cat("--from", "-1"), b"more\n")

    def test_a_quarantine_keeps_the_rest(self):
        records = cli.lines(9000)
        self.small_log(records)
        item = self.flip_record(2500)
        document = self.json("repair", self.log, "--quarantine", "--apply")
        self.assertEqual(document["segments_quarantined"], 1)
        names = os.listdir(self.log)
        self.assertIn(item["segment"] + ".broken", names)
        self.assertNotIn(item["segment"], names)
        states = {s["name"]: s["state"] for s in self.json("stat", self.log)["segments"]}
        self.assertIn("broken", states.values())
        shown = self.stele("cat", self.log, code=cli.CORRUPT).stdout.splitlines()
        self.assertTrue(set(shown) < set(records))
        self.assertEqual(shown[-1], records[-1])
        self.append([b"more"])


if __name__ == "__main__":
    cli.main()
