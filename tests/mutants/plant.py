#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Copy the library's sources and plant one bug in the copy: tests/mutants/NAME.patch, or nothing for the name "none".

A patch fits exactly or not at all: lines may have moved, but not one of those it shows may have changed. Files that
are the same as in an earlier copy are left alone, so that a build of the copy goes on where it was.

usage: plant.py NAME DEST      DEST/src becomes the copy; called by mutant.cmake
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
HEAD = re.compile(r"^(plants|breaks|preset|killers): *(.*)$")
PRESETS = ("release", "tsan")


class Misfit(Exception):
    """A mutant that cannot be planted, and why."""


def names():
    return sorted(entry[:-len(".patch")] for entry in os.listdir(HERE) if entry.endswith(".patch"))


def read_head(name):
    """What stands above the diff: plants, breaks, preset, killers."""
    path = os.path.join(HERE, name + ".patch")
    head = {}
    if not os.path.isfile(path):
        raise Misfit(f"{name}: no file {os.path.relpath(path, TOP)}")
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith("--- "):
                break
            match = HEAD.match(line)
            if match:
                head[match.group(1)] = match.group(2).strip()
    missing = {"plants", "breaks", "preset", "killers"} - {key for key, value in head.items() if value}
    if missing or head["preset"] not in PRESETS:
        raise Misfit(f"{name}: its head lacks {', '.join(sorted(missing)) or 'a preset of ' + ' '.join(PRESETS)}")
    head["killers"] = head["killers"].split()
    return head


def apply(name, root):
    with open(os.path.join(HERE, name + ".patch"), encoding="utf-8") as diff:
        done = subprocess.run(["patch", "-p1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch",
                               "--reject-file=-", "-d", root], stdin=diff, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Misfit(f"{name}: the patch does not apply to src/ as it is\n{done.stdout}")


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def listing(root):
    return {os.path.relpath(os.path.join(where, entry), root)
            for where, _, entries in os.walk(root) for entry in entries}


def settle(fresh, dest):
    """Make `dest` what `fresh` is, touching only what differs. Returns the number of files that did."""
    changed = 0
    wanted = listing(fresh)
    for path in sorted(wanted):
        bytes_ = content(os.path.join(fresh, path))
        target = os.path.join(dest, path)
        if content(target) == bytes_:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(bytes_)
        changed += 1
    for path in listing(dest) - wanted:
        os.unlink(os.path.join(dest, path))
        changed += 1
    return changed


def plant(name, dest):
    """With None as `dest` it is only tried."""
    with tempfile.TemporaryDirectory(prefix="stele-mutant-") as scratch:
        copy = os.path.join(scratch, "src")
        shutil.copytree(os.path.join(TOP, "src"), copy)
        if name != "none":
            read_head(name)
            apply(name, scratch)
        return settle(copy, os.path.join(dest, "src")) if dest is not None else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        plant(sys.argv[1], sys.argv[2])
    except Misfit as misfit:
        sys.exit(str(misfit))
