#!/usr/bin/env python3
"""Make the small LeRobot data sets of tests/fixtures/lerobot with the `lerobot` package itself, and what is to be read of them.

Writes OUT/v2.1 (lerobot==0.3.3, H.264) or OUT/v3.0 (lerobot==0.4.4, AV1), as the installed package is, and beside it
expected_v2.1.json or expected_v3.0.json: tables as pyarrow reads them, pictures as Pillow does, videos as PyAV does.

    pip install lerobot==0.4.4 && python make_lerobot.py tests/fixtures/lerobot
"""

import argparse
import functools
import io
import json
import shutil
import zlib
from pathlib import Path

import av
import lerobot.datasets.lerobot_dataset as package
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FPS = 10
LENGTHS = (9, 7, 12, 5)
TASKS = ("lift the cube", "open the drawer, then close it", "lift the cube", "öffne die Lade")
TILE = 16  # pictures are 4 x 4 tiles of one colour each

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "observation.touch": {"dtype": "float32", "shape": (2, 3), "names": None},
    "observation.gripper": {"dtype": "int64", "shape": (1,), "names": None},
    "observation.images.top": {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]},
    "observation.images.wrist": {"dtype": "image", "shape": (64, 64, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["dx", "dy"]},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.success": {"dtype": "bool", "shape": (1,), "names": None},
}


def picture(number):
    """The number in black and white tiles, bit by bit, and colours that differ from frame to frame."""
    tiles = np.zeros((16, 3), np.uint8)
    for bit in range(8):
        tiles[bit] = 235 if number >> bit & 1 else 20
    for i in range(8, 16):
        tiles[i] = [(40 * i + 7 * number) % 200 + 20, (90 * i + 3 * number) % 200 + 20, (150 * i) % 200 + 20]
    return tiles.reshape(4, 4, 3).repeat(TILE, 0).repeat(TILE, 1)


def write(root, version):
    options = {"vcodec": "libsvtav1"} if version == "v3.0" else {}
    if version == "v2.1":
        package.encode_video_frames = functools.partial(package.encode_video_frames, vcodec="h264")
    data = package.LeRobotDataset.create("mugato/fixture", fps=FPS, features=FEATURES, root=root, **options)
    random = np.random.default_rng(7)
    number = 0
    for length, task in zip(LENGTHS, TASKS):
        for step in range(length):
            values = {
                "observation.state": random.normal(size=3).astype(np.float32),
                "observation.touch": random.normal(size=(2, 3)).astype(np.float32),
                "observation.gripper": np.array([number % 5]),
                "observation.images.top": picture(number),
                "observation.images.wrist": picture(255 - number),
                "action": random.uniform(-2, 3, size=2).astype(np.float32),
                "next.reward": np.array([0.25 * step], np.float32),
                "next.success": np.array([step == length - 1 and length > 6]),
            }
            if version == "v2.1":
                data.add_frame(values, task=task)
            else:
                data.add_frame({**values, "task": task})
            number += 1
        data.save_episode()
    if version == "v3.0":
        data.finalize()


def write_video(path, rate):
    """A video whose frames come at another rate than the table says."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("h264", rate=rate, options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(LENGTHS[0]):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        video.mux(stream.encode(None))


def described(values):
    """As mugato::data::digest describes a leaf."""
    values = np.ascontiguousarray(values)
    return {"dtype": str(values.dtype), "shape": list(values.shape), "crc32": zlib.crc32(values.tobytes())}


def tiles_of(frames):
    """Mean colours of the middles of the tiles: what a lossy video keeps, whoever decodes it."""
    middles = frames.reshape(len(frames), 4, TILE, 4, TILE, 3)[:, :, 4:12, :, 4:12].astype(float)
    return np.round(middles.mean((2, 4)), 1).reshape(len(frames), -1).tolist()


def frames_of(path, times):
    with av.open(str(path)) as video:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in video.decode(video=0)]
    nearest = [min(frames, key=lambda frame: abs(frame[0] - time)) for time in times]
    assert all(abs(frame[0] - time) < 1e-4 for frame, time in zip(nearest, times))
    return np.stack([frame[1] for frame in nearest])


def expected(root, version):
    tables = [pq.read_table(path) for path in sorted(root.glob("data/*/*.parquet"))]
    rows = pa.concat_tables([table.replace_schema_metadata() for table in tables]).to_pylist()
    if version == "v3.0":
        episodes = pq.read_table(next(root.glob("meta/episodes/*/*.parquet"))).to_pylist()
    out = []
    for index in range(len(LENGTHS)):
        steps = [row for row in rows if row["episode_index"] == index]
        assert len(steps) == LENGTHS[index]
        fields = {}
        for name, feature in json.loads((root / "meta/info.json").read_text())["features"].items():
            if feature["dtype"] in ("image", "video"):
                continue
            values = np.array([step[name] for step in steps], feature["dtype"])
            fields[name] = described(values.reshape(len(steps), *feature["shape"]))
        wrist = [Image.open(io.BytesIO(step["observation.images.wrist"]["bytes"])).convert("RGB") for step in steps]
        fields["observation.images.wrist"] = described(np.stack([np.asarray(image) for image in wrist]))
        begin, video = 0.0, root / f"videos/chunk-000/observation.images.top/episode_{index:06d}.mp4"
        if version == "v3.0":
            begin = episodes[index]["videos/observation.images.top/from_timestamp"]
            video = root / "videos/observation.images.top/chunk-000/file-000.mp4"
        tiles = tiles_of(frames_of(video, [begin + step["timestamp"] for step in steps]))
        reward = sum(step["next.reward"] for step in steps)
        out.append({"num_steps": len(steps), "task": TASKS[index], "return": reward, "fields": fields, "top": tiles})
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    version = package.CODEBASE_VERSION
    shutil.rmtree(out / version, ignore_errors=True)
    write(out / version, version)
    shutil.rmtree(out / version / "images", ignore_errors=True)
    if version == "v2.1":
        write_video(out / "other_rate.mp4", rate=7)
    text = json.dumps(expected(out / version, version), ensure_ascii=False, separators=(",", ":"))
    (out / f"expected_{version}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
