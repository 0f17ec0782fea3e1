"""Real processes that train together, started as torchrun, srun and mpirun start them; one of them is stopped or killed.

    ranks_test.py [--torchrun SITE]    SITE: the folder of the unpacked torch wheel, whose torchrun is run
"""

import json
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time
import unittest

import harness

TORCH_SITE = None
SETTINGS = ["train.rows=4", "train.micro_rows=1", "train.steps=12", "train.save_every=3", "train.evaluate_every=6", "eval.documents=3"]
SECONDS = 60  # that a run of a few steps may take on a busy machine; a process that dies is named long before
CHANGING = {"train/tokens_per_second", "train/data_wait", "train/exposed_communication"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun_shaped(rank, size, port):
    return {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def srun_shaped(rank, size, port):
    return {"SLURM_JOB_ID": port, "SLURM_STEP_ID": 0, "SLURM_JOB_NAME": "gato", "SLURM_PROCID": rank, "SLURM_NTASKS": size,
            "SLURM_LOCALID": rank, "SLURM_STEP_NODELIST": "localhost", "MASTER_PORT": port}


def mpirun_shaped(rank, size, port):
    return {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": size, "OMPI_COMM_WORLD_LOCAL_RANK": rank,
            "OMPI_COMM_WORLD_LOCAL_SIZE": size, "PMIX_NAMESPACE": f"job-{port}", "MASTER_PORT": port}


def kubernetes_shaped(rank, size, port):
    return {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": port}


def start(shape, size, arguments):
    port = free_port()
    processes = []
    for rank in range(size):
        variables = {name: str(value) for name, value in shape(rank, size, port).items()}
        processes.append(subprocess.Popen([harness.PROGRAM, *map(str, arguments)], cwd=harness.ROOT, text=True,
                                          env={**harness.ENVIRONMENT, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    return processes


def end(processes, seconds=SECONDS):
    """[(exit code, standard error)] by rank; a process that goes on is killed."""
    deadline, ended = time.monotonic() + seconds, []
    for process in processes:
        try:
            _, err = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            for other in processes:
                other.kill()
            raise AssertionError(f"still running after {seconds} s: {process.communicate()[1]}") from None
        ended.append((process.returncode, err))
    return ended


class RanksTest(harness.ProgramTest):
    def train_together(self, out, shape=torchrun_shaped, size=2, resume=False, settings=()):
        arguments = harness.train_arguments(self.config, out, *SETTINGS, *settings, resume=resume)
        return start(shape, size, arguments)

    def expect_success(self, ended):
        for rank, (code, err) in enumerate(ended):
            self.assertEqual(code, 0, f"rank {rank}: {err}")

    def straight(self):
        """What one process trains, without a break."""
        out = self.folder / "straight"
        if not out.exists():
            code, _, err = harness.train(self.config, out, *SETTINGS)
            self.assertEqual(code, 0, err)
        return harness.metrics(out)

    def expect_as_straight(self, out, relative=1e-4):
        expected, found = self.straight(), harness.metrics(out)
        self.assertEqual({key for key in found if key[1] not in CHANGING}, {key for key in expected if key[1] not in CHANGING})
        for key, values in found.items():
            self.assertEqual(len(values), 1, f"{key} was written {len(values)} times")
            if key[1] not in CHANGING:
                self.assertLessEqual(abs(values[0] - expected[key][0]), relative * abs(expected[key][0]), key)

    def test_launchers(self):
        for shape in (torchrun_shaped, srun_shaped, mpirun_shaped, kubernetes_shaped):
            with self.subTest(shape.__name__):
                out = self.folder / shape.__name__
                ended = end(self.train_together(out, shape))
                self.expect_success(ended)
                self.assertIn("rank 0 of 2 (" + {srun_shaped: "srun", mpirun_shaped: "mpirun"}.get(shape, "torchrun"), ended[0][1])
                self.assertEqual(ended[1][1], "", "only rank 0 speaks")
                self.expect_as_straight(out)

    def test_torchrun(self):
        if TORCH_SITE is None:
            self.skipTest("run with --torchrun")
        out = self.folder / "torchrun"
        result = subprocess.run(
            ["/usr/bin/python3", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()), "--no-python",
             harness.PROGRAM, *map(str, harness.train_arguments(self.config, out, *SETTINGS))],
            cwd=harness.ROOT, env={**harness.ENVIRONMENT, "PYTHONPATH": TORCH_SITE}, text=True, capture_output=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_as_straight(out)

    def test_torchrun_shows_the_cause(self):
        if TORCH_SITE is None:
            self.skipTest("run with --torchrun")
        result = subprocess.run(
            ["/usr/bin/python3", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port()), "--no-python",
             harness.PROGRAM, *map(str, harness.train_arguments(self.config, self.folder / "odd", *SETTINGS, "train.rows=3"))],
            cwd=harness.ROOT, env={**harness.ENVIRONMENT, "PYTHONPATH": TORCH_SITE}, text=True, capture_output=True, timeout=120)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("train.rows is 3, and 2 processes share the rows of a step", result.stderr.split("Root Cause")[-1])

    def test_another_number_of_processes_goes_on(self):
        out = self.folder / "run"
        self.expect_success(end(self.train_together(out, size=2, settings=["train.steps=6", "optim.decay_steps=12"])))
        ended = end(self.train_together(out, size=4, resume=True))
        self.expect_success(ended)
        self.assertIn("trained by 2 processes, with 4: the data go on at the same sample", ended[0][1])
        self.expect_as_straight(out)
        state = json.loads((out / "checkpoints/latest/state.json").read_text())
        self.assertEqual(state["ranks"], 4)

    def test_sigterm_to_any_of_them_stops_all_in_a_checkpoint(self):
        for rank, number in ((1, signal.SIGTERM), (0, signal.SIGUSR1)):
            with self.subTest(rank=rank):
                out = self.folder / f"stopped-{rank}"
                processes = self.train_together(out, settings=["train.steps=2000", "optim.decay_steps=12", "train.save_every=0",
                                                               "train.evaluate_every=0"])
                harness.wait_for_metrics(processes[0], out)
                processes[rank].send_signal(number)
                ended = end(processes)
                self.expect_success(ended)
                self.assertIn("mugato: stopped at step", ended[0][1])
                steps = max(step for step, _ in harness.metrics(out))
                self.assertTrue((out / f"checkpoints/step-{steps:07}/DONE").exists())
                expected = self.straight()
                for step in range(1, min(steps, 12) + 1):
                    loss = harness.metrics(out)[(step, "train/loss")][0]
                    self.assertAlmostEqual(loss, expected[(step, "train/loss")][0], delta=1e-4 * loss)

    def test_a_killed_process_ends_the_others_and_no_run_is_lost(self):
        rng = random.Random(7)
        for victim in (1, 0):
            with self.subTest(victim=victim):
                out = self.folder / f"killed-{victim}"
                processes = self.train_together(out)
                harness.wait_for_metrics(processes[0], out)
                time.sleep(0.3 * rng.random())
                processes[victim].kill()
                ended = end(processes, seconds=30)
                code, err = ended[1 - victim]
                self.assertEqual(code, 1, err)
                self.assertIn("rank 1 (host " if victim == 1 else "rank 0", err)
                self.assertIn("hint: ", err)
                self.assertFalse(harness.broken_checkpoints(out))
                self.expect_success(end(self.train_together(out, resume=True)))
                self.expect_as_straight(out)

    def test_a_hung_process_is_named_within_the_timeout(self):
        out = self.folder / "hung"
        processes = self.train_together(out, settings=["train.steps=100000", "dist.timeout=3", "train.save_every=0", "train.evaluate_every=0"])
        harness.wait_for_metrics(processes[0], out)
        time.sleep(2.5)  # it says what it does once a second
        processes[1].send_signal(signal.SIGSTOP)
        try:
            (code, err), = end(processes[:1], seconds=30)
        finally:
            processes[1].kill()
            processes[1].communicate()
        self.assertEqual(code, 1, err)
        self.assertIn("rank 1 (host ", err)
        self.assertIn("gives no sign of life; its last was: step ", err)

    def test_an_environment_that_is_not_whole_is_told_what_it_has(self):
        for variables, parts in (
                ({"RANK": "1", "MASTER_ADDR": "node0"}, ["the environment has no WORLD_SIZE", "RANK=1, MASTER_ADDR=node0"]),
                ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, ["nothing says where the 2 processes (mpirun) meet"])):
            result = subprocess.run([harness.PROGRAM, "train", str(self.config)], cwd=harness.ROOT, text=True, capture_output=True,
                                    env={**harness.ENVIRONMENT, **variables}, timeout=SECONDS)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 2, result.stderr)
            for part in parts:
                self.assertIn(part, result.stderr)


if __name__ == "__main__":
    if "--torchrun" in sys.argv:
        at = sys.argv.index("--torchrun")
        TORCH_SITE = str(pathlib.Path(sys.argv[at + 1]).resolve())
        del sys.argv[at:at + 2]
    unittest.main()
