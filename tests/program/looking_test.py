"""What the program shows of data, models and time, and that every configuration of the repository trains."""

import json
import re
import struct
import unittest

import harness


class Looking(harness.ProgramTest):
    def test_data_inspect_shows_every_token(self):
        code, out, err = harness.run("data", "inspect", self.config, "--index", 2)
        self.assertEqual((code, err), (0, ""))
        head = re.match(r"four_rooms episode 2: window of 2 of (\d+) timesteps, (\d+) tokens, (\d+) targets\n", out)
        self.assertIsNotNone(head, out[:200])
        rows = out.splitlines()[3:]
        self.assertEqual(len(rows), int(head.group(2)))
        self.assertEqual(sum(" loss " in row for row in rows), int(head.group(3)))
        self.assertEqual(sum(" patch " in row for row in rows), 2 * 16)
        self.assertEqual(sum(" separator " in row for row in rows), 2)
        self.assertEqual(out.splitlines()[2].split(), "slot doc pos step local field modality id value row,col mask target".split())
        self.assertEqual([row.split()[:3] for row in rows], [[str(i), "0", str(i)] for i in range(len(rows))])
        _, vit, _ = harness.run("data", "inspect", self.config, "--index", 2, "--set", "model.patch_position=vit")
        patches = [re.search(r"mean rgb \d+ \d+ \d+ +(\d+) ", row) for row in vit.splitlines()[3:] if " patch " in row]
        self.assertEqual([int(patch.group(1)) for patch in patches], [*range(16), *range(16)])
        _, paper, _ = harness.run("data", "inspect", self.config, "--index", 2, "--set", "tokens.discrete_range=paper",
                                  "--set", "tokens.num_discrete=256")
        targets = [row for row in paper.splitlines() if " loss " in row]
        self.assertEqual(len(targets), 2)
        for row in targets:
            self.assertRegex(row, r" loss +[0-3] \([0-3]\)$")
        code, out, err = harness.run("data", "inspect", self.config, "--source", "stories")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out.splitlines()[-1], r" end ")
        self.expect_error(["data", "inspect", self.config, "--source", "story"], "story", "did you mean 'stories'?")

    def test_data_inspect_draws_the_sample(self):
        picture = self.folder / "sample.png"
        for source in ["four_rooms", "stories"]:
            code, out, err = harness.run("data", "inspect", self.config, "--source", source, "--png", picture)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(out.splitlines()[-1], f"wrote {picture}")
            header = picture.read_bytes()[:24]
            self.assertEqual(header[:8], b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", header[16:])
            self.assertGreaterEqual(width, 260)
            self.assertGreater(height, 60)
            picture.unlink()
        self.expect_error(["data", "inspect", self.config, "--png", self.folder / "nowhere" / "sample.png"], "nowhere/sample.png", "")

    def test_tour_prints_the_shapes_of_every_arrow(self):
        code, out, err = harness.run("tour")
        self.assertEqual((code, err), (0, ""))
        four_rooms = out[out.index("four_rooms"):out.index("point_maze")]
        for pattern in [r"image +\(\d+,64,64,3\) +image observation", r"image +\(4,16,768\) +patch bytes",
                        r"image +\(2,4,16,768\) +80 of 128 valid", r"hidden \(B,S,D\): \(1,\d+,64\)", r"LossTerms: sum [0-9.]+ over \d+ targets"]:
            self.assertRegex(four_rooms, pattern)
        for pattern in [r"image +\(2,4,16,64\)", r"all +\(2,\d+,64\) +concatenated", r"local +\(1,\d+\) +0 1 2 3 ",
                        r"document +\(1,\d+\) +0 0 0 ", r"position +\(1,\d+\) +0 1 2 3 ", r"timestep +\(1,\d+\) +0 0 0 ",
                        r"patch_row +\(64\) +\d", r"patch_number +\(64\) +0 1 2 3 ", r"targets +\(4\) +\d"]:
            self.assertRegex(four_rooms, pattern)
        for world in ["point_maze", "shapes_qa", "stories", "all of them, mixed"]:
            self.assertIn(f"\n{world}\n", out)
        mixed = out[out.index("all of them, mixed"):]
        for row in re.findall(r"row \d: (.*) pads", mixed):
            spans = [tuple(map(int, span)) for span in re.findall(r"\w+ \[(\d+),(\d+)\)", row)]
            self.assertGreater(len(spans), 1, "several documents are packed into one row")
            self.assertEqual([begin for begin, _ in spans], [0] + [end for _, end in spans[:-1]])
        counts = [int(count) for count in re.findall(r"sum [0-9.]+ over (\d+) targets", mixed)]
        self.assertEqual(sum(counts), int(re.search(r"(\d+) targets\n", mixed).group(1)))


    def test_bench_times_the_phases_of_a_step(self):
        for bf16 in ["false", "true"]:
            code, out, err = harness.run("bench", self.config, "--warmup", 1, "--steps", 3, "--json", "--set", f"train.bf16={bf16}")
            self.assertEqual((code, err), (0, ""))
            report = json.loads(out)
            self.assertEqual(set(report), {"tokens_per_second", "useful_tokens_per_second", "seconds_per_step", "data_share",
                                           "system_share", "peak_memory_bytes", "parameters", "steps"})
            phases = report["seconds_per_step"]
            total = phases.pop("total")
            self.assertEqual(set(phases), {"data", "embed", "forward", "loss", "backward", "optimizer"})
            for name, seconds in phases.items():
                self.assertGreaterEqual(seconds, 0.0, name)
            self.assertGreater(phases["backward"], 0.0)
            self.assertAlmostEqual(report["data_share"], phases["data"] / total, delta=0.01)
            self.assertAlmostEqual(sum(phases.values()), total, delta=0.01 * total)
            self.assertAlmostEqual(report["tokens_per_second"], 2 * 96 / total, delta=0.01 * 2 * 96 / total)
            self.assertGreater(report["useful_tokens_per_second"], 0.0)
            self.assertLess(report["useful_tokens_per_second"], report["tokens_per_second"])
            self.assertGreater(report["peak_memory_bytes"], 10 * 2**20)
            self.assertGreater(report["parameters"], 10000)
            self.assertEqual(report["steps"], 3)
        _, out, _ = harness.run("bench", "--help")
        for key in [*report, *phases]:
            self.assertIn(key, out)

    def test_bench_measures_the_making_of_data(self):
        harness.make_bench_data(self.folder)
        for name, encoded in [("raw-v0", False), ("jpeg-v0", True)]:
            code, out, err = harness.run("bench", "--data", harness.ROOT / "configs/bench/data.toml", "--warmup", 1, "--steps", 3,
                                         "--json", "--set", f"data.0.path={self.folder / name}")
            self.assertEqual((code, err), (0, ""))
            report = json.loads(out)
            self.assertEqual(set(report), {"per_cpu_second", "per_second", "cpu_seconds_per_step", "images", "repeated_images",
                                           "decoder_seconds_per_step", "times_the_decoder", "peak_memory_bytes", "steps"})
            for rates in (report["per_cpu_second"], report["per_second"]):
                self.assertEqual(set(rates), {"timesteps", "tokens", "samples"})
                self.assertGreater(rates["samples"], 0.0)
                self.assertGreater(rates["timesteps"], 5 * rates["samples"])  # whole episodes, of six timesteps at least
                self.assertGreater(rates["tokens"], 20 * rates["timesteps"])  # 16 patches, a mission, direction, separator, action
            self.assertGreater(report["cpu_seconds_per_step"], 0.0)
            self.assertGreater(report["peak_memory_bytes"], 10 * 2**20)
            self.assertEqual(report["steps"], 3)
            if encoded:
                timesteps = 3 * report["cpu_seconds_per_step"] * report["per_cpu_second"]["timesteps"]
                self.assertGreater(report["images"], 0.5 * timesteps)
                self.assertAlmostEqual(report["times_the_decoder"] * report["decoder_seconds_per_step"],
                                       report["cpu_seconds_per_step"], delta=1e-6)
            else:
                self.assertEqual((report["images"], report["times_the_decoder"]), (0, None))
        _, out, _ = harness.run("bench", "--help")
        for key in report:
            self.assertIn(key, out)

    def test_every_configuration_trains(self):
        harness.make_bench_data(self.folder)
        own_data = {"configs/bench/data.toml": [f"data.0.path={self.folder / 'raw-v0'}"]}
        paths = sorted((harness.ROOT / "configs").rglob("*.toml"))
        self.assertGreater(len(paths), 2)
        for path in paths:
            with self.subTest(path):
                out = self.folder / "-".join(path.relative_to(harness.ROOT).with_suffix("").parts)
                code, _, err = harness.train(path, out, "train.steps=1", "train.rows=1", "run.device=cpu",
                                             *own_data.get(str(path.relative_to(harness.ROOT)), []))
                self.assertEqual(code, 0, err)
                self.assertIn((1, "train/loss"), harness.metrics(out))


if __name__ == "__main__":
    unittest.main()
