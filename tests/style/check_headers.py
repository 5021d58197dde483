# SPDX-License-Identifier: BSD-3-Clause
"""Every public header compiles alone, as C and as C++ of each vintage, with gcc and clang, without a warning."""

import os
import subprocess
import tempfile

import _source

COMPILERS = {"c": ("gcc", "clang"), "cc": ("g++", "clang++")}
# Those every compiler here must know, and those that count where they are known.
REQUIRED = {"c": ("c11",), "cc": ("c++17",)}
OPTIONAL = {"c": ("c17", "c2x"), "cc": ("c++11", "c++20", "c++2b")}
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion")


def compiles(compiler, standard, path, extra=()):
    return subprocess.run([compiler, f"-std={standard}", *WARNINGS, *extra, "-fsyntax-only", path],
                          capture_output=True, text=True)


def check(top, scratch, language, compiler, headers):
    problems = []
    empty = os.path.join(scratch, "empty." + language)
    with open(empty, "w", encoding="utf-8") as file:
        file.write("int stele_nothing;\n")
    for standard in REQUIRED[language] + OPTIONAL[language]:
        known = compiles(compiler, standard, empty)
        if known.returncode != 0:
            if standard in REQUIRED[language]:
                problems.append(f"{compiler} does not know {standard}: {known.stderr}")
            continue
        for header in headers:
            unit = os.path.join(scratch, "unit." + language)
            include = f"#include <{header}>\n"
            with open(unit, "w", encoding="utf-8") as file:  # twice: the guard holds
                file.write(include + include + "int stele_nothing;\n")
            result = compiles(compiler, standard, unit, ("-I", os.path.join(top, "include")))
            if result.returncode != 0:
                problems.append(f"{header} as {standard} with {compiler}:\n{result.stderr}")
    return problems


def main():
    top = _source.root()
    headers = [path[len("include/"):] for path in _source.files(top, ["include"], (".h",))]
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        for language, compilers in COMPILERS.items():
            for compiler in compilers:
                try:
                    problems += check(top, scratch, language, compiler, headers)
                except FileNotFoundError:
                    problems.append(f"{compiler} is not installed: run tools/deps")
    _source.report(problems, len(headers))


main()
