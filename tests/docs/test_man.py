# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages of section 3 say what the headers say, and their examples are C."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.environ.get("STELE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAN = os.path.join(TOP, "docs", "man")
HEADERS = os.path.join(TOP, "include")
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "ERRORS", "THREADS", "CRASH", "EXAMPLE", "SEE ALSO"]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def pages(section):
    return sorted(name for name in os.listdir(MAN) if name.endswith(f".{section}.scd"))


def section(page, title):
    match = re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", read(os.path.join(MAN, page)), re.DOTALL | re.MULTILINE)
    return match.group(1) if match else ""


def literal(text):
    """What stands between fences. scdoc takes a backslash for an escape there too."""
    return "\n".join(re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)).replace("\\\\", "\\")


def headers():
    folder = os.path.join(HEADERS, "stele")
    return "\n".join(read(os.path.join(folder, name)) for name in sorted(os.listdir(folder)))


def bare(code):
    """C without comments, with one blank where there is any white space."""
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", " ", code, flags=re.DOTALL)).strip()


def structs(code):
    """{name: fields} of the structs defined in bare C."""
    return {name: fields.strip() for name, fields in re.findall(r"\bstruct (\w+) \{([^{}]*)\};", code)}


def functions_of(page):
    return re.findall(r"\bstele_\w+", section(page, "NAME").split(" - ")[0])


class Pages(unittest.TestCase):
    def compile(self, code, what):
        with tempfile.TemporaryDirectory(prefix="stele-man.") as scratch:
            path = os.path.join(scratch, "page.c")
            with open(path, "w", encoding="utf-8") as file:
                file.write(code)
            done = subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror",
                                   "-D_DEFAULT_SOURCE", f"-I{HEADERS}", "-c", path, "-o", os.path.join(scratch, "page.o")],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{what}:\n{done.stdout}")

    def test_every_page_has_all_sections_in_order(self):
        for page in pages(3):
            titles = re.findall(r"^# (.+)$", read(os.path.join(MAN, page)), re.MULTILINE)
            self.assertEqual([title for title in titles if title in SECTIONS], SECTIONS, page)

    def test_every_prototype_agrees_with_the_header(self):
        for page in pages(3):
            code = literal(section(page, "SYNOPSIS"))
            prototypes = re.findall(r"^[a-z][^;{}]*\bstele_\w+\([^;{}]*\);", code, re.DOTALL | re.MULTILINE)
            for name in functions_of(page):
                self.assertTrue(any(re.search(rf"\b{name}\(", one) for one in prototypes), f"{page}: no {name}()")
            self.compile("#include <stele/stele.h>\n" + "\n".join(prototypes) + "\nextern int unused;\n", page)

    def test_every_struct_is_that_of_the_header(self):
        known, shown = structs(bare(headers())), 0
        for page in pages(3):
            for name, fields in structs(bare(literal(section(page, "SYNOPSIS")))).items():
                self.assertEqual(fields, known.get(name), f"{page}: struct {name}")
                shown += 1
        self.assertGreater(shown, 5)

    def test_every_example_compiles_without_a_warning(self):
        for page in pages(3) + pages(7):
            code = literal(section(page, "EXAMPLE"))
            if page in pages(3):
                self.assertIn("stele_", code, page)
                self.assertIn("#include <stele/stele.h>", literal(section(page, "SYNOPSIS")), page)
            if code:
                self.compile("#include <stele/stele.h>\n" + code, page)

    def test_every_code_that_the_header_promises_is_explained(self):
        comments = {}
        for comment, name in re.findall(r"/\*((?:(?!\*/).)*)\*/\s*STELE_API[^;(]*?(\w+)\(", headers(), re.DOTALL):
            comments[name] = set(re.findall(r"\bSTELE_E[A-Z]+\b", comment)) - {"STELE_EXCL"}
        self.assertGreater(sum(map(len, comments.values())), 60)
        for page in pages(3):
            explained = set(re.findall(r"\*(STELE_E[A-Z]+)\*", section(page, "ERRORS")))
            for name in functions_of(page):
                # "as stele_verify()", "as stele_append()": those are on pages of their own.
                self.assertLessEqual(comments.get(name, set()), explained, f"{page}: {name}()")

    def test_the_page_of_codes_has_all_of_them_with_their_values(self):
        shown = re.findall(r"^\*(STELE_E[A-Z]+)\* \((-\d+)\)$", section("stele_strerror.3.scd", "ERRORS"), re.MULTILINE)
        self.assertEqual(shown, re.findall(r"\b(STELE_E[A-Z]+) = (-\d+),", headers()))

    def test_every_page_that_is_referred_to_exists(self):
        there = {"stele(1)"}
        for page in os.listdir(MAN):
            name, number = page.split(".")[:2]
            there.add(f"{name}({number})")
            there.update(f"{one}({number})" for one in functions_of(page))
        for page in os.listdir(MAN):
            for name, number in re.findall(r"\*(stele[\w-]*)\*\((\d)\)", read(os.path.join(MAN, page))):
                self.assertIn(f"{name}({number})", there, page)

    def test_every_page_renders(self):
        self.assertIsNotNone(shutil.which("scdoc"), "scdoc is one of the packages of tools/deps.list")
        for page in os.listdir(MAN):
            with open(os.path.join(MAN, page), encoding="utf-8") as source:
                done = subprocess.run(["scdoc"], stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""), page)
            self.assertIn(b".SH NAME", done.stdout)


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
