# SPDX-License-Identifier: BSD-3-Clause
"""The checks of this folder find what they are for: each is shown a small tree with one planted fault, and the same
tree without it."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
BODY = "    call(\"}\", '{'); /* } */\n"


def function(lines, name="f"):
    """A C function of exactly `lines` lines, with braces where a naive reader stumbles."""
    return f"static int {name}(struct s *s,\n    int b)\n{{\n" + BODY * (lines - 4) + "}\n"


GOOD = {
    "include/stele/a.h": SPDX + "#ifndef A\n#define A\n#define STELE_API\nSTELE_API int stele_a(void);\n#endif\n",
    "src/base/a.c": SPDX + '#include "base/a.h"\n#define M \\\n    { (\nstruct s { int a; };\n'
                    + "static const int table[] = {1, 2};\n" + function(70) + function(70, "g"),
    "src/core/a.c": SPDX + '#include "os/a.h"\n#include "format/a.h"\n#include <stele/a.h>\n',
    "src/stele.map": SPDX + "STELE_0.1 {\nglobal:\n    stele_a;\nlocal:\n    *;\n};\n",
    "docs/man/stele_a.3.scd": "stele_a(3)\n\n# NAME\n\nstele_a - do it\n",
    "tools/stele/a.c": SPDX + '#include "tool.h"\n#include <stele/a.h>\n#include <sys/stat.h>\n',
    "tools/a.py": "# SPDX-License-Identifier: BSD-3-Clause\ndef f():\n" + "    pass\n" * 69,
    "tools/b": "#!/bin/sh\n# SPDX-License-Identifier: BSD-3-Clause\nf() {\n" + "    true\n" * 68 + "}\n",
}

# check, what is planted (path: text, or text put in place of the good one), a part of the complaint
FAULTS = [
    ("check_sizes", {"src/base/b.c": SPDX + function(71)}, "f() has 71 lines"),
    ("check_sizes", {"src/base/b.c": SPDX + 'extern "C" {\n' + function(5) + function(71, "g") + "}\n"}, "g() has 71"),
    ("check_sizes", {"tests/unit/test_b.c": SPDX + function(71)}, "f() has 71 lines"),
    ("check_sizes", {"bench/b.cc": "namespace n\n{\nclass c {\n    int f() const\n    {\n" + BODY * 70 + "    }\n};\n}\n"},
     "f() has 73 lines"),
    ("check_sizes", {"src/base/b.h": "int a;\n" * 401}, "401 lines"),
    ("check_sizes", {"tools/a.py": "def f():\n" + "    pass\n" * 70}, "f() has 71 lines"),
    ("check_sizes", {"tools/b": "#!/bin/sh\nf() {\n" + "    true\n" * 69 + "}\n"}, "f() has 71 lines"),
    ("check_spdx", {"src/base/b.c": "int a;\n"}, "src/base/b.c"),
    ("check_spdx", {"tools/c": "#!/bin/sh\n"}, "tools/c"),
    ("check_layers", {"src/base/b.c": '#include "os/a.h"\n'}, "base must not know os"),
    ("check_layers", {"src/format/b.c": '#  include "os/a.h"\n'}, "format must not know os"),
    ("check_layers", {"src/os/b.c": '#include "format/a.h"\n'}, "os must not know format"),
    ("check_layers", {"src/os/b.h": '#include "core/a.h"\n'}, "os must not know core"),
    ("check_layers", {"src/core/b.c": '#include "a.h"\n'}, "written from src/"),
    ("check_layers", {"src/core/b.c": '#include <os/a.h>\n'}, "with quotes"),
    ("check_layers", {"src/core/b.c": '#include "../os/a.h"\n'}, "written from src/"),
    ("check_layers", {"src/layers/raft/b.c": '#include "core/a.h"\n'}, "only <stele/...>"),
    ("check_layers", {"tools/stele/b.c": '#include "base/a.h"\n'}, "only <stele/...>"),
    ("check_layers", {"bench/b.cc": '#include "core/a.h"\n'}, "only <stele/...>"),
    ("check_layers", {"include/stele/b.h": '#include "base.h"\n'}, "public headers"),
    ("check_symbols", {"include/stele/b.h": "STELE_API const char *\nstele_b(int);\n"}, "stele_b is missing"),
    ("check_symbols", {"src/stele.map": "STELE_0.1 {\nglobal: stele_a; stele_c;\nlocal: *; };\n"}, "stele_c is too many"),
    ("check_symbols", {"src/stele.map": "STELE_0.1 {\nglobal: stele_*;\nlocal: *; };\n"}, "wildcards"),
    ("check_man", {"include/stele/b.h": "STELE_API int stele_b(void);\n"}, "no page names stele_b()"),
    ("check_man", {"docs/man/b.3.scd": "b(3)\n\n# NAME\n\nstele_b, stele_a\n - do it\n"}, "stele_b is no public"),
    ("check_man", {"docs/man/b.3.scd": "b(3)\n\n# NAME\n\nstele_a - do it\n"}, "has a page already"),
    ("check_headers", {"include/stele/b.h": "static inline int b(long l)\n{\n    return l;\n}\n"}, "b.h as c11"),
    ("check_headers", {"include/stele/b.h": "struct b { int class; };\n"}, "b.h as c++17 with clang++"),
    ("check_headers", {"include/stele/b.h": "struct b { size_t b; };\n"}, "b.h as c11 with gcc"),
    ("check_headers", {"include/stele/b.h": "int a = 0;\n"}, "b.h as c11"),
]


def run(check, tree):
    with tempfile.TemporaryDirectory() as top:
        for path, content in tree.items():
            os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
            with open(os.path.join(top, path), "w", encoding="utf-8") as file:
                file.write(content)
        environment = {key: value for key, value in os.environ.items() if key != "STELE_BINARY_DIR"}
        result = subprocess.run([sys.executable, os.path.join(HERE, check + ".py"), top], env=environment,
                                capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr


def main():
    failures = []
    for check in sorted({fault[0] for fault in FAULTS}):
        status, output = run(check, GOOD)
        if status != 0:
            failures.append(f"{check}: complains of a good tree:\n{output}")
    for check, planted, complaint in FAULTS:
        status, output = run(check, {**GOOD, **planted})
        if status != 1 or complaint not in output:
            failures.append(f"{check}: exit status {status}, no '{complaint}' for {planted}:\n{output}")
    if failures:
        sys.exit("\n".join(failures))


main()
