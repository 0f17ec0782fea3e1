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
CHANGING = {"train/tokens_per_second", "train/data_wait"}  # what the clock decides


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


def kill_and_compare(config, folder, name, settings, steps, reference, times, rng):
    """Trains `name` with up to `times` kills and compares it to the run without; returns how many there were."""
    start_up, training = reference
    out, reached = folder / name, []
    for left in range(times, 0, -1):
        # Of what is still to be trained, a fair share at most: the run lasts until the last kill, at up to twice the speed.
        share = training * (1 - max(reached, default=0) / steps) / (left + 1)
        seconds = start_up * rng.random() if rng.random() < 0.2 else start_up + share * rng.random()
        if not kill_once(config, out, settings, seconds):
            break
        reached.append(max((step for step, _ in harness.metrics(out)), default=0))
        assert not (broken := harness.broken_checkpoints(out)), f"broken checkpoints: {broken}"
    code, _, err = harness.train(config, out, *settings, resume=True)
    assert code == 0, f"it could not resume: {err}"
    compare(harness.metrics(folder / "straight"), harness.metrics(out), steps)
    leftovers = [path.name for path in (out / "checkpoints").iterdir() if ".tmp." in path.name]
    assert not leftovers, f"left in the folder: {leftovers}"
    print(f"killed {len(reached)} times, at steps {reached}: every step is there once and as without a kill", flush=True)
    return len(reached)


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
        reference = reference_run(config, folder / "straight", settings)
        print(f"seed {arguments.seed}: {steps} steps in {reference[1]:.1f} s, {reference[0]:.1f} s of start-up", flush=True)
        killed = 0
        for attempt in range(4):  # another run where one was at its end too early
            if killed < arguments.times:
                killed += kill_and_compare(config, folder, f"killed-{attempt}", settings, steps, reference,
                                           arguments.times - killed, rng)
        assert killed == arguments.times, f"the runs were at their ends after {killed} kills"


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        sys.exit(f"kill_test: {failure}")
