"""Small rules of the tree: the length of files, what headers begin with, and that the README shows what is tested."""

import re
import unittest
from pathlib import Path

import rooms

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 500


def long_files(files, limit=MAX_LINES):
    return [f"{f}: {n} lines" for f in files if (n := len(f.read_text().splitlines())) > limit]


def listings(markdown):
    """(file, code) of every block that is marked <!-- from FILE --> in the line before it."""
    return re.findall(r"<!-- from (\S+) -->\n```\w*\n(.*?)```", markdown, re.DOTALL)


class Tree(unittest.TestCase):
    def test_no_file_is_longer_than_500_lines(self):
        files = rooms.source_files(ROOT, ("include", "src", "tools", "tests"))
        files += [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").rglob("*.py"), *(ROOT / "cmake").iterdir()]
        self.assertGreater(len(files), 100)
        self.assertEqual(long_files(files), [])
        self.assertEqual(len(long_files([Path(__file__)], limit=10)), 1)

    def test_headers_are_read_once(self):
        for header in (f for f in rooms.source_files(ROOT) if f.suffix == ".h"):
            with self.subTest(header=header):
                self.assertRegex(header.read_text(), re.compile(r"^#pragma once$", re.MULTILINE))

    def test_scripts_can_be_run(self):
        for script in ("setup", "build", "quickstart", "check", "fuzz"):
            with self.subTest(script=script):
                path = ROOT / "tools" / script
                self.assertTrue(path.stat().st_mode & 0o111)
                self.assertRegex(path.read_text(), r"\A#!/usr/bin/env bash\n")

    def test_the_readme_shows_code_that_is_compiled(self):
        shown = listings((ROOT / "README.md").read_text())
        self.assertGreater(len(shown), 0)
        for name, code in shown:
            with self.subTest(file=name):
                self.assertIn(code, (ROOT / name).read_text())

    def test_links_of_the_readme_exist(self):
        text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            with self.subTest(target=target):
                self.assertTrue((ROOT / target).exists())


if __name__ == "__main__":
    unittest.main()
