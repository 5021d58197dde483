# SPDX-License-Identifier: BSD-3-Clause
"""What the style checks share: finding files, reading C well enough, reporting."""

import os
import re
import sys

SKIP = {".git", "build", "__pycache__"}


def root():
    """The tree to judge: the first argument, or the one this file lies in."""
    if len(sys.argv) > 1:
        return os.path.abspath(sys.argv[1])
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(top, folders, suffixes=None):
    """Paths relative to `top` of the regular files in `folders`, sorted."""
    found = []
    for folder in folders:
        for where, names, entries in os.walk(os.path.join(top, folder)):
            names[:] = [n for n in names if n not in SKIP]
            for entry in entries:
                path = os.path.relpath(os.path.join(where, entry), top)
                if suffixes is None or path.endswith(tuple(suffixes)):
                    found.append(path)
    return sorted(set(found))


def text(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_BLANKED = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
        | ^[ \t]*\#(?:[^\n\\/]|\\.|/(?!\*))*(?:/\*.*?\*/[^\n]*)?""",
    re.VERBOSE | re.DOTALL | re.MULTILINE)


def blank(source):
    """C without comments, literals and preprocessor lines; every line keeps its number."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group())
    return _BLANKED.sub(spaces, source)


def c_functions(source, cplusplus=False):
    """Yield (name, first line, last line) of every function body."""
    code = blank(source)
    depth, start, head, transparent = 0, 0, None, []
    for at, char in enumerate(code):
        if char == "{":
            before = code[start:at].strip()
            opens_scope = r"^(extern|namespace\b.*)$"
            if cplusplus:
                opens_scope = r"^(extern|(namespace|class|struct|template)\b[^()=]*)$"
            if depth == 0 and re.match(opens_scope, before, re.DOTALL):
                transparent.append(at)
                start = at + 1
                continue
            if depth == 0:
                head = None
                if re.search(r"\)\s*(const|noexcept|override|->[\w\s:&*]+)?$", before) and "=" not in before:
                    first = start + len(code[start:at]) - len(code[start:at].lstrip())
                    head = (_name(before), code.count("\n", 0, first) + 1)
            depth += 1
        elif char == "}":
            if depth == 0:
                if transparent:
                    transparent.pop()
                start = at + 1
                continue
            depth -= 1
            if depth == 0:
                if head:
                    yield head[0], head[1], code.count("\n", 0, at) + 1
                    start = at + 1
                head = None
        elif char == ";" and depth == 0:
            start = at + 1


def _name(head):
    plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", head, flags=re.DOTALL)
    match = re.search(r"([\w:~]+)\s*\(", plain)
    return match.group(1) if match else plain.split("\n")[0]


def public_functions(top):
    """The functions that the public headers declare."""
    names = set()
    for path in files(top, ["include"], (".h",)):
        names |= set(re.findall(r"\bSTELE_API\b[^;{(]*?(\w+)\s*\(", blank(text(top, path))))
    return names


def report(problems, checked):
    """End the program: silent success with a count, or one line a problem."""
    for problem in problems:
        print(problem)
    if not checked:
        print("nothing was checked: wrong directory?")
    sys.exit(1 if problems or not checked else 0)
