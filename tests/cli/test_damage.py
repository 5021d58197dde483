# SPDX-License-Identifier: BSD-3-Clause
"""tools/dev/damage itself: never in place, always the same for the same words, and it says what it did."""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402

TOOL = os.path.join(cli.SOURCE, "tools", "dev", "damage")
SCHEMA_KEYS = {"name", "summary", "verdict", "kind", "append", "repair", "other", "count"}


class Tool(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()
        cls.source = cls.lab.path("log")

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def damage(self, *args, code=0):
        done = subprocess.run([sys.executable, TOOL, *map(str, args)], capture_output=True, timeout=cli.SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn(b"Traceback", done.stderr)
        return done.stdout.decode() if code == 0 else done.stderr.decode()

    def done(self, *args):
        return json.loads(self.damage(*args, "--json"))

    def test_it_explains_itself_and_lists_the_table(self):
        text = self.damage("--help")
        table = self.damage("--list")
        listed = json.loads(self.damage("--list", "--json"))
        self.assertEqual(listed["schema"], "stele.damages/1")
        self.assertIn(table.strip(), text)
        for row in listed["damages"]:
            self.assertEqual(set(row), SCHEMA_KEYS)
            self.assertTrue(row["summary"].endswith("."), row)
            self.assertRegex(table, rf"(?m)^{row['name']} +{row['verdict']} ")
        self.assertGreaterEqual(len(listed["damages"]), 60)
        for word in ("verdict", "repair", "exit status", "--other", "--seed"):
            self.assertIn(word, text)

    def test_it_never_works_in_place(self):
        before = damage_lab.digest(self.source)
        link = self.path("link")
        os.symlink(self.source, link)
        for target in (self.source, self.source + "/", self.source + "/inside", link, link + "/inside"):
            self.assertIn("in place", self.damage("flip-bit", self.source, target, code=4))
        os.mkdir(self.path("there"))
        self.assertIn("exists already", self.damage("flip-bit", self.source, self.path("there"), code=4))
        self.damage("flip-bit", self.source, self.path("copy"))
        self.assertEqual(damage_lab.digest(self.source), before)

    def test_wrong_usage_and_what_cannot_be_done_say_why_and_leave_nothing(self):
        copy = self.path("copy")
        for args, word in (([], "NAME, FROM-DIR"), (["flip-bit", self.source], "NAME, FROM-DIR"),
                           (["no-such", self.source, copy], "no damage named 'no-such'"),
                           (["--no-such-option"], "no-such-option"),
                           (["flip-bit", "--at", "many", self.source, copy], "--at"),
                           (["foreign-segment", self.source, copy], "--other DIR is needed: another log")):
            self.assertIn(word, self.damage(*args, code=2))
        os.mkdir(self.path("empty"))
        for args, word in ((["flip-bit", self.path("nothing"), copy], "no such directory"),
                           (["flip-bit", self.path("empty"), copy], "not a log"),
                           (["flip-bit", "--segment", 77, self.source, copy], "no segment number 77"),
                           (["flip-bit", "--at", 12345, self.source, copy], "no record begins at LSN 12345"),
                           (["foreign-segment", "--other", self.lab.path("early"), self.source, copy], "the same log"),
                           (["fork-splice", "--other", self.lab.path("foreign"), self.source, copy], "not a state of this"),
                           (["control-older", "--other", self.source, self.source, copy], "it is the same")):
            self.assertIn(word, self.damage(*args, code=4))
            self.assertFalse(os.path.lexists(copy), args)

    def test_what_it_says_is_what_it_did(self):
        for name in ("flip-bit", "zero-sector", "swapped-sectors", "forged-payload", "header-both", "footer", "control-a"):
            copy = self.path(name)
            document = self.done(name, self.source, copy)
            self.assertEqual((document["schema"], document["damage"]), ("stele.damage/1", name))
            self.assertEqual(document["expected"]["verdict"], damage_lab.ALL[name].verdict)
            touched = set()
            for change in document["changes"]:
                length = min(change["length"], 32)
                for directory, key in ((self.source, "before"), (copy, "after")):
                    with open(os.path.join(directory, change["file"]), "rb") as file:
                        file.seek(change["offset"])
                        self.assertEqual(file.read(length).hex(), change[key])
                touched |= {(change["file"], change["offset"] + i) for i in range(change["length"])}
            for file in os.listdir(self.source):
                with open(os.path.join(self.source, file), "rb") as a, open(os.path.join(copy, file), "rb") as b:
                    differ = {(file, i) for i, (x, y) in enumerate(zip(a.read(), b.read())) if x != y}
                self.assertLessEqual(differ, touched, f"{name} did more than it said")
        text = self.damage("flip-bit", self.source, self.path("text"))
        self.assertRegex(text, r"(?m)^0\S+\.stele at offset \d+: .*\n  before [0-9a-f]{2}\n  after  [0-9a-f]{2}$")
        self.assertIn("stele verify must say: corrupt (record)", text)

    def test_the_same_seed_does_the_same(self):
        places = set()
        for seed in range(6):
            pair = [self.done("flip-bit", "--seed", seed, self.source, self.path(f"{seed}-{i}"))["changes"] for i in (0, 1)]
            self.assertEqual(pair[0], pair[1])
            places.add((pair[0][0]["file"], pair[0][0]["offset"]))
        self.assertGreater(len(places), 3)
        self.assertEqual(self.done("flip-bit", self.source, self.path("a"))["changes"],
                         self.done("flip-bit", self.source, self.path("b"))["changes"])

    def test_a_place_can_be_named(self):
        lsn = int(self.stele("cat", self.source, "--from", "-5", "-n", "1", "-F", "%o").stdout)
        document = self.done("flip-bit", "--at", lsn, self.source, self.path("at"))
        self.assertIn(f"LSN {lsn}", document["changes"][0]["what"])
        verdict = json.loads(self.stele("verify", self.path("at"), "--json", code=cli.CORRUPT).stdout)
        self.assertEqual(verdict["end_lsn"], lsn)
        document = self.done("header-both", "--segment", 1, self.source, self.path("one"))
        self.assertRegex(document["changes"][0]["file"], "^0000000000000001-")

    def test_any_seed_of_any_damage_of_bytes_is_found(self):
        """Wherever a seed puts it, in whatever segment."""
        for name in ("flip-bit", "zero-sector", "random-sector", "forged-lsn", "forged-type", "forged-length"):
            for seed in range(1 if damage_lab.SLOW else 3):
                copy = self.path("copy")
                self.lab.damage(name, copy, seed=seed)
                self.stele("verify", copy, code=cli.CORRUPT)
                shutil.rmtree(copy)


if __name__ == "__main__":
    cli.main()
