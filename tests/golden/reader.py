# SPDX-License-Identifier: BSD-3-Clause
"""A second reader and validator of the log format, written from docs/format.md alone: `reader.py DIR`.

It shares no code with the library. R1 to R20 and numbers in brackets are the document's. It prints a JSON
document and exits 0 (clean), 1 (torn), 3 (corrupt), 4 (no log, or another version) or 2 (could not look).
For logs that nobody writes to meanwhile; it never writes.
"""
import ctypes, functools, hashlib, itertools, json, pathlib, re, struct, sys, traceback
from collections import namedtuple

PAGE, COPY = 4096, 2048
PAD, MARK, FILL, DATA = 5, 6, 8, (1, *range(0x10, 0x80))
NAME, NONZERO = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.stele(\.broken)?"), re.compile(rb"[^\0]")

def layout(form, fields):
    kind, form = namedtuple("Layout", fields), struct.Struct(form)
    return lambda raw: kind(*form.unpack_from(raw))

Control = layout("<8sHHB3xQQ16sQQQQQQI24xI", "magic major minor k incompat ro_compat uuid generation "
                 "first_sequence first_chain first_record durable created_ns incarnation crc")
Header = layout("<8sHHIQQ16sQQQIIBBBxI36xI", "magic major minor header_bytes incompat ro_compat uuid "
                "sequence base created_ns salt incarnation k checksum chain metadata_bytes crc")
Footer = layout("<8s16sQIIQQQQQQQQQQ4xI", "magic uuid sequence salt incarnation end first_record records "
                "chain_start chain_end first_time_ns last_time_ns index_entries index_hash data_hash crc")
Mark = layout("<7Q", "upto chain chain_start number time_ns durable reserved")
Record = namedtuple("Record", "lsn type is_data epoch size head payload mark vouches")
Segment = namedtuple("Segment", "header metadata footer data index whole")

class Refused(Exception):
    """No log, or a log of another version: nothing is known to be wrong."""

CRC = [functools.reduce(lambda r, _: r >> 1 ^ 0x82F63B78 * (r & 1), range(8), b) for b in range(256)]
XXH3 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits_withSeed
XXH3.restype, XXH3.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)

def crc32c(c, data, table=CRC):  # [2]
    r = c ^ 0xFFFFFFFF
    for b in data:
        r = table[(r ^ b) & 0xFF] ^ (r >> 8)
    return r ^ 0xFFFFFFFF

def xxh3(data, seed=0):
    return XXH3(data, len(data), seed)

def intact(raw, magic, metadata=b""):
    crc = crc32c(crc32c(0, raw[:124]), metadata)
    return raw[:8] == magic and crc == int.from_bytes(raw[124:128], "little")

def control_block(raw):
    """The block (R2, R4), or None when it does not count."""
    b = Control(raw)
    if not intact(raw, b"STELECTL"):
        return None
    if b.major != 1 or b.incompat:
        raise Refused("control block of another version")
    return b if 16 <= b.k <= 32 and b.first_sequence < 1 << (63 - b.k) and b.durable % 8 == 0 else None

def header_copy(raw):  # R2, R6
    h = Header(raw) if len(raw) == COPY else None
    if not h or h.metadata_bytes > 1920 or not intact(raw, b"STELESEG", raw[128:128 + h.metadata_bytes]):
        return None
    if h.major != 1 or h.incompat or h.checksum != 1 or h.chain != 1:
        raise Refused(f"header of segment {h.sequence} is of another version")
    sound = h.header_bytes == PAGE and 16 <= h.k <= 32
    return h if sound and h.sequence < 1 << (63 - h.k) and h.base == h.sequence << h.k else None

def footer_copy(raw, h):  # R8
    f = Footer(raw)
    fits = ((f.uuid, f.sequence, f.salt, f.incarnation) == (h.uuid, h.sequence, h.salt, h.incarnation)
            and f.end == (h.sequence + 1) << h.k and f.records <= (1 << h.k) // 16
            and f.first_record + f.records < 1 << 64 and f.index_entries <= (1 << h.k) // 65536 + 1)
    return f if intact(raw, b"STELEEND") and fits else None

def record_at(data, lsn, salt):
    """The valid record (R10 to R14) that begins at lsn, in the data area of its segment, or None."""
    at = lsn % len(data)
    length, kind, epoch, hcheck = struct.unpack_from("<IBHB", data, at)
    c = crc32c(salt ^ (lsn >> 3 & 0xFFFFFFFF), data[at:at + 7] + b"\0")
    if kind not in DATA and kind not in (PAD, MARK, FILL) or c >> 24 != hcheck:
        return None
    if kind == FILL:
        return None if length else Record(lsn, kind, False, epoch, 8, data[at:at + 8], b"", None, 0)
    size = 16 + (length + 7) // 8 * 8
    if (length % 8 if kind == PAD else length > len(data) // 4 - 16) or at + size > len(data):
        return None
    crc, dback = struct.unpack_from("<II", data, at + 8)
    c = crc32c(c, bytes(4) + data[at + 12:at + 16])
    if crc != (c if kind == PAD else crc32c(c, data[at + 16:at + size])):
        return None
    payload, well_formed = data[at + 16:at + 16 + length], kind == MARK and length == 56
    mark = Mark(payload) if well_formed and payload[48:] == bytes(8) else None
    vouches = max(lsn - 8 * dback if dback < 0xFFFFFFFF else 0, mark.durable if mark else 0)
    return Record(lsn, kind, kind in DATA, epoch, size, data[at:at + 16], payload, mark, vouches)

class Log:
    """The reader's algorithm [9]: names, control file, headers and footers; then walk() and testimony()."""
    def __init__(self, directory):
        self.directory, self.problems, self.records, self.marks, self.durable = directory, [], [], 0, 0
        self.k = self.uuid = self.first = self.end = self.start = None
        self.segments = {}  # sequence -> Segment, or None for an unreadable one
        files = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
        names = [m for m in map(NAME.fullmatch, files) if m]
        if "control" not in files and all(m[3] for m in names):
            raise Refused("not a log")
        self.read_control(self.content("control"), names)
        self.broken = {int(m[1], 16) for m in names if m[3]}
        for m in sorted(names, key=lambda m: int(m[2], 16) != int(m[1], 16) << (self.k or 0)):  # R1
            if not m[3] and self.k and (s := int(m[1], 16)) >= self.first:
                self.segments[s] = self.segments.get(s) or self.open_segment(m[0], s, int(m[2], 16))

    def content(self, name):
        return (self.directory / name).read_bytes() if (self.directory / name).is_file() else b""

    def problem(self, kind, detail, sequence=None, offset=None, lsn=None, harmless=False):
        offset = offset if lsn is None else PAGE + lsn - (sequence << self.k)
        self.problems.append(dict(segment=sequence, offset=offset, lsn=lsn, kind=kind, detail=detail,
                                  harmless=harmless))

    def read_control(self, raw, names):  # R2 to R4
        blocks = [control_block(raw[at:at + 128]) if len(raw) == 4 * PAGE else None for at in (0, PAGE)]
        if any(blocks):
            b = max(filter(None, blocks), key=lambda b: b.generation)  # the first of equals
            self.k, self.uuid, self.first, self.durable = b.k, b.uuid, b.first_sequence, b.durable
            self.start = b.first_chain, b.first_record
            for bad in (i for i in (0, 1) if not blocks[i]):
                self.problem("control", f"block {'AB'[bad]} is invalid", None, bad * PAGE, harmless=True)
            return
        self.problem("control", "no valid control block: where the log begins cannot be proven")
        for m in (m for m in names if not m[3]):  # salvage: begin at the lowest sequence, knowing nothing
            h = header_copy(self.content(m[0])[:COPY]) or header_copy(self.content(m[0])[COPY:PAGE])
            if h and not self.k:
                self.k, self.uuid, self.first = h.k, h.uuid, int(names[0][1], 16)

    def open_segment(self, name, sequence, base):  # R5 to R8
        raw, area = self.content(name), 1 << self.k
        data, index_at = raw[PAGE:PAGE + area].ljust(area, b"\0"), PAGE + area
        copies = [header_copy(raw[at:at + COPY]) if len(raw) >= PAGE else None for at in (0, COPY)]
        h, feet_at = copies[0] or copies[1], index_at + -(-(area // 65536 + 1) * 24 // PAGE) * PAGE
        whole = len(raw) == feet_at + 2 * PAGE
        empty = (self.directory / name).is_file() and not NONZERO.search(data)
        if not h or (h.uuid, h.k, h.sequence, h.base) != (self.uuid, self.k, sequence, base):
            return self.problem("header", f"no valid header, or not that of {name}", sequence, 0, None, empty)
        if not whole:
            self.problem("size", f"{name} has {len(raw)} bytes", sequence, len(raw), None, empty)
        end, bad = 128 + h.metadata_bytes, bool(copies[0])
        if not all(copies) or raw[:end] != raw[COPY:COPY + end]:
            self.problem("header", f"copy {'AB'[bad]} is invalid", sequence, bad * COPY, harmless=True)
        feet = [raw[at:at + 128].ljust(128, b"\0") for at in (feet_at, feet_at + PAGE)]
        footers = [footer_copy(foot, h) for foot in feet]
        for i in (0, 1):
            if any(feet[i]) and not footers[i] or i and all(footers) and feet[0] != feet[1]:
                self.problem("footer", f"copy {'AB'[i]} is invalid", sequence, feet_at + i * PAGE, None, True)
        return Segment(h, raw[128:end], footers[0] or footers[1], data, raw[index_at:feet_at], whole)

    def walk(self):
        """Hands out the records and returns T, the end [9.3]."""
        return next(end for end in map(self.walk_segment, itertools.count(self.first)) if end is not None)

    def walk_segment(self, s):
        """Where the log ends in this segment; None: not in this one. self.start: chain and record number."""
        seg = self.segments.get(s)
        if s in self.broken and s not in self.segments:  # R19
            self.start = self.problem("gap", "segment is quarantined", s, lsn=s << self.k, harmless=True)
            return None
        if not seg:
            return s << self.k
        f, epoch, found, places = seg.whole and seg.footer, 0, [], {}
        lsn, end = s << self.k, (s + 1) << self.k
        if f:
            self.durable, self.start = max(self.durable, f.end), self.start or (f.chain_start, f.first_record)
            if self.start != (f.chain_start, f.first_record):
                self.problem("join", "chain or record number does not go on in the footer", s, lsn=lsn)  # R17
                return lsn
        while lsn < end and (r := record_at(seg.data, lsn, seg.header.salt)) and r.epoch >= epoch:  # R15
            found.append(r)
            lsn, epoch = lsn + r.size, r.epoch
        if not self.start and (m := next((r.mark for r in found if r.mark), None)):  # believe the first mark
            self.start = m.chain_start, max(m.number - sum(r.is_data for r in found if r.lsn < m.upto), 0)
        here, upto = self.start, s << self.k
        for r in found:
            places[r.lsn], m = here, r.mark
            if r.type == MARK:  # R16
                if (not m or not upto <= m.upto <= r.lsn or m.upto not in places or m.durable > r.lsn
                        or (m.chain_start, m.chain, m.number) != (self.start[0], *places[m.upto])):
                    self.problem("mark", "a mark is malformed or contradicts the records", s, lsn=r.lsn)
                    return r.lsn
                upto, self.marks = m.upto, self.marks + 1
            self.durable = max(self.durable, r.vouches)
            here = here and (xxh3(r.head, here[0]), here[1] + r.is_data)
            if r.is_data:
                self.records.append(dict(lsn=r.lsn, type=max(r.type - 0x0F, 0), len=len(r.payload),
                                         sha256=hashlib.sha256(r.payload).hexdigest()))
        self.start = here
        return lsn if lsn < end or not seg.whole else self.check_sealed(s, seg, places) if f else None

    def check_sealed(self, s, seg, places):
        f, last = seg.footer, -65536
        if self.start != (f.chain_end, f.first_record + f.records):  # R18
            self.problem("footer", "chain or number of records is not the footer's", s, lsn=f.end)
            return f.end
        index = seg.index[:f.index_entries * 24]
        wrong = xxh3(index) != f.index_hash
        for number, lsn, _ in struct.iter_unpack("<QQQ", index):  # [4.3]
            wrong, last = wrong or lsn not in places or places[lsn][1] != number or lsn < last + 65536, lsn
        if wrong:  # R9
            self.problem("index", "index is not that of the records", s, PAGE + len(seg.data), harmless=True)
        if xxh3(seg.data) != f.data_hash:
            self.problem("data_hash", "the body of a PAD has changed", s, PAGE, harmless=True)

    def testimony(self):
        """Raises the durable point to what stands behind the end; is anything but zero there? [9.4]"""
        used = False
        for seg in (seg for s, seg in self.segments.items() if seg and s >= self.end >> self.k):
            at = max(self.end - seg.header.base, 0)
            self.durable = max(self.durable, seg.footer.end if seg.footer else 0)
            while found := NONZERO.search(seg.data, at):
                used, at = True, found.start() // 8 * 8
                r = record_at(seg.data, seg.header.base + at, seg.header.salt)
                at, self.durable = at + (r.size if r else 8), max(self.durable, r.vouches if r else 0)
        return used

    def report(self):
        self.end = self.walk() if self.k else 0
        used, place = self.testimony(), dict(sequence=self.end >> (self.k or 0), lsn=self.end)
        if self.durable > self.end:
            self.problem("lost", f"bytes before LSN {self.durable:#x} had been durable", **place)
        corrupt = not all(p["harmless"] for p in self.problems)
        if used and not corrupt:
            self.problem("torn", "unfinished writes that were never acknowledged", **place)
        metadata = [seg.metadata.hex() for _, seg in sorted(self.segments.items()) if seg]
        return dict(verdict="corrupt" if corrupt else "torn" if used else "clean",
                    uuid=self.uuid and self.uuid.hex(), segment_bytes=self.k and 1 << self.k,
                    first_lsn=self.k and self.first << self.k, end_lsn=self.k and self.end,
                    durable_lsn=self.durable, records=self.records, marks=self.marks,
                    metadata="".join(metadata[-1:]), problems=self.problems)

def main(arguments):
    try:
        try:
            report = Log(pathlib.Path(arguments[1])).report()
        except Refused as why:
            report = dict(verdict="refused", detail=str(why), problems=[])
        print(json.dumps(report, indent=1), flush=True)
        return dict(clean=0, torn=1, corrupt=3, refused=4)[report["verdict"]]
    except Exception:  # the exit code of an accident must not look like a verdict
        traceback.print_exc()
        return 2

if __name__ == "__main__":
    sys.exit(main(sys.argv))
