# SPDX-License-Identifier: BSD-3-Clause
"""Every source file names its licence in one of its first three lines."""

import _source

SUFFIXES = (".c", ".h", ".cc", ".cpp", ".py", ".sh", ".cmake", ".cmake.in", ".map", "CMakeLists.txt", ".list")
LINE = "SPDX-License-Identifier: BSD-3-Clause"


def main():
    top = _source.root()
    problems, checked = [], 0
    for path in _source.files(top, ["."]):
        source = _source.text(top, path)
        if not path.endswith(SUFFIXES) and not source.startswith("#!"):
            continue
        checked += 1
        if not any(LINE in line for line in source.split("\n")[:3]):
            problems.append(f"{path}:1: no '{LINE}'")
    _source.report(problems, checked)


main()
