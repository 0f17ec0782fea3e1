"""The data sets that configs/bench/data.toml reads: made-up steps as BabyAI's, in HDF5 as the real minari package writes it.

    PYTHONPATH=.deps/python /usr/bin/python3 tools/python/make_bench_data.py [FOLDER]    # by default runs/bench-data

Makes raw-v0, images of 56x56 RGB as they are, and jpeg-v0, the same as JPEGs: what an agent sees of seven by seven tiles of
rooms with coloured things in them, the direction that it looks in, and a mission of one sentence for the whole episode.
"""

import argparse
import os
import pathlib
import string

import numpy as np

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "purple": (112, 39, 195),
          "yellow": (255, 255, 0), "grey": (100, 100, 100)}
THINGS = ("ball", "box", "key")
FLOOR, WALL, FIRST_THING = 0, 1, 2
TILE, VIEW, ROOM, SIDE = 8, 7, 8, 25
LEFT, RIGHT, FORWARD, NUM_ACTIONS = 0, 1, 2, 7


def tiles():
    """Pictures (n, TILE, TILE, 3) of floor, wall, and every thing in every colour."""
    y, x = np.mgrid[:TILE, :TILE] - (TILE - 1) / 2
    shapes = {"ball": x**2 + y**2 < 9, "box": np.maximum(abs(x), abs(y)) // 1 == 2, "key": (abs(x) < 1) | ((y < 0) & (abs(x) < 3))}
    floor = np.zeros((TILE, TILE, 3), np.uint8)
    floor[0], floor[:, 0] = 100, 100
    pictures = [floor, np.full_like(floor, 100)]
    for thing in THINGS:
        pictures += [np.where(shapes[thing][..., None], np.uint8(color), floor) for color in COLORS.values()]
    return np.stack(pictures)


def rooms(random):
    """Tile numbers (SIDE, SIDE) with a view's width of wall around them."""
    world = np.full((SIDE, SIDE), FLOOR)
    world[::ROOM], world[:, ::ROOM] = WALL, WALL
    world[ROOM // 2::ROOM, ROOM:-1:ROOM], world[ROOM:-1:ROOM, ROOM // 2::ROOM] = FLOOR, FLOOR  # doors
    for _ in range(24):
        y, x = random.integers(1, SIDE - 1, 2)
        if world[y, x] == FLOOR:
            world[y, x] = FIRST_THING + random.integers(len(THINGS) * len(COLORS))
    return np.pad(world, VIEW, constant_values=WALL)


def view(world, place, direction, pictures):
    """What is seen from a place: the agent is in the middle of the lowest row and looks up."""
    y, x = place + VIEW
    around = np.rot90(world[y - VIEW + 1:y + VIEW, x - VIEW + 1:x + VIEW], direction)
    seen = around[:VIEW, VIEW // 2:VIEW // 2 + VIEW]
    return pictures[seen].transpose(0, 2, 1, 3, 4).reshape(VIEW * TILE, VIEW * TILE, 3)


def episode(number, pictures):
    random = np.random.default_rng(number)
    num_steps = int(random.integers(6, 80))
    world, place, direction = rooms(random), np.array([ROOM + ROOM // 2] * 2), int(random.integers(4))
    actions = random.choice([LEFT, RIGHT, FORWARD], num_steps, p=[0.2, 0.2, 0.6])
    images, directions = [], []
    for t in range(num_steps + 1):
        images.append(view(world, place, direction, pictures))
        directions.append(direction)
        if t == num_steps:
            break
        ahead = place + [(-1, 0), (0, 1), (1, 0), (0, -1)][direction]
        if actions[t] == FORWARD and world[tuple(ahead + VIEW)] != FLOOR:
            actions[t] = LEFT  # nobody who shows the way runs against a wall
        if actions[t] == FORWARD:
            place = ahead
        else:
            direction = (direction + (1 if actions[t] == LEFT else -1)) % 4
    mission = f"go to the {random.choice(list(COLORS))} {random.choice(THINGS)}"
    return {"observations": {"image": np.stack(images), "mission": [mission] * (num_steps + 1), "direction": np.array(directions)},
            "actions": actions, "rewards": [0.0] * (num_steps - 1) + [1.0],
            "terminations": [False] * (num_steps - 1) + [True], "truncations": [False] * num_steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", nargs="?", default="runs/bench-data", type=pathlib.Path)
    parser.add_argument("--episodes", type=int, default=150)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ["MINARI_DATASETS_PATH"] = str(arguments.folder.resolve())
    import minari
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    space = spaces.Dict({"image": spaces.Box(0, 255, (VIEW * TILE, VIEW * TILE, 3), np.uint8),
                         "mission": spaces.Text(100, charset=string.ascii_lowercase + " "), "direction": spaces.Discrete(4)})
    pictures = tiles()
    for name, jpeg in (("raw-v0", False), ("jpeg-v0", True)):
        buffers = [EpisodeBuffer(id=i, seed=i, **episode(i, pictures)) for i in range(arguments.episodes)]
        minari.create_dataset_from_buffers(name, buffers, observation_space=space, action_space=spaces.Discrete(NUM_ACTIONS),
                                           jpeg_encoding=jpeg, data_format="hdf5")
        print(f"{arguments.folder / name}: {len(buffers)} episodes, {sum(len(buffer.rewards) for buffer in buffers)} timesteps")


if __name__ == "__main__":
    main()
