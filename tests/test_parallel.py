"""Several processes share a batch: the same losses as of one, and a run goes on with another number of them."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from maggan.basics import paths
from maggan.basics.parallel import SharedBatchNorm, synchronised
from maggan.evaluate.judges import train_judges
from maggan.profiles import profile
from maggan.train import read_log

SMOKE = profile("smoke")

# Adam makes a step of the full rate of a gradient that is nothing but rounding: with low rates runs stay together.
SLOW = {"rate_g": 2e-5, "rate_d": 2e-5}


def train(row, devices, iterations, script=None, **settings):
    command = [sys.executable, *([str(script)] if script else ["-m", "maggan.train"])]
    command += [row, "smoke", "--device", "cpu", "--devices", str(devices)]
    for name, value in {"iterations": iterations, **settings}.items():
        command += ["--set", f"{name}={value}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT)


def losses(row, devices, **settings):
    """The log of a row trained by so many processes; the run is moved away."""
    done = train(row, devices, 20, **settings)
    assert done.returncode == 0, done.stderr
    folder = paths.run_folder(SMOKE, row)
    log = read_log(folder)
    folder.rename(folder.with_name(f"{row}-{devices}-processes"))
    return log


@pytest.mark.parametrize("row", ["maggan", "maggan-multilevel"])
def test_two_processes_have_the_losses_of_one(runs, row):
    """Twenty iterations of the same global batch, the schedule and the random draws of both included."""
    one, two = (losses(row, devices, **SLOW) for devices in (1, 2))
    assert len(one) == 20
    pd.testing.assert_frame_equal(one, two, rtol=1e-4, atol=1e-4)


def test_a_run_of_two_processes_goes_on_as_one(runs, tmp_path):
    whole = losses("maggan", 1, **SLOW)
    script = tmp_path / "stopped.py"
    script.write_text(
        "from maggan.train import loop, run\n"
        "from maggan.train.__main__ import main\n"
        "loop.CHECKPOINT_SECONDS = 0\n"
        "step = run.Run.step\n"
        "def stopped(self):\n"
        "    if self.iteration == 10:\n"
        "        raise SystemExit(0)\n"
        "    return step(self)\n"
        "run.Run.step = stopped\n"
        "main()\n"
    )
    command = train("maggan", 2, 20, **SLOW, script=script)
    assert command.returncode == 0, command.stderr
    assert len(read_log(paths.run_folder(SMOKE, "maggan"))) == 10
    assert train("maggan", 1, 20, **SLOW).returncode == 0
    both = read_log(paths.run_folder(SMOKE, "maggan"))
    pd.testing.assert_frame_equal(both, whole, rtol=1e-4, atol=1e-4)


def test_weights_of_two_processes_are_finite_and_written_once(runs):
    done = train("stgan-cycle", 2, 3)
    assert done.returncode == 0, done.stderr
    folder = paths.run_folder(SMOKE, "stgan-cycle")
    assert read_log(folder)["iteration"].tolist() == [1, 2, 3]
    assert all(torch.isfinite(v).all() for v in load_file(folder / "weights.safetensors").values())


def test_two_processes_measure_what_one_does(runs):
    """The same files but for what is timed: whole batches are shared, and put together in the faces' order."""
    train_judges(SMOKE, device="cpu")
    assert train("maggan", 1, 2).returncode == 0
    measured = []
    for devices in (1, 2):
        command = [sys.executable, "-m", "maggan.evaluate", "maggan", "smoke", "--device", "cpu"]
        command += ["--devices", str(devices)]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # each, as the file says
        done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT, env=one_thread)
        assert done.returncode == 0 and done.stdout.count("maggan-seed0.json") == 1, done.stderr
        file = paths.metrics_file("maggan", SMOKE)
        result = json.loads(file.read_text())
        with np.load(file.with_suffix(".npz")) as kept:
            arrays = {name: kept[name].tobytes() for name in kept}
        measured.append(({name: result[name] for name in result.keys() - {"wall_seconds"}}, arrays))
    assert measured[0] == measured[1]


def test_a_batch_that_cannot_be_shared_is_refused_in_one_line(runs):
    done = train("maggan", 1, 2, accumulate=3)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "maggan: batch 4 cannot be shared evenly by 1 processes in 3 pieces each: "
        "change batch, accumulate or devices."
    )


def of_each(rank, port, inputs, results):
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    norm = SharedBatchNorm(3)
    x = inputs[rank::2].clone().requires_grad_()
    y = norm(x)
    (y * y * torch.arange(1, 4).view(3, 1, 1)).sum().backward()
    results[rank] = {"y": y.detach(), "gradient": x.grad, "mean": norm.running_mean, "variance": norm.running_var}
    torch.distributed.destroy_process_group()


def test_shared_batch_norm_is_torchs_batch_norm_of_all_faces():
    inputs = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(of_each, (free_port(), inputs, results), nprocs=2)
        shares = [results[0], results[1]]
    norm, x = torch.nn.BatchNorm2d(3), inputs.clone().requires_grad_()
    y = norm(x)
    (y * y * torch.arange(1, 4).view(3, 1, 1)).sum().backward()
    for rank, share in enumerate(shares):
        torch.testing.assert_close(share["y"], y[rank::2].detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(share["gradient"], x.grad[rank::2], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(share["mean"], norm.running_mean)
        torch.testing.assert_close(share["variance"], norm.running_var)


def free_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_synchronised_networks_keep_their_weights_and_names():
    class Fabric:
        device = torch.device("cpu")

    inner = torch.nn.Sequential(torch.nn.BatchNorm1d(4))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), inner)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = synchronised(network, Fabric).state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    assert isinstance(network[1], SharedBatchNorm) and isinstance(network[2][0], SharedBatchNorm)
    network.eval()
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(network[1](x), x / (1 + 1e-5) ** 0.5)
