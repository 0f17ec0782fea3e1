#!/usr/bin/env python3
"""Writes random_cases.json: random Unicode with the ids that the package `tokenizers` gives it.

    pip install unicodedata2==16.0.0 tokenizers==0.23.3
    tools/python/make_bpe_cases.py tests/fixtures/bpe

The folder holds a tokenizer.json; every variant is that file with a JSON merge patch (RFC 7396) applied, which is written
beside its cases. A case is [text, ids]; `decoded` holds [ids, text] for ids drawn at random.
"""
import argparse
import json
import pathlib
import random

import unicodedata2 as unicode
from tokenizers import Tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")


def split(regex, **byte_level):
    return {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False, **byte_level}]}


def added(content, number, **flags):
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


END = added("<|endoftext|>", 0)
ADDED = [END, added("<a>", 512), added("<a>b", 513), added("<mask>", 514, lstrip=True), added("<right>", 515, rstrip=True),
         added("<both>", 516, lstrip=True, rstrip=True), added("caf\u00e9", 517, normalized=True, special=False),
         added("e\u0301t", 518, normalized=True, special=False), added("\u2581x", 519), added("  ", 520, special=False),
         added("\u00e9", 166)]
VARIANTS = {
    "gpt2": (200, {}),
    "prefix_space": (60, {"pre_tokenizer": {"add_prefix_space": True}}),
    "one_word": (40, {"pre_tokenizer": {"use_regex": False}}),
    "llama3": (120, {"pre_tokenizer": split(LLAMA3), "model": {"ignore_merges": True}, "added_tokens": [END, added("<a>", 512)]}),
    "qwen2": (120, {"pre_tokenizer": split(QWEN2), "normalizer": {"type": "NFC"}}),
    "split_twice": (40, {"pre_tokenizer": split(LLAMA3, add_prefix_space=True, use_regex=True)}),
    "split_gpt2": (20, {"pre_tokenizer": split(GPT2)}),
    "added": (80, {"added_tokens": ADDED}),
    "added_nfc": (80, {"added_tokens": ADDED, "normalizer": {"type": "NFC"}}),
}

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
WORDS = ["don't", "we'll", "I'VE", "they'RE", "it's", "IT'S", "'\u017f", "'d", "'LL", "'m x", "go to the red ball", "1234567", "\r\n", "\n\n ", "   ",
         "\u1100\u1161\u11a8", "\uac00\u11a8", "e\u0301\u0323", "\U0001f469\u200d\U0001f680", "a\u0334\u0301\u0323", "\u212b", "\u0958", "\u0344"]
FOUND = [token["content"] for token in ADDED] + ["<|endoftext|>", "cafe\u0301", "\u00e9t", " <mask> ", " \u3000<both>\t ", "<right> \n x"]


def pools():
    """Characters by kind, all planes among them."""
    code_points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    kinds = {kind: [c for c in code_points if unicode.category(c)[0] == kind] for kind in "LNMPSZC"}
    composing = [c for c in code_points if unicode.decomposition(c) and not unicode.decomposition(c).startswith("<")]
    return [*kinds.values(), code_points, composing, SPACES, SPACES, " \n'", [chr(c) for c in range(0xA0)],
            [chr(c) for c in range(0x21, 0x7F)]]


def text(rng, kinds, words):
    parts = []
    for _ in range(rng.randrange(1, 10)):
        parts.append(rng.choice(words) if rng.random() < 0.3 else rng.choice(rng.choice(kinds)))
        if rng.random() < 0.2:
            parts.append(" ")
    return "".join(parts)


def patched(value, patch):
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        result[key] = patched(result.get(key), part)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    base = json.loads((folder / "tokenizer.json").read_text())
    rng = random.Random(4)
    kinds = pools()
    variants = {}
    for name, (count, patch) in VARIANTS.items():
        tokenizer = Tokenizer.from_str(json.dumps(patched(base, patch)))
        texts = [text(rng, kinds, WORDS + FOUND if "added" in name else WORDS) for _ in range(count)]
        cases = [[t, tokenizer.encode(t, add_special_tokens=False).ids] for t in texts]
        ids = [[rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randrange(1, 12))] for _ in range(count // 4)]
        decoded = [[i, tokenizer.decode(i, skip_special_tokens=False)] for i in ids]
        variants[name] = {"patch": patch, "cases": cases, "decoded": decoded}
    lines = [f"{json.dumps(name)}:{json.dumps(v, separators=(',', ':'), ensure_ascii=False)}" for name, v in variants.items()]
    (folder / "random_cases.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
