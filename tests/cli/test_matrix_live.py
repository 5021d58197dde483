# SPDX-License-Identifier: BSD-3-Clause
"""Copies and states that do not belong together, and files that change under those who read them: whatever comes out
is true, or an error."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402
import damage_lab  # noqa: E402

ROUNDS = 4 if damage_lab.SLOW else 30
READERS = 8


class Live(cli.Case):
    @classmethod
    def setUpClass(cls):
        cls.lab = damage_lab.Lab()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def tearDown(self):
        super().tearDown()
        damage_lab.forget(self.log)

    def look(self, log, truth, least):
        """Verify and cat of a log that may be anything but wrong. `least`: records that were durable before it was made.
        Returns the verdict."""
        done = subprocess.run([cli.TOOL, "verify", log, "--json"], capture_output=True, env=cli.environment(),
                              timeout=cli.SECONDS, check=False)
        document = json.loads(done.stdout)
        self.assertIn(done.returncode, (cli.FINE, cli.TORN, cli.CORRUPT), document)
        cat = subprocess.run([cli.TOOL, "cat", log], capture_output=True, env=cli.environment(), timeout=cli.SECONDS,
                             check=False)
        shown = cat.stdout.split(b"\n")[:-1]
        self.assertEqual(shown, truth[:len(shown)])
        before = damage_lab.digest(log)
        append = subprocess.run([cli.TOOL, "append", log], input=b"appended\n", capture_output=True,
                                env=cli.environment(), timeout=cli.SECONDS, check=False)
        if done.returncode == cli.CORRUPT:
            self.assertEqual(cat.returncode, cli.CORRUPT, cat.stderr)
            self.assertIn("offset", cat.stderr.decode())
            if append.returncode != cli.FINE:  # not an opening's business in a sealed segment
                self.assertEqual((append.returncode, damage_lab.digest(log)), (cli.CORRUPT, before))
        else:
            self.assertEqual((cat.returncode, append.returncode), (cli.FINE, cli.FINE), (cat.stderr, append.stderr))
            self.assertGreaterEqual(len(shown), least)
            self.assertEqual(self.cat(log=log), cli.text(shown + [b"appended"]))
        return document["verdict"]


class Copies(Live):
    def test_any_mixture_of_two_states_is_read_truly_or_refused(self):
        verdicts = {}
        for seed in range(ROUNDS):
            self.lab.damage("copied-while-written", self.log, seed=seed)
            verdict = self.look(self.log, self.lab.truth["log"], len(self.lab.truth["early"]))
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            damage_lab.forget(self.log)
        self.assertIn("corrupt", verdicts, "no mixture was wrong: the seeds test nothing")

    def test_a_plain_copy_beside_a_writer_is_true_or_refused_and_a_backup_is_right(self):
        writer = self.start("append", "--create", self.log, "--ack", "--segment-size", "64K", "--batch", "50")
        truth = [damage_lab.line(i) for i in range(200000)]
        acked, sent = [0], [0]

        def feed():
            try:
                for i in range(0, len(truth), 100):
                    sent[0] = i + 100
                    writer.stdin.write(cli.text(truth[i:i + 100]))
                writer.stdin.close()
            except (BrokenPipeError, ValueError):
                pass  # it was ended below

        def listen():
            for ack in writer.stdout:
                acked[0] = int(ack.split()[1])
        threads = [threading.Thread(target=work, daemon=True) for work in (feed, listen)]
        for thread in threads:
            thread.start()
        while acked[0] < 2000:
            self.assertIsNone(writer.poll())
            time.sleep(0.01)
        for i in range(2 if damage_lab.SLOW else 6):
            least, copy, backup = acked[0], self.path(f"copy{i}"), self.path(f"backup{i}")
            subprocess.run(["cp", "-r", self.log, copy], stderr=subprocess.DEVNULL, check=False)
            self.look(copy, truth, 0)
            least = acked[0]
            self.stele("backup", self.log, backup)
            most = sent[0]
            self.assertEqual(self.json("verify", backup)["problems"], [])
            shown = self.cat(log=backup).split(b"\n")[:-1]
            self.assertEqual(shown, truth[:len(shown)])
            self.assertTrue(least <= len(shown) <= most, (least, len(shown), most))
            shutil.rmtree(copy)
            shutil.rmtree(backup)
        writer.kill()
        writer.wait()
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(self.cat().count(b"\n"), acked[0])

    def test_every_segment_of_another_history_is_noticed(self):
        self.lab.damage("fork-splice", self.log)
        _, log, _ = self.lab.damage("fork-splice", self.path("probe"))
        first = int(log.changes[0]["file"][:16], 16)
        del log
        noticed = 0
        for number in range(first + 1):
            damage_lab.forget(self.log)
            try:
                self.lab.damage("fork-splice", self.log, segment=number)
            except damage_lab.damage_log.Impossible:
                continue  # the same in both histories
            self.assertEqual(json.loads(self.stele("verify", self.log, "--json", code=cli.CORRUPT).stdout)["verdict"],
                             "corrupt")
            noticed += 1
        self.assertGreater(noticed, 0)

    def test_an_older_backup_beside_newer_segments_is_refused_as_a_whole_and_segment_by_segment(self):
        self.lab.damage("older-backup", self.log)
        self.assertEqual(self.look(self.log, self.lab.truth["log"], 0), "corrupt")
        older = damage_lab.damage_log.Log(self.lab.path("early"))
        changed = 0
        for segment in older.used():
            damage_lab.forget(self.log)
            shutil.copytree(self.lab.path("log"), self.log)
            shutil.copy(os.path.join(self.lab.path("early"), segment.name), self.log)
            same = older.raw(segment.name) == damage_lab.damage_log.Log(self.lab.path("log")).raw(segment.name)
            verdict = self.look(self.log, self.lab.truth["log"], 0)
            self.assertEqual(verdict, "clean" if same else "corrupt")
            changed += not same
        self.assertGreater(changed, 0)


class Clock(Live):
    def test_a_clock_that_was_set_back_breaks_no_seek(self):
        for segment in (0, 1, 2, 3, None):
            self.lab.damage("clock-back", self.log, segment=segment)
            truth = self.lab.truth["log"]
            now, day = time.time(), 86400
            for then in (0, 1, now - 3 * day, now - day - 60, now - day - 1, now - day, now - day + 60, now - 3600,
                         now - 60, now - 1, now, now + 60, now + 3 * day):
                shown = self.cat("--from", f"@{then:.3f}").split(b"\n")[:-1]
                self.assertEqual(shown, truth[len(truth) - len(shown):], then)
            for then in (0, now - 3 * day):
                self.assertEqual(self.cat("--from", f"@{then:.3f}"), cli.text(truth))
            self.append([b"after the clock"])
            self.assertEqual(self.cat("--from", "-1"), b"after the clock\n")
            self.assertEqual(self.json("verify", self.log)["problems"], [])
            damage_lab.forget(self.log)


class Pulled(Live):
    """Eight processes read the log, and stand still in the middle because nobody takes what they print."""

    RECORDS = 40000

    def setUp(self):
        super().setUp()
        self.truth = [damage_lab.line(i) for i in range(self.RECORDS)]
        self.small_log(self.truth)

    def pull(self, change, codes):
        readers = [self.start("cat", self.log) for _ in range(READERS)]
        first = [os.read(reader.stdout.fileno(), 7) for reader in readers]  # they are under way
        change()
        outs = [None] * READERS
        threads = [threading.Thread(target=lambda i=i, r=r: outs.__setitem__(i, r.communicate(timeout=cli.SECONDS)))
                   for i, r in enumerate(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for reader, begin, (out, err) in zip(readers, first, outs):
            shown = (begin + out).split(b"\n")[:-1]
            self.assertIn(reader.returncode, codes, err)
            self.assertTrue(shown == self.truth[:len(shown)], "something that was not appended")
            if reader.returncode == cli.FINE:
                self.assertEqual(len(shown), self.RECORDS)
            else:
                self.assertRegex(err.decode(), rf"{self.log}/\S+\.stele")
        return [reader.returncode for reader in readers]

    def segments(self):
        return sorted(os.path.join(self.log, n) for n in os.listdir(self.log) if n.endswith(".stele"))

    def test_segments_cut_short_under_eight_readers_are_errors(self):
        for size in (5000, 0):
            self.assertIn(cli.CORRUPT, self.pull(lambda size=size: [os.truncate(s, size) for s in self.segments()],
                                                 (cli.FINE, cli.CORRUPT)))
            shutil.rmtree(self.log)
            self.small_log(self.truth)

    def test_segments_removed_under_eight_readers_are_errors(self):
        self.assertIn(cli.CORRUPT, self.pull(lambda: [os.unlink(s) for s in self.segments()], (cli.FINE, cli.CORRUPT)))

    def test_segments_replaced_under_eight_readers_are_errors(self):
        other = self.path("other")
        self.stele("append", "--create", "--segment-size", "64K", other, stdin=cli.text(
            [b"not from here %d" % i for i in range(self.RECORDS)]))

        def replace():
            for name in os.listdir(other):
                if name.endswith(".stele") and os.path.exists(os.path.join(self.log, name)):
                    os.rename(os.path.join(other, name), os.path.join(self.log, name))
        self.assertIn(cli.CORRUPT, self.pull(replace, (cli.FINE, cli.CORRUPT)))

    def test_a_writer_whose_segments_are_cut_short_ends_with_an_error(self):
        writer = self.start("append", self.log, "--ack", "--sync", "each")
        writer.stdin.write(b"first\n")
        writer.stdin.flush()
        self.assertTrue(cli.read_line(writer).startswith(b"ACK 1 "))
        for segment in self.segments():
            os.truncate(segment, 5000)
        try:
            for i in range(3000):
                writer.stdin.write(b"later %d\n" % i)
            writer.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        writer.stdin = None
        out, err = writer.communicate(timeout=cli.SECONDS)
        self.assertEqual(writer.returncode, cli.IO, err)
        self.assertNotIn(b"ACK 3000 ", out)
        self.assertRegex(err.decode(), rf"{self.log}/\S+\.stele")


if __name__ == "__main__":
    cli.main()
