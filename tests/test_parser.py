"""The parser: the published layout, orders by name, mirrored labels, and a training that resumes."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from maggan.attributes import PAIRS, PARTS
from maggan.basics.errors import MagganError
from maggan.parser import BiSeNet, load_parser, parse, training
from maggan.parser import pairs as celebamask
from maggan.parser.pairs import (
    CELEBAMASK_PARTS,
    MERGED_PARTS,
    SWAPPED,
    find_pairs,
    held_out,
    load_pairs,
    mend_sides,
    pairs_to_learn,
)
from maggan.parser.training import augment, evaluate_parser, ohem_cross_entropy, train_parser


def drawn_labels(size=64, mirrored=False):
    """A face of blocks, labels (S, S) in the order of PARTS; the left parts lie right in the image."""
    labels = torch.zeros(size, size, dtype=torch.uint8)
    u = size // 16
    blocks = {
        "hair": (1, 1, 14, 15), "skin": (4, 3, 15, 13), "l_brow": (5, 9, 6, 12), "r_brow": (5, 4, 6, 7),
        "l_eye": (7, 9, 8, 12), "r_eye": (7, 4, 8, 7), "nose": (8, 7, 11, 9), "u_lip": (12, 6, 13, 10),
        "l_lip": (13, 6, 14, 10), "l_ear": (7, 13, 10, 14), "r_ear": (7, 2, 10, 3),
    }  # fmt: skip
    for part, (top, left, bottom, right) in blocks.items():
        labels[top * u : bottom * u, left * u : right * u] = PARTS.index(part)
    return torch.tensor(SWAPPED, dtype=torch.uint8)[labels.flip(1).flip(1).long()] if mirrored else labels


def write_pairs(folder, count=8, size=64, mirrored=(), layout="maps"):
    """Pairs whose photos show each part in a grey of its own, in one of the two layouts."""
    rng = np.random.default_rng(0)
    for i in range(count):
        labels = drawn_labels(size, i in mirrored).numpy()
        photo = np.stack([labels * 12 + rng.integers(0, 10)] * 3, -1).astype(np.uint8)
        if layout == "maps":
            (folder / "train" / "images").mkdir(parents=True, exist_ok=True)
            (folder / "train" / "masks").mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo).save(folder / "train" / "images" / f"face{i}.jpg", quality=95)
            numbers = np.array([CELEBAMASK_PARTS.index(name) for name in PARTS], np.uint8)
            picture = Image.fromarray(numbers[labels]).convert("P")
            picture.save(folder / "train" / "masks" / f"face{i}.png")
        else:
            annotations = folder / "CelebAMask-HQ-mask-anno" / "0"
            annotations.mkdir(parents=True, exist_ok=True)
            (folder / "CelebA-HQ-img").mkdir(exist_ok=True)
            Image.fromarray(photo).save(folder / "CelebA-HQ-img" / f"{i}.jpg", quality=95)
            for p, name in enumerate(PARTS[1:], start=1):
                if (labels == p).any():
                    Image.fromarray(((labels == p) * 255).astype(np.uint8)).save(annotations / f"{i:05d}_{name}.png")
    return folder


def test_layout_is_the_published_one():
    weights = BiSeNet().state_dict()
    assert len(weights) == 191
    assert sum(p.numel() for p in BiSeNet().parameters()) == 13_300_416
    shapes = {
        "cp.resnet.conv1.weight": (64, 3, 7, 7), "cp.resnet.layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "cp.resnet.layer4.0.downsample.1.running_var": (512,), "cp.arm16.conv.conv.weight": (128, 256, 3, 3),
        "cp.arm32.conv_atten.weight": (128, 128, 1, 1), "cp.arm32.bn_atten.num_batches_tracked": (),
        "cp.conv_head16.bn.weight": (128,), "cp.conv_avg.conv.weight": (128, 512, 1, 1),
        "ffm.convblk.conv.weight": (256, 256, 1, 1), "ffm.conv1.weight": (64, 256, 1, 1),
        "ffm.conv2.weight": (256, 64, 1, 1), "conv_out.conv_out.weight": (19, 256, 1, 1),
        "conv_out16.conv.conv.weight": (64, 128, 3, 3), "conv_out32.conv_out.weight": (19, 64, 1, 1),
    }  # fmt: skip
    assert {name: tuple(weights[name].shape) for name in shapes} == shapes
    counts = {prefix: sum(name.startswith(prefix + ".") for name in weights) for prefix in
              ("cp", "ffm", "conv_out", "conv_out16", "conv_out32")}  # fmt: skip
    assert counts == {"cp": 162, "ffm": 8, "conv_out": 7, "conv_out16": 7, "conv_out32": 7}
    assert not any(name.endswith("conv.bias") for name in weights)


def test_pth_loads_with_and_without_counters(tmp_path):
    weights = BiSeNet().state_dict()
    torch.save(weights, tmp_path / "79999_iter.pth")
    torch.save({k: v for k, v in weights.items() if "num_batches" not in k}, tmp_path / "old.pth")
    photos = torch.rand(2, 3, 64, 64) * 2 - 1
    results = []
    for name in ("79999_iter.pth", "old.pth"):
        parser = load_parser(tmp_path / name)
        assert parser.size == 512 and not parser.training
        parser.size = 64
        results.append(parse(parser, photos, 64))
    assert torch.equal(*results)
    assert results[0].shape == (2, 19, 64, 64)
    torch.testing.assert_close(results[0].sum(1), torch.ones(2, 64, 64))


def test_orders_by_name(tmp_path):
    """The same network with its outputs in CelebAMask-HQ's order gives the same masks."""
    weights = BiSeNet().state_dict()
    rows = [PARTS.index(name) for name in CELEBAMASK_PARTS]
    foreign = {k: v[rows] if k.endswith("conv_out.weight") else v for k, v in weights.items()}
    save_file(weights, tmp_path / "ours.safetensors", {"size": "64", "parts": " ".join(PARTS)})
    save_file(foreign, tmp_path / "named.safetensors", {"size": "64", "parts": " ".join(CELEBAMASK_PARTS)})
    torch.save(foreign, tmp_path / "foreign.pth")
    ours, named = load_parser(tmp_path / "ours.safetensors"), load_parser(tmp_path / "named.safetensors")
    told = load_parser(tmp_path / "foreign.pth", order="celebamask")
    told.size = 64
    photos = torch.rand(1, 3, 64, 64) * 2 - 1
    assert torch.equal(parse(ours, photos), parse(named, photos))
    assert torch.equal(parse(ours, photos), parse(told, photos))


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "narrow", "other"])
def test_bad_weights_are_one_line(tmp_path, damage):
    path = tmp_path / ("parser.safetensors" if damage in ("empty", "text") else "parser.pth")
    if damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("not weights")
    elif damage == "narrow":
        torch.save({k: v[:5] if v.dim() else v for k, v in BiSeNet().state_dict().items()}, path)
    elif damage == "other":
        torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(MagganError) as raised:
        load_parser(path)
    assert path.name in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("layout", ["maps", "official"])
def test_pairs_of_both_layouts(tmp_path, layout):
    folder = write_pairs(tmp_path, 4, layout=layout)
    photos, labels, names = load_pairs(find_pairs(folder), 64)
    assert photos.shape == (4, 3, 64, 64) and photos.dtype == labels.dtype == torch.uint8
    assert names == (["face0", "face1", "face2", "face3"] if layout == "maps" else ["00000", "00001", "00002", "00003"])
    assert torch.equal(labels[0], drawn_labels())


def test_both_orders_hold_the_same_parts():
    assert sorted(CELEBAMASK_PARTS) == sorted(PARTS)
    assert CELEBAMASK_PARTS.index("nose") == 2 and PARTS.index("nose") == 10
    assert len(MERGED_PARTS) == 16


def test_mirrored_labels_are_mended():
    straight, mirrored = drawn_labels(), drawn_labels(mirrored=True)
    assert not torch.equal(straight, mirrored)
    profile = straight.clone()  # one eye, one brow, one ear, on their own side
    profile[(profile == PARTS.index("l_eye")) | (profile == PARTS.index("l_brow"))] = PARTS.index("skin")
    swapped_profile = torch.tensor(SWAPPED, dtype=torch.uint8)[profile.long()]
    mended = mend_sides(torch.stack([straight, straight, mirrored, profile, straight, swapped_profile]))
    for face, wanted in zip(mended, (straight, straight, straight, profile, straight, profile), strict=True):
        assert torch.equal(face, wanted)


def test_mirroring_swaps_left_and_right(monkeypatch):
    """In a mirrored view the left parts still lie right in the image, as in every other face."""
    labels = drawn_labels()
    labels[56:, :8] = PARTS.index("cloth")  # something that shows which way round the view is
    photo = (labels * 12)[None].expand(3, -1, -1)
    monkeypatch.setattr(training.v2, "ScaleJitter", lambda *_: lambda *face: face)
    monkeypatch.setattr(training.torch, "rand", lambda *_: torch.zeros(()))  # always mirrored
    mirrored = augment(photo, labels, 64)[1]
    assert (mirrored[56:, 56:] == PARTS.index("cloth")).all()
    for pair in PAIRS:
        left, right = (torch.nonzero(mirrored == PARTS.index(part))[:, 1].double().mean() for part in pair)
        assert left > right


def test_augmented_labels_stay_on_the_photo(monkeypatch):
    """Every part has a grey of its own, so photo and labels must still agree after scaling and cropping."""
    labels = drawn_labels()
    photo = (labels * 12)[None].expand(3, -1, -1)
    monkeypatch.setattr(training.v2, "ColorJitter", lambda **_: lambda image: image)
    monkeypatch.setattr(training.torch, "rand", lambda *_: torch.ones(()))  # never mirrored: that changes the greys
    torch.manual_seed(1)
    seen, truth = augment(photo, labels, 32)
    assert ((seen[0].float() / 12 - truth.float()).abs() < 0.5).float().mean() > 0.8


def test_ohem_takes_the_hard_pixels():
    logits = torch.zeros(1, 19, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    logits[:, 0] = 20.0  # all sure and right ...
    logits[0, 0, 0, 0] = -20.0  # ... but one
    each = F.cross_entropy(logits, labels, reduction="none").flatten()
    torch.testing.assert_close(ohem_cross_entropy(logits, labels), each.max())
    # With nothing hard, the hardest sixteenth counts; with everything hard, it is plain cross-entropy.
    torch.testing.assert_close(ohem_cross_entropy(logits[..., 1:], labels[..., 1:]), each[1])
    random = torch.randn(2, 19, 4, 4, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(0, 19, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    weights = torch.linspace(0.5, 2, 19)
    torch.testing.assert_close(
        ohem_cross_entropy(random, truth, weights, threshold=1.0), F.cross_entropy(random, truth, weights)
    )


def test_hold_out_goes_by_name():
    names = [f"face{i}" for i in range(50)]
    first = {name for name, held in zip(names, held_out(names, 10), strict=True) if held}
    again = {name for name, held in zip(names[::-1], held_out(names[::-1], 10), strict=True) if held}
    assert len(first) == 10 and first == again
    with pytest.raises(MagganError, match="cannot hold out 50"):
        held_out(names, 50)


def test_training_learns_and_resumes_exactly(tmp_path, monkeypatch):
    """Interrupted after an iteration and started again, training ends in the same weights; the loss has fallen."""
    folder = write_pairs(tmp_path / "pairs", 6)
    settings = dict(size=64, crop=64, hold_out=2, iterations=6, batch=2, peak=1e-3)
    whole = train_parser(folder, tmp_path / "whole.safetensors", **settings)
    log = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert log[-1]["iteration"] == 6

    step, calls = training._step, []

    def interrupted(*arguments):
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)  # within the third step, which must still be made whole
        calls.append(step(*arguments))
        return calls[-1]

    monkeypatch.setattr(training, "_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_parser(folder, tmp_path / "parts.safetensors", **settings)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "parts.safetensors").exists()
    assert torch.load(tmp_path / "parts.checkpoint.pt", weights_only=True)["done"] == len(calls) == 3
    monkeypatch.setattr(training, "_step", step)
    resumed = train_parser(folder, tmp_path / "parts.safetensors", **settings)
    first, second = load_file(whole), load_file(resumed)
    assert first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)
    assert load_parser(resumed).size == 64
    assert log[-1]["loss"] < calls[0][0]
    scores = evaluate_parser(load_parser(resumed), folder, hold_out=2)
    assert scores["faces"] == 2 and 0 <= scores["mean_iou"] <= scores["pixel_accuracy"] <= 1


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """The folder of the pairs and the settings of a training of one step: finished, and stopped before it."""
    folder, settings = write_pairs(tmp_path / "pairs", 4), dict(size=32, crop=32, hold_out=1, iterations=1, batch=2)
    train_parser(folder, tmp_path / "finished.safetensors", **settings)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "save_file", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_parser(folder, tmp_path / "stopped.safetensors", **settings, every=1)
    return folder, settings


def test_finished_training_is_left_alone(trained, tmp_path, monkeypatch, capsys):
    folder, settings = trained
    weights = (tmp_path / "finished.safetensors").read_bytes()
    monkeypatch.setattr(training, "_step", None)  # nothing is trained
    monkeypatch.setattr(training.celebamask, "load_pairs", None)  # nor read
    assert train_parser(folder, tmp_path / "finished.safetensors", **settings) == tmp_path / "finished.safetensors"
    assert "is finished (1 iterations" in capsys.readouterr().out
    assert (tmp_path / "finished.safetensors").read_bytes() == weights
    (tmp_path / "other.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(MagganError, match="other.safetensors: not weights that this command wrote"):
        train_parser(folder, tmp_path / "other.safetensors", **settings)


def test_other_settings_are_refused(trained, tmp_path):
    folder, settings = trained
    for change in ({"peak": 1e-2}, {"order": "parser"}, {"bfloat16": True}, {}):
        if not change:
            (folder / "train" / "images" / "face0.jpg").unlink()
        changed = next(iter(change), "pairs")
        for name in ("finished", "stopped"):
            with pytest.raises(MagganError, match=rf"{name}.*other settings \({changed}\)") as raised:
                train_parser(folder, tmp_path / f"{name}.safetensors", **(settings | change))
            assert "\n" not in str(raised.value)


def test_what_earlier_versions_noted_is_enough(trained, tmp_path):
    """A checkpoint that notes neither order, bfloat16 nor pairs goes on; the other settings must be the same."""
    folder, settings = trained
    checkpoint = tmp_path / "stopped.checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    state["settings"] = {k: v for k, v in state["settings"].items() if k not in ("order", "bfloat16", "pairs")}
    torch.save(state, checkpoint)
    with pytest.raises(MagganError, match="seed"):
        train_parser(folder, tmp_path / "stopped.safetensors", **settings, seed=1)
    train_parser(folder, tmp_path / "stopped.safetensors", **settings)
    first, second = load_file(tmp_path / "finished.safetensors"), load_file(tmp_path / "stopped.safetensors")
    assert all(torch.equal(first[k], second[k]) for k in first) and not checkpoint.exists()


def test_pairs_beyond_the_memory_are_left_out(tmp_path, monkeypatch, capsys):
    folder = write_pairs(tmp_path / "pairs", 8)
    names = [pair.name for pair in pairs_to_learn(folder, 2, 64)]
    held = held_out([f"face{i}" for i in range(8)], 2)
    assert names == [f"face{i}" for i in range(8) if not held[i]] and capsys.readouterr().out == ""
    monkeypatch.setattr(celebamask, "MOST_BYTES", 4 * 4 * 64 * 64 + 1)
    fewer = [pair.name for pair in pairs_to_learn(folder, 2, 64)]
    assert len(fewer) == 4 and set(fewer) < set(names)
    assert "trains on 4 of its 6 pairs" in capsys.readouterr().out
    assert len(load_pairs(pairs_to_learn(folder, 2, 64), 64)[0]) == 4


def test_evaluation_of_a_perfect_parser(tmp_path, monkeypatch):
    """A result equal to the labels scores 1, whichever side it calls left; an eye taken for skin costs its IoU."""
    folder = write_pairs(tmp_path, 4)
    truth = F.one_hot(drawn_labels().long(), 19).permute(2, 0, 1)[None].float()
    mirrored = truth[:, list(SWAPPED)]
    model = torch.nn.Linear(1, 1)
    for result, iou in ((truth, 1.0), (mirrored, 1.0)):
        monkeypatch.setattr(training, "parse", lambda p, x, s, r=result: F.interpolate(r, (s, s)))
        scores = evaluate_parser(model, folder, hold_out=1)
        assert scores["mean_iou"] == scores["iou"]["l_eye"] == iou and scores["pixel_accuracy"] == 1.0
    blind = truth.clone()
    blind[:, PARTS.index("skin")] += blind[:, PARTS.index("l_eye")] + blind[:, PARTS.index("r_eye")]
    blind[:, [PARTS.index("l_eye"), PARTS.index("r_eye")]] = 0
    monkeypatch.setattr(training, "parse", lambda p, x, s: F.interpolate(blind, (s, s)))
    scores = evaluate_parser(model, folder, hold_out=1)
    assert scores["iou"]["l_eye"] == 0 and 0.5 < scores["mean_iou"] < 1


def test_bad_pairs(tmp_path, capsys):
    with pytest.raises(MagganError, match="get CelebAMask-HQ"):
        find_pairs(tmp_path)
    folder = write_pairs(tmp_path, 3)
    photo = folder / "train" / "images" / "face1.jpg"
    photo.write_bytes(photo.read_bytes()[:300])
    _, labels, names = load_pairs(find_pairs(folder), 64)
    assert names == ["face0", "face2"] and len(labels) == 2
    assert "face1.jpg" in capsys.readouterr().err
    assert torch.equal(labels[1], drawn_labels())
    with pytest.raises(MagganError, match="did you mean 'celebamask'"):
        load_pairs(find_pairs(folder), 64, "celebmask")


def test_real_pairs():
    folder = os.environ.get("MAGGAN_REAL")
    if not folder:
        pytest.skip("real photos are not here: MAGGAN_REAL names no folder with CelebAMask-HQ")
    pairs = find_pairs(os.path.join(folder, "CelebAMask-HQ"))
    _, labels, _ = load_pairs(pairs[:60], 128)
    right_eye_first = []
    for face in labels:
        left, right = (torch.nonzero(face == PARTS.index(part))[:, 1].double().mean() for part in ("l_eye", "r_eye"))
        if not (left.isnan() or right.isnan()):
            right_eye_first.append(bool(right < left))
    assert len(right_eye_first) > 40 and all(right_eye_first)
