# SPDX-License-Identifier: BSD-3-Clause
"""What repair and backup keep, where they keep it, and what is left when they fail half way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402
from damage_lab import damage_log  # noqa: E402


class Damaged(cli.Case):
    """One log in self.log with a bit flipped in its middle; self.truth: its records."""

    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def damage(self, name="flip-bit", **where):
        _, log, source = self.lab.damage(name, self.log, **where)
        self.truth = self.lab.truth[source]
        return log

    def whole(self):
        shutil.copytree(self.lab.path("log"), self.log)
        self.truth = self.lab.truth["log"]

    def beside(self):
        """What stands beside the log, in words of names."""
        return sorted(name for name in os.listdir(self.dir) if name != "log")


class Repair(Damaged):
    def test_nothing_happens_without_being_asked(self):
        self.damage()
        before = damage_lab.digest(self.log)
        for flags in ([], ["--quarantine"], ["--allow-data-loss"], ["--dry-run"], ["--quarantine", "--dry-run"]):
            out = self.stele("repair", self.log, *flags, code=cli.CORRUPT).stdout.decode()
            if "--quarantine" in flags or "--allow-data-loss" in flags:
                self.assertIn("would be", out)
                self.assertIn("Nothing was changed. Add --apply", out)
        self.complaint("repair", self.log, "--dry-run", "--apply", code=cli.USAGE)
        self.assertEqual((damage_lab.digest(self.log), self.beside()), (before, []))

    def test_the_report_says_what_would_be_lost(self):
        log = self.damage()
        at = int(log.changes[0]["what"].rsplit(" ", 1)[1])
        kept = [line for line in self.cat("-F", "%o\\n", code=cli.CORRUPT).split()]
        loss = json.loads(self.stele("repair", self.log, "--json", "--allow-data-loss", code=cli.CORRUPT).stdout)
        self.assertEqual((loss["cut_lsn"], loss["records_removed"]), (at, len(self.truth) - len(kept) - 1))
        self.assertGreater(loss["bytes_removed"], 0)
        aside = json.loads(self.stele("repair", self.log, "--json", "--quarantine", code=cli.CORRUPT).stdout)
        self.assertEqual((aside["segments_quarantined"], aside["cut_lsn"]), (1, None))
        self.stele("repair", self.log, "--quarantine", "--apply")
        left = self.cat(code=cli.CORRUPT).count(b"\n")
        self.assertEqual(aside["records_removed"], len(self.truth) - left - 1)  # the damaged one is nobody's any more

    def test_copies_are_never_kept_in_the_log(self):
        self.damage()
        before = damage_lab.digest(self.log)
        os.symlink(self.log, self.path("link"))
        for aside in (self.log, self.log + "/", self.log + "/aside", self.log + "/no/such/place", self.path("link"),
                      self.path("link/aside"), self.log + "/../log"):
            for apply in ([], ["--apply"]):
                err = self.complaint("repair", self.log, "--quarantine", "--allow-data-loss", "--backup", aside, *apply,
                                     code=cli.USAGE)
                self.assertIn("in the log itself", err)
        self.assertEqual(damage_lab.digest(self.log), before)
        self.stele("repair", self.log, "--allow-data-loss", "--apply", "--backup", self.path("log-aside"))

    def test_a_log_by_its_dot_has_its_copies_beside_it(self):
        for path, where in ((".", self.log), ("./", self.log), ("../log/.", self.log), ("../log", self.log)):
            self.damage()
            document = self.json("repair", path, "--allow-data-loss", "--apply", cwd=where)
            copies = os.path.normpath(os.path.join(where, document["backup"]))
            self.assertEqual(os.path.dirname(copies), self.dir)
            self.assertRegex(os.path.basename(copies), r"^log\.removed-")
            self.assertEqual([n for n in os.listdir(self.log) if "removed" in n], [])
            shutil.rmtree(copies)
            shutil.rmtree(self.log)
        self.damage()
        inner = os.path.join(self.log, "inner")
        os.mkdir(inner)
        document = self.json("repair", "..", "--allow-data-loss", "--apply", cwd=inner)
        self.assertEqual(os.path.dirname(document["backup"]), self.dir)

    def test_what_was_left_of_a_control_file_is_kept(self):
        self.damage("control-damaged")
        with open(os.path.join(self.log, "control"), "rb") as file:
            old = file.read()
        document = self.json("repair", self.log, "--quarantine", "--apply")
        with open(os.path.join(document["backup"], "control.from-0"), "rb") as file:
            self.assertEqual(file.read(), old)
        self.assertEqual(sorted(os.listdir(document["backup"])), ["control.from-0", "manifest.json"])
        self.assertEqual(self.cat(), cli.text(self.truth))

    def test_a_foreign_control_file_gives_nothing_up(self):
        self.damage("control-foreign")
        before = damage_lab.digest(self.log)
        for flags in (["--quarantine"], ["--allow-data-loss"], ["--quarantine", "--allow-data-loss"]):
            err = self.complaint("repair", self.log, "--apply", *flags, code=cli.CORRUPT)
            self.assertIn("control: offset 0: the control file belongs to another log", err)
            self.assertIn("move this one away", err)
        self.assertEqual((damage_lab.digest(self.log), self.beside()), (before, []))
        os.rename(os.path.join(self.log, "control"), self.path("not-ours"))  # as it says
        self.stele("repair", self.log, "--apply", "--quarantine")
        self.assertEqual(self.cat(), cli.text(self.truth))

    def test_a_witness_that_is_damaged_itself_still_counts(self):
        """Nothing but the footer of a damaged segment says how far the log was durable."""
        self.whole()
        log = damage_log.Log(self.log)
        for segment in [log.active(), *log.spares()]:
            log.remove(segment.name)
        log.write_control(80, "<Q", 0, "durable is 0")
        last = log.sealed()[-1]
        middle = list(log.records(last))[3]
        log.flip(last.name, last.offset(middle.lsn) + 16, "a bit")
        document = self.json("verify", self.log, code=cli.CORRUPT)
        self.assertEqual((document["end_lsn"], document["durable_lsn"]), (middle.lsn, last.base + last.data))


class FullDisk(Damaged):
    """On a tmpfs of its own, in a name space of its own: `unshare -m`."""

    SCRIPT = """
mount -t tmpfs -o size=%(bytes)d,mode=700 none "$1" || exit 77
cp -a "$2" "$1/log" || exit 78
dd if=/dev/zero of="$1/ballast" bs=4096 2>/dev/null
"$3" repair "$1/log" --apply --allow-data-loss --backup "$1/%(aside)s" > "$1.first" 2>&1; echo "first $?"
ls "$1" > "$1.beside"
rm "$1/ballast"
"$3" verify "$1/log" > /dev/null 2>&1; echo "still $?"
"$3" repair "$1/log" --apply --allow-data-loss --backup "$1/%(aside)s"; echo "second $?"
"$3" verify "$1/log"; echo "verify $?"
cat "$1"/%(aside)s/manifest.json | wc -l
"""

    def test_a_repair_on_a_full_disk_leaves_nothing_unfinished(self):
        log = self.damage()
        size = sum(os.stat(log.path / n).st_blocks for n in os.listdir(self.log)) * 512 + (1 << 20)
        os.mkdir(self.path("small"))
        done = subprocess.run(["unshare", "-m", "sh", "-c", self.SCRIPT % {"bytes": size, "aside": "kept"}, "sh",
                               self.path("small"), self.log, cli.TOOL], capture_output=True, timeout=cli.SECONDS,
                              env=cli.environment(), check=False)
        out = done.stdout.decode()
        if done.returncode == 77 or b"unshare" in done.stderr:
            damage_lab.skip("a full disk was not tried: no mounts here (root, or user name spaces with mounts, are needed)")
            return
        self.assertIn("first 4\n", out)
        with open(self.path("small.first"), encoding="utf-8") as file:
            err = file.read()
        self.assertIn("No space left on device", err)
        self.assertIn("the log was not changed", err)
        with open(self.path("small.beside"), encoding="utf-8") as file:
            self.assertEqual(file.read().split(), ["ballast", "log"])
        for line in ("still 3\n", "second 0\n", "verify 0\n"):
            self.assertIn(line, out)


class Backup(Damaged):
    def copy(self, code=cli.FINE):
        return self.stele("backup", self.log, self.path("copy"), code=code)

    def test_what_a_killed_backup_leaves_is_named(self):
        self.whole()
        self.copy()
        os.unlink(self.path("copy/control"))
        err = self.copy(cli.IO).stderr.decode()
        self.assertIn("never finished", err)
        self.assertIn("delete the directory", err)
        err = self.complaint("repair", self.path("copy"), code=cli.CORRUPT)
        self.assertIn("if this is an unfinished backup, delete it", err)
        shutil.rmtree(self.path("copy"))  # as it says
        self.copy()
        self.assertIn("not empty", self.copy(cli.IO).stderr.decode())

    def test_a_killed_backup_is_never_taken_for_a_log(self):
        self.whole()
        for delay in range(0, 12, 2):
            process = self.start("backup", self.log, self.path("copy"))
            time.sleep(delay / 1000)  # wherever it is by then: each outcome below is right
            process.send_signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(self.path("copy/control")):
                self.assertEqual(self.cat(log=self.path("copy")), cli.text(self.truth))
            elif os.path.exists(self.path("copy")) and os.listdir(self.path("copy")):
                self.stele("append", self.path("copy"), code=cli.IO if not any(
                    n.endswith(".stele") for n in os.listdir(self.path("copy"))) else cli.CORRUPT)
            shutil.rmtree(self.path("copy"), ignore_errors=True)

    def test_a_quarantined_file_that_is_none_does_not_stop_a_backup(self):
        self.damage("quarantined")
        broken = [n for n in os.listdir(self.log) if n.endswith(".broken")][0]
        os.unlink(os.path.join(self.log, broken))
        for make in (lambda path: os.symlink("elsewhere", path), os.mkdir, os.mkfifo):
            make(os.path.join(self.log, broken))
            self.copy()
            self.assertEqual(os.path.getsize(self.path("copy/" + broken)), 0)
            self.assertTrue(os.path.isfile(self.path("copy/" + broken)))
            self.assertEqual(self.cat(log=self.path("copy"), code=cli.CORRUPT), self.cat(code=cli.CORRUPT))
            self.json("verify", self.path("copy"))
            shutil.rmtree(self.path("copy"))
            damage_lab.subprocess.run(["rm", "-rf", os.path.join(self.log, broken)], check=True)

    def test_a_damaged_log_is_not_copied(self):
        self.damage()
        err = self.copy(cli.CORRUPT).stderr.decode()
        self.assertIn("stele verify", err)
        self.assertFalse(os.path.exists(self.path("copy")))


if __name__ == "__main__":
    cli.main()
