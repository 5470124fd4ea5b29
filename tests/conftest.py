"""Shared by the tests: faces are drawn once, every test gets folders of its own."""

import shutil

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def drawn_smoke_faces(tmp_path_factory):
    """The faces of the smoke profile, drawn once a session."""
    from maggan.data import SPLITS, prepare
    from maggan.profiles import profile

    root = tmp_path_factory.mktemp("faces")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGGAN_RUNS", str(root))
        for split in SPLITS:
            prepare(profile("smoke"), split, workers=1)
    return root / "smoke" / "faces"


@pytest.fixture
def runs(tmp_path, monkeypatch, drawn_smoke_faces):
    """An empty runs folder that already has the smoke faces, and an empty results folder beside it."""
    monkeypatch.setenv("MAGGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAGGAN_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MAGGAN_PLAIN", "1")
    shutil.copytree(drawn_smoke_faces, tmp_path / "runs" / "smoke" / "faces")
    return tmp_path / "runs"
