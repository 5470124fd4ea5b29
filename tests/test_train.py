"""The trainer on drawn faces of 32 px: exact resume, put-aside runs, failures that lose nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from maggan import losses
from maggan.basics import paths
from maggan.basics.errors import MagganError
from maggan.basics.weights import load_weights, read_metadata
from maggan.networks.generator import Generator
from maggan.profiles import profile
from maggan.systems import SYSTEMS
from maggan.train import disk, loop, read_log, run, train
from maggan.train.memory import memory_told
from maggan.train.run import Run
from maggan.variants import resolve
from maggan.weights import load

SMOKE = profile("smoke")


def weights(folder):
    return (folder / "weights.safetensors").read_bytes()


def test_a_run_leaves_weights_with_the_config_inside_and_a_whole_log(runs):
    folder = train("maggan", "smoke", iterations=6)
    G = load(folder)
    assert G.config == resolve("maggan", SMOKE, iterations=6) and not G.training
    assert not any(parameter.requires_grad for parameter in G.parameters())
    log = read_log(folder)
    assert log["iteration"].tolist() == [1, 2, 3, 4, 5, 6]
    assert {"L_D_adv", "L_D_gp", "L_G_gan", "L_G_rec", "L_G_cls", "L_G_mre"} <= set(log.columns)
    assert [file.name for file in (folder / "samples").iterdir()] == ["0000004.png"]
    assert sorted(file.stem for file in (folder / "snapshots").iterdir()) == ["0000003", "0000006"]
    snapshot = load(folder / "snapshots" / "0000006.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(snapshot.parameters(), G.parameters(), strict=True))
    assert read_metadata(folder / "weights.safetensors")["iteration"] == 6
    assert set(json.loads((folder / "run.json").read_text())) == {"seconds", "device", "peak_memory_mb"}


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(runs):
    first = weights(train("stgan", "smoke", iterations=2))
    (runs / "smoke" / "stgan-seed0").rename(runs / "first")
    assert weights(train("stgan", "smoke", iterations=2)) == first
    other = load_file(train("stgan", "smoke", seed=1, iterations=2) / "weights.safetensors")
    name = "encoder.layers.0.0.weight"
    assert not torch.equal(other[name], load_file(runs / "first" / "weights.safetensors")[name])


@pytest.mark.parametrize("row", ["stgan-cycle", "maggan-seg"])
def test_rows_with_losses_of_their_own_train(runs, row):
    log = read_log(train(row, "smoke", iterations=3, critic_steps=1))
    # on this profile the penalty every fourth of D's steps, and eq. 6 every second iteration
    assert log["L_D_gp"].notna().tolist() == [True, False, False]
    assert log["L_G_rec"].notna().tolist() == [True, False, True]
    always = log.drop(columns=["L_D_gp", "L_G_rec"])
    assert always.notna().all(axis=None) and ("L_G_seg" in log.columns) == (row == "maggan-seg")


def test_an_interrupted_run_goes_on_to_the_same_bits(runs, monkeypatch):
    whole = weights(train("maggan", "smoke", iterations=6))
    (runs / "smoke" / "maggan-seed0").rename(runs / "whole")
    step = Run.step

    def interrupted_after_three(run):
        parts = step(run)
        if run.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)  # held back until the iteration is whole
        return parts

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "step", interrupted_after_three)
        train("maggan", "smoke", iterations=6)
    assert torch.load(paths.run_folder(SMOKE, "maggan") / "checkpoint.pt", weights_only=True)["iteration"] == 3
    assert weights(train("maggan", "smoke", iterations=6)) == whole


def test_a_killed_run_goes_on_to_the_same_bits(runs, monkeypatch):
    whole = weights(train("maggan", "smoke", iterations=30))
    (runs / "smoke" / "maggan-seed0").rename(runs / "whole")
    code = (
        "import torch, maggan.train.loop as t; torch.set_num_threads(1); t.CHECKPOINT_SECONDS = 0; "
        "t.train('maggan', 'smoke', iterations=30)"
    )
    folder = runs / "smoke" / "maggan-seed0"
    killed = 0
    for iterations in (5, 15):
        process = subprocess.Popen([sys.executable, "-c", code], env=os.environ, stderr=subprocess.DEVNULL)
        log = folder / "log.jsonl"
        while process.poll() is None and (not log.exists() or log.read_text().count("\n") < iterations):
            time.sleep(0.01)
        killed += process.poll() is None
        process.kill()
        process.wait()
    assert killed == 2
    assert weights(train("maggan", "smoke", iterations=30)) == whole
    assert read_log(folder)["iteration"].tolist() == list(range(1, 31))


def test_a_finished_run_returns_at_once(runs, capsys):
    train("stgan", "smoke", iterations=2)
    before = (paths.run_folder(SMOKE, "stgan") / "checkpoint.pt").stat().st_mtime_ns
    train("stgan", "smoke", iterations=2)
    assert "is finished" in capsys.readouterr().out
    assert (paths.run_folder(SMOKE, "stgan") / "checkpoint.pt").stat().st_mtime_ns == before


def test_a_run_from_before_a_setting_existed_is_not_put_aside(runs, capsys):
    folder = train("stgan", "smoke", iterations=2)
    written = json.loads((folder / "config.json").read_text())
    del written["config"]["critic_levels"]
    (folder / "config.json").write_text(json.dumps(written))
    train("stgan", "smoke", iterations=2)
    assert "is finished" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}"])
def test_a_run_whose_config_is_damaged_is_put_aside(runs, damage):
    folder = train("stgan", "smoke", iterations=2)
    (folder / "config.json").write_text(damage)
    train("stgan", "smoke", iterations=2)
    assert len(list(folder.parent.glob("stgan-seed0.before-*"))) == 1 and (folder / "weights.safetensors").exists()


def test_changed_settings_put_the_old_run_aside(runs, capsys):
    old = weights(train("stgan", "smoke", iterations=2))
    train("stgan", "smoke", iterations=3)
    (aside,) = (runs / "smoke").glob("stgan-seed0.before-*")
    assert weights(aside) == old and aside.name in capsys.readouterr().out


def test_a_loss_that_is_not_finite_is_named_and_the_checkpoint_kept(runs, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    whole = losses.attribute_loss
    calls = []

    def breaks(logits, attributes):
        calls.append(1)
        return whole(logits, attributes) * (float("nan") if len(calls) > 6 else 1)  # two calls an iteration

    monkeypatch.setattr(losses, "attribute_loss", breaks)
    with pytest.raises(MagganError, match=r"stgan-seed0: L_D_att is not finite at iteration 4; the checkpoint of"):
        train("stgan", "smoke", iterations=6, critic_steps=1, attribute_trunk="own")
    state = torch.load(paths.run_folder(SMOKE, "stgan") / "checkpoint.pt", weights_only=True)
    assert state["iteration"] == 3 and all(torch.isfinite(v).all() for v in state["g"].values())


def test_weights_that_are_not_finite_never_replace_the_checkpoint(runs, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    step = Run.step

    def breaks(run):
        parts = step(run)
        if run.iteration == 3:
            with torch.no_grad():
                next(run.g[0].parameters()).fill_(float("nan"))
        return parts

    monkeypatch.setattr(Run, "step", breaks)
    with pytest.raises(MagganError, match="stgan-seed0: weights of G are not finite at iteration 3; the checkpoint of"):
        train("stgan", "smoke", iterations=6)
    assert torch.load(paths.run_folder(SMOKE, "stgan") / "checkpoint.pt", weights_only=True)["iteration"] == 2


def test_a_torn_last_line_of_the_log_is_skipped(runs):
    folder = train("stgan", "smoke", iterations=2)
    with open(folder / "log.jsonl", "a") as file:
        file.write('{"iteration": 3, "L_G')
    assert read_log(folder)["iteration"].tolist() == [1, 2]


def test_weights_of_another_width_are_refused_in_one_line(runs):
    file = train("stgan", "smoke", iterations=2) / "weights.safetensors"
    with pytest.raises(MagganError, match="of another width: encoder.layers.0.0.weight is"):
        load_weights(file, Generator(resolve("stgan", SMOKE, width=16)))


@pytest.mark.parametrize("damage", [b"", b"not weights"])
def test_damaged_weights_are_named(runs, damage):
    file = train("stgan", "smoke", iterations=1) / "weights.safetensors"
    file.write_bytes(damage)
    with pytest.raises(MagganError, match="weights.safetensors is damaged"):
        load(file)


def test_a_damaged_checkpoint_is_named(runs, monkeypatch):
    folder = train("stgan", "smoke", iterations=2)
    (folder / "weights.safetensors").unlink()
    (folder / "checkpoint.pt").write_bytes((folder / "checkpoint.pt").read_bytes()[:1000])
    with pytest.raises(MagganError, match="checkpoint.pt is damaged; delete it"):
        train("stgan", "smoke", iterations=2)


def test_a_device_without_room_is_no_damaged_checkpoint(runs, monkeypatch):
    """PyTorch's error is a RuntimeError, as is that of a torn file; the file is whole, and stays."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    folder = train("stgan", "smoke", iterations=2)
    (folder / "weights.safetensors").unlink()
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", Raises(torch.OutOfMemoryError("CUDA out of memory")))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=1e9))
    with pytest.raises(MagganError, match="^row stgan of smoke .* needs about .* has 1 GB, .*: take --set"):
        train("stgan", "smoke", iterations=2)
    assert (folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when")])
def test_too_little_memory_is_told_in_whatever_words(error, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=1e6))
    with pytest.raises(MagganError, match="needs about .* take a device with more memory, or a smaller profile$"):
        with memory_told(resolve("maggan", SMOKE), "cuda"):
            raise error


def test_other_errors_are_no_matter_of_memory():
    with pytest.raises(RuntimeError, match="^shapes$"), memory_told(resolve("maggan", SMOKE), "cuda"):
        raise RuntimeError("shapes")


class Raises:
    """Called with anything, raises an error."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args, **kwargs):
        raise self.error


@pytest.mark.parametrize("row", ["maggan", "fadernet", "icgan"])
def test_what_is_read_ahead_is_what_is_asked_for(runs, row, monkeypatch):
    asked, batches_from = [], Run.batches_from
    monkeypatch.setattr(Run, "batches_from", lambda run, k: asked.append(batches_from(run, k)) or asked[-1])
    train(row, "smoke", iterations=4)
    assert len(asked) >= 4
    for now, *later in zip(asked, asked[1:], asked[2:], strict=False):
        assert now == [each[0] for each in (now, *later)]


@pytest.mark.parametrize(("row", "batches"), [("maggan", 5), ("fadernet", 2), ("icgan", 1)])
def test_a_gpu_reads_every_batch_once_and_in_order(row, batches):
    """As on a GPU, with numbers for faces: a CPU never reads ahead."""
    read, steps = [], [5 * iteration + k for iteration in range(8) for k in range(batches)]
    pretended = object.__new__(Run)
    pretended.config = resolve(row, SMOKE, critic_steps=5)
    pretended.system = SYSTEMS[pretended.config.system]
    pretended.fabric = SimpleNamespace(device=torch.device("cuda"), global_rank=0, world_size=1)
    pretended.faces = SimpleNamespace(batch=lambda numbers, device: read.append(numbers[0]) or numbers[0])
    pretended.numbers = lambda step: [step]
    pretended.ahead = {}
    with ThreadPoolExecutor(1) as pretended.reader:
        for step in steps[: -run.AHEAD]:
            pretended.iteration, k = divmod(step, 5)
            assert pretended.batch(k) == step
    assert read == steps


def test_sheets_show_large_faces_smaller(runs, monkeypatch):
    monkeypatch.setattr(disk, "SAMPLE_SIZE", 16)
    folder = train("stgan", "smoke", iterations=4)
    with Image.open(folder / "samples" / "0000004.png") as sheet:
        assert sheet.size == (15 * 17 + 1, 6 * 17 + 1)


def test_missing_weights_say_how_to_make_them(runs):
    with pytest.raises(MagganError, match="make row ROW="):
        load(paths.run_folder(SMOKE, "maggan"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["magan", "smoke"], "maggan: unknown row 'magan': did you mean 'maggan'?\n"),
        (["maggan", "drawn46"], "maggan: unknown profile 'drawn46': did you mean 'drawn64'?\n"),
        (["maggan", "smoke", "--set", "masks=brnch"], "maggan: unknown masks 'brnch': did you mean 'branch'?\n"),
        (["maggan", "smoke", "--set", "lamda_3=1"], "maggan: unknown setting 'lamda_3': did you mean 'lambda_3'?\n"),
    ],
)
def test_the_command_says_one_line_and_fails(runs, arguments, message):
    command = [sys.executable, "-m", "maggan.train", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 2 and done.stderr.endswith(message) and "Traceback" not in done.stderr
    assert not (runs / "smoke" / "magan-seed0").exists()


def test_recomputed_activations_give_the_same_weights(runs):
    for row in ("maggan", "stgan"):  # the latter has batch norm in the decoder too: its faces must count once
        kept, again = (
            load_file(train(row, "smoke", iterations=3, recompute=recompute) / "weights.safetensors")
            for recompute in (False, True)
        )
        for name in kept:
            torch.testing.assert_close(again[name], kept[name], rtol=1e-4, atol=1e-6)


def test_a_batch_in_pieces_has_the_losses_of_the_whole(runs, monkeypatch):
    """Where no batch norm looks at the batch: the pieces' gradients add up to the whole's."""
    monkeypatch.setattr(torch.nn.BatchNorm2d, "forward", lambda self, x: x)
    whole = read_log(train("maggan", "smoke", iterations=3))
    pieces = read_log(train("maggan", "smoke", iterations=3, accumulate=2))
    pd.testing.assert_frame_equal(whole, pieces, rtol=1e-3, atol=1e-4)


def test_levers_of_the_device_change_rounding_alone(runs, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # which needs no C compiler
    plain = read_log(train("maggan", "smoke", iterations=3))
    for lever in ({"channels_last": False}, {"fused": True}, {"compile": True}, {"precision": "bf16"}):  # not on a CPU
        shutil.rmtree(paths.run_folder(SMOKE, "maggan"))
        pulled = read_log(train("maggan", "smoke", iterations=3, **lever))
        pd.testing.assert_frame_equal(pulled, plain, rtol=1e-3, atol=1e-4)


def test_two_trainings_of_a_row_never_write_into_one_folder(runs):
    """With other settings, started together: whichever is last, its settings and its weights go together."""
    code = "import sys; from maggan.train import train; train('stgan', 'smoke', iterations=int(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, n], stdout=subprocess.PIPE, text=True) for n in ("40", "5")]
    said = "".join(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert "another process is at stgan-seed0 of smoke: waiting for it" in said
    folders = sorted((runs / "smoke").glob("stgan-seed0*"))
    assert len(folders) == 2 and "the old run is kept as" in said
    for folder in folders:
        wanted = json.loads((folder / "config.json").read_text())["config"]
        assert asdict(load(folder).config) == wanted
        assert read_log(folder)["iteration"].tolist() == list(range(1, wanted["iterations"] + 1))
