#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Golden logs: written once by each released format version, read for ever after.

Three readers must agree on every one of them: this library (through its tool), reader.py, which was written from
docs/format.md alone, and what was recorded when the file was made. The archives are pinned by SHA256SUMS: a golden file is
never made again. A new one is added by hand: `test_golden.py --record ARCHIVE` prints its line for golden.json."""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOOL = os.environ.get("STELE_TOOL", "stele")
EXIT = {"clean": 0, "torn": 1, "corrupt": 3}
SAME = ("uuid", "segment_bytes", "first_lsn", "end_lsn", "durable_lsn", "metadata", "marks")


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, check=False)


def digest(records):
    return hashlib.sha256(json.dumps(records, separators=(",", ":")).encode()).hexdigest()


def directory_hash(path):
    whole = hashlib.sha256()
    for file in sorted(path.iterdir()):
        whole.update(file.name.encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()


def by_reader(log):
    """What reader.py says: facts, and [lsn, type, length, sha256 of the payload] of every record."""
    done = run(sys.executable, HERE / "reader.py", log)
    found = json.loads(done.stdout)
    assert done.returncode == EXIT[found["verdict"]], (log, done.returncode, done.stderr)
    records = [[r["lsn"], r["type"], r["len"], r["sha256"]] for r in found["records"]]
    problems = [p["lsn"] for p in found["problems"] if not p["harmless"]]
    return found, records, problems


def by_tool(log):
    verify = run(TOOL, "verify", "--json", log)
    verdict = json.loads(verify.stdout)
    assert verify.returncode == EXIT[verdict["verdict"]], (log, verify.returncode, verify.stderr)
    lines = [json.loads(line) for line in run(TOOL, "cat", "--json", log).stdout.splitlines()]
    records = [[r["lsn"], r["type"], r["length"], hashlib.sha256(base64.b64decode(r["base64"])).hexdigest()]
               for r in lines]
    return verdict, records


def expectation(log):
    found, records, problems = by_reader(log)
    expected = {key: found[key] for key in SAME}
    expected.update(verdict=found["verdict"], records=len(records), records_sha256=digest(records), problems=problems)
    return expected


def check_reading(name, log, expected):
    before = directory_hash(log)
    assert expectation(log) == expected, f"{name}: reader.py finds {expectation(log)}, recorded was {expected}"
    verdict, records = by_tool(log)
    for key in ("verdict", "first_lsn", "end_lsn", "durable_lsn", "records"):
        assert verdict[key] == expected[key], f"{name}: stele verify: {key} is {verdict[key]}, not {expected[key]}"
    assert digest(records) == expected["records_sha256"], f"{name}: stele cat shows other records"
    places = [p["lsn"] for p in verdict["problems"] if not p["harmless"]]
    assert places == expected["problems"], f"{name}: stele verify complains at {places}, not {expected['problems']}"
    assert directory_hash(log) == before, f"{name}: reading changed the directory"


def check_going_on(name, log, expected):
    """Today's writer goes on behind every golden log. Damage in a sealed segment does not stop it (opening reads only the
    seals), and is still found afterwards."""
    append = subprocess.run([TOOL, "append", str(log)], input=b"written today\n", capture_output=True, check=False)
    assert append.returncode == 0, (name, append.stderr)
    found, records, problems = by_reader(log)
    if expected["verdict"] == "corrupt":
        assert (found["verdict"], problems) == ("corrupt", expected["problems"]), f"{name}: damage is no longer found"
        return
    assert found["verdict"] == "clean" and len(records) == expected["records"] + 1, (name, found["verdict"])
    assert digest(records[:-1]) == expected["records_sha256"], f"{name}: appending changed what was there"
    assert records[-1][3] == hashlib.sha256(b"written today").hexdigest()


def unpack(archive, into):
    with tarfile.open(archive) as tar:
        tar.extractall(into)
    return pathlib.Path(into) / "log"


def main():
    if sys.argv[1:2] == ["--record"]:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(expectation(unpack(sys.argv[2], scratch)), indent=1))
        return
    sums = dict(reversed(line.split()) for line in (HERE / "SHA256SUMS").read_text().splitlines())
    golden = json.loads((HERE / "golden.json").read_text())
    archives = sorted(HERE.glob("*.tar.xz"))
    assert {a.name for a in archives} == set(sums) == {name + ".tar.xz" for name in golden}, "files and lists differ"
    for archive in archives:
        name = archive.name.removesuffix(".tar.xz")
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == sums[archive.name], f"{archive.name} was changed"
        with tempfile.TemporaryDirectory() as scratch:
            log = unpack(archive, scratch)
            check_reading(name, log, golden[name])
            check_going_on(name, log, golden[name])
        print(f"{name}: {golden[name]['verdict']}, {golden[name]['records']} records, three readers agree")


if __name__ == "__main__":
    main()
