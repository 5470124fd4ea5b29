"""Writing: whole files or none, and a full disk said in one line."""

import errno
import os
from collections import namedtuple

import pytest

from maggan.basics import paths
from maggan.basics.errors import MagganError, cli

Usage = namedtuple("Usage", "total used free")


def test_what_breaks_off_leaves_the_old_file(tmp_path):
    file = tmp_path / "kept.txt"
    file.write_text("old")
    with pytest.raises(ValueError), paths.replacing(file) as partial:
        partial.write_text("new, but")
        raise ValueError
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["kept.txt"]


@pytest.mark.parametrize(
    ("error", "free"), [(OSError(errno.ENOSPC, "No space left"), 10**9), (RuntimeError("unexpected pos 64"), 4096)]
)
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, monkeypatch, error, free):
    """Libraries raise errors of their own there, as torch.save does."""
    monkeypatch.setattr(paths.shutil, "disk_usage", lambda folder: Usage(10**10, 10**10 - free, free))
    file = tmp_path / "weights.safetensors"
    file.write_text("old")
    with pytest.raises(MagganError, match=f"^no room to write {file}: .*goes on from here.$"):
        with paths.replacing(file) as partial:
            partial.write_text("half")
            raise error
    assert file.read_text() == "old" and os.listdir(tmp_path) == [file.name]


def test_commands_say_it_too(capsys):
    def out_of_room():
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit) as left:
        cli(out_of_room)
    said = capsys.readouterr().err
    assert left.value.code == 2 and said.startswith("maggan: the disk is full; ") and said.count("\n") == 1


def test_another_error_of_the_system_stays_as_it_is():
    def forbidden():
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        cli(forbidden)
