# SPDX-License-Identifier: BSD-3-Clause
"""What the documents point at is there: links, headings, files named in the text, and decisions that the code names."""

import glob
import os
import re
import sys
import unittest

TOP = os.environ.get("STELE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("src", "include", "tests", "tools", "bench", "docs", "cmake")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def documents():
    found = [name for name in os.listdir(TOP) if name.endswith(".md")]
    for where, _, names in os.walk(os.path.join(TOP, "docs")):
        found += [os.path.relpath(os.path.join(where, name), TOP) for name in names if name.endswith(".md")]
    return sorted(found)


def prose(text):
    """Without fenced blocks: a bracket in a program is no link."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text):
    """As GitHub makes them of headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def sources():
    for folder in FOLDERS:
        for where, folders, names in os.walk(os.path.join(TOP, folder)):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                yield os.path.relpath(os.path.join(where, name), TOP)


class Links(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        checked = 0
        for document in documents():
            for target in re.findall(r"\]\(([^)\s]+)\)", prose(read(document))):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                path = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
                self.assertTrue(os.path.exists(os.path.join(TOP, path)), f"{document}: {target}")
                if anchor:
                    self.assertIn(anchor, anchors(read(path)), f"{document}: {target}")
                checked += 1
        self.assertGreater(checked, 20)

    def test_every_file_that_a_document_names_exists(self):
        checked = 0
        for document in documents():
            for name in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./*-]+)`", prose(read(document))):
                self.assertTrue(glob.glob(os.path.join(TOP, name.rstrip("/"))), f"{document}: {name}")
                checked += 1
        self.assertGreater(checked, 10)

    def test_every_document_that_the_source_names_exists(self):
        checked = 0
        for source in sources():
            if not source.endswith((".c", ".h", ".cc", ".py", ".cmake", ".txt")) or source.startswith("tests/docs/"):
                continue
            for name in re.findall(r"\bdocs/(?:decisions/\d{4}|[\w-]+\.md)", read(source)):
                self.assertTrue(glob.glob(os.path.join(TOP, name + "*")), f"{source}: {name}")
                checked += 1
        self.assertGreater(checked, 5)

    def test_decisions_are_numbered_without_doubles(self):
        names = sorted(os.listdir(os.path.join(TOP, "docs", "decisions")))
        for name in names:
            self.assertRegex(name, r"^\d{4}-[a-z0-9-]+\.md$")
            title = read(os.path.join("docs", "decisions", name)).split("\n", 1)[0]
            self.assertEqual(title[:7], f"# {name[:4]} ", name)
        numbers = [name[:4] for name in names]
        self.assertEqual(len(numbers), len(set(numbers)))


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
