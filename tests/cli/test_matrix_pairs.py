# SPDX-License-Identifier: BSD-3-Clause
"""Two or three damages at once, drawn by a seed: whatever the verdict is, it holds. A campaign: STELE_TEST_MINUTES; a
failure prints the seed, STELE_SEED begins with it."""

import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402
from damage_lab import damage_log  # noqa: E402

MINUTES = int(os.environ.get("STELE_TEST_MINUTES") or 0)
ROUNDS = 6 if damage_lab.SLOW else 25
SEED = int(os.environ.get("STELE_SEED") or 1)
# Not with others: they want the whole directory, take long, or make a log whose records are not the true ones.
ALONE = ("many-segments", "foreign-files", "symlinked-directory", "empty-directory", "not-a-log", "no-permission",
         "other-version", "unknown-feature", "read-only-feature", "copied-while-written", "forged-payload", "forged-mark",
         "forged-epoch", "forged-footer", "forged-first", "forged-durable", "fork-splice", "control-foreign", "clock-back")


class Pairs(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tearDown(self):
        damage_lab.forget(self.log)
        super().tearDown()

    def run_any(self, *args, stdin=b""):
        done = subprocess.run([cli.TOOL, *args], input=stdin, capture_output=True, env=cli.environment(),
                              timeout=cli.SECONDS, check=False)
        self.assertIn(done.returncode, (cli.FINE, cli.TORN, cli.CORRUPT, cli.IO), (args, done.stderr))
        return done

    def lines(self):
        done = self.run_any("cat", self.log)
        return done.stdout.split(b"\n")[:-1], done

    def damage(self, seed):
        """Returns what was done, in words; a damage that finds nothing to damage any more is left out."""
        draw = damage_log.random.Random(seed)
        damage_lab.forget(self.log)
        shutil.copytree(self.lab.path("log"), self.log)
        names = [n for n in damage_lab.ALL if n not in ALONE]
        done = []
        for name in draw.sample(names, draw.choice((2, 2, 3))):
            entry = damage_lab.ALL[name]
            other = self.lab.path(damage_lab.OTHERS[entry.other]) if entry.other else None
            try:
                entry.apply(damage_log.Log(self.log, other=other, seed=draw.randrange(1 << 30), count=entry.count))
                done.append(name)
            except (damage_log.Impossible, damage_log.reader.Refused, OSError, IndexError, StopIteration):
                continue
        return done

    def in_order(self, shown, truth):
        rest = iter(truth)
        for one in shown:
            self.assertTrue(one in rest, f"not a record, or out of order: {one[:60]!r}")

    def look(self):
        """What verify says, and that cat shows nothing else. Returns the exit status of verify."""
        verify = self.run_any("verify", self.log, "--json")
        document = json.loads(verify.stdout)
        shown, cat = self.lines()
        truth = self.lab.truth["log"]
        self.in_order(shown, truth)
        if verify.returncode in (cli.FINE, cli.TORN) and not any(p["kind"] == "quarantined" for p in document["problems"]):
            self.assertEqual((cat.returncode, len(shown)), (cli.FINE, document["records"]), cat.stderr)
        if verify.returncode == cli.CORRUPT:
            worst = [p for p in document["problems"] if not p["harmless"]]
            self.assertTrue(worst and worst[0]["detail"] and worst[0]["advice"], document)
            self.assertEqual(cat.returncode, cli.CORRUPT, cat.stderr)
        return verify.returncode

    def write(self):
        before = damage_lab.digest(self.log)
        append = self.run_any("append", self.log, stdin=b"appended\n")
        if append.returncode != cli.FINE:
            self.assertEqual(damage_lab.digest(self.log), before)
            self.assertIn(self.log, append.stderr.decode())
            return False
        return True

    def mend(self, flags):
        before = damage_lab.digest(self.log)
        dry = self.run_any("repair", self.log, "--json", *flags)
        self.assertEqual(damage_lab.digest(self.log), before, "a dry run changed something")
        done = self.run_any("repair", self.log, "--json", "--apply", "--backup", self.path("kept"), *flags)
        said, document = json.loads(dry.stdout), json.loads(done.stdout)
        self.assertEqual("error" in said, "error" in document, (said, document))
        if "error" in document:
            self.assertEqual(damage_lab.digest(self.log), before, document)
            return False
        for key in ("before", "after", "cut_lsn", "records_removed", "segments_quarantined"):
            self.assertEqual(said[key], document[key], key)
        self.assertEqual((done.returncode, document["after"]), (cli.FINE, "clean"), document)
        self.assertEqual(self.look(), cli.FINE)
        mended = damage_lab.digest(self.log)
        again = json.loads(self.run_any("repair", self.log, "--json", "--apply", *flags).stdout)
        self.assertEqual((again["before"], again["backup"], damage_lab.digest(self.log)), ("clean", None, mended))
        self.assertTrue(self.write())
        shown = self.run_any("cat", self.log, "--from", "-1").stdout
        self.assertEqual(shown, b"appended\n")
        return True

    def test_any_damages_together_are_told_and_mended(self):
        seed, until = SEED, time.monotonic() + 60 * MINUTES
        while seed < SEED + ROUNDS or time.monotonic() < until:
            names = self.damage(seed)
            try:
                subprocess.run(["cp", "-a", self.log, self.path("damaged")], check=True)
                verdict = self.look()
                wrote = self.write()
                self.assertTrue(wrote or verdict in (cli.CORRUPT, cli.IO))
                for flags in ([], ["--quarantine"], ["--allow-data-loss"], ["--quarantine", "--allow-data-loss"]):
                    damage_lab.forget(self.log)
                    shutil.rmtree(self.path("kept"), ignore_errors=True)
                    subprocess.run(["cp", "-a", self.path("damaged"), self.log], check=True)
                    mended = self.mend(flags)
                    self.assertTrue(mended or verdict == cli.CORRUPT or verdict == cli.IO)
            except AssertionError as error:
                kept = os.path.join(damage_lab.SCRATCH or "/tmp", f"stele-pairs-{seed}")
                if os.environ.get("STELE_KEEP"):
                    subprocess.run(["cp", "-a", self.path("damaged"), kept], check=False)
                raise AssertionError(f"seed {seed}: {names}: {error}") from error
            shutil.rmtree(self.path("damaged"))
            seed += 1
        print(f"{seed - SEED} logs with two or three damages each, seeds from {SEED} on", flush=True)


if __name__ == "__main__":
    cli.main()
