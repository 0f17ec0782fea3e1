"""The program as a person meets it: help, errors, what the subcommands print."""

import concurrent.futures
import json
import pathlib
import re
import resource
import signal
import tempfile
import unittest

import harness


class ProgramTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mugato-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "tiny.toml"
        self.config.write_text(harness.CONFIG)

    def expect_errors(self, cases):
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(self.expect_error, *case) for case in cases]:
                done.result()

    def expect_error(self, arguments, *parts):
        """Exit code 2, one line that says what is wrong and one line with a hint, nothing else."""
        returned, out, err = harness.run(*arguments)
        self.assertEqual(returned, 2, f"{arguments}: {err}")
        self.assertEqual(out, "")
        lines = err.splitlines()
        self.assertEqual(len(lines), 2, err)
        self.assertTrue(lines[0].startswith("mugato: "), err)
        self.assertTrue(lines[1].startswith("hint: "), err)
        for part in parts:
            self.assertIn(part, err)


class Help(ProgramTest):
    COMMANDS = [["train"], ["eval"], ["rollout"], ["info"], ["data"], ["data", "inspect"], ["tour"]]

    def test_every_subcommand_explains_itself(self):
        for command in [[]] + self.COMMANDS:
            code, out, err = harness.run(*command, "--help")
            self.assertEqual(code, 0, command)
            self.assertEqual(err, "")
            self.assertIn("Usage: mugato", out)
            for option in re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE):
                line = next(line for line in out.splitlines() if line.startswith("  " + option))
                self.assertRegex(line, r"  +\S+.*\s\S+", f"{command} {option} has no help")

    def test_the_first_page_names_every_subcommand(self):
        _, out, _ = harness.run("--help")
        for command in self.COMMANDS:
            self.assertRegex(out, rf"(?m)^  {command[0]} ")

    def test_train_lists_the_keys_with_defaults(self):
        _, out, _ = harness.run("train", "--help")
        for key in ["run.out", "tokens.text", "model.width", "train.steps", "optim.learning_rate", "data", "max_steps"]:
            self.assertIn(key, out)


class Mistakes(ProgramTest):
    """The messages themselves are tested in the rooms that word them; here, that each reaches the person as it should."""

    def test_the_command_line(self):
        self.expect_errors([
            ([], "subcommand"),
            (["trian"], "'trian'", "did you mean 'train'?"),
            (["data", "inspekt"], "'inspekt' of data", "did you mean 'inspect'?"),
            (["train"], "CONFIG"),
            (["train", self.config, "--sett", "a=b"], "--sett"),
            (["rollout", self.folder, "--env", "four_rooms", "--episodes", "0"], "--episodes"),
        ])

    def test_configurations(self):
        train = ["train", self.config, "--set", f"run.out={self.folder}/run", "--set"]
        bad = self.folder / "bad.toml"
        bad.write_text("[train\n")
        self.expect_errors([
            (["train", self.folder / "missing.toml"], "missing.toml"),
            (["train", self.folder], str(self.folder)),
            (["train", bad], "bad.toml:1"),
            (train + ["train.stepz=3"], "train.stepz", "hint: did you mean 'train.steps'?"),
            (train + ["train.steps=0"], "train.steps", "at least 1"),
            (train + ["train.steps=many"], "train.steps", "an integer"),
            (train + ["data.0.source=four_room"], "four_room", "did you mean 'four_rooms'?"),
            (train + ["model.heads=3"], "model.heads", "model.width"),
            (train + ["train.context=16"], "four_rooms episode", "train.context is 16"),
            (train + [f"run.out={self.config}/run"], "cannot make the folder"),
        ])

    def test_tokenizers(self):
        train = ["train", self.config, "--set", f"run.out={self.folder}/run", "--set"]
        self.expect_errors([
            (train + [f"tokens.text={self.folder}/no.model"], "no.model"),
            (train + [f"tokens.text={self.config}"], "tiny.toml", "not a SentencePiece model"),
            (["tour", "--tokenizer", self.folder], "cannot read the SentencePiece model"),
        ])

    def test_what_is_not_a_run(self):
        self.expect_errors([
            (["info", self.folder / "nowhere"], "nowhere"),
            (["data", "inspect", self.folder], "checkpoint"),
            (["eval", self.folder], "checkpoint"),
            (["rollout", self.folder / "nowhere", "--env", "four_rooms"], "nowhere"),
        ])


class Work(ProgramTest):
    def test_a_run_from_training_to_pictures(self):
        out = self.folder / "run"
        code, stdout, err = harness.train(self.config, out, "train.evaluate_every=3")
        self.assertEqual(code, 0, err)
        self.assertEqual(stdout, "")
        self.assertIn("step 6/6", err)
        self.assertIn("evaluation at step 3:", err)
        self.assertEqual({step for step, name in harness.metrics(out) if name == "train/loss"}, set(range(1, 7)))

        code, stdout, err = harness.run("info", out)
        self.assertEqual((code, err), (0, ""))
        for part in ["step 6", "parameters", "transformer, 2 blocks, width 32", "vocabulary", "2 rows of 96 slots", "stories"]:
            self.assertIn(part, stdout)

        code, stdout, err = harness.run("rollout", out, "--env", "four_rooms", "--episodes", 2, "--json", "--gif",
                                        self.folder / "a.gif", "--png", self.folder / "a.png")
        self.assertEqual((code, err), (0, ""))
        scores = json.loads(stdout)
        self.assertEqual(scores["episodes"], 2)
        self.assertLessEqual(scores["low"], scores["normalized"])
        self.assertLessEqual(scores["normalized"], scores["high"])
        self.assertEqual((self.folder / "a.gif").read_bytes()[:4], b"GIF8")
        self.assertEqual((self.folder / "a.png").read_bytes()[:4], b"\x89PNG")

        code, stdout, err = harness.run("rollout", out, "--env", "shapes_qa", "--episodes", 3, "--set", "act.temperature=0")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(stdout, r"normalized +-?[0-9.]+  \[")

        code, stdout, err = harness.run("eval", out, "--episodes", 2, "--documents", 2, "--out", self.folder / "scores.json")
        self.assertEqual((code, err), (0, ""))
        scores = json.loads((self.folder / "scores.json").read_text())
        self.assertEqual(set(scores), {"four_rooms", "shapes_qa", "stories"})
        self.assertGreaterEqual(set(scores["four_rooms"]), {"normalized", "success", "low", "high"})
        self.assertGreaterEqual(set(scores["shapes_qa"]), {"accuracy", "majority"})
        self.assertGreaterEqual(set(scores["stories"]), {"loss", "entropy", "loss_over_entropy"})

        self.expect_errors([
            (["rollout", out, "--env", "for_rooms"], "for_rooms", "did you mean 'four_rooms'?"),
            (["train", self.config, "--set", f"run.out={out}"], "already holds a run", "hint: continue it with --resume"),
            (["info", out, "--set", "model.width=64"], "has shape"),
        ])

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
        code, out, err = harness.run("data", "inspect", self.config, "--source", "stories")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out.splitlines()[-1], r" end ")
        self.expect_error(["data", "inspect", self.config, "--source", "story"], "story", "did you mean 'stories'?")

    def test_tour_prints_the_shapes_of_every_arrow(self):
        code, out, err = harness.run("tour")
        self.assertEqual((code, err), (0, ""))
        four_rooms = out[out.index("four_rooms"):out.index("point_maze")]
        for pattern in [r"image +\(\d+,64,64,3\) +image observation", r"image +\(4,16,768\) +patch bytes",
                        r"image +\(2,4,16,768\) +80 of 128 valid", r"hidden \(B,S,D\): \(1,\d+,64\)", r"LossTerms: sum [0-9.]+ over \d+ targets"]:
            self.assertRegex(four_rooms, pattern)
        for world in ["point_maze", "shapes_qa", "stories"]:
            self.assertIn(f"\n{world}\n", out)


class Stopping(ProgramTest):
    def interrupted(self, number):
        """A long run, stopped by a signal after its first steps: (exit code, standard error, its folder)."""
        out = self.folder / f"run-{number}"
        process = harness.start(*harness.train_arguments(self.config, out, "train.steps=100000", "train.save_every=0"))
        harness.wait_for_metrics(process, out)
        code, err = harness.stop(process, number)
        return code, err, out

    def expect_resumes(self, out, err):
        step = int(re.search(r"stopped at step (\d+) and saved", err).group(1))
        self.assertGreaterEqual(step, 1)
        self.assertTrue((out / "checkpoints" / f"step-{step:07d}" / "DONE").exists())
        code, _, err = harness.train(self.config, out, f"train.steps={step + 2}", resume=True)
        self.assertEqual(code, 0, err)
        found = harness.metrics(out)
        for n in range(1, step + 3):
            self.assertEqual(len(found[n, "train/loss"]), 1, f"step {n}")

    def test_ctrl_c_saves_and_returns_130(self):
        code, err, out = self.interrupted(signal.SIGINT)
        self.assertEqual(code, 130, err)
        self.expect_resumes(out, err)

    def test_termination_saves_and_returns_0(self):
        code, err, out = self.interrupted(signal.SIGTERM)
        self.assertEqual(code, 0, err)
        self.expect_resumes(out, err)

    def test_a_full_disk_leaves_the_checkpoint_before_whole(self):
        out = self.folder / "run"
        self.assertEqual(harness.train(self.config, out, "train.steps=2")[0], 0)

        def full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (60000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

        code, _, err = harness.train(self.config, out, resume=True, preexec_fn=full)
        self.assertEqual(code, 1, err)
        lines = err.splitlines()
        self.assertRegex(lines[-2], r"^mugato: cannot write '.*checkpoints/step-0000004.*'")
        self.assertTrue(lines[-1].startswith("hint: "), err)
        self.assertEqual([path.name for path in (out / "checkpoints").glob("step-*")], ["step-0000002"])
        self.assertEqual(harness.broken_checkpoints(out), [])
        code, _, err = harness.train(self.config, out, resume=True)
        self.assertEqual(code, 0, err)
        found = harness.metrics(out)
        self.assertEqual([len(found[n, "train/loss"]) for n in range(1, 7)], [1] * 6)


if __name__ == "__main__":
    unittest.main()
