"""Prints the scores of an evaluation (mugato eval --out FILE) as a table for people."""

import json
import sys


def rows(scores):
    """(world, score, what the score means) of every world that was scored."""
    for world, score in scores.items():
        if "normalized" in score:
            interval = f"95% interval {score['low']:.1f} to {score['high']:.1f}"
            yield world, f"{score['normalized']:.1f}", (
                f"normalised: 0 = random, 100 = expert; {interval}; success {100 * score['success']:.1f}%")
        elif "accuracy" in score:
            yield world, f"{100 * score['accuracy']:.1f}%", (
                f"exact answers; the most frequent answer is right in {100 * score['majority']:.1f}%")
        elif "loss_over_entropy" in score:
            yield world, f"{score['loss_over_entropy']:.3f}", (
                f"loss over the grammar's entropy: {score['loss']:.2f} over {score['entropy']:.2f} nats a story; 1 is perfect")


def main(path):
    with open(path, encoding="utf-8") as file:
        table = list(rows(json.load(file)))
    for world, score, meaning in [("world", "score", ""), *table]:
        print(f"  {world:<12} {score:>7}   {meaning}".rstrip())


if __name__ == "__main__":
    main(sys.argv[1])
