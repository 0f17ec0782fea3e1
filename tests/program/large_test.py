"""Sets far larger than memory should hold, made on the spot: read whole and trained on with less than 1 GB resident."""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import unittest

import harness

sys.path.insert(0, str(harness.ROOT / ".deps" / "python"))
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from PIL import Image  # noqa: E402

GIGABYTE = 1 << 30
NUM_SHARDS = 10
total_bytes = 10 * GIGABYTE


def run_measured(*arguments):
    """Runs the program to its end: standard output, and the most bytes it ever held in memory."""
    process = subprocess.Popen([harness.PROGRAM, *map(str, arguments)], cwd=harness.ROOT, env=harness.ENVIRONMENT, stdout=subprocess.PIPE)
    out = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (arguments, process.returncode)
    return out, usage.ru_maxrss * 1024


def make_tar_shards(folder):
    """Captioned JPEGs of noise, about 200 KB each: the number of samples."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(50):
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (400, 400, 3), np.uint8)).save(file, "JPEG", quality=90)
        pictures.append(file.getvalue())
    count = 0
    for shard in range(NUM_SHARDS):
        with tarfile.open(folder / f"{shard:03d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            while tar.offset < total_bytes // NUM_SHARDS:
                for ending, content in [("jpg", pictures[count % len(pictures)]), ("txt", b"noise number %d" % count)]:
                    member = tarfile.TarInfo(f"{count:09d}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                count += 1
    return count


def make_parquet_files(folder):
    """JAT's layout, 500 timesteps of 64 floats an episode, 20 episodes a row group: episodes, and sums of the first dimension."""
    random = np.random.default_rng(1)
    steps, width, episodes_per_group = 500, 64, 20
    count, first_sum = 0, 0.0
    for shard in range(NUM_SHARDS):
        path, writer = folder / f"part-{shard:03d}.parquet", None
        while writer is None or path.stat().st_size < total_bytes // NUM_SHARDS:
            values = random.standard_normal((episodes_per_group * steps, width), dtype=np.float32)
            first_sum += float(values[:, 0].astype(np.float64).sum())
            count += episodes_per_group
            table = pa.table({
                "continuous_observations": lists_of(lists_of(values.reshape(-1), width), steps),
                "continuous_actions": lists_of(lists_of(values[:, :2].reshape(-1), 2), steps),
                "rewards": lists_of(values[:, 0].copy(), steps),
            })
            writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=False, compression="none")
            writer.write_table(table)
        writer.close()
    return count, steps * count, first_sum


def lists_of(values, length):
    values = pa.array(values) if isinstance(values, np.ndarray) else values
    return pa.ListArray.from_arrays(pa.array(np.arange(0, len(values) + 1, length, dtype=np.int32)), values)


class Large(harness.ProgramTest):
    def expect_small(self, what, resident):
        print(f"{what}: {resident / 2**20:.0f} MiB resident of {total_bytes / 2**20:.0f} MiB", flush=True)
        self.assertLess(resident, GIGABYTE, what)

    def stats(self, source, path):
        out, resident = run_measured("data", "stats", source, "--set", f"path={path}", "--json")
        self.expect_small(f"{source}, read whole", resident)
        (stats,) = json.loads(out).values()
        return stats

    def train(self, source, path):
        config = self.folder / "large.toml"
        head = harness.CONFIG[: harness.CONFIG.index("[[data]]")]
        config.write_text(f'{head}[[data]]\nsource = "{source}"\npath = "{path}"\n')
        out = self.folder / "run"
        _, resident = run_measured(*harness.train_arguments(config, out, "train.steps=100", "train.context=1024", "train.workers=2"))
        self.expect_small(f"{source}, trained on", resident)
        self.assertIn((100, "train/loss"), harness.metrics(out))

    def test_tar(self):
        count = make_tar_shards(self.folder)
        path = self.folder / f"{{000..{NUM_SHARDS - 1:03d}}}.tar"
        stats = self.stats("webdataset", path)
        self.assertEqual(stats["episodes"], count)
        self.train("webdataset", path)

    def test_parquet(self):
        count, steps, first_sum = make_parquet_files(self.folder)
        path = self.folder / "part-*.parquet"
        stats = self.stats("jat", path)
        self.assertEqual((stats["episodes"], stats["steps"]), (count, steps))
        observation = stats["fields"]["continuous_observations"]["dimensions"][0]
        self.assertAlmostEqual(observation["mean"] * steps, first_sum, delta=1e-6 * steps)
        self.assertAlmostEqual(stats["returns"]["mean"] * count, first_sum, delta=1e-6 * steps)
        self.train("jat", path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=10)
    known, others = parser.parse_known_args()
    total_bytes = int(known.gigabytes * GIGABYTE)
    unittest.main(argv=[sys.argv[0], *others])
