#!/usr/bin/env python3
"""Trains data/tokenizers/quickstart.model, the SentencePiece model of the quick start.

    pip install sentencepiece==0.2.3
    tools/python/make_quickstart_tokenizer.py corpus.txt data/tokenizers/quickstart.model

corpus.txt holds one text a line: 20,000 stories of the training seeds (mugato::env::Stories). The missions of the grid world
and the questions and answers about shapes are added here. In the model every word of these texts is one piece, punctuation
marks are pieces of their own, and bytes stand in for everything else, so that any text encodes and decodes to itself.
"""
import argparse
import io
import itertools
import pathlib
import re
import sys

import sentencepiece

MISSION_COLORS = ["red", "green", "blue", "yellow"]
COLORS = [*MISSION_COLORS, "purple", "orange"]
KINDS = ["key", "ball", "box"]
SHAPES = ["circle", "square", "triangle"]
WORD = re.compile(r"[a-z]+|[0-9]|[.?]")
NUMBERS = [str(number) for number in range(10)]


def small_texts():
    """Missions, questions and answers, each once."""
    texts = [f"go to the {color} {kind}" for color, kind in itertools.product(MISSION_COLORS, KINDS)]
    texts += [f"what color is the {shape}?" for shape in SHAPES]
    texts += [f"what shape is the {color} one?" for color in COLORS]
    texts += ["how many shapes are there?"]
    texts += [f"how many {shape}s are there?" for shape in SHAPES]
    for color, shape in itertools.product(COLORS, SHAPES):
        texts.append(f"is there {'an' if color == 'orange' else 'a'} {color} {shape}?")
    return texts + COLORS + SHAPES + NUMBERS + ["yes", "no"]


def train(texts, num_pieces):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="unigram",
        vocab_size=num_pieces,
        hard_vocab_limit=False,
        character_coverage=1.0,
        byte_fallback=True,
        # The text as it is: no Unicode folding, every space kept.
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        # Document ends are ids of mugato's own vocabulary.
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=1,
    )
    return model.getvalue()


def check(model, texts):
    """Raises SystemExit with the first text that does not encode as promised; returns the mean number of pieces."""
    total = 0
    for text in texts:
        pieces = model.encode(text, out_type=str)
        if [piece.lstrip("\u2581") for piece in pieces] != WORD.findall(text) or model.decode(model.encode(text)) != text:
            sys.exit(f"not one piece a word: {text!r} is {pieces}")
        total += len(pieces)
    return total / len(texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=pathlib.Path, help="stories, one a line")
    parser.add_argument("model", type=pathlib.Path, help="the file to write")
    parser.add_argument("--pieces", type=int, default=512, help="upper bound of the number of pieces (%(default)s)")
    arguments = parser.parse_args()

    stories = arguments.corpus.read_text(encoding="ascii").splitlines()
    small = small_texts()
    # Each small text as often as it takes for both kinds to have the same weight.
    copies = max(1, len(stories) // len(small))
    # Only a substring that is followed by different characters becomes a candidate for a piece. "took" is always followed by
    # a space and "box" by an end, so every word also stands before both.
    words = sorted({f"{word} {word}" for text in stories + small for word in WORD.findall(text) if word.isalnum()})
    serialized = train(stories + small * copies + words * copies, arguments.pieces)
    model = sentencepiece.SentencePieceProcessor(model_proto=serialized)
    story_pieces = check(model, stories)
    check(model, small)
    for text in ["", " two  spaces ", "Gr\u00fc\u00dfe, \u4e16\u754c\n\ttab", "\U0001f600", "UPPER case 1234 a.b?c"]:
        if model.decode(model.encode(text)) != text:
            sys.exit(f"{text!r} does not decode to itself")
        if model.unk_id() in model.encode(text):
            sys.exit(f"{text!r} has an unknown piece")
    arguments.model.parent.mkdir(parents=True, exist_ok=True)
    arguments.model.write_bytes(serialized)
    print(f"{model.get_piece_size()} pieces, {story_pieces:.2f} a story, {len(serialized)} bytes")


if __name__ == "__main__":
    main()
