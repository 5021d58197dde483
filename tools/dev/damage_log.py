# SPDX-License-Identifier: BSD-3-Clause
"""A copy of a log that tools/dev/damage is about to damage: where its parts stand, how a record or a seal is forged,
and a note of every change.

Bytes are decoded by tests/golden/reader.py, which was written from docs/format.md; numbers in brackets are that
document's. Nothing here uses the library: a fault of the library must not hide in the damage that looks for it."""

import dataclasses
import os
import pathlib
import random
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "golden"))
import reader  # noqa: E402

PAGE, COPY, SECTOR = 4096, 2048, 512
SHOWN = 32  # bytes of a change that are shown


class Impossible(Exception):
    """This damage cannot be done to this log; the text says what it needs."""


def checked(block, metadata=b""):
    """A control block, header copy or footer copy with its crc made right (crc is the last of 128 bytes in all of them)."""
    crc = reader.crc32c(reader.crc32c(0, block[:124]), metadata)
    return block[:124] + struct.pack("<I", crc) + block[128:]


def patched(block, offset, form, *values):
    out = bytearray(block)
    struct.pack_into(form, out, offset, *values)
    return bytes(out)


def forge_word(salt, lsn, kind, epoch, length):
    """The record word [5.1] with its check right, and the register the crc goes on from [5.3]."""
    bare = struct.pack("<IBHB", length, kind, epoch, 0)
    c1 = reader.crc32c(salt ^ (lsn >> 3 & 0xFFFFFFFF), bare)
    return bare[:7] + bytes([c1 >> 24]), c1


def forge(salt, lsn, kind, epoch, payload, dback):
    """A record that is valid at `lsn` under `salt`. Of a PAD the payload is its body, which the crc leaves out."""
    word, c1 = forge_word(salt, lsn, kind, epoch, len(payload))
    c2 = reader.crc32c(c1, bytes(4) + struct.pack("<I", dback))
    body = payload + bytes(-len(payload) % 8)
    crc = c2 if kind == reader.PAD else reader.crc32c(c2, body)
    return word + struct.pack("<II", crc, dback) + body


@dataclasses.dataclass
class Segment:
    name: str
    sequence: int
    base: int
    k: int
    header: object  # reader.Header, or None
    footer: object  # reader.Footer, or None: not sealed

    @property
    def data(self):
        return 1 << self.k

    @property
    def index_at(self):
        return PAGE + self.data

    @property
    def footer_at(self):
        return self.index_at + -(-(self.data // 65536 + 1) * 24 // PAGE) * PAGE

    @property
    def bytes(self):
        return self.footer_at + 2 * PAGE

    def offset(self, lsn):
        return PAGE + lsn - self.base


class Log:
    """The directory `path`, which may be changed. `other`: a second directory, for damages that mix two."""

    def __init__(self, path, other=None, segment=None, at=None, seed=None, count=None):
        self.path, self.other = pathlib.Path(path), other and pathlib.Path(other)
        self.wanted, self.at, self.count = segment, at, count
        self.random = None if seed is None else random.Random(seed)
        self.changes = []
        blocks = [self.control_block(i) for i in (0, 1)]
        sound = [block for block in blocks if block]
        self.control = max(sound, key=lambda block: block.generation) if sound else None
        self.segments = self.list_segments()
        if not self.control and not self.segments:
            raise Impossible(f"{self.path}: neither a sound control file nor a segment with a sound header: not a log, "
                             "or damaged too much to aim at something")

    # -- what there is

    def raw(self, name, offset=0, size=None):
        with open(self.path / name, "rb") as file:
            file.seek(offset)
            return file.read() if size is None else file.read(size)

    def control_block(self, block):
        try:
            raw = self.raw("control", block * PAGE, 128)
        except OSError:
            return None
        return reader.control_block(raw) if len(raw) == 128 else None

    def list_segments(self):
        found = []
        for name in sorted(os.listdir(self.path)):
            match = reader.NAME.fullmatch(name)
            if not match or match[3] or not (self.path / name).is_file():
                continue
            raw = self.raw(name, 0, PAGE)
            copies = [reader.header_copy(raw[at:at + COPY]) if len(raw) == PAGE else None for at in (0, COPY)]
            header = copies[0] or copies[1]
            k = self.control.k if self.control else header.k if header else None
            if k is None or self.control and int(match[1], 16) < self.control.first_sequence:
                continue
            segment = Segment(name, int(match[1], 16), int(match[2], 16), k, header, None)
            if header:
                feet = [self.raw(name, segment.footer_at + i * PAGE, 128) for i in (0, 1)]
                feet = [reader.footer_copy(foot, header) for foot in feet if len(foot) == 128]
                segment.footer = next(filter(None, feet), None)
            found.append(segment)
        return found

    def records(self, segment):
        """The valid records from the front of a segment on."""
        data, lsn, epoch = self.raw(segment.name, PAGE, segment.data), segment.base, 0
        data = data.ljust(segment.data, b"\0")
        while lsn < segment.base + segment.data:
            record = reader.record_at(data, lsn, segment.header.salt)
            if not record or record.epoch < epoch:
                return
            yield record
            lsn, epoch = lsn + record.size, record.epoch

    def sound_control(self):
        if not self.control:
            raise Impossible(f"{self.path}: both control blocks are damaged already")
        return self.control

    # -- choosing a place

    def choose(self, among, what):
        if not among:
            raise Impossible(f"the log has no {what}")
        return self.random.choice(among) if self.random else among[len(among) // 2]

    def used(self):
        """Segments with a record at their front, the active one last."""
        return [s for s in self.segments if s.header and self.raw(s.name, PAGE, 8).strip(b"\0")]

    def sealed(self):
        return [s for s in self.segments if s.footer]

    def active(self):
        used = self.used()
        if not used or used[-1].footer:
            raise Impossible("the log has no active segment with records")
        return used[-1]

    def spares(self):
        """Prepared segments without a record; may be empty."""
        last = max((s.sequence for s in self.used()), default=0)
        return [s for s in self.segments if s.header and s.sequence > last]

    def target(self, among=None, what="segment with records"):
        """--segment N, the one of --at LSN, one drawn by --seed, or the middle one: of the sealed ones if there are any."""
        number = self.wanted
        if number is None and self.at is not None:
            number = self.at >> self.segments[0].k
        among = (self.sealed() or self.used()) if among is None else among
        if number is None:
            return self.choose(among, what)
        for segment in self.segments:
            if segment.sequence == number:
                if segment not in among and what != "segment with records":
                    raise Impossible(f"{segment.name} is no {what}")
                return segment
        raise Impossible(f"the log has no segment number {number}")

    def record(self, segment=None, fits=lambda record: record.is_data, what="data record"):
        """--at LSN, one drawn by --seed, or the middle one of the target segment."""
        segment = segment or self.target()
        records = list(self.records(segment)) if segment.header else []
        if self.at is None:
            return segment, self.choose([r for r in records if fits(r)], f"{what} in {segment.name}")
        for record in records:
            if record.lsn == self.at:
                return segment, record
        raise Impossible(f"no record begins at LSN {self.at} of {segment.name}")

    def end(self):
        """The active segment and the LSN behind its last record."""
        segment = self.active()
        last = list(self.records(segment))[-1]
        return segment, last.lsn + last.size, last

    # -- changing it

    def note(self, file, what, offset=None, before=None, after=None):
        length = max(len(before or b""), len(after or b"")) if before is not None else None
        self.changes.append({"file": file, "offset": offset, "length": length, "what": what,
                             "before": None if before is None else before[:SHOWN].hex(),
                             "after": None if after is None else after[:SHOWN].hex()})

    def write(self, name, offset, data, what):
        before = self.raw(name, offset, len(data))
        if before == data:
            raise Impossible(f"{name} at offset {offset}: {what}: the bytes there are these already")
        with open(self.path / name, "r+b") as file:
            file.seek(offset)
            file.write(data)
        self.note(name, what, offset, before, data)

    def flip(self, name, offset, what):
        bit = self.random.randrange(8) if self.random else 0
        self.write(name, offset, bytes([self.raw(name, offset, 1)[0] ^ 1 << bit]), what)

    def resize(self, name, size):
        before = (self.path / name).stat().st_size
        os.truncate(self.path / name, size)
        self.note(name, f"{before} bytes became {size}", min(before, size))

    def remove(self, name):
        (self.path / name).unlink()
        self.note(name, "removed")

    def rename(self, name, to):
        (self.path / name).rename(self.path / to)
        self.note(name, f"renamed to {to}")

    def replace(self, name, data, what):
        """The whole file is another one."""
        path = self.path / name
        before = path.read_bytes() if path.exists() else b""
        if before == data:
            raise Impossible(f"{name}: {what}: it is the same")
        path.write_bytes(data)
        first = next((i for i, (a, b) in enumerate(zip(before, data)) if a != b), min(len(before), len(data)))
        self.note(name, what, first, before[first:first + SHOWN], data[first:first + SHOWN])

    def write_control(self, offset, form, value, what):
        """A field of both control blocks, their crc right."""
        for block in (0, 1):
            raw = self.raw("control", block * PAGE, 128)
            self.write("control", block * PAGE, checked(patched(raw, offset, form, value)), f"{what}, block {'AB'[block]}")

    def write_header(self, segment, offset, form, value, what):
        """A field of both header copies, their crc right."""
        for copy in (0, 1):
            raw = self.raw(segment.name, copy * COPY, COPY)
            size = struct.unpack_from("<I", raw, 84)[0]
            forged = checked(patched(raw[:128], offset, form, value), raw[128:128 + size])
            self.write(segment.name, copy * COPY, forged, f"{what}, copy {'AB'[copy]}")

    def second(self):
        if not self.other:
            raise Impossible("this damage mixes two directories: name the second one with --other DIR")
        return Log(self.other)
