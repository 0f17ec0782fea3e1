"""The program as a person meets it: help, errors, what the subcommands print."""

import json
import re
import resource
import shlex
import signal
import unittest

import harness


class Help(harness.ProgramTest):
    COMMANDS = [["train"], ["eval"], ["rollout"], ["info"], ["data"], ["data", "inspect"], ["tour"], ["bench"],
                ["tokenizer"], ["tokenizer", "train"], ["tokenizer", "encode"], ["tokenizer", "decode"]]

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

    def test_the_version_names_what_the_program_is_made_of(self):
        code, out, err = harness.run("--version")
        self.assertEqual((code, err), (0, ""))
        found = dict(line.rsplit(" ", 1) for line in out.splitlines())
        self.assertEqual(list(found), ["mugato", "LibTorch", "CUDA", "cuDNN", "NCCL", "GPUs", "CPU capability"])
        project = re.search(r"project\(mugato VERSION (\S+)", (harness.ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(found["mugato"], project)
        for name in ["CUDA", "cuDNN", "NCCL"]:
            self.assertRegex(found[name], r"^(none|[0-9.]+)$")
        self.assertRegex(found["GPUs"], r"^[0-9]+$")

    def test_what_can_be_set_for_a_run_is_listed(self):
        for command in ["eval", "rollout"]:
            self.assertIn("act.temperature, act.sessions, run.device", " ".join(harness.run(command, "--help")[1].split()))

    def test_train_lists_the_keys_with_defaults(self):
        _, out, _ = harness.run("train", "--help")
        for key in ["run.out", "tokens.text", "model.width", "train.steps", "optim.learning_rate", "data", "max_steps"]:
            self.assertIn(key, out)


class Mistakes(harness.ProgramTest):
    """The messages themselves are tested in the rooms that word them; here, that each reaches the person as it should."""

    def test_the_command_line(self):
        self.expect_errors([
            ([], "subcommand", "hint: mugato --help"),
            (["trian"], "'trian'", "did you mean 'train'?"),
            (["data", "inspekt"], "'inspekt' of data", "did you mean 'inspect'?"),
            (["train"], "CONFIG", "hint: mugato train --help"),
            (["data", "inspect"], "CONFIG", "hint: mugato data inspect --help"),
            (["train", self.config, "--sett", "a=b"], "--sett", "hint: mugato train --help"),
            (["rollout", self.folder, "--env", "four_rooms", "--episodes", "0"], "--episodes", "hint: mugato rollout --help"),
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
            (["tour", "--tokenizer", self.folder], "a folder without a text tokenizer"),
        ])

    def test_what_is_not_a_run(self):
        self.expect_errors([
            (["info", self.folder / "nowhere"], "nowhere"),
            (["data", "inspect", self.folder], "checkpoint"),
            (["eval", self.folder], "checkpoint"),
            (["rollout", self.folder / "nowhere", "--env", "four_rooms"], "nowhere"),
        ])


class Work(harness.ProgramTest):
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

        twice = self.folder / "twice.toml"
        twice.write_text(harness.CONFIG + '[[data]]\nsource = "four_rooms"\nname = "again"\n')
        self.assertEqual(harness.train(twice, self.folder / "twice", "train.steps=1")[0], 0)
        code, stdout, err = harness.run("eval", self.folder / "twice", "--episodes", 2, "--documents", 2, "--out",
                                        self.folder / "twice.json")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(set(json.loads((self.folder / "twice.json").read_text())), {"four_rooms", "again", "shapes_qa", "stories"})

        nowhere = self.folder / "nowhere" / "file"
        self.expect_errors([
            (["eval", out, "--episodes", "1", "--documents", "1", "--out", nowhere], "no folder", str(nowhere.parent)),
            (["eval", out, "--episodes", "1", "--documents", "1", "--out", self.folder], "Is a directory"),
            (["rollout", out, "--env", "four_rooms", "--episodes", "1", "--gif", nowhere], "no folder", str(nowhere.parent)),
            (["rollout", out, "--env", "four_rooms", "--episodes", "1", "--png", nowhere], "no folder", str(nowhere.parent)),
            (["rollout", out, "--env", "point_maze"], "not trained in 'point_maze'", "hint: it was trained on four_rooms"),
            (["rollout", out, "--env", "for_rooms"], "for_rooms", "did you mean 'four_rooms'?"),
            (["train", self.config, "--set", f"run.out={out}"], "already holds a run", "hint: continue it with --resume"),
            (["info", out, "--set", "act.temperature=0"], "act.temperature", "hint: what can be set: run.device"),
            (["eval", out, "--set", "train.steps=9"], "train.steps", "hint: what can be set: act.temperature"),
            (["rollout", out, "--env", "four_rooms", "--set", "run.out=x"], "run.out", "hint: what can be set"),
        ])


class Stopping(harness.ProgramTest):
    def interrupted(self, number, unread=False):
        """A long run, stopped by a signal after its first steps: (exit code, standard error, its folder)."""
        out = self.folder / f"run {number}"
        process = harness.start(*harness.train_arguments(self.config, out, "train.steps=100000", "train.save_every=0"),
                                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        harness.wait_for_metrics(process, out)
        if unread:
            process.stderr.close()
            process.stderr = None
        code, err = harness.stop(process, number)
        return code, err, out

    def expect_resumes(self, out, err):
        what, hint = err.splitlines()[-2:]
        step = int(re.fullmatch(r"mugato: stopped at step (\d+) and saved in (.*)", what).group(1))
        self.assertGreaterEqual(step, 1)
        self.assertTrue(what.endswith(str(out)), what)
        command = shlex.split(hint.removeprefix("hint: go on with "))
        self.assertEqual(command, [harness.PROGRAM, *map(str, harness.train_arguments(
            self.config, out, "train.steps=100000", "train.save_every=0", resume=True))])
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

    def test_termination_and_hanging_up_save_and_return_0(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                code, err, out = self.interrupted(number)
                self.assertEqual(code, 0, err)
                self.expect_resumes(out, err)

    def test_it_saves_when_nobody_reads_its_progress_any_more(self):
        code, _, out = self.interrupted(signal.SIGHUP, unread=True)
        self.assertEqual(code, 0)
        self.assertEqual(len(list(out.glob("checkpoints/step-*/DONE"))), 1)

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
