"""The include directions of the tree, and that a violation would be found."""

import tempfile
import unittest
from pathlib import Path

import rooms

ROOT = Path(__file__).resolve().parents[2]


class Rooms(unittest.TestCase):
    def test_the_tree_keeps_the_directions(self):
        self.assertEqual(rooms.violations(ROOT), [])

    def test_the_table_has_no_cycle(self):
        for room in rooms.ROOMS:
            for below in rooms.ROOMS[room]:
                self.assertNotIn(room, rooms.allowed(below))

    def test_training_sees_data_through_its_interface_only(self):
        self.assertTrue({"data", "env", "act", "text", "run"}.isdisjoint(rooms.allowed("train")))
        self.assertNotIn("tools", rooms.allowed("run"))

    def test_every_room_of_the_tree_is_read(self):
        read = {rooms.room_of(file.relative_to(ROOT)) for file in rooms.source_files(ROOT)}
        self.assertLessEqual({"core", "token", "seq", "nn", "optim", "train", "text", "env", "data", "act", "run", "tools"}, read)


class Violations(unittest.TestCase):
    """Small trees, each with one fault."""

    def violations_of(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return rooms.violations(root)

    def test_what_is_allowed_is_not_reported(self):
        files = {
            "include/mugato/seq/a.h": '#include <vector>\n#include "mugato/core/error.h"\n',
            "src/run/b.cpp": '#include "mugato/act/policy.h"\n#include "c.h"\n',
            "src/run/c.h": "#pragma once\n",
        }
        self.assertEqual(self.violations_of(files), [])

    def test_a_public_header_of_a_higher_room(self):
        found = self.violations_of({"src/train/t.cpp": '\n  #  include "mugato/data/loader.h"\n'})
        self.assertEqual(found, ["src/train/t.cpp includes mugato/data/loader.h: train may not include data"])

    def test_an_internal_header_of_a_higher_room(self):
        found = self.violations_of({"src/core/k.cpp": '#include "../env/palette.h"\n', "src/env/palette.h": "\n"})
        self.assertEqual(found, ["src/core/k.cpp includes ../env/palette.h: core may not include env"])

    def test_the_program_from_the_library(self):
        found = self.violations_of({"src/run/r.cpp": '#include "../../tools/mugato/load.h"\n', "tools/mugato/load.h": "\n"})
        self.assertEqual(found, ["src/run/r.cpp includes ../../tools/mugato/load.h: run may not include tools"])

    def test_a_linked_library_in_the_core(self):
        found = self.violations_of({"include/mugato/token/p.h": "#include <opencv2/core.hpp>\n"})
        self.assertEqual(found, ["include/mugato/token/p.h includes opencv2/core.hpp: mugato::core links LibTorch alone"])

    def test_a_room_that_the_table_lacks(self):
        self.assertEqual(self.violations_of({"src/attic/a.cpp": ""}), ["src/attic/a.cpp: there is no room 'attic'"])


if __name__ == "__main__":
    unittest.main()
