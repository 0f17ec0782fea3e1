"""Kills training at random moments: the run resumes each time and ends as if nothing had happened.

    kill_test.py --times 20

Trains a small run to its end, then the same once more with SIGKILLs in between, and compares their metrics step by step.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

import harness

SETTINGS = ["train.save_every=3", "train.evaluate_every=25", "eval.documents=2", "train.keep=1"]
CHANGING = {"train/tokens_per_second"}  # what the clock decides


def reference_run(config, out, settings):
    """Trains without a break; returns the seconds to the first step, and from there to the end."""
    begin = time.monotonic()
    process = harness.start(*harness.train_arguments(config, out, *settings))
    harness.wait_for_metrics(process, out)
    first = time.monotonic()
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return first - begin, time.monotonic() - first


def kill_once(config, out, settings, seconds):
    """Resumes the run and kills it after this time; returns whether it was still alive."""
    process = harness.start(*harness.train_arguments(config, out, *settings, resume=True))
    try:
        _, err = process.communicate(timeout=seconds)
    except harness.subprocess.TimeoutExpired:
        harness.stop(process, harness.SIGKILL)
        return True
    assert process.returncode == 0, f"it could not resume: {err}"
    return False


def compare(expected, found, steps):
    for n in range(1, steps + 1):
        assert (n, "train/loss") in found, f"step {n} is missing"
    for key, values in found.items():
        assert len(values) == 1, f"{key} was written {len(values)} times"
    assert found.keys() == expected.keys(), f"other metrics: {sorted(found.keys() ^ expected.keys())[:5]}"
    for key, values in expected.items():
        if key[1] not in CHANGING:
            assert found[key] == values, f"{key}: {found[key]} instead of {values}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--steps-per-kill", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    steps = arguments.times * arguments.steps_per_kill
    with tempfile.TemporaryDirectory(prefix="mugato-test-") as name:
        folder = pathlib.Path(name)
        config = folder / "tiny.toml"
        config.write_text(harness.CONFIG)
        settings = SETTINGS + [f"train.steps={steps}"]
        start_up, training = reference_run(config, folder / "straight", settings)
        print(f"seed {arguments.seed}: {steps} steps in {training:.1f} s after {start_up:.1f} s of start-up", flush=True)
        killed, reached = 0, []
        for _ in range(arguments.times):
            in_start_up = rng.random() < 0.2
            seconds = start_up * rng.random() if in_start_up else start_up + training / arguments.times * rng.random()
            if not kill_once(config, folder / "killed", settings, seconds):
                break
            killed += 1
            found = harness.metrics(folder / "killed")
            reached.append(max((step for step, _ in found), default=0))
            assert not (broken := harness.broken_checkpoints(folder / "killed")), f"broken checkpoints: {broken}"
        code, _, err = harness.train(config, folder / "killed", *settings, resume=True)
        assert code == 0, f"it could not resume: {err}"
        compare(harness.metrics(folder / "straight"), harness.metrics(folder / "killed"), steps)
        leftovers = [path.name for path in (folder / "killed/checkpoints").iterdir() if ".tmp." in path.name]
        assert not leftovers, f"left in the folder: {leftovers}"
        print(f"killed {killed} times, at steps {reached}; every step is there once and as without a kill")
        assert killed >= 0.7 * arguments.times, "the run was at its end before it could be killed"


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        sys.exit(f"kill_test: {failure}")
