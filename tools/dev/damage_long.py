# SPDX-License-Identifier: BSD-3-Clause
"""A log as long as one likes, forged in seconds: sealed segments of one record each, holes where they are zero."""

import os
import struct

from damage_kinds import damage
from damage_log import COPY, PAGE, Impossible, checked, forge, forge_word, patched, reader


def seal(segment, incarnation, salt, uuid, first, records, chain_start, chain_end, time_ns, data):
    """Both footers of a segment without an index [4.4]."""
    copy = struct.pack("<8s16sQIIQQQQQQQQQQII", b"STELEEND", uuid, segment[0], salt, incarnation, segment[1] + len(data),
                       first, records, chain_start, chain_end, time_ns, time_ns, 0, reader.xxh3(b""), reader.xxh3(data), 0, 0)
    return checked(copy).ljust(PAGE, b"\0") * 2


def pad(salt, lsn, epoch, room):
    """What covers `room` bytes: the header of a PAD, or a FILL; the rest may be anything, so nothing is written there."""
    if room == 8:
        return forge_word(salt, lsn, reader.FILL, epoch, 0)[0]
    word, c1 = forge_word(salt, lsn, reader.PAD, epoch, room - 16)
    return word + struct.pack("<II", reader.crc32c(c1, bytes(8)), 0)


def close_active(log):
    """Cover the rest of the active segment and seal it. Returns chain and record number behind it."""
    segment, end, last = log.end()
    before = [s for s in log.sealed() if s.sequence == segment.sequence - 1]
    chain_start = before[0].footer.chain_end if before else log.sound_control().first_chain
    first = before[0].footer.first_record + before[0].footer.records if before else log.sound_control().first_record
    chain, records = chain_start, 0
    for record in log.records(segment):
        chain, records = reader.xxh3(record.head, chain), records + record.is_data
    room = segment.base + segment.data - end
    if room:
        head = pad(segment.header.salt, end, last.epoch, room)
        log.write(segment.name, segment.offset(end), head, "the rest is covered")
        chain = reader.xxh3(head, chain)
    h = segment.header
    log.write(segment.name, segment.footer_at,
              seal((segment.sequence, segment.base), h.incarnation, h.salt, h.uuid, first, records, chain_start, chain,
                   h.created_ns, log.raw(segment.name, PAGE, segment.data)), "sealed")
    return segment, chain, first + records


def make(log, like, sequence, chain, number):
    """One more sealed segment, with one data record that says its number. Returns the chain behind it."""
    base, incarnation = sequence << like.k, sequence + 2000000
    salt = sequence * 2654435761 & 0xFFFFFFFF
    header = patched(like.raw, 48, "<QQ", sequence, base)
    header = checked(patched(header, 72, "<II", salt, incarnation), like.metadata)
    record = forge(salt, base, 1, 1, b"segment %d" % sequence, 0)
    head = pad(salt, base + len(record), 1, like.data - len(record))
    end = reader.xxh3(head, reader.xxh3(record[:16], chain))
    feet = seal((sequence, base), incarnation, salt, like.header.uuid, number, 1, chain, end, like.header.created_ns,
                (record + head).ljust(like.data, b"\0"))
    fd = os.open(log.path / f"{sequence:016x}-{base:016x}.stele", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.pwrite(fd, header + header + record + head, 0)
    os.pwrite(fd, feet, like.footer_at)
    os.close(fd)
    return end


@damage("clean", repair="nothing", count=50000)
def many_segments(log):
    """The log goes on for --count segments of one record each; segments of 64 KiB only."""
    like, chain, number = close_active(log)
    if like.k != 16:
        raise Impossible("only with segments of 64 KiB")
    for spare in log.spares():
        log.remove(spare.name)
    like.raw = log.raw(like.name, 0, COPY)
    like.metadata = like.raw[128:128 + like.header.metadata_bytes]
    for sequence in range(like.sequence + 1, like.sequence + 1 + log.count):
        chain = make(log, like, sequence, chain, number)
        number += 1
    log.write_control(80, "<Q", like.sequence + 1 + log.count << like.k, "durable is the end")
    log.write_control(96, "<I", like.sequence + 1 + log.count + 2000000, "incarnation is the highest")
    log.note(".", f"{log.count} segments more")
