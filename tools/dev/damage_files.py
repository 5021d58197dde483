# SPDX-License-Identifier: BSD-3-Clause
"""Damages to whole files and directories: what people, copies, backups and snapshots do. One function each; see
damage_kinds.py for what verdict, kind and repair say."""

import os

from damage_kinds import damage
from damage_log import PAGE, Impossible

BLOCK = 4096


def segment_name(sequence, k):
    return f"{sequence:016x}-{sequence << k:016x}.stele"


# -- one segment file

@damage("corrupt", "size", append="refuses")
def truncate(log):
    """A segment is cut short in the middle of its records."""
    segment = log.target()
    log.resize(segment.name, PAGE + segment.data // 2 + 4)


@damage("corrupt", "size", append="refuses", repair="mends")
def extend(log):
    """A segment is a page longer than it should be."""
    segment = log.target()
    log.resize(segment.name, segment.bytes + PAGE)


@damage("corrupt", "header", append="refuses")
def empty_segment(log):
    """A segment has no bytes left."""
    log.resize(log.target().name, 0)


@damage("corrupt", "missing", append="refuses")
def unlink_segment(log):
    """A segment is gone."""
    log.remove(log.target().name)


@damage("corrupt", "missing", append="refuses")
def unlink_active(log):
    """The segment with the newest records is gone."""
    log.remove(log.active().name)


@damage("clean", repair="nothing")
def spare_lost(log):
    """Prepared segments without a record are gone."""
    for segment in log.spares():
        log.remove(segment.name)
    if not log.changes:
        raise Impossible("the log has no prepared segment")


def two_segments(log):
    used = log.used()
    if len(used) < 2:
        raise Impossible("the log has no two segments with records")
    first = log.target(used[:-1])
    return first, used[used.index(first) + 1]


@damage("corrupt", "name", append="refuses", repair="mends")
def swap_segments(log):
    """Two segments have each other's name."""
    first, second = two_segments(log)
    log.rename(first.name, "aside")
    log.rename(second.name, first.name)
    log.rename("aside", second.name)


@damage("corrupt", "missing", append="refuses", repair="mends")
def rename_segment(log):
    """A segment has the name of one that is far behind the end."""
    segment = log.target()
    log.rename(segment.name, segment_name(segment.sequence + 1000, segment.k))


@damage("corrupt", "missing", append="refuses")
def misnamed_segment(log):
    """A segment has a name that is no segment's: in capitals."""
    segment = log.target()
    log.rename(segment.name, segment.name.upper())


@damage("harmless", "name", repair="nothing")
def second_file(log):
    """A copy of a segment stands beside it, under the same number and another base LSN."""
    segment = log.target()
    name = f"{segment.sequence:016x}-{segment.base + 8:016x}.stele"
    log.replace(name, log.raw(segment.name), f"a copy of {segment.name}")


def instead(log, what, make):
    segment = log.target()
    path = log.path / segment.name
    path.rename(log.path / "moved-away")
    make(path)
    log.note(segment.name, f"{what} stands in its place; the file is now moved-away")


@damage("corrupt", "io", append="refuses")
def directory_instead_of_segment(log):
    """A directory has the name of a segment."""
    instead(log, "a directory", lambda path: path.mkdir())


@damage("corrupt", "io", append="refuses")
def fifo_instead_of_segment(log):
    """A FIFO has the name of a segment: opening it must not hang."""
    instead(log, "a FIFO", os.mkfifo)


@damage("corrupt", "io", append="refuses")
def symlinked_segment(log):
    """A symbolic link to a segment stands in its place: links are not followed."""
    instead(log, "a symbolic link to it", lambda path: path.symlink_to("moved-away"))


@damage("refused", append="refuses", repair="refuses")
def no_permission(log):
    """A segment that may not be opened (root may)."""
    segment = log.target()
    os.chmod(log.path / segment.name, 0)
    log.note(segment.name, "mode 000")


@damage("harmless", "quarantined", repair="nothing")
def quarantined(log):
    """A segment is set aside, as a repair does it: a gap, which cursors tell once and step over."""
    segment = log.target()
    log.rename(segment.name, segment.name + ".broken")


@damage("clean", repair="nothing")
def sparse_copy(log):
    """A copy by cp --sparse: what was zero is a hole now, prepared segments too."""
    for segment in log.segments:
        path, data = log.path / segment.name, log.raw(segment.name)
        path.unlink()
        with open(path, "wb") as file:
            os.truncate(file.fileno(), len(data))
            for at in range(0, len(data), BLOCK):
                if data[at:at + BLOCK].strip(b"\0"):
                    os.pwrite(file.fileno(), data[at:at + BLOCK], at)
        log.note(segment.name, f"{path.stat().st_blocks * 512} of {len(data)} bytes have blocks")


# -- control and lock

@damage("corrupt", "control", append="refuses")
def control_lost(log):
    """The control file is gone."""
    log.remove("control")


@damage("corrupt", "control", append="refuses")
def control_short(log):
    """The control file is cut short."""
    log.resize("control", 100)


@damage("corrupt", "foreign-log", append="refuses", repair="refuses", other="another log")
def control_foreign(log):
    """The control file is that of another log."""
    other = log.second()
    if other.sound_control().uuid == log.sound_control().uuid:
        raise Impossible(f"{log.other} is the same log")
    log.replace("control", other.raw("control"), f"the control file of {log.other}")


@damage("clean", repair="nothing", other="an earlier state of the log, not trimmed since")
def control_older(log):
    """The control file comes from an older backup: it knows less, and is right."""
    log.replace("control", log.second().raw("control"), f"the control file of {log.other}")


@damage("clean", repair="nothing")
def lock_lost(log):
    """The lock file is gone."""
    log.remove("lock")


@damage("clean", repair="nothing")
def leftovers(log):
    """Files under construction, as a crash leaves them."""
    for name in ("spare-0000000000000063.stele.tmp", "control.stele.tmp", "repair.stele.tmp"):
        (log.path / name).write_bytes(b"unfinished")
        log.note(name, "made")


# -- two directories

@damage("corrupt", "foreign-log", append="refuses", other="another log with segments of the same size")
def foreign_segment(log):
    """A segment is that of another log."""
    other, segment = log.second(), log.target()
    if other.sound_control().uuid == log.sound_control().uuid:
        raise Impossible(f"{log.other} is the same log")
    same = [s for s in other.used() if s.sequence == segment.sequence and s.k == segment.k]
    if not same:
        raise Impossible(f"{log.other} has no segment {segment.sequence} of the same size with records")
    log.replace(segment.name, other.raw(same[0].name), f"the segment of {log.other}")


def take(log, names, what):
    taken = 0
    for name in names:
        data = (log.other / name).read_bytes()
        if not (log.path / name).exists() or log.raw(name) != data:
            log.replace(name, data, what)
            taken += 1
    if taken == 0:
        raise Impossible(f"{log.other} holds nothing that differs")


def same_log(log):
    other = log.second()
    if other.sound_control().uuid != log.sound_control().uuid:
        raise Impossible(f"{log.other} is not a state of this log")
    return other


@damage("corrupt", "record", append="refuses", other="an earlier state of the log")
def older_backup(log):
    """Segments restored from an older backup, over newer ones and beside them; the control file is the newer."""
    other = same_log(log)
    take(log, [s.name for s in other.used()], f"the older one of {log.other}")


@damage("corrupt", "chain", append="refuses", other="another history of the log")
def fork_splice(log):
    """One segment comes from another history of the log, as after a return to a snapshot. Each file is sound."""
    other = {s.name: s for s in same_log(log).sealed()}
    among = [s for s in log.sealed() if s.name in other and (log.other / s.name).read_bytes() != log.raw(s.name)]
    segment = log.target(among, "sealed segment that differs between the two histories")
    take(log, [segment.name], f"that of the other history, {log.other}")


@damage("any", append="any", repair="any", other="a later state of the log")
def copied_while_written(log):
    """A plain copy beside a live writer: files read first are of the earlier state, those read last of the later one."""
    later = same_log(log)
    names = ["control"] + [s.name for s in later.segments]
    if log.random:
        log.random.shuffle(names)
    else:
        names = names[1:] + names[:1]
    cut = log.random.randrange(len(names)) if log.random else len(names) // 2
    for name in names[cut:]:
        new, old = later.raw(name), (log.path / name).read_bytes() if (log.path / name).exists() else b""
        if name == names[cut] and old:
            half = len(new) // 2 // PAGE * PAGE
            new = old[:half] + new[half:]
        if new != old:
            log.replace(name, new, f"of the later state, {log.other}")
    log.note(".", f"{cut} of {len(names)} files are of the earlier state")


# -- the directory

@damage("clean", repair="nothing", count=10000)
def foreign_files(log):
    """Files that are not the log's, some of them nearly named like its own (--count)."""
    for i in range(log.count):
        name = (f"{i:016X}-{i:016x}.STELE", f"{i:016x}.stele", f"note-{i}", f"{i:016x}-{i:016x}.stele.brokenly")[i % 4]
        (log.path / name).write_bytes(b"")
    log.note(".", f"{log.count} foreign files")


@damage("clean", repair="nothing")
def symlinked_directory(log):
    """The directory is a symbolic link to the log."""
    real = log.path.with_name(log.path.name + ".real")
    log.path.rename(real)
    log.path.symlink_to(real.name)
    log.note(".", f"a symbolic link to {real.name}")


@damage("refused", append="refuses", repair="refuses")
def empty_directory(log):
    """Nothing is left in the directory."""
    for path in list(log.path.iterdir()):
        log.remove(path.name)


@damage("refused", append="refuses", repair="refuses")
def not_a_log(log):
    """The directory holds other files only."""
    for path in list(log.path.iterdir()):
        log.rename(path.name, "was-" + path.name + ".txt")
