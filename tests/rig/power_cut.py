# SPDX-License-Identifier: BSD-3-Clause
"""Cut the power under real file systems, thousands of times: nothing acknowledged is lost, nothing is called corrupt.

A block device that remembers every request in order (qemu-storage-daemon, its blklogwrites driver, exported through
FUSE under a loop device) carries ext4, another one xfs. rig_appender writes several logs on each at once, through the
library and through `stele append --ack`; every acknowledgement becomes a mark among the requests. rig_replay then makes
images of what a power cut would have left, mounts each, and lets the real recovery and its judge look at it.

At last the judge is judged: with a device that answers one flush before it has done it, the law must break.

  STELE_RIG_POINTS    power cuts over all file systems, 3000 unless said otherwise
  STELE_TEST_MINUTES  go on for so many minutes, with a new recording every so often (0: until the points are done)
  STELE_SEED          the seed of workload and cuts; a failure prints it. The recording itself depends on the moment:
                      a failure keeps it, and prints the command that makes that one cut again

Needs root, /dev/fuse, loop devices and the packages qemu-system-common, e2fsprogs and xfsprogs; it says what is
missing, and that nothing was tested, with exit status 77."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

BINARIES = os.environ.get("STELE_RIG_BINARIES") or os.path.join(os.environ.get("STELE_BINARY_DIR", "."), "tests", "rig")
TOOL = os.environ.get("STELE_TOOL", "stele")
POINTS = int(os.environ.get("STELE_RIG_POINTS") or 3000)
MINUTES = float(os.environ.get("STELE_TEST_MINUTES") or 0)
SEED = int(os.environ.get("STELE_SEED") or random.SystemRandom().randrange(2**32))
RECORDS = int(os.environ.get("STELE_RIG_RECORDS") or 4000)  # of each of the four logs
LONG_POINTS = 6000  # of one recording in the long form
SECONDS = 45  # for the cuts of the short form; an idle machine with two processors needs less
FEWEST = 300  # a machine that comes to fewer in that time has not tested enough to say anything
SKIPPED = 77
MARKS = 64 * 4096  # bytes for marks behind the file system
MIB = 1 << 20

FILE_SYSTEMS = {
    "ext4": (48 * MIB, ["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E",
                        "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]),
    # mkfs.xfs makes one this small only for tests of the file system, which say so by these three variables. A larger
    # one has a journal of 64 MiB, and looking through that at every mount would take most of the time.
    "xfs": (48 * MIB, ["env", "TEST_DIR=.", "TEST_DEV=.", "QA_CHECK_FS=1", "mkfs.xfs", "-q", "-f", "-K", "-m",
                       "reflink=0"]),
}


class Failed(Exception):
    pass


def missing():
    """What this machine lacks, in words."""
    lacks = []
    if os.environ.get("STELE_TEST_NO_MOUNT"):
        lacks.append("permission to mount (STELE_TEST_NO_MOUNT is set)")
    if os.geteuid() != 0:
        lacks.append("root")
    lacks += [f"{path} that can be opened" for path in ("/dev/fuse", "/dev/loop-control")
              if not os.access(path, os.R_OK | os.W_OK)]
    packages = {"qemu-storage-daemon": "qemu-system-common", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs",
                "losetup": "mount", "unshare": "util-linux"}
    lacks += [f"{program} (Debian package {package})" for program, package in packages.items()
              if not shutil.which(program)]
    return lacks


def skip(reasons):
    print("SKIP: no power was cut under a real file system; this machine lacks: " + ", ".join(reasons))
    sys.exit(SKIPPED)


def call(*args, **kwargs):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **kwargs)
    if done.returncode != 0:
        raise Failed(f"{' '.join(args)} ended with {done.returncode}: {done.stdout.decode(errors='replace')}")
    return done.stdout.decode()


def wait_until(what, condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain until {what}")
        time.sleep(0.01)


class Device:
    """A block device whose requests are recorded, with a file system on it."""

    def __init__(self, kind, scratch):
        self.kind = kind
        self.bytes, mkfs = FILE_SYSTEMS[kind]
        self.dir = os.path.join(scratch, kind)
        self.mounted = os.path.join(self.dir, "mnt")
        self.log, self.base, self.disk, self.export = (os.path.join(self.dir, name)
                                                       for name in ("log.img", "base.img", "disk.img", "export.img"))
        os.makedirs(self.mounted)
        for path, size in ((self.disk, self.bytes), (self.log, 8 << 30), (self.export, 0)):
            with open(path, "wb") as file:
                file.truncate(size)
        call(*mkfs, self.disk)
        os.truncate(self.disk, self.bytes + MARKS)
        call("cp", "--sparse=always", self.disk, self.base)
        # The daemon need not make anything durable: the recording is all that counts.
        self.daemon = subprocess.Popen([
            "qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f,filename={self.disk},cache.no-flush=on",
            "--blockdev", f"driver=file,node-name=l,filename={self.log},cache.no-flush=on",
            "--blockdev", "driver=blklogwrites,node-name=b,file=f,log=l,log-sector-size=512",
            "--export", f"type=fuse,id=e,node-name=b,mountpoint={self.export},writable=on"])
        wait_until("the device is there", lambda: os.path.getsize(self.export) == self.bytes + MARKS)
        call("mount", "-t", kind, "-o", "loop,noatime", self.export, self.mounted)

    def loop(self):
        for line in call("losetup", "-n", "-l", "-O", "NAME,BACK-FILE").splitlines():
            name, _, back = line.strip().partition(" ")
            if back.strip() == self.export:
                return name
        raise Failed("the loop device is not there")

    def record(self, seed, records):
        try:
            call(os.path.join(BINARIES, "rig_appender"), self.mounted, self.loop(), str(self.bytes), str(seed),
                 str(records), TOOL, timeout=300)
            call("umount", self.mounted)
        finally:
            self.daemon.kill()  # the log is complete up to the last request; the daemon may wait for ever for FUSE
            self.daemon.wait()
            subprocess.run(["umount", "-l", self.export], check=False)
            os.unlink(self.disk)


def replay(device, keep, *what):
    args = [os.path.join(BINARIES, "rig_replay"), device.log, device.base, device.kind, device.mounted,
            str(device.bytes), keep, *[str(word) for word in what]]
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), " ".join(args[:-len(what)])


def keep_recording(device, keep):
    kept = os.path.join(keep, device.kind)
    os.makedirs(kept, exist_ok=True)
    for path in (device.log, device.base):
        call("cp", "--sparse=always", path, kept)
    return kept


def campaign(kind, scratch, keep, seed, points, seconds):
    """Record once, cut the power so often. Returns what there is to say."""
    shutil.rmtree(os.path.join(scratch, kind), ignore_errors=True)
    device = Device(kind, scratch)
    started = time.monotonic()
    try:
        device.record(seed, RECORDS)
    except Failed as failure:  # a log that does not open again, say
        raise Failed(f"{failure}  the recording: {keep_recording(device, keep)}") from None
    recorded = time.monotonic() - started
    code, said, command = replay(device, keep, seed, points, seconds)
    if code != 0:
        kept = keep_recording(device, keep)
        raise Failed(f"{said}  the command:  {command.replace(device.dir, kept)} ENTRY:SHAPE:DICE")
    code, deaf, _ = replay(device, scratch, seed, 200, "deaf")
    if code != 1:
        raise Failed(f"a device that is deaf to flushes was not noticed (exit status {code}):\n{deaf}")
    return f"{said.rstrip()}; recorded in {recorded:.1f} s; deaf device noticed {deaf.splitlines()[0].rstrip(':')}"


def both(scratch, keep, seed, points, seconds):
    """One campaign on each file system, side by side. Returns how many cuts were survived; None: one was not."""
    results = {}

    def one(kind):
        try:
            results[kind] = (True, campaign(kind, scratch, keep, seed, points, seconds))
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            results[kind] = (False, str(failure))

    threads = [threading.Thread(target=one, args=(kind,)) for kind in FILE_SYSTEMS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fine, said in results.values():
        print(said, flush=True)
    if not all(fine for fine, _ in results.values()):
        return None
    return sum(int(re.search(r": (\d+) power cuts", said)[1]) for _, said in results.values())


def run():
    keep = tempfile.mkdtemp(prefix="stele-rig-failed.")
    scratch = tempfile.mkdtemp(prefix="stele-rig.")
    call("mount", "-t", "tmpfs", "-o", "size=2g", "none", scratch)  # seen by us alone, gone when we are
    started, rounds, done = time.monotonic(), 0, 0
    left = MINUTES * 60
    print(f"STELE_SEED={SEED}", flush=True)
    try:
        while rounds == 0 or left > 30:  # what a recording takes on a busy machine
            points = (LONG_POINTS if MINUTES else POINTS) // len(FILE_SYSTEMS)
            survived = both(scratch, keep, SEED + rounds, points, max(left, 30) if MINUTES else SECONDS)
            if survived is None:
                sys.exit(f"STELE_SEED={SEED + rounds} failed; what is needed to look at it is kept in {keep}")
            rounds += 1
            done += survived
            left = MINUTES * 60 - (time.monotonic() - started)
        if done < min(FEWEST, POINTS):
            sys.exit(f"only {done} power cuts in {time.monotonic() - started:.0f} s: this says nothing")
        print(f"{done} power cuts in {rounds} recordings on each file system, {time.monotonic() - started:.0f} s, "
              "nothing lost, nothing invented, nothing called corrupt")
        os.rmdir(keep)
    finally:
        call("umount", "-l", scratch)
        os.rmdir(scratch)


def main():
    lacks = missing()
    if lacks:
        skip(lacks)
    if "STELE_RIG_INSIDE" not in os.environ:
        # Name spaces of its own: whatever ends this, every process ends with it, and every mount and loop device goes.
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if subprocess.run(inside + ["true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            skip(["permission for mount and process name spaces (unshare)"])
        os.environ["STELE_RIG_INSIDE"] = "1"
        os.execvp(inside[0], inside + [sys.executable, os.path.abspath(__file__)])
    run()


main()
