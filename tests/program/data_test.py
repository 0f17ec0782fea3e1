"""The commands of `mugato data` on real files, held against what the formats' own packages say of them."""

import json
import re
import sys
import unittest

import harness

sys.path.insert(0, str(harness.ROOT / ".deps" / "python"))
import h5py  # noqa: E402
import numpy as np  # noqa: E402

FIXTURES = harness.ROOT / "tests" / "fixtures"
MIXTURE = harness.ROOT / "configs" / "mixture.toml"


def data(*arguments):
    return harness.run("data", *arguments)


def episodes_of(dataset):
    with h5py.File(FIXTURES / "minari" / dataset / "data" / "main_data.hdf5") as file:
        for i in range(len(file)):
            episode = file[f"episode_{i}"]
            observations = episode["observations"]
            yield (observations[:-1] if isinstance(observations, h5py.Dataset) else None, episode["actions"][:], episode["rewards"][:])


class Data(harness.ProgramTest):
    def test_stats_of_pendulum_are_those_of_h5py(self):
        code, out, err = data("stats", FIXTURES / "minari/control/pendulum/expert-v0", "--json")
        self.assertEqual((code, err), (0, ""))
        stats = json.loads(out)["minari"]
        episodes = list(episodes_of("control/pendulum/expert-v0"))
        observations, actions, returns = (np.concatenate([e[0] for e in episodes]), np.concatenate([e[1] for e in episodes]),
                                          np.array([e[2].sum() for e in episodes]))
        self.assertEqual(stats["episodes"], len(episodes))
        self.assertEqual(stats["steps"], len(actions))
        self.assertEqual(stats["tokens_per_step"], observations.shape[1] + 1 + actions.shape[1])
        for name, values in [("observation", observations), ("action", actions)]:
            for d, dimension in enumerate(stats["fields"][name]["dimensions"]):
                column = values[:, d].astype(np.float64)
                for key, expected in [("mean", column.mean()), ("std", column.std()), ("min", column.min()), ("max", column.max())]:
                    self.assertAlmostEqual(dimension[key], expected, delta=1e-9 * max(1.0, abs(expected)), msg=f"{name} {d} {key}")
            self.assertEqual(stats["fields"][name]["clipped"], [0.0] * values.shape[1])
        for key, expected in [("mean", returns.mean()), ("std", returns.std()), ("min", returns.min()), ("max", returns.max())]:
            self.assertAlmostEqual(stats["returns"][key], expected, delta=1e-9 * abs(expected))

    def test_stats_count_discrete_actions(self):
        code, out, err = data("stats", FIXTURES / "minari/babyai/gotolocal/bot-v0", "--json")
        self.assertEqual((code, err), (0, ""))
        stats = json.loads(out)["minari"]
        actions = np.concatenate([e[1] for e in episodes_of("babyai/gotolocal/bot-v0")])
        counts = stats["fields"]["action"]["num_per_value"]
        self.assertEqual(counts, np.bincount(actions, minlength=len(counts)).tolist())

    def test_lint_finds_the_constant_dimensions_and_duplicates_that_numpy_finds(self):
        for dataset in ["babyai/gotolocal/bot-v0", "control/pendulum/expert-v0"]:
            code, out, err = data("lint", FIXTURES / "minari" / dataset, "--json")
            self.assertEqual(err, "")
            findings = {(finding["kind"], finding["field"]): finding["count"] for finding in json.loads(out)["minari"]}
            self.assertEqual(code, 1 if findings else 0)
            actions = np.concatenate([e[1].reshape(len(e[1]), -1) for e in episodes_of(dataset)])
            constant = int((actions.min(0) == actions.max(0)).sum())
            self.assertEqual(findings.get(("constant", "action"), 0), constant)
            self.assertFalse([kind for kind, _ in findings if kind not in ("constant", "duplicate")], findings)

    def test_digest_prints_a_data_set_as_json(self):
        expected = json.loads((FIXTURES / "minari_expected/control__pendulum__expert-v0.json").read_text())
        code, out, err = data("digest", FIXTURES / "minari/control/pendulum/expert-v0", "--json")
        self.assertEqual((code, err), (0, ""))
        found = json.loads(out)
        self.assertEqual(found["dataset_id"], expected["dataset_id"])
        self.assertEqual((found["total_episodes"], found["total_steps"]), (expected["total_episodes"], expected["total_steps"]))
        for ours, theirs in zip(found["episodes"], expected["episodes"], strict=True):
            self.assertEqual(ours["observations"][""]["crc32"], theirs["observations"][""]["crc32"])
        code, out, err = data("digest", "stories", "--episodes", 2)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"fields/text +1 texts, crc32 \d+")

    def test_sources_lists_every_format_with_its_keys(self):
        code, out, err = data("sources")
        self.assertEqual((code, err), (0, ""))
        for source in ["minari", "lerobot", "jat", "webdataset", "images", "vqa", "text", "tokens", "four_rooms"]:
            self.assertRegex(out, rf"(?m)^{source}\n    \S")
        self.assertNotIn("not in this build", out)

    def test_the_mixture_trains_on_every_format(self):
        out = self.folder / "mixture"
        code, _, err = harness.train(MIXTURE, out, "train.steps=4")
        self.assertEqual(code, 0, err)
        names = re.findall(r'^name = "(.*)"', MIXTURE.read_text(), re.M) + ["images", "vqa"]
        sampled = {name.split("/")[-1]: values[-1] for (_, name), values in harness.metrics(out).items() if name.startswith("data/samples/")}
        self.assertEqual(sorted(sampled), sorted(names))
        self.assertGreater(len([name for name in names if sampled[name] > 0]), 10)

    def test_a_set_too_small_to_hold_anything_out_is_said(self):
        text = self.folder / "small.jsonl"
        text.write_text('{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n')
        config = self.folder / "small.toml"
        config.write_text(harness.CONFIG + f'[[data]]\nsource = "text"\nname = "notes"\npath = "{text}"\n')
        out = self.folder / "small"
        code, _, err = harness.train(config, out, "train.steps=4", "train.evaluate_every=2")
        self.assertEqual(code, 0, err)
        warning = "warning: notes: none of its episodes is held out for evaluation (held_out = 0.05)"
        self.assertEqual(err.count(warning), 1, err)
        self.assertEqual(err.count("none of its episodes"), 1, err)
        code, _, err = harness.run("eval", out, "--episodes", 2, "--documents", 2)
        self.assertEqual((code, err), (0, warning + "\n"))

    def test_token_files_of_another_tokenizer_are_refused(self):
        out = self.folder / "other"
        self.expect_error(harness.train_arguments(MIXTURE, out, f"tokens.text={harness.ROOT}/data/tokenizers/quickstart.model"),
                          "'llm_c' has ids of the tokenizer tests/fixtures/bpe", "one text tokenizer a run")
        self.expect_error(harness.train_arguments(MIXTURE, out, "data.15.tokenizer="), "which tokenizer made their ids", "say it: tokenizer")

    def test_mistakes(self):
        self.expect_error(["data", "stats", "nowhere"], "nowhere: no such", "mugato data sources")
        self.expect_error(["data", "stats", FIXTURES / "nn"], "not clear", "--source")
        self.expect_error(["data", "lint", MIXTURE, "--source", "nothing"], "no [[data]] entry 'nothing'", "pendulum")
        self.expect_error(["data", "stats", "stories", "--set", "path=x"], "no use for the key 'path'", "leave it out")


if __name__ == "__main__":
    unittest.main()
