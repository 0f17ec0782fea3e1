"""mugato tokenizer: training one on a configuration's data, and trying it."""

import json
import subprocess
import unittest

import harness

FIXTURES = harness.ROOT / "tests" / "fixtures"
BPE = FIXTURES / "bpe"
UNIGRAM = FIXTURES / "sentencepiece" / "unigram.model"


def run_with_input(text, *arguments):
    return subprocess.run([harness.PROGRAM, *map(str, arguments)], cwd=harness.ROOT, env=harness.ENVIRONMENT, input=text,
                          encoding="utf-8", capture_output=True, timeout=300)


class Tokenizer(harness.ProgramTest):
    def test_a_trained_tokenizer_trains_an_agent(self):
        model = self.folder / "own.model"
        arguments = ["tokenizer", "train", self.config, "--out", model, "--vocab-size", 330, "--documents", 3000]
        code, out, err = harness.run(*arguments, "--set", "tokens.text=not-there-yet.model")
        self.assertEqual((code, out), (0, ""), err)
        self.assertRegex(err, r"\Atrained a tokenizer of 330 pieces on \d+ texts, \d+ bytes: \S+own.model\n\Z")
        trained = model.read_bytes()
        self.assertEqual(harness.run(*arguments)[0], 0)
        self.assertEqual(model.read_bytes(), trained)

        text = "go to the red ball, \u00e9 \U0001f916"
        code, out, err = harness.run("tokenizer", "encode", model, text)
        self.assertEqual((code, err), (0, ""))
        self.assertLess(len(out.split()), 40)
        self.assertEqual(harness.run("tokenizer", "decode", model, *out.split()), (0, text + "\n", ""))

        code, _, err = harness.train(self.config, self.folder / "run", f"tokens.text={model}", "train.steps=1")
        self.assertEqual(code, 0, err)
        checkpoint = self.folder / "run" / "checkpoints" / "latest"
        self.assertEqual(harness.run("tokenizer", "encode", checkpoint, text)[1], out)

    def test_options_of_training(self):
        train = ["tokenizer", "train", self.config, "--documents", 300, "--out", self.folder / "a.model"]
        code, _, err = harness.run(*train, "--at-most", "--type", "bpe", "--coverage", 1, "--sentences", 200)
        self.assertEqual(code, 0, err)
        self.expect_errors([
            (train, "32000 pieces", "Vocabulary size too high"),
            (train + ["--vocab-size", "10"], "10 pieces"),
            (train + ["--type", "wordpiece"], "'wordpiece'", "unigram or bpe"),
            (train + ["--vocab-size", "0"], "--vocab-size", "hint: mugato tokenizer train --help"),
            (train + ["--documents", "0"], "--documents"),
            (train + ["--set", "data.0.source=four_room"], "did you mean 'four_rooms'?"),
            (["tokenizer", "train", self.config], "--out"),
            (["tokenizer", "train", self.folder / "no.toml", "--out", self.folder / "a.model"], "no.toml"),
            (["tokenizer", "train", self.config, "--out", self.folder / "no" / "a.model"], "a.model"),
        ])
        mazes = self.folder / "mazes.toml"
        mazes.write_text('[[data]]\nsource = "point_maze"\n')
        self.expect_error(["tokenizer", "train", mazes, "--out", self.folder / "b.model"], "no [[data]] entry has text")
        self.assertFalse((self.folder / "b.model").exists())

    def test_encode_and_decode_give_what_the_packages_give(self):
        for model, cases in [(BPE / "tokenizer.json", BPE / "cases.json"), (BPE, BPE / "cases.json"), (BPE / "vocab.json", BPE / "cases.json"),
                             (UNIGRAM, FIXTURES / "sentencepiece" / "unigram_cases.json")]:
            cases = [case for case in json.loads(cases.read_text())["cases"] if not set("\n\r\0") & set(case["text"])]
            self.assertGreater(len(cases), 150)
            done = run_with_input("".join(case["text"] + "\n" for case in cases), "tokenizer", "encode", model)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            lines = done.stdout.split("\n")[:-1]
            self.assertEqual([[int(word) for word in line.split()] for line in lines], [case["ids"] for case in cases])
            done = run_with_input(done.stdout, "tokenizer", "decode", model)
            self.assertEqual(done.stdout, "".join(case["decoded"] + "\n" for case in cases))

    def test_what_encode_prints(self):
        encode = ["tokenizer", "encode", BPE]
        ids = harness.run(*encode, "go <|endoftext|>")[1]
        self.assertEqual(ids, "326 221 0\n")
        self.assertEqual(harness.run(*encode, "go <|endoftext|>", "--pieces")[1], "326:go 221:\u0120 0:<|endoftext|>\n")
        found = json.loads(harness.run(*encode, "go <|endoftext|>", "--json")[1])
        self.assertEqual(found, {"ids": [326, 221, 0], "pieces": ["go", "\u0120", "<|endoftext|>"]})
        self.assertEqual(harness.run(*encode, "")[1], "\n")

    def test_mistakes(self):
        wordpiece = self.folder / "wordpiece.json"
        wordpiece.write_text('{"model": {"type": "WordPiece", "vocab": {"a": 0}}, "pre_tokenizer": null}')
        broken = self.folder / "broken.json"
        broken.write_text((BPE / "tokenizer.json").read_text()[:1000])
        self.expect_errors([
            (["tokenizer", "encode", self.folder / "no.model", "a"], "cannot read", "no.model"),
            (["tokenizer", "encode", self.folder, "a"], "a folder without a text tokenizer"),
            (["tokenizer", "encode", self.config, "a"], "tiny.toml", "not a SentencePiece model"),
            (["tokenizer", "encode", wordpiece, "a"], "model is of type WordPiece"),
            (["tokenizer", "encode", broken, "a"], "broken.json' is not JSON"),
            (["tokenizer", "decode", BPE, "1", "512"], "text id 512 at index 1", "[0, 512)"),
            (["tokenizer", "decode", BPE, "1", "-1"], "-1"),
            (["tokenizer", "decode", BPE, "one"], "'one' is not an id"),
            (["tokenizer", "decode", BPE, "99999999999"], "'99999999999' is not an id"),
            (["tokenizer", "decode", UNIGRAM, "937"], "text id 937", "[0, 937)"),
            (["tokenizer"], "subcommand", "hint: mugato tokenizer --help"),
            (["tokenizer", "trian"], "'trian' of tokenizer", "did you mean 'train'?"),
            (["train", self.config, "--set", f"tokens.text={wordpiece}"], "model is of type WordPiece"),
        ])
        done = run_with_input("1 2\n3 x\n", "tokenizer", "decode", BPE)
        self.assertEqual((done.returncode, done.stderr.splitlines()[0]), (2, "mugato: line 2: 'x' is not an id"))


if __name__ == "__main__":
    unittest.main()
