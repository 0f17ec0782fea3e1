#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc: what byte-level BPE has to know about characters.

    pip install unicodedata2==16.0.0 tokenizers==0.23.3
    tools/python/make_unicode_tables.py src/text/unicode_tables.inc

Letters and numbers are those of Unicode 16.0. The tables of NFC leave out what Unicode added after 9.0. Both are what the
package `tokenizers` knows, whose ids ours have to equal: every code point is held against it.
"""
import argparse
import itertools
import pathlib
import sys
import textwrap

import unicodedata2 as unicode
from tokenizers import normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
NFC = normalizers.NFC().normalize_str


def ranges(code_points):
    """[(first, last)] of neighbours in a sorted list."""
    groups = itertools.groupby(enumerate(code_points), lambda pair: pair[1] - pair[0])
    return [(group[0][1], group[-1][1]) for group in (list(g) for _, g in groups)]


def check_categories():
    """Behind a letter a letter goes on with the word, behind a number a number, behind a mark all else but white space."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    for c in CODE_POINTS:
        goes_on = [before for before in "a1!" if len(split(before + chr(c))) == 1]
        category = unicode.category(chr(c))[0]
        expected = {"L": ["a"], "N": ["1"]}.get(category, [] if is_space(c) else ["!"])
        if goes_on != expected:
            sys.exit(f"U+{c:04X} has category {category}, and tokenizers puts it with {goes_on}")


def is_space(c):
    # Python's isspace() has four separators more than White_Space.
    return chr(c).isspace() and not 0x1C <= c <= 0x1F


def combining_classes():
    """{code point: class} of those that tokenizers puts in order."""
    known = {}
    for c in CODE_POINTS:
        own = unicode.combining(chr(c))
        # Not in order: a mark of another class that has to change places with it.
        other = "\u0334" if own > 1 else "\u0301"
        text = f"a{chr(c)}{other}" if own > 1 else f"a{other}{chr(c)}"
        if own and NFC(text) == unicode.normalize("NFC", text):
            known[c] = own
    return known


def decompositions():
    """Canonical ones of one level: {code point: (first, second or 0)}, Hangul's syllables left out."""
    found = {}
    for c in CODE_POINTS:
        text = unicode.decomposition(chr(c))
        if text and not text.startswith("<"):
            found[c] = tuple(int(part, 16) for part in (text + " 0").split()[:2])
    return found


def composes(c):
    return unicode.normalize("NFC", chr(c)) == chr(c) and NFC(unicode.normalize("NFD", chr(c))) == chr(c)


def known(c):
    """Whether tokenizers knows the decomposition: it composes it again, or takes the character apart for good."""
    return composes(c) or NFC(chr(c)) != chr(c)


def table(kind, name, rows):
    text = ", ".join("{" + ", ".join(f"{value:#x}" for value in row) + "}" for row in rows)
    return f"constexpr {kind} {name}[] = {{\n" + textwrap.fill(text, 126, initial_indent="  ", subsequent_indent="  ") + "};\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="the file to write")
    out = parser.parse_args().out
    check_categories()
    letters, numbers = ([c for c in CODE_POINTS if unicode.category(chr(c))[0] == kind] for kind in "LN")
    classes = combining_classes()
    by_class = [(*r, k) for k in sorted(set(classes.values())) for r in ranges([c for c in classes if classes[c] == k])]
    pairs = {c: pair for c, pair in decompositions().items() if known(c)}
    parts = [
        f"// Made by tools/python/make_unicode_tables.py from Unicode {unicode.unidata_version}; see there. Not to be edited.\n",
        table("CodePointRange", "kLetters", ranges(letters)),
        table("CodePointRange", "kNumbers", ranges(numbers)),
        "// First, last, canonical combining class.\n" + table("CombiningRange", "kCombining", sorted(by_class)),
        "// Composed, first, second.\n" + table("Decomposition", "kComposing", [(c, *pairs[c]) for c in pairs if composes(c)]),
        "// The same of characters that NFC only takes apart; second is 0 where there is none.\n"
        + table("Decomposition", "kOneWay", [(c, *pairs[c]) for c in pairs if not composes(c)]),
    ]
    out.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
