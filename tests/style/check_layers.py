# SPDX-License-Identifier: BSD-3-Clause
"""Folders are layers: a file includes its own folder and those below it, never one above.

    include/stele < base < format | os < core;  the tool, the benchmarks and the layers on top see <stele/*.h> only.

With STELE_BINARY_DIR set the objects are judged too: base and format call nothing that allocates or enters the
kernel, and core enters the kernel only through os."""

import glob
import os
import re
import subprocess

import _source

MAY_INCLUDE = {
    "base": {"base"},
    "format": {"base", "format"},
    "os": {"base", "os"},
    "core": {"base", "format", "os", "core"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)

# What pure code may take from the C library and the compiler.
PURE = re.compile(r"(mem|str)\w+|v?snprintf|__\w+_chk|__stack_chk_fail|__errno_location|__tls_get_addr|__cpu_\w+"
                  r"|_GLOBAL_OFFSET_TABLE_|stele_\w+|__(asan|ubsan|tsan)\w+|bsearch|qsort"
                  # base/assert.h must say what failed before it ends the process
                  r"|abort|fprintf|fputs|fflush|stderr")
# System calls by their wrappers: os has them all. Threads are not here, core has one.
KERNEL = re.compile(r"open|openat|creat|close|p?readv?(64)?|p?writev?(64)?|mmap(64)?|munmap|mremap|msync|madvise"
                    r"|f(data)?sync|syncfs|ftruncate(64)?|posix_fallocate(64)?|fallocate(64)?|renameat2?|rename"
                    r"|unlink(at)?|mkdir(at)?|rmdir|f?l?stat(at)?(64)?|statx|f?statfs(64)?|fcntl(64)?|flock|ioctl"
                    r"|fdopendir|opendir|readdir(64)?|closedir|syscall|getrandom|clock_\w+|nanosleep|usleep|sleep"
                    r"|fchmod(at)?|linkat|dup[23]?|pipe2?|poll|epoll_\w+|pmem_\w+|fopen(64)?")


def may_include(path, quote, name):
    """None if `path` may include `name`, else why not."""
    parts = path.split("/")
    if quote == "<":
        if name.startswith("stele/") or "/" not in name or not name.split("/")[0] in MAY_INCLUDE:
            return None
        return "internal headers are included with quotes"
    if parts[0] == "src" and parts[1] in MAY_INCLUDE:
        folder = name.split("/")[0]
        if folder not in MAY_INCLUDE or "/" not in name:
            return "written from src/, as in \"base/bits.h\""
        return None if folder in MAY_INCLUDE[parts[1]] else f"{parts[1]} must not know {folder}"
    if parts[0] == "include":
        return "public headers include <stele/...> and the system's"
    return "only <stele/...> and files of its own folder" if "/" in name else None


def check_includes(top):
    problems, checked = [], 0
    for path in _source.files(top, ["src", "include", "tools", "bench"], (".c", ".h", ".cc")):
        source = _source.text(top, path)
        for match in INCLUDE.finditer(source):
            checked += 1
            why = may_include(path, *match.groups())
            if why:
                line = source.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: includes {match.group(2)}: {why}")
    return problems, checked


def check_objects(build):
    problems = []
    for layer in ("base", "format", "core"):
        objects = glob.glob(f"{build}/CMakeFiles/stele_objects.dir/src/{layer}/*.o")
        if not objects:
            problems.append(f"{layer}: no objects under {build}")
        for path in objects:
            names = subprocess.run(["nm", "-u", "--format=posix", path], check=True, capture_output=True, text=True)
            for name in (line.split()[0].split("@")[0] for line in names.stdout.splitlines()):
                bad = KERNEL.fullmatch(name) if layer == "core" else not PURE.fullmatch(name)
                if bad:
                    problems.append(f"src/{layer}/{os.path.basename(path)[:-2]}: uses {name}")
    return problems


def main():
    problems, checked = check_includes(_source.root())
    build = os.environ.get("STELE_BINARY_DIR")
    if build:
        problems += check_objects(build)
    _source.report(problems, checked)


main()
