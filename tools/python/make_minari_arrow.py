"""Makes small Minari data sets in the Arrow and Parquet formats with the real minari package.

    PYTHONPATH=.deps/python /usr/bin/python3 tools/python/make_minari_arrow.py tests/fixtures/minari_arrow

Writes OUT/<name>-v0/data, and OUT/expected/<name>.json: what minari's own reader returns for the same bytes, in the layout of
tests/fixtures/minari_expected.
"""

import argparse
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
from gymnasium import spaces

from minari_expected import expected

LETTERS = " abcdefghijklmnopqrstuvwxyz"


def stacked(space, samples):
    """Samples of a space, one for every timestep, as minari's EpisodeBuffer holds them."""
    if isinstance(space, spaces.Dict):
        return {key: stacked(inner, [sample[key] for sample in samples]) for key, inner in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(stacked(inner, [sample[i] for sample in samples]) for i, inner in enumerate(space))
    return samples if isinstance(space, spaces.Text) else np.stack([np.asarray(sample) for sample in samples])


def episode_of(observation_space, action_space, steps, rng, seed):
    from minari.data_collector import EpisodeBuffer

    observations = stacked(observation_space, [observation_space.sample() for _ in range(steps + 1)])
    actions = stacked(action_space, [action_space.sample() for _ in range(steps)])
    return EpisodeBuffer(seed=seed, options={"level": {"size": steps}} if seed % 2 else None, observations=observations,
                         actions=actions, rewards=rng.normal(size=steps), terminations=np.arange(steps) == steps - 1,
                         truncations=np.zeros(steps, bool))


SETS = {
    "mixed": (spaces.Dict({"image": spaces.Box(0, 255, (40, 36, 3), np.uint8), "mission": spaces.Text(30, charset=LETTERS),
                           "direction": spaces.Discrete(4, start=1), "grid": spaces.Box(0, 9, (3, 3, 3), np.uint8),
                           "inner": spaces.Dict({"flags": spaces.MultiBinary(5), "speed": spaces.Box(-2, 2, (2,), np.float32)})}),
              spaces.Tuple((spaces.Discrete(3), spaces.MultiDiscrete([2, 5]), spaces.Box(-1, 1, (2,), np.float64)))),
    "pair": (spaces.Tuple((spaces.Box(-1, 1, (3,), np.float32), spaces.Dict({"word": spaces.Text(8, charset=LETTERS)}))),
             spaces.Discrete(6, start=-2)),
    "box": (spaces.Box(-np.inf, np.inf, (2, 2), np.float64), spaces.Box(-3, 3, (1,), np.float32)),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    (out / "expected").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        import minari

        for data_format in ("arrow", "parquet"):
            for name, (observation_space, action_space) in SETS.items():
                for jpeg in (True, False) if name == "mixed" else (True,):
                    rng = np.random.default_rng(7)
                    observation_space.seed(1)
                    action_space.seed(2)
                    buffers = [episode_of(observation_space, action_space, steps, rng, seed) for seed, steps in enumerate((3, 1, 6))]
                    set_name = f"{data_format}-{name}{'' if jpeg else '-raw'}-v0"
                    dataset = minari.create_dataset_from_buffers(
                        set_name, buffers, observation_space=observation_space, action_space=action_space, data_format=data_format,
                        algorithm_name="random", author="mugato", jpeg_encoding=jpeg)
                    shutil.copytree(pathlib.Path(root) / set_name, out / set_name)
                    (out / "expected" / f"{set_name}.json").write_text(json.dumps(expected(dataset, jpeg), indent=1) + "\n")
                    print(set_name)
