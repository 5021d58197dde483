# SPDX-License-Identifier: BSD-3-Clause
"""Check the model of group commit (group_commit.pml) exhaustively with spin, and show that the check can fail: each
planted fault must be found.

usage: run_model.py [--trail FAULT]    with --trail, print the steps that lead a planted fault to its failure

Takes some ten seconds and half a gigabyte. STELE_TEST_MINUTES above 0: that nobody goes round in circles for ever is
checked for all casts, not only for the small ones."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "group_commit.pml")
MEMORY_MB = 2000
DEPTH = 100000
STATES_AT_LEAST = 1000000  # a model that came to an early end would have nothing to object to

STUCK, ASSERT = "invalid end state", "assertion violated"
# number, what is planted, the cast that meets it, what the checker must say
FAULTS = [
    (1, "a waiter looks before it counts itself and remembers the sequence", 7, STUCK),
    (2, "waiters are woken before the durable point is stored, and not again", 7, STUCK),
    (3, "a leader resigns without waking anybody", 7, STUCK),
    (4, "a waiter does not look whether leadership is free", 7, STUCK),
    (5, "the durable point is stored before the flush", 1, ASSERT + " flushed"),
    (6, "a failed flush is tried again and believed", 4, ASSERT + " flushed"),
    (7, "leadership is taken without a compare-and-swap", 7, ASSERT + r" \(leaders==1\)"),
    (8, "a reserved word is taken for a published one", 3, ASSERT + r" \(word\[frontier\]==2\)"),
    (9, "a record is published before it is filled", 1, ASSERT + r" filled\[frontier\]"),
    (10, "`ready` is stored before the ring entry", 2, ASSERT),
    (11, "what was given up beyond `ready` is never padded", 5, STUCK),
    (12, "the helper resigns without looking again for a slot that was open", 3, STUCK),
    (13, "a segment is retired before it is durable", 2, ASSERT),
    (14, "a reader of another process looks before it remembers the sequence", 1, STUCK),
]
CASTS = {1: "reader", 2: "roll", 3: "open slot", 4: "failing flush", 5: "full disk", 6: "marks", 7: "three"}
FAIR_CASTS = (1, 3, 4)  # in the short form


def build(work, name, *defines):
    program = os.path.join(work, name)
    subprocess.run(["gcc", "-O1", "-w", "-DCOLLAPSE", "-DVECTORSZ=1024", f"-DMEMLIM={MEMORY_MB}", *defines,
                    "-o", program, "pan.c"], cwd=work, check=True)
    return program


def check(work, program, cast=0, fault=0, options=()):
    environment = dict(os.environ, CAST=str(cast), PLANTED=str(fault))
    result = subprocess.run([program, f"-m{DEPTH}", *options], cwd=work, env=environment, capture_output=True,
                            text=True, check=False)
    found = re.search(r"errors: (\d+)", result.stdout)
    states = re.search(r"(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored", result.stdout)
    whole = found and "Search not completed" not in result.stdout and "too small" not in result.stdout
    if result.returncode != 0 or not found or not states:
        sys.exit(f"the checker did not come to an end:\n{result.stdout}{result.stderr}")
    return int(found.group(1)), int(float(states.group(1))), bool(whole), result.stdout


def expect_sound(work, program, what, cast=0, options=(), least=1):
    errors, states, whole, output = check(work, program, cast, options=options)
    print(f"{what}: {states} states, {errors} errors", flush=True)
    if errors or not whole or states < least:
        sys.exit(f"{what}: not sound, or not looked at to the end\n{output}")


def expect_found(work, program, fault):
    number, what, cast, complaint = fault
    errors, states, _, output = check(work, program, cast, number)
    if errors == 0 or not re.search(complaint, output):
        sys.exit(f"planted fault {number} was not found: {what}\n{output}")
    print(f"planted fault {number} found after {states} states: {what}", flush=True)


def show_trail(work, program, number):
    cast = next(fault[2] for fault in FAULTS if fault[0] == number)
    check(work, program, cast, number)
    environment = dict(os.environ, CAST=str(cast), PLANTED=str(number))
    subprocess.run([program, "-r"], cwd=work, env=environment, check=False)


def main():
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        print(f"SKIP: the model was not checked: {' and '.join(missing)} missing (Debian packages of these names)")
        sys.exit(77)
    trail = int(sys.argv[2]) if len(sys.argv) == 3 and sys.argv[1] == "--trail" else 0
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["spin", "-a", MODEL], cwd=work, check=True)
        program = build(work, "safety", "-DSAFETY")
        if trail:
            show_trail(work, program, trail)
            return
        expect_sound(work, program, "every interleaving of all casts", least=STATES_AT_LEAST)
        for fault in FAULTS:
            expect_found(work, program, fault)
        # Non-progress cycles under weak fairness: somebody looks again and again and never gets on.
        program = build(work, "progress", "-DNP")
        thorough = int(os.environ.get("STELE_TEST_MINUTES") or "0") > 0
        for cast in CASTS if thorough else FAIR_CASTS:
            expect_sound(work, program, f"nobody waits for ever ({CASTS[cast]})", cast, ("-l", "-f"))


main()
