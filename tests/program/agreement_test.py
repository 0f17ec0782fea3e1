"""`mugato data stats` and `lint` of every format, against what its own package reads of the same files."""

import contextlib
import io
import json
import os
import sys
import unittest
from unittest import mock

import harness

sys.path.insert(0, str(harness.ROOT / ".deps" / "python"))
import h5py  # noqa: E402
import minari  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import webdataset  # noqa: E402
from minari.data_collector import EpisodeBuffer  # noqa: E402
from gymnasium import spaces  # noqa: E402

FIXTURES = harness.ROOT / "tests" / "fixtures"
MIXTURE = harness.ROOT / "configs" / "mixture.toml"


def look(command, *arguments):
    code, out, err = harness.run("data", command, *arguments, "--json")
    assert err == "" and (code == 0 or command == "lint"), (arguments, code, err)
    return json.loads(out)


def findings(*arguments):
    """{entry: {(kind, field): count}}"""
    return {name: {(f["kind"], f["field"]): f["count"] for f in found} for name, found in look("lint", *arguments).items()}


def rows(column):
    """A list column as one array of its rows' elements, those of all rows one after the other."""
    return np.concatenate([np.array(row.as_py(), np.float64).reshape(len(row), -1) for row in column])


class Agreement(harness.ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.stats = look("stats", MIXTURE)
        cls.findings = findings(MIXTURE)

    def expect_summary(self, found, values, where):
        values = np.asarray(values, np.float64)
        for key, expected in [("mean", values.mean()), ("std", values.std()), ("min", values.min()), ("max", values.max())]:
            self.assertAlmostEqual(found[key], expected, delta=1e-9 * max(1.0, abs(expected)), msg=f"{where} {key}")

    def expect_stats(self, entry, lengths, returns=None, continuous=None, actions=None):
        """lengths: timesteps of each episode; continuous: {field: (steps, dimensions)}; actions: {field: values}."""
        stats = self.stats[entry]
        self.assertEqual((stats["episodes"], stats["steps"]), (len(lengths), sum(lengths)), entry)
        if returns is not None:
            self.expect_summary(stats["returns"], returns, f"{entry} returns")
        for field, values in (continuous or {}).items():
            dimensions = stats["fields"][field]["dimensions"]
            self.assertEqual(len(dimensions), values.shape[1], field)
            for d, dimension in enumerate(dimensions):
                self.expect_summary(dimension, values[:, d].astype(np.float32), f"{entry} {field} {d}")  # as it becomes tokens
        for field, values in (actions or {}).items():
            counts = stats["fields"][field]["num_per_value"]
            self.assertEqual(counts, np.bincount(values, minlength=len(counts)).tolist(), f"{entry} {field}")

    def test_minari(self):
        for entry, path in [("go_to_local_rgb", "minari/babyai/gotolocal-rgb/bot-v0"), ("go_to_local", "minari/babyai/gotolocal/bot-v0"),
                            ("pendulum", "minari/control/pendulum/expert-v0"), ("mixed_arrow", "minari_arrow/arrow-mixed-v0")]:
            with contextlib.redirect_stderr(io.StringIO()):
                episodes = list(minari.MinariDataset(FIXTURES / path / "data").iterate_episodes())
            actions, continuous = {}, {}
            if entry == "pendulum":
                continuous = {"observation": np.concatenate([e.observations[:-1] for e in episodes]), "action": np.concatenate([e.actions for e in episodes])}
            elif entry == "mixed_arrow":
                actions = {"action/0": np.concatenate([e.actions[0] for e in episodes]), "action/1": np.concatenate([e.actions[1].ravel() for e in episodes])}
                continuous = {"action/2": np.concatenate([e.actions[2] for e in episodes]),
                              "inner/speed": np.concatenate([e.observations["inner"]["speed"][: len(e)] for e in episodes])}
            else:
                actions = {"action": np.concatenate([e.actions for e in episodes])}
            self.expect_stats(entry, [len(e) for e in episodes], [np.sum(e.rewards) for e in episodes], continuous, actions)
            self.assertEqual(self.findings[entry], {})

    def test_normalised_values_are_clipped_outside_of_their_quantiles(self):
        with contextlib.redirect_stderr(io.StringIO()):
            episodes = list(minari.MinariDataset(FIXTURES / "minari/control/pendulum/expert-v0/data").iterate_episodes())
        for field, values in [("observation", np.concatenate([e.observations[:-1] for e in episodes])),
                              ("action", np.concatenate([e.actions for e in episodes]))]:
            low, high = (np.quantile(values.astype(np.float64), q, axis=0).astype(np.float32) for q in (0.01, 0.99))
            shares = ((values < low) | (values > high)).mean(0)
            for found, expected in zip(self.stats["pendulum"]["fields"][field]["clipped"], shares, strict=True):
                self.assertAlmostEqual(found, expected, delta=1e-12)

    def test_lerobot(self):
        for entry, files in [("robot_v2", "v2.1/data/chunk-000"), ("robot_v3", "v3.0/data/chunk-000")]:
            table = pa.concat_tables([pq.read_table(file) for file in sorted((FIXTURES / "lerobot" / files).glob("*.parquet"))])
            episode, reward = table["episode_index"].to_numpy(), table["next.reward"].to_numpy().astype(np.float64)
            lengths = np.bincount(episode)
            self.expect_stats(entry, lengths.tolist(), [reward[episode == i].sum() for i in range(len(lengths))],
                              {name: np.array(table[name].to_pylist(), np.float64).reshape(len(table), -1)
                               for name in ["action", "observation.state", "observation.touch"]})
            self.assertEqual(self.findings[entry], {})

    def test_jat(self):
        table = pq.read_table(FIXTURES / "jat/mujoco-hopper.parquet")
        self.expect_stats("hopper", [len(row) for row in table["rewards"]], [sum(row.as_py()) for row in table["rewards"]],
                          {name: rows(table[name]) for name in ["continuous_observations", "continuous_actions"]})
        table = pq.read_table(FIXTURES / "jat/atari-breakout.parquet")
        self.expect_stats("breakout", [len(row) for row in table["rewards"]], [sum(row.as_py()) for row in table["rewards"]],
                          actions={"discrete_actions": rows(table["discrete_actions"]).astype(int).ravel()})

    def test_texts_and_images(self):
        shards = [str(FIXTURES / f"captions/{i:05d}.tar") for i in range(2)]
        captions = list(webdataset.WebDataset(shards, shardshuffle=False))
        questions = json.loads((FIXTURES / "vqa/v2_OpenEnded_mscoco_val2014_questions.json").read_text())["questions"]
        lines = (FIXTURES / "bin/char/input.txt").read_text().splitlines()
        json_lines = [json.loads(line)["text"] for line in (FIXTURES / "text/lines.jsonl").read_text().splitlines()]
        wikipedia = pq.read_table(FIXTURES / "jat/wikipedia.parquet")["text"].to_pylist()
        end = json.loads((FIXTURES / "bin/bpe512_expected.json").read_text())["eot"]
        streams = {"llm_c": np.fromfile(FIXTURES / "bin/llmc_gpt2_bpe512_train_000001.bin", np.uint16, offset=256 * 4),
                   "nano_gpt": np.fromfile(FIXTURES / "bin/bpe512_train.bin", np.uint16)}
        tokens = {entry: [part[part != end].tobytes() for part in np.split(stream, np.flatnonzero(stream == end)) if (part != end).any()]
                  for entry, stream in streams.items()}
        documents = {"captions": len(captions), "images": len((FIXTURES / "images/metadata.csv").read_text().splitlines()) - 1,
                     "vqa": len(questions), "lines": len(lines), "json_lines": len(json_lines), "wikipedia": len(wikipedia),
                     **{entry: len(parts) for entry, parts in tokens.items()}}
        for entry, count in documents.items():
            self.expect_stats(entry, [1] * count)
        for entry, texts in [("lines", lines), ("json_lines", json_lines), ("wikipedia", wikipedia)]:
            repeated = len(texts) - len(set(texts))
            self.assertEqual(self.findings[entry], {("duplicate", ""): repeated} if repeated else {}, entry)
        for entry, parts in tokens.items():
            self.assertEqual(self.findings[entry], {("duplicate", ""): len(parts) - len(set(parts))}, entry)

    def test_lint_of_a_damaged_jat_file(self):
        random = np.random.default_rng(3)
        lengths = [int(length) for length in random.integers(2, 9, 20)]
        observations = [random.normal(size=(n, 4)).astype(np.float32) for n in lengths]
        actions = [random.integers(0, 5, n) for n in lengths]
        for values in observations:
            values[:, 2] = 7.5
            values[random.random(values.shape) < 0.05] = random.choice([np.nan, np.inf, -np.inf])
        for original, copy in [(3, 8), (3, 11), (5, 19)]:
            observations[copy], actions[copy] = observations[original], actions[original]
        path = self.folder / "damaged.parquet"
        pq.write_table(pa.table({"continuous_observations": [v.tolist() for v in observations], "discrete_actions": [v.tolist() for v in actions],
                                 "rewards": [[0.0] * len(v) for v in actions]}), path)
        whole = np.concatenate(observations)
        expected = {("not_finite", "continuous_observations"): int((~np.isfinite(whole)).sum()), ("duplicate", ""): 3}
        constant = int((whole.min(0) == whole.max(0)).sum())
        if constant:
            expected["constant", "continuous_observations"] = constant
        (found,) = findings(path, "--source", "jat").values()
        self.assertEqual(found, expected)

    def test_lint_of_a_damaged_minari_set(self):
        random = np.random.default_rng(4)
        low, high = np.array([-0.4, -1.0, 0.0], np.float32), np.array([0.4, 2.0, 0.1], np.float32)
        buffers = []
        for i in range(12):
            steps = int(random.integers(3, 9))
            actions = random.uniform(low, high, (steps, 3)).astype(np.float32)
            actions[0] = high  # on the limit, which is within
            observations = {"word": ["go"] * (steps + 1), "level": np.full((steps + 1, 1), 3.0, np.float32),
                            "noise": random.normal(size=(steps + 1, 2)).astype(np.float32)}
            buffers.append(EpisodeBuffer(seed=i, observations=observations, actions=actions, rewards=[0.0] * steps,
                                         terminations=[False] * steps, truncations=[False] * steps))
        with contextlib.redirect_stderr(io.StringIO()), mock.patch.dict(os.environ, MINARI_DATASETS_PATH=str(self.folder)):
            minari.create_dataset_from_buffers(
                "damaged-v0", buffers, action_space=spaces.Box(low, high, dtype=np.float32),
                observation_space=spaces.Dict({"word": spaces.Text(20), "level": spaces.Box(0, 9, (1,), np.float32),
                                               "noise": spaces.Box(-np.inf, np.inf, (2,), np.float32)}))
        beyond = empty = not_finite = 0
        with h5py.File(self.folder / "damaged-v0/data/main_data.hdf5", "r+") as file:
            for i in range(0, 12, 3):
                episode = file[f"episode_{i}"]
                actions, words, noise = episode["actions"], episode["observations/word"], episode["observations/noise"]
                actions[1] = actions[1] + np.array([2.0, 0.0, -1.0], np.float32)
                words[1] = " "
                noise[2, 1] = np.nan
                values = actions[:]
                beyond += int(((values < low) | (values > high)).sum())
                empty += sum(not word.strip() for word in words.asstr()[:-1])
                not_finite += int((~np.isfinite(noise[:-1])).sum())
        self.assertGreaterEqual(beyond, 8)
        (found,) = findings(self.folder / "damaged-v0").values()
        self.assertEqual(found, {("beyond_space", "action"): beyond, ("empty_text", "word"): empty, ("not_finite", "noise"): not_finite,
                                 ("constant", "level"): 1})


if __name__ == "__main__":
    unittest.main()
