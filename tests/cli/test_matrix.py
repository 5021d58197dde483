# SPDX-License-Identifier: BSD-3-Clause
"""The whole matrix of bad input: every damage that tools/dev/damage can do, and what each command must make of it.

What is expected stands in the table (tools/dev/damage --list); here are the laws. Nothing ends by a signal or hangs;
verify says the verdict, the file, the offset, the cause and what to do next; cat shows true records only, and an error
where more should be; append refuses a corrupt log without changing a byte; repair changes nothing by itself, mends
what it may, keeps the rest, and has nothing to do when it is run again."""

import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402

EXIT = {"clean": cli.FINE, "harmless": cli.FINE, "torn": cli.TORN, "corrupt": cli.CORRUPT, "refused": cli.IO}
MODES = {"mend": [], "quarantine": ["--quarantine"], "loss": ["--allow-data-loss"]}
# Whose bytes are sound one by one, so that reading record by record cannot tell: the chain does, for verify and append.
FORGED = ("forged-payload", "forged-mark", "forged-epoch", "forged-footer", "fork-splice")
# Damages of the table that have a test of their own.
ELSEWHERE = ("many-segments", "copied-while-written", "no-permission")
# Where the victim is not the file that was changed.
BLAMED = ("forged-durable", "forged-first", "torn-spare")
# A second place: in the active segment, where an opening meets it.
ACTIVE = ("flip-bit zero-sector random-sector stale-sector misdirected-sector swapped-sectors mark forged-length "
          "forged-type forged-lsn forged-epoch forged-payload forged-mark header-a header-b header-both truncate extend "
          "empty-segment unlink-segment rename-segment directory-instead-of-segment symlinked-segment quarantined "
          "foreign-segment").split()
# A third one: the first segment, in front of which nothing stands.
FIRST = "flip-bit header-both truncate empty-segment unlink-segment directory-instead-of-segment quarantined".split()


class Matrix(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def setUp(self):
        super().setUp()
        os.rmdir(self.dir)
        self.dir = tempfile.mkdtemp(prefix="stele-cli.", dir=damage_lab.SCRATCH)
        self.log = self.path("log")

    def tearDown(self):
        damage_lab.forget(self.log)
        super().tearDown()

    def run_any(self, *args, stdin=b""):
        """Run a command that may end as it likes, but not by a signal, nor in silence."""
        done = cli.subprocess.run([cli.TOOL, *args], input=stdin, capture_output=True, env=cli.environment(),
                                  timeout=cli.SECONDS, check=False)
        self.assertIn(done.returncode, (cli.FINE, cli.TORN, cli.CORRUPT, cli.IO), (args, done.stderr))
        if done.returncode not in (cli.FINE, cli.TORN):
            self.assertTrue(done.stderr or done.stdout, args)
        return done

    def lines(self, args=(), code=None):
        done = self.run_any("cat", self.log, *args)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.split(b"\n")[:-1], done

    def is_part(self, shown, truth, prefix):
        """Shown are true records, in order; `prefix`: and none is left out before the last one shown."""
        if prefix:
            self.assertEqual(shown, truth[:len(shown)])
            return
        rest = iter(truth)
        for one in shown:
            self.assertTrue(one in rest, f"not a record, or out of order: {one[:60]!r}")

    # -- the laws

    def check_verify(self, entry, changes):
        done = self.run_any("verify", self.log, "--json")
        document = json.loads(done.stdout)
        if entry.verdict == "refused":
            self.assertEqual((done.returncode, document["verdict"]), (cli.IO, None))
            self.assertTrue(document["error"].startswith(self.log), document["error"])
            return
        problems, worst = document["problems"], [p for p in document["problems"] if not p["harmless"]]
        self.assertEqual(done.returncode, EXIT[entry.verdict], document)
        self.assertEqual(document["verdict"], "clean" if entry.verdict == "harmless" else entry.verdict)
        self.assertEqual(bool(worst), entry.verdict in ("corrupt", "torn"), problems)
        self.assertEqual(bool(problems), entry.verdict != "clean", problems)
        if not problems:
            return
        self.assertIn(entry.kind, [p["kind"] for p in problems])
        first = (worst or problems)[0]
        self.assertIn(first["segment"], self.blamed(entry, changes), problems)
        text = self.run_any("verify", self.log).stdout.decode()
        for p in problems:
            self.assertTrue(p["detail"] and p["advice"])
            self.assertIn(f"{p['kind']} in {p['segment']} at offset {p['offset']}", text)
        self.assertEqual(text.count("what to do:"), len(problems))
        self.check_place(entry, changes, worst)

    def blamed(self, entry, changes):
        """Names of the files that may be called damaged."""
        names = {c["file"] for c in changes}
        names |= {m[1] for c in changes for m in [re.match(r"renamed to (\S+)", c["what"])] if m}
        segments = sorted(n for n in os.listdir(self.log) if n.endswith(".stele") and n[0] == "0")
        if entry.name in BLAMED:
            names |= set(segments)
        if entry.kind == "chain":  # found where the next mark or segment does not go on from it
            names |= {b for a, b in zip(segments, segments[1:]) if a in names}
        return names

    def check_place(self, entry, changes, worst):
        """A damaged record is named at the offset where it begins, which is not behind the bytes that changed."""
        if not worst or entry.kind != "record" or entry.name in BLAMED or changes[0]["offset"] is None:
            return
        same = [c for c in changes if c["file"] == worst[0]["segment"] and c["offset"] is not None]
        first = min(c["offset"] for c in same)
        self.assertLessEqual(worst[0]["offset"], first + damage_lab.damage_log.SECTOR)
        self.assertGreater(worst[0]["offset"], first - 16500)

    def check_cat(self, entry, truth):
        shown, done = self.lines()
        if entry.verdict == "refused":
            self.assertEqual((shown, done.returncode), ([], cli.IO))
        elif entry.name in FORGED:
            self.assertIn(done.returncode, (cli.FINE, cli.CORRUPT))
        elif entry.name == "quarantined":
            self.is_part(shown, truth, False)
            self.assertEqual(done.returncode, cli.CORRUPT)
            self.assertEqual(done.stderr.count(b"were quarantined"), 1)
        elif entry.verdict == "corrupt":
            self.is_part(shown, truth, True)
            self.assertEqual(done.returncode, cli.CORRUPT)
            self.assertRegex(done.stderr.decode(), rf"stele: cat: {self.log}/\S+: offset \d+")
        else:
            self.assertEqual((shown, done.returncode), (truth, cli.FINE), done.stderr)

    def check_append(self, entry, truth, refuses):
        before = damage_lab.digest(self.log)
        done = self.run_any("append", self.log, stdin=b"appended\n")
        err = done.stderr.decode()
        if not refuses:
            self.assertEqual(done.returncode, cli.FINE, err)
            if entry.verdict != "corrupt" and entry.name != "quarantined":
                self.assertEqual(self.lines(code=cli.FINE)[0], truth + [b"appended"])
            else:
                self.assertEqual(self.lines(["--from", "-1"], cli.FINE)[0], [b"appended"])
            return
        self.assertEqual(done.returncode, cli.CORRUPT if entry.verdict == "corrupt" else cli.IO, err)
        self.assertEqual(damage_lab.digest(self.log), before, "a refused append changed something")
        if entry.verdict == "corrupt":
            self.assertRegex(err, rf"stele: append: {self.log}/\S+: offset \d+")
            for word in ("Nothing was changed", "stele verify", "stele repair"):
                self.assertEqual(err.count(word), 1, err)
            self.assertLessEqual(err.count("records follow"), 1, err)
            self.assertNotIn(" 0 valid records follow. Nothing", err)

    def repair(self, *args):
        done = self.run_any("repair", self.log, "--json", "--backup", self.path("kept"), *args)
        return done, json.loads(done.stdout)

    def check_repair(self, entry, truth, mode):
        before, flags = damage_lab.digest(self.log), MODES[mode]
        dry, said = self.repair(*flags)
        self.assertEqual(damage_lab.digest(self.log), before, "a dry run changed something")
        self.assertFalse(os.path.exists(self.path("kept")))
        done, document = self.repair("--apply", *flags)
        works = entry.repair in ("nothing", "mends") or (entry.repair == "gives-up" and mode != "mend")
        if not works:
            self.assertIn(done.returncode, (cli.CORRUPT, cli.IO), done.stdout)
            self.assertEqual(damage_lab.digest(self.log), before, "a refused repair changed something")
            self.assertTrue(document["error"] and not document["applied"])
            if entry.repair == "gives-up":
                self.assertIn("--allow-data-loss", document["error"])
            return
        self.assertEqual(done.returncode, cli.FINE, done.stdout + done.stderr)
        for key in ("before", "after", "cut_lsn", "records_removed", "bytes_removed", "segments_quarantined"):
            self.assertEqual(said[key], document[key], f"the dry run said something else about {key}")
        self.assertEqual(document["after"], "clean")
        if entry.repair == "nothing":
            self.assertEqual((damage_lab.digest(self.log), document["backup"]), (before, None))
        self.check_mended(entry, truth, mode, document)

    def check_mended(self, entry, truth, mode, document):
        gives_up = entry.repair == "gives-up"
        verdict = json.loads(self.run_any("verify", self.log, "--json").stdout)
        left = {p["kind"] for p in verdict["problems"]}
        self.assertEqual(verdict["verdict"], "clean")
        if not gives_up and entry.repair == "mends":
            self.assertEqual(left, set())
        shown, done = self.lines()
        gaps = done.stderr.count(b"were quarantined")
        self.assertEqual(done.returncode, cli.CORRUPT if gaps else cli.FINE, done.stderr)
        if gives_up and entry.name not in FORGED:
            self.is_part(shown, truth, mode == "loss")
            self.assertEqual(gaps > 0, mode == "quarantine" and document["segments_quarantined"] > 0, done.stderr)
        elif not gives_up and entry.name != "quarantined":
            self.assertEqual(shown, truth)
        if document["backup"]:
            with open(os.path.join(self.path("kept"), "manifest.json"), encoding="utf-8") as file:
                for piece in json.load(file)["pieces"]:
                    self.assertEqual(os.path.getsize(os.path.join(self.path("kept"), piece["file"])), piece["length"])
        again, second = self.repair("--apply", *MODES[mode])
        self.assertEqual((again.returncode, second["before"], second["backup"]), (cli.FINE, "clean", None), second)
        self.run_any("append", self.log, stdin=b"appended\n")
        self.assertEqual(self.lines(["--from", "-1"], cli.FINE)[0], [b"appended"])
        self.assertEqual(self.run_any("verify", self.log).returncode, cli.FINE)

    # -- every damage of the table

    def check(self, name, **where):
        if damage_lab.ALL[name].count:
            where = {"count": 300, **where}
        entry, log, source = self.lab.damage(name, self.log, **where)
        truth, shelf = self.lab.truth[source], self.path("shelf")
        refuses = entry.append == "refuses" or (where.get("segment") == "active" and entry.verdict == "corrupt")
        parts = [part for part in ("", ".real") if os.path.lexists(self.log + part)]  # a link to the other, or one
        for part in parts:
            os.rename(self.log + part, shelf + part)

        def fresh():
            damage_lab.forget(self.log)
            shutil.rmtree(self.path("kept"), ignore_errors=True)
            for part in parts:
                copy(shelf + part, self.log + part)

        fresh()
        before = damage_lab.digest(self.log)
        self.check_verify(entry, log.changes)
        self.check_cat(entry, truth)
        for command in ("stat", "dump"):
            self.run_any(command, self.log, "--json")
        self.assertEqual(damage_lab.digest(self.log), before, "looking changed something")
        self.check_append(entry, truth, refuses)
        for mode in MODES if entry.repair == "gives-up" else ["mend"]:
            fresh()
            self.check_repair(entry, truth, mode)


def copy(source, to):
    """A directory as it is: FIFOs and links stay what they are."""
    cli.subprocess.run(["cp", "-a", source, to], check=True)


def add(name, suffix="", **where):
    def test(self):
        self.check(name, **where)
    setattr(Matrix, f"test_{name.replace('-', '_')}{suffix}", test)


for damage_name in damage_lab.ALL:
    if damage_name not in ELSEWHERE:
        add(damage_name)
    if damage_name in ACTIVE and not damage_lab.SLOW:
        add(damage_name, "_in_the_active_segment", segment="active")
    if damage_name in FIRST and not damage_lab.SLOW:
        add(damage_name, "_in_the_first_segment", segment=0)

if __name__ == "__main__":
    cli.main()
