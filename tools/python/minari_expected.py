"""What the real minari package reads of a data set, in the numbers of `mugato data digest --json`.

    PYTHONPATH=.deps/python /usr/bin/python3 tools/python/minari_expected.py FOLDER    # the folder that holds data/

Also holds every observation and action against the spaces of the data set.
"""

import json
import pathlib
import sys
import zlib

import numpy as np


def leaves(value, path=()):
    """(path, values) of every leaf of an episode's observations or actions."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, tuple):
        items = enumerate(value)
    else:
        yield "/".join(path), value
        return
    for key, item in items:
        yield from leaves(item, (*path, str(key)))


def describe(value, shows_values=False):
    if isinstance(value, list) and isinstance(value[0], str):
        return {"kind": "text", "length": len(value), "first": value[0], "last": value[-1],
                "crc32": zlib.crc32("\n".join(value).encode())}
    array = np.ascontiguousarray(value)
    out = {"dtype": str(array.dtype), "shape": list(array.shape), "crc32": zlib.crc32(array.tobytes())}
    if array.dtype != bool:
        out["sum"] = float(array.astype(np.float64).sum())
        out["first"], out["last"] = (array[i].reshape(-1)[:8].tolist() for i in (0, -1))
    if shows_values:
        out["values"] = array.tolist()[:12]
    return out


def expected(dataset, jpeg):
    metadata = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
    episodes = []
    for episode, attributes in zip(dataset.iterate_episodes(), metadata):
        episodes.append({"id": int(episode.id), "total_steps": len(episode.rewards), "attributes": attributes,
                         "observations": {path: describe(values) for path, values in leaves(episode.observations)},
                         "actions": {path: describe(values) for path, values in leaves(episode.actions)},
                         **{name: describe(getattr(episode, name), shows_values=True)
                            for name in ("rewards", "terminations", "truncations")}})
    return {"dataset_id": dataset.id, "jpeg": jpeg, "total_episodes": int(dataset.total_episodes),
            "total_steps": int(dataset.total_steps), "episodes": episodes}


def timestep(value, step):
    """One timestep of an episode's observations or actions."""
    if isinstance(value, dict):
        return {key: timestep(inner, step) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(timestep(inner, step) for inner in value)
    return value[step]


def check_spaces(dataset):
    for episode in dataset.iterate_episodes():
        for step in range(len(episode.rewards)):
            assert dataset.action_space.contains(timestep(episode.actions, step)), (episode.id, step)
            assert dataset.observation_space.contains(timestep(episode.observations, step + 1)), (episode.id, step)


if __name__ == "__main__":
    import minari

    dataset = minari.MinariDataset(pathlib.Path(sys.argv[1]).resolve() / "data")
    check_spaces(dataset)
    print(json.dumps(expected(dataset, dataset.storage.jpeg_encoding), default=lambda value: value.tolist()))
