# SPDX-License-Identifier: BSD-3-Clause
"""Persistent memory as the kernel gives it: a virtual machine with DAX file systems, ext4 and xfs.

First the table: with each kind of memory the library must choose the class, and give the reason, that is right there.

    memmap        memory that firmware calls persistent     pmem, by MAP_SYNC
    nvdimm        an NVDIMM with a namespace                pmem, by MAP_SYNC
    nvdimm-eadr   one whose platform flushes caches, too    pmem, by MAP_SYNC, and it says so
    virtio-pmem   a disk of the host that looks like one    msync: the kernel refuses MAP_SYNC

Then power cuts: four threads append and acknowledge on the serial line; QEMU is killed with SIGKILL in the middle of
it, its memory file stays, and the machine boots again: everything acknowledged is there, in order, nothing corrupt. The
guest's own page cache is gone then, so a mapping that is not synchronous, or a name that was not synced, loses records.
(That every line is flushed is not seen here: a store reaches the file at once. The simulated medium sees that.)

  STELE_TEST_MINUTES  how long to go on with power cuts; with 0 nothing is done: this is for the long run
  STELE_SEED          chooses the moments of the cuts
  STELE_RIG_KERNEL    a directory with boot/vmlinuz-* and lib/modules (see tools/dev/rig-kernel); / is looked at, too

Needs the packages qemu-system-x86, busybox-static, ndctl, kmod, cpio, e2fsprogs, xfsprogs and a Debian kernel. It needs
no root, and the machine is interpreted (TCG), so it runs anywhere."""

import glob
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
SOURCE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.environ.get("STELE_TOOL", "stele")
MINUTES = float(os.environ.get("STELE_TEST_MINUTES") or 0)
SEED = int(os.environ.get("STELE_SEED") or random.SystemRandom().randrange(2**32))
SKIPPED = 77
BOOT_SECONDS = 180  # for any one run of the machine, several times what a slow host takes
MODULES = ["crc32c-intel", "xfs", "nd_e820", "nfit", "nd_pmem", "virtio_pci", "virtio_pmem"]
PROGRAMS = {"busybox": "busybox-static", "qemu-system-x86_64": "qemu-system-x86", "ndctl": "ndctl",
            "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "cpio": "cpio", "depmod": "kmod"}
NVDIMM = ["-machine", "q35,nvdimm=on{more}", "-m", "768M,slots=2,maxmem=4G", "-object",
          "memory-backend-file,id=m1,share=on,mem-path={file},size=512M", "-device", "nvdimm,id=nv1,memdev=m1"]
MEMORY = {
    "memmap": ["-machine", "q35,memory-backend=ram", "-m", "1536M", "-object",
               "memory-backend-file,id=ram,share=on,mem-path={file},size=1536M"],
    "nvdimm": [word.replace("{more}", "") for word in NVDIMM],
    "nvdimm-eadr": [word.replace("{more}", ",nvdimm-persistence=cpu") for word in NVDIMM],
    "virtio-pmem": ["-machine", "q35", "-m", "768M,slots=2,maxmem=4G", "-object",
                    "memory-backend-file,id=m1,share=on,mem-path={file},size=512M", "-device",
                    "virtio-pmem-pci,memdev=m1,id=nv1"],
}
BYTES = {"memmap": 1536 << 20}  # of the memory file; 512 MiB otherwise
# What the library must say: class, and a pattern for its reason.
EXPECTED = {
    "memmap": ("pmem", r"pmem: {fs} is mapped synchronously \(MAP_SYNC\); lines are flushed"),
    "nvdimm": ("pmem", r"pmem: {fs} is mapped synchronously \(MAP_SYNC\); lines are flushed"),
    "nvdimm-eadr": ("pmem", r"pmem: {fs} is mapped synchronously \(MAP_SYNC\); caches are flushed by the platform"),
    "virtio-pmem": ("msync", r"msync: {fs} is not mapped synchronously \(MAP_SYNC: Operation not supported\)"),
}


class Failed(Exception):
    pass


def find_kernel():
    """(image, directory of its modules, version), or None."""
    places = [os.environ.get("STELE_RIG_KERNEL"), os.path.join(SOURCE, "..", "..", "build", "rig-kernel"), "/"]
    for place in filter(None, places):
        for image in sorted(glob.glob(os.path.join(place, "boot", "vmlinuz-*-amd64")), reverse=True):
            version = os.path.basename(image)[len("vmlinuz-"):]
            modules = os.path.join(place, "lib", "modules", version)
            if os.path.isdir(modules) and os.access(image, os.R_OK):
                return image, modules, version
    return None


def path_of(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing():
    lacks = [f"{program} (Debian package {package})" for program, package in PROGRAMS.items() if not path_of(program)]
    if not find_kernel():
        lacks.append("a Debian kernel (tools/dev/rig-kernel unpacks one under build/)")
    return lacks


def copy_program(path, root):
    """A program and the libraries it is linked with."""
    shutil.copy(path, os.path.join(root, "bin"))
    listed = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    for library in re.findall(r"(/\S+) \(0x", listed.stdout.decode()):
        # The loader is where the program says, everything else in one place.
        to = os.path.join(root, "lib64" if "ld-linux" in library else "lib")
        shutil.copy(library, to)


def build_initramfs(scratch):
    _, modules, version = find_kernel()
    root = os.path.join(scratch, "root")
    for name in ("bin", "lib", "lib64", "proc", "sys", "dev", "mnt", "tmp", "etc", "run"):
        os.makedirs(os.path.join(root, name))
    for program in ("busybox", "ndctl", "mkfs.ext4", "mkfs.xfs"):
        copy_program(path_of(program), root)
    for program in (os.path.join(BINARIES, "rig_guest"), TOOL):
        copy_program(program, root)
    for applet in ("sh", "mount", "umount", "modprobe", "sed", "cat", "mkdir", "sleep", "sync", "poweroff"):
        os.symlink("busybox", os.path.join(root, "bin", applet))
    shutil.copy(os.path.join(SOURCE, "guest_init.sh"), os.path.join(root, "init"))
    os.chmod(os.path.join(root, "init"), 0o755)
    with open(os.path.join(root, "modules"), "w", encoding="ascii") as file:
        file.write("\n".join(MODULES) + "\n")
    copy_modules(modules, os.path.join(root, "lib", "modules", version), version, scratch)
    subprocess.run([path_of("depmod"), "-b", root, version], check=True, stderr=subprocess.DEVNULL)
    archive = os.path.join(scratch, "initramfs.gz")
    subprocess.run(f"cd '{root}' && find . | cpio -o -H newc --quiet | gzip -1 >'{archive}'", shell=True, check=True)
    return archive


def copy_modules(modules, to, version, scratch):
    """What MODULES names, and what that needs."""
    tree = os.path.join(scratch, "tree")
    os.makedirs(os.path.join(tree, "lib", "modules"))
    os.symlink(os.path.abspath(modules), os.path.join(tree, "lib", "modules", version))
    listed = subprocess.run([path_of("depmod"), "-n", "-b", tree, version], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=True).stdout.decode()
    for line in listed.splitlines():
        name, _, needs = line.partition(":")
        base = re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(name)).replace("_", "-")
        if line.startswith("kernel/") and base in [module.replace("_", "-") for module in MODULES]:
            for path in [name] + needs.split():
                target = os.path.join(to, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(modules, path), target)


class Machine:
    """One run of the virtual machine."""

    def __init__(self, archive, kind, memory, ask):
        words = [word.replace("{file}", memory) for word in MEMORY[kind]]
        line = f"console=ttyS0 panic=-1 quiet rig={ask}" + (" memmap=512M!768M" if kind == "memmap" else "")
        self.lines = []
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", *words, "-nodefaults",
             "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", find_kernel()[0], "-initrd", archive,
             "-append", line],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run(self, until=None):
        """Read lines until the machine is off, or `until` says so: then it is killed, as by a power cut."""
        alarm = threading.Timer(BOOT_SECONDS, self.process.kill)
        alarm.start()
        killed = False
        for raw in self.process.stdout:
            if not raw.endswith(b"\n"):
                break  # cut short by the kill
            self.lines.append(raw.decode(errors="replace").strip())
            if until and not killed and until(self.lines[-1]):
                self.process.kill()
                killed = True
        alarm.cancel()
        self.process.wait()
        self.process.stdout.close()
        text = "\n".join(self.lines[-30:])
        if any(line.startswith("FAILED") or "Kernel panic" in line for line in self.lines):
            raise Failed(text)
        if not killed and not any(line.startswith("DONE") for line in self.lines):
            raise Failed(f"the machine did not come to its end:\n{text}")
        return killed


def make_memory(scratch, kind):
    path = os.path.join(scratch, "memory.img")
    with open(path, "wb") as file:
        file.truncate(BYTES.get(kind, 512 << 20))
    return path


def prepare(archive, scratch, kind):
    memory = make_memory(scratch, kind)
    if kind.startswith("nvdimm"):
        Machine(archive, kind, memory, "format:x").run()
    return memory


def check_row(archive, scratch, kind):
    memory = prepare(archive, scratch, kind)
    machine = Machine(archive, kind, memory, "probe:x")
    machine.run()
    class_, reason = EXPECTED[kind]
    fs, seen, forced = None, [], 0
    for line in machine.lines:
        if line.startswith("FS "):
            fs = line[3:]
        if line.startswith(("PROBE", "CLASS", "ASKED", "FORCED CLASS")):
            print(f"{kind:12s} {fs:5s} {line}", flush=True)
        if line.startswith("CLASS "):
            if not re.fullmatch(f"CLASS {class_} REASON {reason.format(fs=fs)}.*", line):
                raise Failed(f"{kind}, {fs}: expected {class_}, because {reason.format(fs=fs)}, not: {line}")
            seen.append(fs)
        forced += line.startswith("FORCED CLASS ")
        if line.startswith("PROBE ") and (f"is_pmem={int(class_ == 'pmem')} " not in line or " dax=1 " not in line):
            raise Failed(f"{kind}, {fs}: libpmem and the kernel do not say what this row is about: {line}")
        # The variable makes libpmem call anything persistent; the library goes by what the kernel says.
        if line.startswith("FORCED CLASS ") and not line.startswith(f"FORCED CLASS {class_} "):
            raise Failed(f"{kind}, {fs}: with PMEM_IS_PMEM_FORCE=1: {line}")
        if line.startswith("ASKED ") and ("given" in line) != (class_ == "pmem"):
            raise Failed(f"{kind}, {fs}: class pmem asked for by name: {line}")
    if seen != ["ext4", "xfs"] or forced != 2:
        raise Failed(f"{kind}: only {seen} were looked at:\n" + "\n".join(machine.lines[-20:]))


def count(lines, word):
    counts = {}
    for line in lines:
        match = re.fullmatch(word + r" (\d+) (\d+)", line)
        if match:
            counts[int(match[1])] = max(counts.get(int(match[1]), 0), int(match[2]))
    return counts


def cut_power(archive, memory, kind, fs, rng, first):
    """One machine killed while it appends, one that looks. Returns how many were acknowledged to it."""
    left = rng.choice([3, 30, 300, 1000])

    def enough(line):
        nonlocal left
        left -= line.startswith("ACK ")
        return left <= 0

    machine = Machine(archive, kind, memory, f"{'new' if first else 'again'}:{fs}")
    if not machine.run(enough):
        raise Failed("the machine ended before it was killed:\n" + "\n".join(machine.lines[-20:]))
    if "APPENDING pmem" not in machine.lines:
        raise Failed("it does not append to persistent memory:\n" + "\n".join(machine.lines[-20:]))
    acknowledged = count(machine.lines, "ACK")
    again = Machine(archive, kind, memory, f"check:{fs}")
    again.run()
    found = count(again.lines, "FOUND")
    verdicts = [line for line in again.lines if line.startswith("VERDICT")]
    if len(verdicts) != 1 or "corrupt" in verdicts[0]:
        raise Failed("\n".join(again.lines))
    for thread, number in acknowledged.items():
        if found.get(thread, 0) < number:
            raise Failed(f"thread {thread}: {number} acknowledged, {found.get(thread, 0)} found:\n" +
                         "\n".join(again.lines[-20:]))
    return sum(1 for line in machine.lines if line.startswith("ACK ")), verdicts[0]


def power_cuts(archive, scratch, rng, deadline):
    cuts = acknowledged = torn = 0
    combinations = [(kind, fs) for kind in ("memmap", "nvdimm", "nvdimm-eadr") for fs in ("ext4", "xfs")]
    while cuts == 0 or time.monotonic() < deadline:
        kind, fs = combinations[cuts // 3 % len(combinations)]
        if cuts % 3 == 0:  # a new log, then twice more with the same
            memory = prepare(archive, scratch, kind)
        try:
            new, verdict = cut_power(archive, memory, kind, fs, rng, cuts % 3 == 0)
        except Failed as failure:
            raise Failed(f"power cut {cuts} ({kind}, {fs}): {failure}") from None
        cuts += 1
        acknowledged += new
        torn += "torn" in verdict
    print(f"{cuts} machines killed: {acknowledged} acknowledgements, none lost; {torn} torn logs, none corrupt")


def main():
    if not MINUTES:
        print("SKIP: no virtual machine was started: this is for the long run (STELE_TEST_MINUTES)")
        sys.exit(SKIPPED)
    lacks = missing()
    if lacks:
        print("SKIP: persistent memory was not tested; this machine lacks: " + ", ".join(lacks))
        sys.exit(SKIPPED)
    deadline = time.monotonic() + MINUTES * 60
    scratch = tempfile.mkdtemp(prefix="stele-dax.")
    print(f"STELE_SEED={SEED}", flush=True)
    try:
        archive = build_initramfs(scratch)
        for kind in MEMORY:
            check_row(archive, scratch, kind)
        power_cuts(archive, scratch, random.Random(SEED), deadline)
    except Failed as failure:
        sys.exit(f"STELE_SEED={SEED} failed: {failure}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
