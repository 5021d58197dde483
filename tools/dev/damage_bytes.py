# SPDX-License-Identifier: BSD-3-Clause
"""Damages that change bytes in place: what disks, memory and forgers do. One function each; see damage_kinds.py for what
verdict, kind and repair say."""

import struct

from damage_kinds import damage
from damage_log import COPY, PAGE, SECTOR, Impossible, checked, forge, forge_word, patched, reader

MARK_CHAIN, MARK_CHAIN_START, MARK_TIME = 8, 16, 32
DAY_NS = 24 * 3600 * 10**9


# -- records

@damage("corrupt", "record")
def flip_bit(log):
    """One bit of a record's payload is another."""
    segment, record = log.record()
    log.flip(segment.name, segment.offset(record.lsn) + 16, f"a bit in the payload of the record at LSN {record.lsn}")


@damage("corrupt", "record", append="refuses")
def last_record(log):
    """One bit of the last record, behind which nothing but the closing mark stands."""
    segment = log.active()
    record = [r for r in log.records(segment) if r.is_data][-1]
    log.flip(segment.name, segment.offset(record.lsn) + 16, f"a bit in the last record, at LSN {record.lsn}")


def sector_of(log):
    segment, record = log.record()
    return segment, segment.offset(record.lsn) // SECTOR * SECTOR


@damage("corrupt", "record")
def zero_sector(log):
    """512 bytes in the middle of records are zero."""
    segment, at = sector_of(log)
    log.write(segment.name, at, bytes(SECTOR), "a sector of zeroes")


@damage("corrupt", "record")
def random_sector(log):
    """512 bytes in the middle of records are noise."""
    segment, at = sector_of(log)
    noise = log.random.randbytes(SECTOR) if log.random else bytes(i * 73 + 11 & 255 for i in range(SECTOR))
    log.write(segment.name, at, noise, "a sector of noise")


@damage("corrupt", "record")
def stale_sector(log):
    """A lost write: 512 bytes are those of the file's earlier life, when it was another segment."""
    segment, at = sector_of(log)
    earlier = [s for s in log.used() if s.sequence != segment.sequence]
    if not earlier:
        raise Impossible("the log has no second segment whose bytes could be stale ones")
    log.write(segment.name, at, log.raw(log.choose(earlier, "").name, at, SECTOR), "a sector of an earlier life")


def two_sectors(log):
    segment, at = sector_of(log)
    for other in range(PAGE, PAGE + segment.data, SECTOR):
        if abs(other - at) > SECTOR and log.raw(segment.name, other, SECTOR).strip(b"\0"):
            return segment, at, other
    raise Impossible(f"{segment.name} has no second sector with records")


@damage("corrupt", "record")
def misdirected_sector(log):
    """A sector was written over another one of the same segment."""
    segment, at, other = two_sectors(log)
    log.write(segment.name, at, log.raw(segment.name, other, SECTOR), f"the sector of offset {other}")


@damage("corrupt", "record")
def swapped_sectors(log):
    """Two sectors of a segment stand in each other's place."""
    segment, at, other = two_sectors(log)
    first, second = log.raw(segment.name, at, SECTOR), log.raw(segment.name, other, SECTOR)
    log.write(segment.name, at, second, f"the sector of offset {other}")
    log.write(segment.name, other, first, f"the sector of offset {at}")


def marked(log):
    """Marks stand where time and load put them: not in every segment."""
    return log.target([s for s in log.used() if any(r.mark for r in log.records(s))], "segment with a mark")


@damage("corrupt", "record")
def mark(log):
    """One bit of a mark is another."""
    segment, record = log.record(marked(log), lambda r: r.mark, "mark")
    log.flip(segment.name, segment.offset(record.lsn) + 16 + MARK_CHAIN, f"a bit of the mark at LSN {record.lsn}")


def forge_here(log, what, fits=lambda record: record.is_data and record.payload, segment=None, **changes):
    segment, record = log.record(segment, fits, "record to forge")
    dback = struct.unpack_from("<I", record.head, 12)[0]
    fields = {"kind": record.type, "epoch": record.epoch, "payload": record.payload, "lsn": record.lsn}
    fields.update({name: change(fields[name], record) for name, change in changes.items()})
    forged = forge(segment.header.salt, fields["lsn"], fields["kind"], fields["epoch"], fields["payload"], dback)
    log.write(segment.name, segment.offset(record.lsn), forged, f"the record at LSN {record.lsn}: {what}")


@damage("corrupt", "record")
def forged_length(log):
    """A record says that it is 4 GiB long; the check of its word is right."""
    segment, record = log.record()
    word, _ = forge_word(segment.header.salt, record.lsn, record.type, record.epoch, 0xFFFFFFF8)
    log.write(segment.name, segment.offset(record.lsn), word, f"an absurd length at LSN {record.lsn}")


@damage("corrupt", "record")
def forged_type(log):
    """A record of a type that does not exist; its checks are right."""
    forge_here(log, "type 0x90, checks right", kind=lambda *_: 0x90)


@damage("corrupt", "record")
def forged_lsn(log):
    """A record whose checks are right for another place."""
    forge_here(log, "checks of another LSN", lsn=lambda lsn, record: lsn + record.size)


@damage("corrupt", "record")
def forged_epoch(log):
    """A record that claims a later opening; its checks are right, and what follows gives it away."""
    forge_here(log, "a later epoch, checks right", epoch=lambda epoch, _: epoch + 1)


@damage("corrupt", "chain")
def forged_payload(log):
    """A record with another content and right checks: only the chain can tell, at the next mark."""
    forge_here(log, "another payload, checks right", payload=lambda p, _: bytes([p[0] ^ 0x20]) + p[1:])


@damage("corrupt", "chain")
def forged_mark(log):
    """A mark that tells another chain; its checks are right."""
    forge_here(log, "another chain, checks right", lambda r: r.mark, marked(log),
               payload=lambda p, _: patched(p, MARK_CHAIN, "<Q", struct.unpack_from("<Q", p, MARK_CHAIN)[0] ^ 1))


@damage("harmless", "data-hash", repair="mends")
def pad_body(log):
    """One bit behind the header of a PAD, which no record covers."""
    def fits(record):
        return record.type == reader.PAD and record.size > 16
    among = [s for s in log.sealed() if any(map(fits, log.records(s)))]
    segment, record = log.record(log.target(among, "sealed segment with a PAD that has a body"), fits, "such a PAD")
    log.flip(segment.name, segment.offset(record.lsn) + record.size - 1, "the body of a PAD")


# -- the tail

@damage("torn", "torn", repair="mends")
def torn_tail(log):
    """The beginning of a record behind the last one: what a crash leaves."""
    segment, lsn, _ = log.end()
    record = next(r for r in log.records(segment) if r.is_data)
    whole = forge(segment.header.salt, lsn, 1, record.epoch, b"never acknowledged", 0xFFFFFFFF)
    log.write(segment.name, segment.offset(lsn), whole[:24] + b"torn", f"half a record at LSN {lsn}")


@damage("torn", "torn", repair="mends")
def open_slot(log):
    """A slot reserved and not published, and a whole record behind it."""
    segment, lsn, last = log.end()
    word, _ = forge_word(segment.header.salt, lsn, 0x80, last.epoch, 40)
    later = forge(segment.header.salt, lsn + 56, 1, last.epoch, b"published behind it", 0xFFFFFFFF)
    log.write(segment.name, segment.offset(lsn), word + bytes(48) + later, f"an open slot at LSN {lsn}")


@damage("torn", "torn", repair="mends")
def torn_spare(log):
    """Bytes of an unfinished write in a prepared segment."""
    segment = log.target(log.spares()[:1], "prepared segment")
    log.write(segment.name, PAGE + 64, b"unfinished", "bytes in a prepared segment")


# -- headers, seals, spares

def flip_header(log, copies):
    segment = log.target()
    for copy in copies:
        log.flip(segment.name, copy * COPY + 48, f"a bit of header copy {'AB'[copy]}")


@damage("harmless", "header-copy", repair="mends")
def header_a(log):
    """Copy A of a header is damaged."""
    flip_header(log, (0,))


@damage("harmless", "header-copy", repair="mends")
def header_b(log):
    """Copy B of a header is damaged."""
    flip_header(log, (1,))


@damage("corrupt", "header", append="refuses")
def header_both(log):
    """Both copies of a header are damaged."""
    flip_header(log, (0, 1))


def flip_footer(log, copies):
    segment = log.target(log.sealed(), "sealed segment")
    for copy in copies:
        log.flip(segment.name, segment.footer_at + copy * PAGE + 56, f"a bit of footer copy {'AB'[copy]}")


@damage("harmless", "footer-copy", repair="mends")
def footer_copy(log):
    """One copy of a footer is damaged."""
    flip_footer(log, (0,))


@damage("harmless", "footer", repair="mends")
def footer(log):
    """Both copies of a footer are damaged: the segment is walked, and sealed again."""
    flip_footer(log, (0, 1))


@damage("corrupt", "chain", append="refuses")
def forged_footer(log):
    """A footer that counts one record more; its checks are right."""
    segment = log.target(log.sealed(), "sealed segment")
    for copy in (0, 1):
        at = segment.footer_at + copy * PAGE
        raw = log.raw(segment.name, at, 128)
        records = struct.unpack_from("<Q", raw, 56)[0]
        log.write(segment.name, at, checked(patched(raw, 56, "<Q", records + 1)), "a record more in the footer")


@damage("harmless", "index", repair="mends")
def index(log):
    """One bit of an index: searches walk, and it is made anew."""
    segment = log.target(log.sealed(), "sealed segment")
    log.flip(segment.name, segment.index_at + 8, "a bit of the index")


@damage("harmless", "header", repair="mends")
def spare_damaged(log):
    """The header of a prepared segment that holds no record."""
    segment = log.target(log.spares(), "prepared segment")
    for copy in (0, 1):
        log.flip(segment.name, copy * COPY + 48, f"a bit of header copy {'AB'[copy]} of a prepared segment")


# -- control

def flip_control(log, blocks):
    for block in blocks:
        log.flip("control", block * PAGE + 70, f"a bit of control block {'AB'[block]}")


@damage("harmless", "control-copy", repair="mends")
def control_a(log):
    """Control block A is damaged."""
    flip_control(log, (0,))


@damage("harmless", "control-copy", repair="mends")
def control_b(log):
    """Control block B is damaged."""
    flip_control(log, (1,))


@damage("corrupt", "control", append="refuses")
def control_damaged(log):
    """Both control blocks are damaged."""
    flip_control(log, (0, 1))


@damage("corrupt", "record", append="refuses")
def forged_durable(log):
    """The control file promises more than there is."""
    _, lsn, _ = log.end()
    log.write_control(80, "<Q", lsn + 4096, "durable is 4096 bytes behind the last record")


@damage("corrupt", "chain", append="refuses")
def forged_first(log):
    """The control file says that the log begins one segment later than it does."""
    log.write_control(56, "<Q", log.sound_control().first_sequence + 1, "first_sequence is one more")


# -- versions

@damage("refused", append="refuses", repair="refuses")
def other_version(log):
    """A segment header of format version 2."""
    log.write_header(log.target(), 8, "<H", 2, "format version 2")


@damage("refused", append="refuses", repair="refuses")
def unknown_feature(log):
    """A control file with a feature that nobody knows."""
    log.write_control(16, "<Q", 1, "an unknown incompatible feature")


@damage("clean", append="refuses", repair="refuses")
def read_only_feature(log):
    """A control file with a feature that forbids writing."""
    log.write_control(24, "<Q", 1, "an unknown feature that forbids writing")


# -- times

def retime_record(segment, record, chain_start, places, shift):
    """The bytes of a mark with another time, in the chain as it is now."""
    payload = patched(record.payload, MARK_CHAIN, "<QQ", places[record.mark.upto], chain_start)
    payload = patched(payload, MARK_TIME, "<Q", max(record.mark.time_ns - shift, 1))
    dback = struct.unpack_from("<I", record.head, 12)[0]
    return forge(segment.header.salt, record.lsn, record.type, record.epoch, payload, dback)


def retime_footer(log, segment, chain_start, chain, shift):
    """Index and footers with other times, right for the data area as it is now."""
    count = segment.footer.index_entries
    entries = [(n, lsn, max(time - shift, 1)) for n, lsn, time in
               struct.iter_unpack("<QQQ", log.raw(segment.name, segment.index_at, count * 24))]
    raw = b"".join(struct.pack("<QQQ", *entry) for entry in entries)
    log.write(segment.name, segment.index_at, raw, "times in the index")
    foot = segment.footer
    forged = log.raw(segment.name, segment.footer_at, 128)
    forged = patched(forged, 64, "<QQQQ", chain_start, chain, max(foot.first_time_ns - shift, 1),
                     max(foot.last_time_ns - shift, 1))
    data = log.raw(segment.name, PAGE, segment.data)
    forged = checked(patched(forged, 104, "<QQ", reader.xxh3(raw), reader.xxh3(data)))
    for copy in (0, 1):
        log.write(segment.name, segment.footer_at + copy * PAGE, forged, "times in the footer")


@damage("clean", repair="nothing")
def clock_back(log):
    """From the target segment on all times are a day earlier, as after a clock was set back; all checks are right."""
    first, chain, shift = log.target().sequence, log.sound_control().first_chain, 0
    for segment in log.used():
        shift = DAY_NS if segment.sequence >= first else 0
        chain_start, places = chain, {}
        for record in list(log.records(segment)):
            places[record.lsn], head = chain, record.head
            if record.mark and shift:
                forged = retime_record(segment, record, chain_start, places, shift)
                log.write(segment.name, segment.offset(record.lsn), forged, f"the time of the mark at LSN {record.lsn}")
                head = forged[:16]
            chain = reader.xxh3(head, chain)
        if segment.footer and shift:
            retime_footer(log, segment, chain_start, chain, shift)
