"""What `mugato data make` writes is what the real minari package reads, and that is what the source reads."""

import json
import unittest

import harness


def read_by_minari(folder):
    return json.loads(harness.run_python("minari_expected.py", folder))


class Minari(harness.ProgramTest):
    def expect_same(self, found, expected, where=""):
        """Equal but for sums, which are added in another order."""
        self.assertEqual(type(found) in (dict, list), type(expected) in (dict, list), where)
        if isinstance(expected, dict):
            self.assertEqual(found.keys(), expected.keys(), where)
            for key, value in expected.items():
                if key == "sum":
                    self.assertAlmostEqual(found[key], value, delta=1e-9 * (1 + abs(value)), msg=where)
                else:
                    self.expect_same(found[key], value, f"{where}/{key}")
        elif isinstance(expected, list):
            self.assertEqual(len(found), len(expected), where)
            for i, value in enumerate(expected):
                self.expect_same(found[i], value, f"{where}/{i}")
        else:
            self.assertEqual(found, expected, where)

    def test_minari_reads_what_data_make_writes(self):
        for world in ["four_rooms", "point_maze", "shapes_qa"]:
            with self.subTest(world=world):
                folder = self.folder / world
                code, out, err = harness.run("data", "make", "--env", world, "--episodes", 3, "--seed", 5, "--out", folder)
                self.assertEqual((code, err), (0, ""))
                self.assertRegex(out, rf"^{folder}: 3 episodes of {world}, \d+ timesteps, mean return \d")
                code, out, err = harness.run("data", "digest", folder, "--source", "minari", "--json")
                self.assertEqual((code, err), (0, ""))
                found, expected = json.loads(out), read_by_minari(folder)
                del found["source"]
                self.expect_same(found, expected)
                self.assertEqual([e["attributes"]["seed"] for e in expected["episodes"]], [5, 6, 7])

    def test_pictures_in_chunks_as_minari_makes_them_are_read_whole(self):
        harness.make_bench_data(self.folder)
        for name in ("raw-v0", "jpeg-v0"):
            with self.subTest(name):
                code, out, err = harness.run("data", "digest", self.folder / name, "--source", "minari", "--json")
                self.assertEqual((code, err), (0, ""))
                found = json.loads(out)
                del found["source"]
                self.expect_same(found, read_by_minari(self.folder / name))

    def test_what_cannot_be_made(self):
        folder = self.folder / "set"
        make = ["data", "make", "--episodes", 1, "--out", folder, "--env"]
        self.expect_error([*make, "stories"], "unknown environment 'stories'")
        self.assertEqual(harness.run(*make, "shapes_qa")[0], 0)
        self.expect_error([*make, "shapes_qa"], "is there already")
        (folder / "data/main_data.hdf5").write_bytes(b"garbage")
        self.expect_error(["data", "digest", folder, "--source", "minari"], "main_data.hdf5' cannot be opened as HDF5")


if __name__ == "__main__":
    unittest.main()
