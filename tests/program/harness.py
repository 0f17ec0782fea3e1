"""What the tests of the program share: starting it, a configuration that trains in seconds, reading a run's folder."""

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("MUGATO_PROGRAM", str(ROOT / "build" / "mugato"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

CONFIG = f"""
[run]
seed = 3
device = "cpu"
[tokens]
text = "{ROOT}/data/tokenizers/quickstart.model"
[model]
preset = "tiny"
width = 32
patch_channels = 32
patch_stride = 8
dropout = 0.1
[train]
steps = 6
rows = 2
context = 96
evaluate_every = 0
save_every = 2
[optim]
warmup = 4
[[data]]
source = "four_rooms"
max_steps = 2
[[data]]
source = "shapes_qa"
[[data]]
source = "stories"
"""


def start(*arguments, **options):
    return subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=ROOT, env=ENVIRONMENT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def run(*arguments, **options):
    """Runs the program to its end: (exit code, standard output, standard error)."""
    process = start(*arguments, **options)
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running after 300 s: {arguments}\n{process.communicate()[1]}") from None
    return process.returncode, out, err


def train(config, out, *settings, resume=False, **options):
    return run(*train_arguments(config, out, *settings, resume=resume), **options)


def train_arguments(config, out, *settings, resume=False):
    arguments = ["train", config, "--set", f"run.out={out}"]
    for setting in settings:
        arguments += ["--set", setting]
    return arguments + (["--resume"] if resume else [])


def metrics(out):
    """{(step, name): [values]} of the lines that are whole."""
    path = pathlib.Path(out) / "metrics.jsonl"
    found = {}
    if path.exists():
        for line in path.read_text().split("\n")[:-1]:
            entry = json.loads(line)
            found.setdefault((entry["step"], entry["name"]), []).append(entry["value"])
    return found


def wait_for_metrics(process, out, seconds=60.0):
    """Until the run has written its first metric."""
    deadline = time.monotonic() + seconds
    path = pathlib.Path(out) / "metrics.jsonl"
    while not (path.exists() and path.stat().st_size > 0):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"the run wrote no metrics: {process.communicate()}")
        time.sleep(0.01)


def stop(process, number):
    """Sends a signal and waits: (exit code, standard error)."""
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def broken_checkpoints(out):
    """Names of checkpoints whose DONE does not tell the truth."""
    broken = []
    for done in pathlib.Path(out).glob("checkpoints/step-*/DONE"):
        if ".tmp." in done.parent.name:
            continue
        for line in done.read_text().splitlines():
            size, name = line.split(" ", 1)
            path = done.parent / name
            if not path.exists() or path.stat().st_size != int(size):
                broken.append(f"{done.parent.name}/{name}")
    return broken


def run_python(script, *arguments):
    """What a script of tools/python prints that needs the packages that tests compare with."""
    result = subprocess.run(["/usr/bin/python3", "-B", ROOT / "tools/python" / script, *map(str, arguments)], text=True,
                            capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT / ".deps/python")})
    if result.returncode != 0:
        raise AssertionError(f"{script} {arguments} failed (tools/setup --tests installs what it needs):\n{result.stderr}")
    return result.stdout


def make_bench_data(folder):
    """The two data sets of configs/bench/data.toml, small."""
    run_python("make_bench_data.py", folder, "--episodes", 4)


SIGKILL = signal.SIGKILL


class ProgramTest(unittest.TestCase):
    """A folder of its own, and the configuration in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mugato-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "tiny.toml"
        self.config.write_text(CONFIG)

    def expect_errors(self, cases):
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for done in [pool.submit(self.expect_error, *case) for case in cases]:
                done.result()

    def expect_error(self, arguments, *parts):
        """Exit code 2, one line that says what is wrong and one line with a hint, nothing else."""
        returned, out, err = run(*arguments)
        self.assertEqual(returned, 2, f"{arguments}: {err}")
        self.assertEqual(out, "")
        lines = err.splitlines()
        self.assertEqual(len(lines), 2, err)
        self.assertTrue(lines[0].startswith("mugato: "), err)
        self.assertTrue(lines[1].startswith("hint: "), err)
        for part in parts:
            self.assertIn(part, err)
