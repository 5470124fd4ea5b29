"""The mask store: its error bound, its checks, and builds that are killed."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms.functional import pil_to_tensor

from maggan.attributes import PARTS
from maggan.basics.errors import MagganError, cli
from maggan.basics.paths import ROOT
from maggan.celeba.reader import open_photo
from maggan.masks import MaskStore
from maggan.masks import build as maskbuild
from maggan.masks import store as masks
from maggan.masks.__main__ import main
from maggan.masks.build import _only_writer, build_masks
from maggan.masks.coding import compress, expand, quantise
from maggan.parser import BiSeNet, load_parser, parse


def soft_masks(seed, vague=1.0):
    """A parser's kind of output: smooth probabilities (19, 256, 256)."""
    logits = torch.randn(1, 19, 8, 8, generator=torch.Generator().manual_seed(seed)) * 4 / vague
    return torch.nn.functional.interpolate(logits, (256, 256), mode="bilinear").softmax(1)[0]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Six faces in three shards."""
    monkeypatch.setattr(masks, "SHARD_FACES", 2)
    with MaskStore.create(tmp_path / "masks", parser="abc") as store:
        for i in range(6):
            store[f"{i:06d}.jpg"] = soft_masks(i)
    return store


@pytest.mark.parametrize("parts", [soft_masks(0), soft_masks(1, vague=8.0), soft_masks(2, vague=0.05)])
def test_error_is_at_most_one_level(parts):
    back = expand(compress(quantise(parts).numpy()))
    assert back.shape == (19, 256, 256) and back.dtype == torch.float32
    assert float(back.min()) >= 0 and float(back.max()) <= 1
    assert float((back - parts).abs().max()) <= 1 / 255 + 1e-6


def test_quantise_at_every_value():
    """The bound holds for each probability; 0 and 1 come back exactly."""
    values = torch.cat([torch.linspace(0, 1, 256), torch.linspace(0, 1, 100_001)])
    back = (quantise(values) * (2 / 255)).clamp(max=1)
    assert float((back - values).abs().max()) <= 1 / 255 + 1e-6
    certain = torch.zeros(19, 256, 256)
    certain[3] = 1
    assert torch.equal(expand(compress(quantise(certain).numpy())), certain)


def test_round_trip(store):
    again = MaskStore.open(store.path, parser="abc")
    assert again.names() == [f"{i:06d}.jpg" for i in range(6)] == store.names()
    assert len(again) == 6 and "000003.jpg" in again and "000006.jpg" not in again
    for i in (5, 0, 3):  # in any order
        assert float((again[f"{i:06d}.jpg"] - soft_masks(i)).abs().max()) <= 1 / 255 + 1e-6
    assert len(list(store.path.glob("masks-*.zip"))) == 3
    assert again.verify() == []
    with pytest.raises(MagganError, match="no masks of 000006.jpg"):
        again["000006.jpg"]


def test_sizes(store):
    whole = store["000000.jpg"]
    for size in (64, 100, 256, 512, 1024):
        parts = store.sized("000000.jpg", size)
        assert parts.shape == (19, size, size)
        torch.testing.assert_close(parts.sum(0), torch.ones(size, size))
    area = whole.reshape(19, 64, 4, 64, 4).mean((2, 4))
    torch.testing.assert_close(store.sized("000000.jpg", 64), area / area.sum(0))


@pytest.mark.parametrize("size", [512, 1024])
def test_large_masks_lie_on_the_images_grid(store, size):
    """Two halves of the picture, enlarged, still meet in its middle, and one is the other's mirror."""
    halves = torch.zeros(19, 256, 256)
    halves[0, :, :128], halves[3, :, 128:] = 1, 1
    store["000009.jpg"] = halves
    parts = store.sized("000009.jpg", size)
    torch.testing.assert_close(parts[0], parts[3].flip(1))
    middle, blend = size // 2, size // 256
    assert parts[0, 7, middle - 1] > 0.5 > parts[0, 7, middle]
    assert (parts[0, :, : middle - blend // 2] == 1).all() and (parts[0, :, middle + blend // 2 :] == 0).all()


def test_waiting_faces_can_be_read(tmp_path):
    with MaskStore.create(tmp_path / "masks") as store:
        store["a.jpg"] = soft_masks(0)
        assert "a.jpg" in store and store["a.jpg"].shape == (19, 256, 256)
        assert not list(store.path.glob("*.zip"))
    assert MaskStore.open(tmp_path / "masks").names() == ["a.jpg"]
    with pytest.raises(MagganError, match="19 x 256 x 256"):
        store["b.jpg"] = torch.zeros(19, 64, 64)


def test_going_on_wants_the_same_parser(store):
    assert len(MaskStore.create(store.path, parser="abc")) == 6
    for refused in (lambda: MaskStore.create(store.path, parser="xyz"), lambda: MaskStore.open(store.path, parser="z")):
        with pytest.raises(MagganError, match="another parser"):
            refused()


def found(path):
    """What opening and verifying finds: a list of lines."""
    try:
        return MaskStore.open(path).verify()
    except MagganError as error:
        return [str(error)]


DAMAGE = ["gone", "empty", "cut", "longer", "flipped", "foreign", "gone note", "empty note", "other order",
          "gone index", "empty index"]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(store, damage, tmp_path):
    shard = sorted(store.path.glob("masks-*.zip"))[1]
    note = store.path / "store.json"
    if damage == "gone":
        shard.unlink()
    elif damage == "flipped":
        data = bytearray(shard.read_bytes())
        data[len(data) // 3] ^= 1
        shard.write_bytes(data)
    elif damage.endswith("index"):
        shard = store.path / "index.json"
        shard.unlink() if damage == "gone index" else shard.write_bytes(b"")
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-1000])
    elif damage == "longer":
        shard.write_bytes(shard.read_bytes() + b"\0")
    elif damage == "foreign":
        with MaskStore.create(tmp_path / "other", parser="other") as other:
            other["000009.jpg"] = soft_masks(9)
        foreign = next(other.path.glob("*.zip"))
        foreign.rename(store.path / foreign.name)
        shard = store.path / foreign.name
    elif damage == "gone note":
        note.unlink()
    elif damage == "empty note":
        note.write_bytes(b"")
    else:
        about = json.loads(note.read_text())
        about["parts"].reverse()
        note.write_text(json.dumps(about))
    lines = found(store.path)
    assert len(lines) == 1 and "\n" not in lines[0]
    assert (shard.name if "note" not in damage and damage != "other order" else "masks") in lines[0]
    if "note" not in damage and damage != "other order":
        assert f"{store.path}/.ready and run the same make command again" in lines[0]  # how to repair it
        assert (f"rm -f {shard} " in lines[0]) == (not damage.startswith("gone"))


def test_all_damage_is_told_at_once(store):
    first, second, third = sorted(store.path.glob("masks-*.zip"))
    opened = MaskStore.open(store.path)
    first.write_bytes(b"")
    second.unlink()
    third.unlink()
    line = found(store.path)[0]
    assert f"damaged or foreign: {first.name}; gone: " in line and "and 1 more" in line
    told = opened.verify()
    assert len(told) == 3 and all(name.name in line for name, line in zip((first, second, third), told, strict=True))


def test_a_shard_may_be_ahead_of_the_index(tmp_path, monkeypatch):
    """Killed between the two, a build has lost nothing."""
    monkeypatch.setattr(masks, "SHARD_FACES", 2)
    store = MaskStore.create(tmp_path / "masks", parser="abc")
    store["000001.jpg"] = soft_masks(1)
    with monkeypatch.context() as killed:
        killed.setattr(MaskStore, "_write_index", lambda _: None)
        store["000002.jpg"] = soft_masks(2)
    again = MaskStore.open(store.path)
    assert again.names() == ["000001.jpg", "000002.jpg"] and again.verify() == []
    shard = next(store.path.glob("masks-*.zip"))
    assert shard.name not in (store.path / "index.json").read_text()
    MaskStore.create(store.path, parser="abc").flush()
    assert shard.name in (store.path / "index.json").read_text()
    assert MaskStore.open(store.path).verify() == []


def test_any_changed_byte_is_found(store):
    """Each of 60 bytes drawn at random, changed alone, in every file of the store."""
    files = sorted(store.path.iterdir())
    draw = random.Random(0)
    for _ in range(60):
        path = draw.choice(files)
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= draw.randrange(1, 256)
        path.write_bytes(damaged)
        assert found(store.path), path
        path.write_bytes(whole)
    for path in store.path.glob("*.json"):  # another end of a line is a change too
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"\n", b"\r", 1))
        assert found(store.path), path
        path.write_bytes(whole)
    assert found(store.path) == []


def test_shard_gone_while_open(store):
    shard = next(store.path.glob("masks-*.zip"))
    shard.unlink()
    assert len(store.verify()) == 1


def test_damaged_face_is_named(store):
    shard, entry = store._entries["000003.jpg"]
    data = bytearray(shard.read_bytes())
    data[entry.header_offset + 2000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(MagganError, match="000003.jpg"):
        MaskStore.open(store.path)["000003.jpg"]


def write_photos(folder, count, size=(178, 218)):
    folder.mkdir()
    for i in range(count):
        photo = np.random.default_rng(i).integers(0, 256, (10, 8, 3), np.uint8)
        Image.fromarray(photo).resize(size).save(folder / f"{i + 1:06d}.jpg")
    return folder


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "parser.safetensors"
    save_file(BiSeNet().state_dict(), path, {"size": "32", "parts": " ".join(PARTS)})
    return path


def test_build_leaves_out_bad_photos(tmp_path, weights, capsys):
    photos = write_photos(tmp_path / "photos", 5)
    data = (photos / "000002.jpg").read_bytes()
    (photos / "000002.jpg").write_bytes(data[: len(data) // 2])
    store = build_masks(weights, photos, tmp_path / "masks", batch=2)
    assert store.names() == ["000001.jpg", "000003.jpg", "000004.jpg", "000005.jpg"]
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("maggan:")]
    assert "000002.jpg" in told[0] and "1 of 5 photos left out" in told[1]
    assert store.notes["input"] == 32 and store.notes["crop"] == [26, 3, 170]
    assert MaskStore.open(store.path).left_out == {"000002.jpg"}
    (photos / "000002.jpg").write_bytes(data)  # mended, it is parsed the next time
    assert len(build_masks(weights, photos, tmp_path / "masks")) == 5
    again = MaskStore.open(store.path)
    assert again.left_out == set() and "000002.jpg" in again


def test_square_photos_are_parsed_whole_and_a_store_has_one_crop(tmp_path, weights, capsys):
    squares = write_photos(tmp_path / "squares", 3, (256, 256))
    cropped = write_photos(tmp_path / "cropped", 1)
    (cropped / "000001.jpg").rename(squares / "000003.jpg")
    store = build_masks(weights, squares, tmp_path / "masks", batch=2)
    assert store.notes["crop"] == "whole" and store.names() == ["000001.jpg", "000002.jpg"]
    assert store.left_out == {"000003.jpg"}
    assert "000003.jpg: is 178 x 218, others here are 256 x 256" in capsys.readouterr().err
    whole = open_photo("000002.jpg", squares / "000002.jpg")
    model = load_parser(weights)
    parts = parse(model, pil_to_tensor(whole)[None])[0]
    assert float((store["000002.jpg"] - parts).abs().max()) <= 1 / 255 + 1e-3
    with pytest.raises(MagganError, match="made with another crop"):
        build_masks(weights, write_photos(tmp_path / "photos", 1), tmp_path / "masks")


def test_strict_build_stops_at_a_bad_photo(tmp_path, weights, capsys):
    photos = write_photos(tmp_path / "photos", 3)
    (photos / "000003.jpg").write_bytes(b"")
    build = ["build", "--parser", str(weights), "--photos", str(photos), "--out", str(tmp_path / "masks")]
    with pytest.raises(SystemExit) as ended:
        cli(lambda: main([*build, "--batch", "1", "--strict"]))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("maggan:")]
    assert ended.value.code == 2 and len(told) == 1 and "000003.jpg" in told[0]
    kept = MaskStore.open(tmp_path / "masks")
    assert kept.verify() == [] and kept.left_out == set() and "000003.jpg" not in kept
    main(build)
    printed = capsys.readouterr().out
    assert "masks of 2 faces" in printed and "1 photos left out." in printed and "whole" not in printed


def test_build_goes_on_after_kill(tmp_path, weights, monkeypatch):
    """Killed with SIGKILL again and again, a build ends with the same masks as one left alone."""
    photos = write_photos(tmp_path / "photos", 12)
    monkeypatch.setattr(masks, "SHARD_FACES", 2)
    whole = build_masks(weights, photos, tmp_path / "whole", batch=2)
    out = tmp_path / "masks"
    put = MaskStore.put
    for shards in (1, 3):
        with monkeypatch.context() as slowed:  # so that the kill falls into the build
            slowed.setattr(MaskStore, "put", lambda *arguments: (time.sleep(0.05), put(*arguments)))
            build = multiprocessing.get_context("fork").Process(target=build_masks, args=(weights, photos, out))
            build.start()
        while build.is_alive() and len(list(out.glob("masks-*.zip"))) < shards:
            time.sleep(0.01)
        build.kill()
        build.join()
        assert build.exitcode == -signal.SIGKILL
        killed = MaskStore.open(out)
        assert shards * 2 <= len(killed) < 12 and killed.verify() == []
    (out / ".masks-0.zip.1.partial").write_bytes(b"half")
    done = build_masks(weights, photos, out, batch=2)
    assert done.names() == whole.names() and done.verify() == []
    assert not list(out.glob(".*.partial"))
    for name in whole.names():
        assert torch.equal(done[name], whole[name])


def test_two_processes_write_the_files_of_one(tmp_path, weights):
    """Whole rounds, a last one with faces for one process alone, and a photo that cannot be read."""
    photos = write_photos(tmp_path / "photos", 9)
    (photos / "000004.jpg").write_bytes(b"")
    stores = []
    for devices in (1, 2):
        stores.append(tmp_path / f"masks-of-{devices}")
        command = [sys.executable, "-m", "maggan.masks", "build", "--parser", str(weights), "--photos", str(photos)]
        command += ["--out", str(stores[-1]), "--batch", "2", "--devices", str(devices), "--device", "cpu"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0 and done.stdout.count("masks of 8 faces") == 1, done.stderr
    one, two = ({file.name: file.read_bytes() for file in store.iterdir()} for store in stores)
    assert one == two and len(one) == 3  # a shard, the index, the notes


def test_damaged_shard_is_made_anew(tmp_path, weights, monkeypatch):
    photos = write_photos(tmp_path / "photos", 4)
    monkeypatch.setattr(masks, "SHARD_FACES", 2)
    first = build_masks(weights, photos, tmp_path / "masks", batch=2)
    shard = sorted(first.path.glob("masks-*.zip"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(b"")
    with pytest.raises(MagganError, match=shard.name):
        build_masks(weights, photos, tmp_path / "masks")
    shard.unlink()
    with pytest.raises(MagganError, match=f"gone: {shard.name}"):
        MaskStore.open(tmp_path / "masks")
    parsed = []
    monkeypatch.setattr(maskbuild, "open_photo", lambda name, *rest: parsed.append(name) or open_photo(name, *rest))
    build_masks(weights, photos, tmp_path / "masks", batch=2)
    assert shard.read_bytes() == whole and len(parsed) == 2  # only the faces that were missing
    assert MaskStore.open(tmp_path / "masks").verify() == []


def test_only_one_build_writes(tmp_path, weights):
    photos = write_photos(tmp_path / "photos", 1)
    store = build_masks(weights, photos, tmp_path / "masks")
    with _only_writer(store), pytest.raises(MagganError, match="another build"):
        build_masks(weights, photos, tmp_path / "masks")


def test_command_line_errors_are_one_line(store, capsys):
    verify = ["verify", "--store", str(store.path)]
    main(verify)
    printed = capsys.readouterr().out
    assert "masks of 6 faces" in printed and "0 photos left out; every byte is whole" in printed
    next(store.path.glob("masks-*.zip")).write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        cli(lambda: main(verify))
    told = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and len(told) == 1 and "masks-" in told[0] and "rm -f " in told[0]


def test_real_masks():
    folder = os.environ.get("MAGGAN_REAL_MASKS")
    if not folder:
        pytest.skip("real masks are not here: MAGGAN_REAL_MASKS names no store")
    store = MaskStore.open(folder)
    sizes = [entry.compress_size for _, entry in store._entries.values()]
    assert np.mean(sizes) <= 60_000
    parts = store.sized(store.names()[0], 64)
    assert parts[PARTS.index("skin")].mean() > 0.1
