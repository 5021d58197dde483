# SPDX-License-Identifier: BSD-3-Clause
"""Every public function is in the NAME section of one page of section 3, and no page names one there is not."""

import re

import _source


def documented(top):
    """[(name, page)] of what the NAME sections say is a function."""
    found = []
    for path in _source.files(top, ["docs/man"], (".3.scd",)):
        match = re.search(r"# NAME\n+([^#]*?) - ", _source.text(top, path))
        names = re.split(r"[, \n]+", match.group(1)) if match else []
        found += [(name, path) for name in names if name.startswith("stele_")]
    return found


def main():
    top = _source.root()
    functions = _source.public_functions(top)
    pages = {}
    problems = []
    for name, path in documented(top):
        if name not in functions:
            problems.append(f"{path}: {name} is no public function")
        if name in pages:
            problems.append(f"{path}: {name} has a page already, {pages[name]}")
        pages[name] = path
    problems += [f"docs/man: no page names {name}()" for name in sorted(functions - set(pages))]
    _source.report(problems, len(functions))


main()
