"""Real photos of 1024 px through the whole path on a CPU: masks, one iteration of three discriminators, one evaluation.

With narrow networks and a few photos, for MAGGAN_REAL, a folder with celebahq_1024/ and celeba/list_*.txt.
"""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import maggan
from maggan.data import open_faces
from maggan.evaluate import evaluate
from maggan.evaluate.judges import train_judges
from maggan.masks.build import build_masks
from maggan.parser import BiSeNet
from maggan.profiles import profile
from maggan.train import read_log, train

TEST_PHOTOS = 182_638  # from this file on
NARROW = replace(
    profile("celeba1024"), width=4, max_width=16, critic_width=4, head_width=8, batch=2, iterations=1, sample_every=1,
    snapshots=1, precision="32", judge_width=4, judge_epochs=1, features="small",
)  # fmt: skip


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A CelebA folder of three photos to train with and two to test, and their masks by an untrained parser."""
    real = Path(os.environ.get("MAGGAN_REAL", ""))
    if not os.environ.get("MAGGAN_REAL") or not (real / "celebahq_1024").is_dir():
        pytest.skip("real square photos are not here: MAGGAN_REAL names no folder with celebahq_1024")
    found = sorted((real / "celebahq_1024").glob("*.jpg"))
    chosen = found[:3] + [file for file in found if int(file.stem) >= TEST_PHOTOS][:2]
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for file in chosen:
        (folder / "img_align_celeba" / file.name).symlink_to(file)
    # none of them is a validation photo: one more of those to train with goes by such a name
    (folder / "img_align_celeba" / "182001.jpg").symlink_to(found[3])
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (folder / name).symlink_to(real / "celeba" / name)
    torch.manual_seed(0)
    save_file(BiSeNet().state_dict(), tmp_path / "parser.safetensors")
    build_masks(tmp_path / "parser.safetensors", folder, tmp_path / "masks", batch=2)
    for name, where in (("CELEBA", folder), ("MASKS", tmp_path / "masks")):
        monkeypatch.setenv(name, str(where))
    for name in ("MAGGAN_RUNS", "MAGGAN_RESULTS"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return folder


def test_one_iteration_and_one_evaluation_at_1024_px(photos):
    batch = open_faces(NARROW, "train").batch([0, 2])
    assert batch.images.shape == (2, 3, 1024, 1024) and batch.parts.shape == (2, 19, 1024, 1024)
    assert (batch.parts.sum(1) - 1).abs().max() < 1e-4
    train_judges(NARROW)
    folder = train("maggan", NARROW)
    logged = read_log(folder)
    assert {"L_D_adv", "L_G_mre", "L_G_rec"} <= set(logged.columns) and len(logged) == 1
    assert all(map(math.isfinite, logged.iloc[0]))
    generator = maggan.load(folder)
    assert (generator.config.size, generator.config.critic_levels) == (1024, 3)
    test = open_faces(NARROW, "test").batch([0])
    with torch.inference_mode():
        edited = generator(test.images, torch.zeros(1, 13), test.parts)
    assert edited.shape == (1, 3, 1024, 1024) and edited.abs().max() <= 1
    result = evaluate("maggan", NARROW)
    assert result["faces"] == 2 and result["size"] == 1024
    assert 0 < result["metrics"]["mre"]["value"] < 1 and math.isfinite(result["metrics"]["psnr"]["value"])
