"""What has its name is on the disk: bytes before the name, and the name before anything that counts on it."""

import os
from pathlib import Path

import pytest

from babelfit.checkpoints import checkpoint_files
from babelfit.files import atomic_files


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the names of what is put on the disk and renamed, in order."""
    noted: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        noted.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        noted.append(f"{self.name} -> {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return noted


def test_a_folder_is_named_when_all_of_it_is_on_the_disk(tmp_path: Path, done: list[str]) -> None:
    (tmp_path / "run" / "model.tmp" / "deep").mkdir(parents=True)
    for name in ("config.json", "deep/weights"):
        (tmp_path / "run" / "model.tmp" / name).write_text("all")
    atomic_files.rename(tmp_path / "run" / "model.tmp", tmp_path / "run" / "model")
    assert sorted(done[:4]) == ["config.json", "deep", "model.tmp", "weights"]
    assert done[4:] == ["model.tmp -> model", "run", tmp_path.name]
    assert (tmp_path / "run" / "model" / "deep" / "weights").read_text() == "all"


def test_a_text_is_named_when_it_is_on_the_disk(tmp_path: Path, done: list[str]) -> None:
    atomic_files.write_text(tmp_path / "x.json", "1")
    assert done[:3] == ["x.json.tmp", "x.json.tmp -> x.json", tmp_path.name]


def test_a_folder_above_that_is_not_ours_to_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "me").mkdir(parents=True)
    opened = os.open

    def forbidden(path: Path, *rest: int) -> int:
        if path == tmp_path / "home":
            raise PermissionError(f"Permission denied: {path}")
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", forbidden)
    atomic_files.write_text(tmp_path / "home" / "me" / "x.json", "1")
    with pytest.raises(PermissionError):
        atomic_files.write_text(tmp_path / "home" / "x.json", "1")


def test_a_copy_of_a_checkpoint_is_on_the_disk(
    tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "last.ckpt").write_text("all")
    checkpoint_files.same_file(tmp_path / "last.ckpt", tmp_path / "step-1.ckpt")
    assert done == ["step-1.ckpt"]
