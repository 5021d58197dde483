# SPDX-License-Identifier: BSD-3-Clause
"""Kill the real appender with SIGKILL at a random moment; everything it had acknowledged must be there.

Each round starts `stele append --create --ack`, feeds it lines that occur nowhere else, kills it, and looks at
what is left with `stele verify` and `stele cat`:

  - every acknowledged record is there, in order, byte for byte;
  - what follows are records that had been sent, in order, without a hole: nothing else;
  - verify calls the log clean or torn, never corrupt.

Rounds go on with the same log for a while, so that a log is recovered many times. Modes of --sync, durability
classes, line lengths and the moment of the kill come from a seed.

  STELE_KILL_ROUNDS   rounds, 300 unless said otherwise (60 of an instrumented build)
  STELE_TEST_MINUTES  go on for so many minutes (0: until the rounds are done)
  STELE_KILL_SEED     the seed; a failure prints it
"""

import os
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cli  # noqa: E402

ROUNDS = int(os.environ.get("STELE_KILL_ROUNDS") or (60 if os.environ.get("STELE_SANITIZE") else 300))
MINUTES = float(os.environ.get("STELE_TEST_MINUTES") or 0)
SEED = int(os.environ.get("STELE_KILL_SEED") or random.SystemRandom().randrange(2**32))
ROUNDS_PER_LOG = 12
LIMIT = 60  # seconds for any one command


class Failed(Exception):
    pass


class Log:
    """One log, what must be in it, and how it is made durable."""

    def __init__(self, rng, number, disk, memory):
        self.rng = rng
        self.durability = rng.choice(["msync", "msync", "none", "pmem"])
        self.env = cli.environment()
        if self.durability == "pmem":
            self.env["PMEM_IS_PMEM_FORCE"] = "1"
        self.path = os.path.join(memory if self.durability == "pmem" else disk, f"log{number}")
        # Large records are what a kill tears: the copy of one takes longer than everything around it.
        self.fillers = rng.choice([[0, 0, 40, 70, 200, 200, 1000], [0, 40, 16000], [8000, 12000, 16000]])
        self.sent = []  # records that are in the log, as far as is known: all acknowledged or seen by cat

    def options(self, sync):
        options = ["--sync", sync, "--durability", self.durability, "--segment-size", "64K"]
        if sync == "batch":
            options += ["--batch", str(self.rng.choice([1, 7, 100, 1000]))]
        return options

    def line(self, number):
        filler = b"%032x" % self.rng.getrandbits(128)
        return b"%d.%d.%s" % (len(self.sent), number, filler * (self.rng.choice(self.fillers) // 32))

    def tool(self, *args):
        return subprocess.run([cli.TOOL, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                              timeout=LIMIT, check=False)

    def check(self, acked, tried):
        """Judge what is left: `acked` of the records in `tried` were acknowledged."""
        verify = self.tool("verify", self.path)
        if verify.returncode not in (cli.FINE, cli.TORN):
            raise Failed(f"verify ended with {verify.returncode}:\n{verify.stdout.decode()}{verify.stderr.decode()}")
        cat = self.tool("cat", self.path)
        if cat.returncode != cli.FINE:
            raise Failed(f"cat ended with {cat.returncode}: {cat.stderr.decode()}")
        found = cat.stdout.split(b"\n")[:-1]
        known = self.sent + tried
        must = len(self.sent) + acked
        for index, record in enumerate(found):
            if index >= len(known) or record != known[index]:
                raise Failed(f"record {index} of {len(found)} is {record[:60]!r}, never sent there; "
                             f"{must} were acknowledged, {len(known)} sent")
        if len(found) < must:
            raise Failed(f"{must} records were acknowledged, {len(found)} are there")
        self.sent = found
        return verify.returncode


def feed(process, data, deadline):
    """Write `data` and read acknowledgements until everything is written, or until `deadline`. Returns what
    was read."""
    out, sent = b"", 0
    os.set_blocking(process.stdin.fileno(), False)
    os.set_blocking(process.stdout.fileno(), False)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return out
        readable, writable, _ = select.select([process.stdout], [process.stdin] if sent < len(data) else [], [], left)
        if readable:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:  # it ended by itself: an error, or it was fast
                return out
            out += piece
        if writable:
            sent += os.write(process.stdin.fileno(), data[sent:sent + 65536])
            if sent == len(data):
                process.stdin.close()


def acknowledged(out):
    """The last count acknowledged; a line cut short by the kill does not count."""
    whole = out[:out.rfind(b"\n") + 1].splitlines()
    counts = [int(re.fullmatch(rb"ACK (\d+) \d+", line).group(1)) for line in whole]
    if counts != sorted(set(counts)):
        raise Failed(f"acknowledgements do not count up: {counts}")
    return counts[-1] if counts else 0


def one_round(rng, log, longest):
    """Append, kill, judge. Returns (acknowledged, exit status of verify, what the appender ended with)."""
    tried = [log.line(i) for i in range(rng.choice([1, 50, 500, 2000]))]
    sync = rng.choice(["each", "batch", "batch", "end", "none"])
    args = [cli.TOOL, "append", "--create", "--ack", "-q", log.path] + log.options(sync)
    data = cli.text(tried)
    if sync in ("end", "none"):
        # From a file: the appender is never waiting for input, so the kill hits it while it copies records.
        with open(log.path + ".input", "wb") as file:
            file.write(data)
        args.append(log.path + ".input")
        data = b""
    # The moment counts from the start of the process: opening and recovery are hit, too.
    deadline = time.monotonic() + rng.random() ** 2 * longest
    process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=log.env)
    try:
        out = feed(process, data, deadline)
        process.kill()
        os.set_blocking(process.stdout.fileno(), True)
        out += process.stdout.read()
        err = process.stderr.read()
        code = process.wait(timeout=LIMIT)
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
    if code not in (0, -9):
        raise Failed(f"{' '.join(args[1:])} ended with {code}: {err.decode()}")
    acked = acknowledged(out)
    if code == 0 and acked != len(tried):
        raise Failed(f"it ended well with {acked} of {len(tried)} acknowledged")
    if not os.path.exists(os.path.join(log.path, "control")):
        # Killed while it made the log. Nothing was acknowledged, and the next round starts over.
        if acked or log.sent:
            raise Failed("the log is gone")
        return 0, cli.FINE, code
    return acked, log.check(acked, tried), code


def run(rng, disk, memory):
    longest, torn, killed, records, rounds = 0.08, 0, 0, 0, 0
    started = time.monotonic()
    log = None
    while rounds < ROUNDS or time.monotonic() - started < MINUTES * 60:
        if rounds % ROUNDS_PER_LOG == 0:
            if log:
                shutil.rmtree(log.path, ignore_errors=True)
            log = Log(rng, rounds, disk, memory)
        try:
            acked, verdict, code = one_round(rng, log, longest)
        except Failed as failure:
            keep = tempfile.mkdtemp(prefix="stele-kill9-failed.")
            if os.path.exists(log.path):
                shutil.copytree(log.path, os.path.join(keep, "log"))
            sys.exit(f"STELE_KILL_SEED={SEED} failed in round {rounds} ({log.durability}); the log is kept in {keep}\n"
                     f"{failure}")
        rounds += 1
        records += acked
        torn += verdict == cli.TORN
        killed += code == -9
        # Keep the kill inside the run: where most runs end by themselves, kill earlier; where few get far, later.
        longest = min(3.0, max(0.01, longest * (0.9 if code == 0 else 1.1 if acked == 0 else 1.0)))
    print(f"{rounds} rounds in {time.monotonic() - started:.0f} s: {killed} killed, {torn} torn, {records} records "
          f"acknowledged and found, seed {SEED}")
    if killed < rounds // 4 or records == 0:
        sys.exit("too few kills, or none after an acknowledgement: this says nothing")


def main():
    if not os.access(cli.TOOL, os.X_OK):
        sys.exit(f"no stele command at {cli.TOOL}: set STELE_TOOL")
    rng = random.Random(SEED)
    disk = tempfile.mkdtemp(prefix="stele-kill9.")
    memory = tempfile.mkdtemp(prefix="stele-kill9.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        run(rng, disk, memory)
    finally:
        shutil.rmtree(disk, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)


main()
