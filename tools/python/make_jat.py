#!/usr/bin/env python3
"""Make small Parquet files in the layout of jat-project/jat-dataset with the `datasets` package, and what is to be read of them.

The features are those of the data set's own scripts (huggingface/jat, data/): control tasks have a row an episode; the text and
picture tasks have a row a text. Beside each NAME.parquet lies expected.json: per row what pyarrow and Pillow read.

    pip install datasets pillow && python make_jat.py tests/fixtures/jat
"""

import argparse
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from datasets import Dataset, Features, Image, Sequence, Value
from PIL import Image as Picture

REWARDS = Sequence(Value("float32"))
MISSIONS = ("go to the red ball", "pick up the grey key", "öffne die Tür")


def atari(random):
    """Four stacked grey frames are stored as one picture of four channels."""
    episodes = []
    for length in (3, 5, 2):
        frames = random.integers(0, 256, (length, 12, 10, 4), np.uint8)
        episodes.append({
            "image_observations": [Picture.fromarray(frame) for frame in frames],
            "discrete_actions": random.integers(0, 6, length).tolist(),
            "rewards": random.normal(size=length).astype(np.float32).tolist(),
        })
    return episodes, {"image_observations": Sequence(Image()), "discrete_actions": Sequence(Value("int64")), "rewards": REWARDS}


def babyai(random):
    episodes = []
    for length, mission in zip((4, 1, 6), MISSIONS):
        episodes.append({
            "text_observations": [mission] * length,
            "discrete_observations": random.integers(0, 11, (length, 148)).tolist(),
            "discrete_actions": random.integers(0, 7, length).tolist(),
            "rewards": [0.0] * (length - 1) + [0.875],
        })
    features = {
        "text_observations": Sequence(Value("string")),
        "discrete_observations": Sequence(Sequence(Value("int64"))),
        "discrete_actions": Sequence(Value("int64")),
        "rewards": REWARDS,
    }
    return episodes, features


def mujoco(random):
    episodes = []
    for length in (6, 8, 3, 7):
        episodes.append({
            "continuous_observations": random.normal(size=(length, 11)).astype(np.float32).tolist(),
            "continuous_actions": random.uniform(-1.5, 2, (length, 3)).astype(np.float32).tolist(),
            "rewards": random.normal(size=length).astype(np.float32).tolist(),
        })
    floats = Sequence(Sequence(Value("float32")))
    return episodes, {"continuous_observations": floats, "continuous_actions": floats, "rewards": REWARDS}


def pictures(random, texts):
    sizes = ((20, 16), (9, 33), (16, 16))
    rows = [{"images": Picture.fromarray(random.integers(0, 256, (*size, 3), np.uint8)), "text": text}
            for size, text in zip(sizes, texts)]
    rows[2]["images"] = rows[2]["images"].convert("L")
    return rows, {"images": Image(), "text": Value("string")}


def wikipedia(random):
    del random
    rows = [{"id": str(i), "url": f"u/{i}", "title": f"T{i}", "text": f"Text {i}.\n\nÄ second paragraph."} for i in range(5)]
    return rows, {name: Value("string") for name in ("id", "url", "title", "text")}


TASKS = {
    "atari-breakout": atari,
    "babyai-go-to": babyai,
    "mujoco-hopper": mujoco,
    "conceptual-captions": lambda random: pictures(random, ("a cat", "two dogs on a hill", "grey noise")),
    "ok-vqa": lambda random: pictures(random, ("Q: What? A: this", "Q: Which A: or B? A: b", "Q: Is it? A: no")),
    "wikipedia": wikipedia,
}


def described(values):
    """As mugato::data::digest describes a leaf."""
    if isinstance(values[0], str):
        return {"kind": "text", "length": len(values), "crc32": zlib.crc32("\n".join(values).encode())}
    values = np.ascontiguousarray(values)
    return {"dtype": str(values.dtype), "shape": list(values.shape), "crc32": zlib.crc32(values.tobytes())}


def pixels(image, rgb):
    picture = Picture.open(io.BytesIO(image["bytes"]))
    return np.asarray(picture.convert("RGB") if rgb else picture)


def leaf(name, value, kinds):
    if name == "image_observations":
        return described(np.stack([pixels(image, rgb=False) for image in value]))
    if name == "images":
        return described(pixels(value, rgb=True)[None])
    if isinstance(value, str):
        return described([value])
    return described(value if isinstance(value[0], str) else np.array(value, kinds[name]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    random = np.random.default_rng(11)
    kinds = {name: np.int64 if "discrete" in name else np.float32 for name in
             ("discrete_observations", "discrete_actions", "continuous_observations", "continuous_actions", "rewards")}
    expected = {}
    for task, make in TASKS.items():
        rows, features = make(random)
        path = out / f"{task}.parquet"
        Dataset.from_list(rows, features=Features(features)).to_parquet(path, batch_size=2)  # some row groups
        read = [name for name in features if name not in ("id", "url", "title")]
        expected[task] = [{name: leaf(name, row[name], kinds) for name in read} for row in pq.read_table(path).to_pylist()]
    (out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
