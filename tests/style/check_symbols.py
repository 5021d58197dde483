# SPDX-License-Identifier: BSD-3-Clause
"""The shared library exports what src/stele.map lists by name, which is what the public headers declare; the archive
defines no name that a program could have meant for itself."""

import os
import re
import subprocess

import _source


def mapped(top):
    """{function: version node} of the map."""
    functions = {}
    source = _source.text(top, "src/stele.map")
    source = re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL)
    for node, body in re.findall(r"(STELE_[\d.]+)\s*\{(.*?)\}", source, re.DOTALL):
        body = re.sub(r"local:.*", "", body, flags=re.DOTALL)
        for name in re.findall(r"([\w*?]+)\s*;", body):
            functions[name] = node
    return functions


def defined(options, library):
    output = subprocess.run(["nm", *options, "--defined-only", "--format=posix", library], check=True,
                            capture_output=True, text=True).stdout
    return {fields[0] for fields in map(str.split, output.splitlines()) if len(fields) >= 3 and fields[1] != "A"}


def differences(what, have, want):
    return [f"{what}: {name} is missing" for name in sorted(want - have)] + \
           [f"{what}: {name} is too many" for name in sorted(have - want)]


def main():
    top = _source.root()
    names = mapped(top)
    problems = [f"src/stele.map: {name}: wildcards let everything out" for name in names if re.search(r"[*?]", name)]
    problems += differences("src/stele.map against the headers", set(names), _source.public_functions(top))
    build = os.environ.get("STELE_BINARY_DIR")
    if build:
        shared = f"{build}/libstele.so"
        want = {f"{name}@@{node}" for name, node in names.items()}
        problems += differences("libstele.so against src/stele.map", defined(["-D"], shared), want)
        dynamic = subprocess.run(["readelf", "-d", shared], check=True, capture_output=True, text=True).stdout
        if "soname: [libstele.so.0]" not in dynamic:
            problems.append("libstele.so: the soname is not libstele.so.0")
        problems += [f"libstele.a: global {name}: not in the library's name space"
                     for name in sorted(defined(["-g"], f"{build}/libstele.a")) if not name.startswith("stele_")]
    _source.report(problems, len(names))


main()
