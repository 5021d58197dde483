# SPDX-License-Identifier: BSD-3-Clause
"""Logs to damage, and what can be said about a damaged one: for the tests that go through the table of tools/dev/damage.

One laboratory serves a whole test file: logs are made once, with the real command, and every damage gets a copy."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import cli

sys.path.insert(0, os.path.join(cli.SOURCE, "tools", "dev"))
import damage_bytes  # noqa: E402,F401
import damage_files  # noqa: E402
import damage_kinds  # noqa: E402
import damage_log  # noqa: E402
import damage_long  # noqa: E402,F401

ALL = damage_kinds.ALL
SLOW = bool(os.environ.get("STELE_SANITIZE"))
# The names of --other in the table, and which of our logs each is.
OTHERS = {"another log": "foreign", "another log with segments of the same size": "foreign",
          "an earlier state of the log": "early", "an earlier state of the log, not trimmed since": "early",
          "another history of the log": "fork", "a later state of the log": "log"}


# A tmpfs has no use for a sync: hundreds of small logs need not wait for a disk.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) and "TMPDIR" not in os.environ else None


def line(i):
    """Records of all lengths, all different, some empty but for their number."""
    return b"%06d %s" % (i, bytes(97 + (i * 7 + j) % 26 for j in range(i * 37 % 91)))


class Lab:
    """log: sealed segments, an active one, spares, three openings. early: its state after the second of them.
    fork: early, gone on in another way. foreign: another log of the same size."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="stele-damage.", dir=SCRATCH)
        self.truth = {}
        self.append("log", [line(i) for i in range(1500)], "--create", "--segment-size", "64K")
        self.append("log", [line(i) for i in range(1500, 2600)] + [b"x" * 16000] * 2)
        shutil.copytree(self.path("log"), self.path("early"))
        shutil.copytree(self.path("log"), self.path("fork"))
        self.truth["early"] = self.truth["fork"] = list(self.truth["log"])
        self.append("log", [b"y" * 15000] + [line(i) for i in range(2600, 4200)])
        self.wait_for_spares("log")
        self.append("fork", [b"fork %d %s" % (i, line(i)) for i in range(2600, 4300)])
        self.append("foreign", [line(i) for i in range(5500)], "--create", "--segment-size", "64K")

    def close(self):
        subprocess.run(["chmod", "-R", "u+rwx", self.dir], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def append(self, name, records, *args):
        self.truth.setdefault(name, [])
        self.truth[name] = self.truth[name] + records
        subprocess.run([cli.TOOL, "append", *args, self.path(name)], input=cli.text(records), check=True,
                       stderr=subprocess.DEVNULL, env=cli.environment(), timeout=cli.SECONDS)

    def wait_for_spares(self, name):
        """The writer prepares segments ahead of need, in a thread of its own: one that ends at once may have none yet."""
        process = subprocess.Popen([cli.TOOL, "append", self.path(name)], stdin=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, env=cli.environment())
        give_up = time.monotonic() + cli.SECONDS
        while len(damage_log.Log(self.path(name)).spares()) < 2 and time.monotonic() < give_up:
            time.sleep(0.005)
        process.communicate(timeout=cli.SECONDS)

    def damage(self, name, to, **options):
        """Apply a damage of the table to a copy. Returns (entry, the Log with its changes, name of the log it is of)."""
        entry = ALL[name]
        source = "early" if entry.other.startswith("a later") else "log"
        if options.get("segment") == "active":
            options["segment"] = damage_log.Log(self.path(source)).active().sequence
        other = self.path(OTHERS[entry.other]) if entry.other else None
        shutil.copytree(self.path(source), to)
        log = damage_log.Log(to, other=other, count=options.pop("count", entry.count), **options)
        entry.apply(log)
        assert log.changes, f"{name}: nothing was done"
        return entry, log, source


def forget(path):
    """Remove whatever a damage may have made of a directory."""
    for one in (path, path + ".real"):
        if os.path.islink(one):
            os.unlink(one)
        elif os.path.isdir(one):
            subprocess.run(["chmod", "-R", "u+rwx", one], check=False)
            shutil.rmtree(one)


def digest(path):
    """Every file but `lock`, which a writer signs before it looks."""
    found = {}
    for name in sorted(os.listdir(path)):
        file = os.path.join(path, name)
        if name == "lock":
            continue
        if os.path.islink(file):
            found[name] = os.readlink(file)
        elif os.path.isfile(file):
            with open(file, "rb") as content:
                found[name] = hash(content.read())
        else:
            found[name] = "directory" if os.path.isdir(file) else "special"
    return found


def skip(why):
    """Loudly, and with what would have to be there. The caller returns."""
    print(f"SKIP: {why}", flush=True)
