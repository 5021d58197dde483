# SPDX-License-Identifier: BSD-3-Clause
"""The steps of the model and of the code are the same: each label [M1], [M2], ... of group_commit.pml stands in src/core,
and src/core names none that the model does not have. docs/concurrency.md lists them all."""

import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LABEL = re.compile(r"\[M(\d+)\]")


def labels(text):
    return {int(number) for number in LABEL.findall(text)}


def read(*paths):
    text = ""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text += file.read()
    return text


def problems(model, code, document):
    """What is wrong, in words; nothing: the three agree."""
    found = []
    for name, there in (("src/core", code), ("docs/concurrency.md", document)):
        found += [f"[M{number}] of the model is named nowhere in {name}" for number in sorted(model - there)]
        found += [f"[M{number}] in {name} is no step of the model" for number in sorted(there - model)]
    found += [f"[M{number}] is missing: steps are numbered without gaps"
              for number in range(1, max(model, default=1) + 1) if number not in model]
    return found


def self_test():
    """Each way of disagreeing is found."""
    assert not problems({1, 2}, {1, 2}, {1, 2})
    for case in (({1, 2}, {1}, {1, 2}), ({1}, {1, 2}, {1}), ({1, 2}, {1, 2}, {2}), ({1, 3}, {1, 3}, {1, 3}),
                 (set(), set(), set())):
        assert problems(*case), case
    assert labels("a [M1] b [M12], [P3] M4") == {1, 12}


def main():
    self_test()
    sources = glob.glob(os.path.join(TOP, "src", "core", "*.[ch]"))
    found = problems(labels(read(os.path.join(TOP, "tests", "model", "group_commit.pml"))), labels(read(*sources)),
                     labels(read(os.path.join(TOP, "docs", "concurrency.md"))))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


main()
