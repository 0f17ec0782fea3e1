#!/usr/bin/env python3
"""Make small Parquet files for the tests with pyarrow: one with a column of every type that is read, and broken ones.

    pip install pyarrow && python make_parquet.py tests/fixtures/parquet
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 23
DTYPES = {"bool": pa.bool_(), "uint8": pa.uint8(), "int8": pa.int8(), "uint16": pa.uint16(), "int16": pa.int16(),
          "uint32": pa.uint32(), "int32": pa.int32(), "uint64": pa.uint64(), "int64": pa.int64(), "float16": pa.float16(),
          "float32": pa.float32(), "float64": pa.float64()}


def columns_of_all_types():
    random = np.random.default_rng(3)
    columns = {name: pa.array(random.integers(0, 2 if name == "bool" else 100, ROWS).astype(name), kind)
               for name, kind in DTYPES.items()}
    pairs = [[i, -i] for i in range(ROWS)]
    words = [[f"w{k}" for k in range(i % 4)] for i in range(ROWS)]
    columns |= {
        "list": pa.array([list(range(i % 5)) for i in range(ROWS)], pa.list_(pa.int16())),
        "large_list": pa.array(pairs, pa.large_list(pa.float64())),
        "fixed_list": pa.array(pairs, pa.list_(pa.float32(), 2)),
        "flags": pa.array([[k % 2 == 0 for k in range(i % 3)] for i in range(ROWS)], pa.list_(pa.bool_())),
        "nested": pa.array([[[[k, i], [i, k], [0, 1]] for k in range(i % 3)] for i in range(ROWS)],
                           pa.list_(pa.list_(pa.list_(pa.int32())))),
        "text": pa.array([f"row {i}: äöü" for i in range(ROWS)]),
        "large_text": pa.array(["x" * i for i in range(ROWS)], pa.large_string()),
        "bytes": pa.array([bytes(range(i)) for i in range(ROWS)]),
        "words": pa.array(words, pa.list_(pa.string())),
        "date": pa.array([0] * ROWS, pa.date32()),
        "category": pa.array(["a"] * ROWS).dictionary_encode(),
    }
    return columns


def all_types(out):
    columns = columns_of_all_types()
    pq.write_table(pa.table(columns), out / "types.parquet", row_group_size=7)
    read = {name: column.to_pylist() for name, column in columns.items() if name not in ("date", "category")}
    read["bytes"] = [list(item) for item in read["bytes"]]
    (out / "types.json").write_text(json.dumps(read, separators=(",", ":")) + "\n")


def broken(out):
    """Each is in the layout of jat-project/jat-dataset but for one thing."""
    steps = {"rewards": [[0.0, 1.0], [0.5, 0.5]], "discrete_actions": [[0, 1], [2, 3]],
             "continuous_observations": [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]]}
    images = pa.list_(pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    changes = {
        "whole": {},
        "lengths": {"rewards": [[0.0, 1.0], [0.5]]},
        "ragged": {"continuous_observations": [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0]]]},
        "shapes": {"continuous_observations": [[[0.0, 1.0], [2.0, 3.0]], [[4.0], [6.0]]]},
        "nulls": {"discrete_actions": [[0, 1], [2, None]]},
        "floats": {"discrete_actions": [[0.0, 1.0], [2.0, 3.5]]},
        "texts": {"continuous_observations": [["a", "b"], ["c", "d"]]},
        "negative": {"discrete_actions": [[0, 1], [2, -3]]},
        "infinite": {"continuous_actions": [[[0.0], [np.inf]], [[0.0], [1.0]]]},
        "no_steps": {"rewards": [[], [0.5]], "discrete_actions": [[], [1]], "continuous_observations": [[], [[0.0, 1.0]]]},
        "no_picture": {"image_observations": pa.array([[{"bytes": b"GIF", "path": "a.png"}] * 2] * 2, images)},
        "only_path": {"image_observations": pa.array([[{"bytes": None, "path": "a.png"}] * 2] * 2, images)},
    }
    for name, change in changes.items():
        pq.write_table(pa.table({**steps, **change}), out / f"{name}.parquet")
    pq.write_table(pa.table({"observation": [1], "reward": [2.0]}), out / "columns.parquet")
    pq.write_table(pa.table(steps).slice(0, 0), out / "no_rows.parquet")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    all_types(out)
    broken(out)


if __name__ == "__main__":
    main()
