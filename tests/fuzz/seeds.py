#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the fuzz targets, from the golden logs and from what users type: seeds.py GOLDEN DIR writes DIR/TARGET/*.

GOLDEN holds the unpacked logs (the build directory's tests/fuzz/golden). The corpus in the repository is made of these
and of what fuzzing found behind them (tools/dev/fuzz --merge)."""

import os
import struct
import sys

SEGMENT_HEADER, DATA = 4096, 65536


def records(golden, out):
    """Pieces of data areas as they are, with the salt and place that make their checksums right."""
    for log in sorted(os.listdir(golden)):
        folder = os.path.join(golden, log, "log")
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".stele"):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                segment = file.read()
            salt, data = segment[72:76], segment[SEGMENT_HEADER:SEGMENT_HEADER + DATA]
            base = int(name[:16], 16) * DATA
            for flags, fixed in ((8, 0), (3, 0), (11, 0xffff0000)):
                if base // 8 < 65536 and any(data[:16]):
                    head = struct.pack("<B4sHIH", flags, salt, base // 8, fixed, 3)
                    out(f"{log}-{name[:16]}-{flags}", head + data[:700])
    mark = struct.pack("<IBHBII", 56, 6, 1, 0, 0, 0) + bytes(56)
    data = struct.pack("<IBHBII", 5, 1, 1, 0, 0, 0) + b"hello\0\0\0"
    pad = struct.pack("<IBHBII", 8, 5, 2, 0, 0, 0) + b"leftover"
    fill = struct.pack("<IBHB", 0, 8, 1, 0)
    user = struct.pack("<IBHBII", 14, 0x16, 2, 0, 0, 9) + b"write ahead..!\0\0"
    for flags in (1, 3, 9, 11):
        for number, area in enumerate((data + mark, data + fill + mark + user + pad, mark + user + mark + fill + data)):
            out(f"made-{flags}-{number}", struct.pack("<BIHIH", flags, 0x97f891ce, 0, 0, 1) + area)


def ends(golden, out):
    for log in ("v1-basic", "v1-trimmed"):
        folder = os.path.join(golden, log, "log")
        with open(os.path.join(folder, "control"), "rb") as file:
            control = file.read()
        out(f"{log}-control", bytes([3, 4]) + control[:128] + control[4096:4096 + 128])
        out(f"{log}-control-fixed", bytes([3, 3]) + control[:128])
        for name in sorted(os.listdir(folder)):
            if name.endswith(".stele"):
                with open(os.path.join(folder, name), "rb") as file:
                    segment = file.read()
                header, footer = segment[:160], segment[-8192:-8192 + 128]
                out(f"{log}-header-{name[:16]}", bytes([0, 4]) + header + segment[2048:2048 + 160])
                out(f"{log}-footer-{name[:16]}", bytes([1, 0]) + footer)
                out(f"{log}-both-{name[:16]}", bytes([4, 15]) + header + header + footer + footer)
    names(out)
    out("mark", bytes([2, 0]) + struct.pack("<7Q", 0x58, 1, 2, 3, 4, 0x50, 0))


def names(out):
    for number, name in enumerate((
            "0000000000000002-0000000000020000.stele", "00000000000000ff-0000000000ff0000.stele.broken",
            "control", "lock",
            "spare-0000000000000007.stele.tmp", "000000000000000A-0000000000020000.stele",
            "0000000000000002-0000000000020000.stele.tmp", "0000000000000002_0000000000020000.stele", ".stele.tmp")):
        out(f"name-{number}", b"\5" + name.encode())


def words(_golden, out):
    sizes = ("4096", "64K", "64MiB", "1gb", "0x1000", "18446744073709551615", "16777216T", "1,64k,2M")
    for number, word in enumerate(sizes):
        out(f"size-{number}", b"\0" + word.encode())
    for unit in range(14):
        out(f"unit-{unit}", bytes([1, unit, unit * 5]) + b"\xff" * 8)
    for number, word in enumerate(("5", "0.25", "1.000000001", "10000000000", ".5", "3.")):
        out(f"seconds-{number}", b"\2" + word.encode())
    for number, word in enumerate((r"%o %s\n", r"%T:%l\x41\t%%", r"\0\\", "%", "\\", "%d")):
        out(f"format-{number}", b"\3" + word.encode())
    for number, word in enumerate(("\u00fc\u20ac\U0001f600 ascii", "\x00")):
        out(f"utf8-{number}", b"\4" + word.encode())
    out("utf8-bad", b"\4\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80")
    out("lines", b"\5\0\7one\ntwo\n\nlast")
    out("zeroes", b"\5\2\3a\0bb\0")
    out("pieces", b"\5\1\5\3\0\0\0abc\0\0\0\0\1\0\0\0x")
    out("long", b"\5\4\3" + b"x" * 40 + b"\n")
    lines = ("log\n--json", "--segment-size=64K\nlog", "-t\n3\nlog\n--\n-x", "--help",
             "--from\n-5\n--count=3\nlog", "--bogus\nlog", "-z\n-q\nlog\nfile",
             "--durability\nnone\nlog", "-F\n%s\nlog\nextra")
    for command in range(14):
        for number, line in enumerate(lines):
            out(f"options-{command}-{number}", bytes([6, command]) + line.encode())


def commands(_golden, out):
    lines = r"""create\nnew\n--segment-size\n64K
create\nlog
append\nlog\n--durability=none\0one\ntwo\n
append\nlog\n-t\n5\n--length-prefixed\n--json\0\3\0\0\0abc
append\nnew\n--create\n--segment-size=64K\n--ack\n-z\0a\0b\0
append\nlog\n--batch=2\n--sync=each\n-q\0a\nb\nc\n
cat\nlog
cat\nlog\n--from=-3\n--json
cat\nlog\n--from\n1000\n--to\n9000\n--hex
cat\nlog\n-F\n%o:%T:%l\\n\n-n\n4
cat\nlog\n--from=@1.5\n--raw
tail\nlog\n-n\n3
tail\nlog\n--timeout\n0
dump\nlog
dump\nlog\n--json
verify\nlog
verify\nlog\n--json\n--jobs=2
repair\nlog
repair\nlog\n--apply\n--allow-data-loss\n--json
repair\nlog\n--yes\n--quarantine\n--backup=kept
stat\nlog
stat\nlog\n--json
trim\nlog\n--before=70000
trim\nlog\n--keep-segments\n1\n--dry-run
trim\nlog\n--keep-size=64K\n--json
backup\nlog\nnew
backup\nlog\nnew\n--json
metrics\nlog
version
version\n--json
help
help\ncat
--help
--version
--completion\nbash
--completion\nzsh
--completion\nfish
--man
bogus""".split("\n")
    for number, line in enumerate(lines):
        line = line.encode().decode("unicode_escape").encode("latin-1")
        for log in (number % 6, 1):
            out(f"line-{number}-{log}", bytes([log]) + line)


def change(what, file=0, place=0, arg=0, a=0, b=0):
    return struct.pack("<BBBBIQ", what, file, place, arg, a, b)


FLIP, STORE, ZERO, FILL, COPY, COPY_GOLDEN, RESIZE, REMOVE, RENAME, DUPLICATE, ADD_FOREIGN = range(11)
FORGE_RECORD, FIX_RECORD, FIX_HEADER, FIX_FOOTER, FIX_CONTROL, FIX_CHAIN, STORE_CONTROL = range(11, 18)


def directory(_golden, out):
    """Each log as it is; each kind of change at each kind of place, on one log, for all judges."""
    for log in range(7):
        for which in range(8):
            out(f"log-{log}-{which}", bytes([log, which]) + struct.pack("<Q", 0x123456789abcde))
    for what in range(18):
        for place in range(11):
            for file in (0, 1, 3):
                which = (what + place + file) % 8
                out(f"change-{what}-{place}-{file}",
                    bytes([6, which]) + struct.pack("<Q", 77 * what + place)
                    + change(what, file, place, 1, 40, 0x0102030405060780 + place))
    for which in range(1, 8):
        head = bytes([6, which]) + struct.pack("<Q", 5)
        out(f"lost-control-{which}", head + change(ZERO, 4, 7, 0, 0, 8191))
        out(f"lost-segment-{which}", head + change(REMOVE, 1))
        out(f"swap-{which}", head + change(RENAME, 1, 0, 0, 0, 8) + change(RENAME, 0, 0, 0, 0, 1))
        out(f"forged-{which}", head + change(FORGE_RECORD, 2, 10, 1, 0, 16 << 32 | 2) + change(FIX_CHAIN))
        out(f"forged-mark-{which}", head + change(FORGE_RECORD, 2, 10, 6, 0, 56 << 32 | 2) + change(FIX_CHAIN))
        out(f"short-{which}", head + change(RESIZE, 2, 0, 0, 0, 30000))


def live(_golden, out):
    """Every word takes every kind of value between readings and seeks."""
    for word in range(7):
        for number, value in enumerate((0, 8, 65536, 174544, 1 << 40, (1 << 63) - 8, (1 << 64) - 1)):
            steps = ((0, 0, 0), (16 + word, 0, value), (0, 0, 0), (3, 0, value), (0, 0, 0), (6, 0, 0), (16, 0, 1),
                     (0, 0, 0), (4, 0, 3), (1, 0, 0))
            out(f"word-{word}-{number}", bytes([0, 1]) + b"".join(struct.pack("<BBQ", *step) for step in steps))


def main():
    golden, target_dir = sys.argv[1], sys.argv[2]
    for maker in (records, ends, words, commands, directory, live):
        folder = os.path.join(target_dir, maker.__name__)
        os.makedirs(folder, exist_ok=True)

        def out(name, data, folder=folder):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        maker(golden, out)


main()
