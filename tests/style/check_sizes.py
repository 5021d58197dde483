# SPDX-License-Identifier: BSD-3-Clause
"""No function is longer than 70 lines, no file of the product longer than 400."""

import ast
import re

import _source

FUNCTION_LINES = 70
FILE_LINES = 400


def python_functions(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno


def shell_functions(source):
    name, first = None, 0
    for number, line in enumerate(source.split("\n"), 1):
        match = re.match(r"(?:function\s+)?([\w-]+)\s*\(\)\s*[{(]\s*$", line)
        if match:
            name, first = match.group(1), number
        elif name and re.match(r"[})]", line):
            yield name, first, number
            name = None


def functions(path, source):
    if path.endswith((".c", ".h")):
        return _source.c_functions(source)
    if path.endswith((".cc", ".cpp")):
        return _source.c_functions(source, cplusplus=True)
    shebang = source.split("\n", 1)[0]
    if path.endswith(".py") or (shebang.startswith("#!") and "python" in shebang):
        return python_functions(source)
    if path.endswith(".sh") or (shebang.startswith("#!") and "sh" in shebang):
        return shell_functions(source)
    return ()


def main():
    top = _source.root()
    problems, checked = [], 0
    for path in _source.files(top, ["src", "include", "tools", "tests", "bench"]):
        source = _source.text(top, path)
        lines = source.count("\n")
        if path.split("/")[0] in ("src", "include", "tools") and lines > FILE_LINES:
            problems.append(f"{path}: {lines} lines, {FILE_LINES} at most: which second job is in it?")
        for name, first, last in functions(path, source):
            checked += 1
            if last - first + 1 > FUNCTION_LINES:
                problems.append(f"{path}:{first}: {name}() has {last - first + 1} lines, {FUNCTION_LINES} at most")
    _source.report(problems, checked)


main()
