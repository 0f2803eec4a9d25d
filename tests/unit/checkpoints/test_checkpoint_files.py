"""A kill at any moment of writing a checkpoint leaves a whole one to go on from."""

import json
import os
import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from babelfit.checkpoints.checkpoint_files import CheckpointFiles, DurableCheckpointIO
from babelfit.checkpoints.rankings import steps_of
from babelfit.errors import UserError


class Killed(BaseException):
    """What SIGKILL would do, for one process that goes on."""


def state(step: int, steps: list[int]) -> dict[str, Any]:
    """Make what a checkpoint holds: of its ranked steps, the first is the best, the others are ranked elsewhere."""
    entries = [{"step": one, "score": 0.5} for one in steps]
    rankings = {"source_dev": entries[:1], "mean_dev": entries[1:]}
    return {"global_step": step, "callbacks": {"Checkpoints": {"rankings": rankings}},
            "weights": torch.full((100,), step)}  # fmt: skip


def write(files: CheckpointFiles, step: int, *, best: list[int], before: list[int]) -> None:
    """Write the checkpoint of a step whose rankings, and those of the one before, hold these steps."""
    files.folder.mkdir(exist_ok=True)
    io = DurableCheckpointIO()
    io.save_checkpoint(state(step, best), files.temporary)
    files.accept(io.sha256(), step=step, ranked=best, before=before)


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    files = CheckpointFiles(tmp_path / "checkpoints")
    write(files, 2, best=[2], before=[])
    write(files, 4, best=[4], before=[2])
    return files


def names(files: CheckpointFiles) -> set[str]:
    return {path.name for path in files.folder.iterdir()}


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_last_its_forerunner_and_what_they_rank_are_kept(files: CheckpointFiles) -> None:
    assert names(files) == {"last.ckpt", "previous.ckpt", "step-2.ckpt", "step-4.ckpt", "checksums.json"}
    write(files, 6, best=[4], before=[4])
    assert names(files) == {"last.ckpt", "previous.ckpt", "step-4.ckpt", "checksums.json"}
    found = files.newest()
    assert found is not None
    assert (found.path, found.step, steps_of(found.rankings)) == (files.last, 6, {4})
    files.prune()
    assert names(files) == {"step-4.ckpt", "checksums.json"}
    assert list(json.loads((files.folder / "checksums.json").read_text()).values()) == [4]
    assert files.is_whole(files.at(4))


def test_the_list_of_hashes_does_not_grow(files: CheckpointFiles) -> None:
    for step in range(6, 40, 2):
        write(files, step, best=[4], before=[4])
    assert len(json.loads((files.folder / "checksums.json").read_text())) <= 4


def test_there_may_be_none(tmp_path: Path) -> None:
    assert CheckpointFiles(tmp_path / "nothing").newest() is None


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Have the process killed before the n-th operation on a file."""
    left = [number]

    def counted(name: str) -> Any:
        original = getattr(os, name)

        def operation(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return original(*arguments, **options)

        return operation

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "link", "unlink", "fsync"):
            patch.setattr(os, name, counted(name))
        yield


MOMENTS = range(1, 14)


@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.parametrize("best", [[6], [4], [4, 6]])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(
    files: CheckpointFiles, caplog: pytest.LogCaptureFixture, number: int, best: list[int]
) -> None:
    survived = False
    with suppress(Killed), killed_at(number):
        write(files, 6, best=best, before=[4])
        survived = True
    fresh = CheckpointFiles(files.folder)
    found = fresh.newest()
    assert found is not None
    assert found.step in ((6,) if survived else (4, 6))
    assert torch.load(found.path, weights_only=True)["weights"][0] == found.step
    assert all(fresh.is_whole(fresh.at(step)) for step in steps_of(found.rankings))
    assert "damaged" not in caplog.text
    # And it goes on from there.
    ranked = sorted(steps_of(found.rankings))
    write(fresh, 8, best=ranked, before=ranked)
    again = CheckpointFiles(files.folder).newest()
    assert again is not None
    assert again.step == 8


def test_there_are_no_more_moments_than_tried(files: CheckpointFiles) -> None:
    with killed_at(MOMENTS[-1]):
        write(files, 6, best=[6], before=[4])


@pytest.mark.parametrize("best", [[4], [2]])
def test_a_damaged_last_one_is_replaced_by_the_one_before_it(
    files: CheckpointFiles, caplog: pytest.LogCaptureFixture, best: list[int]
) -> None:
    write(files, 6, best=best, before=[4, 2])
    damage(files.last)
    found = CheckpointFiles(files.folder).newest()
    assert found is not None
    assert found.step == 4
    assert f"{files.last} is damaged" in caplog.text
    write(files, 6, best=best, before=[4])
    assert files.is_whole(files.folder / "previous.ckpt"), "the damaged one must not take its place"


def test_one_whose_best_is_damaged_is_passed_over(files: CheckpointFiles, caplog: pytest.LogCaptureFixture) -> None:
    write(files, 6, best=[4, 2], before=[4, 2])
    damage(files.at(4))
    found = CheckpointFiles(files.folder).newest()
    assert found is not None
    assert found.step == 2
    assert (
        f"{files.last} is not used: {files.at(4)}, one of the best checkpoints at that step, is damaged or missing"
        in caplog.text
    )


def test_nothing_whole_is_no_new_start(files: CheckpointFiles) -> None:
    write(files, 6, best=[4], before=[4])
    damage(files.at(4))
    with pytest.raises(UserError, match="delete this folder and the same command trains again"):
        CheckpointFiles(files.folder).newest()


def test_what_is_no_list_of_hashes_is_told(files: CheckpointFiles) -> None:
    (files.folder / "checksums.json").write_text("[]")
    with pytest.raises(UserError, match=r"checksums\.json is damaged"):
        files.newest()


def test_a_full_disk_leaves_the_earlier_ones(files: CheckpointFiles) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        io = DurableCheckpointIO()
        # Raised only where all ranks have met: the others wait for this one.
        io.save_checkpoint({"weights": torch.zeros(100_000)}, files.temporary)
        with pytest.raises((OSError, RuntimeError)):
            io.sha256()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = CheckpointFiles(files.folder).newest()
    assert found is not None
    assert found.step == 4


def test_a_file_system_without_hard_links_takes_copies(files: CheckpointFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    write(files, 6, best=[6], before=[4])
    assert files.at(6).read_bytes() == files.last.read_bytes()
    assert files.at(6).stat().st_ino != files.last.stat().st_ino


def test_a_checkpoint_is_what_torch_would_have_written(files: CheckpointFiles, tmp_path: Path) -> None:
    torch.save(state(4, [4]), tmp_path / "plain")
    plain, ours = (torch.load(path, weights_only=True) for path in (tmp_path / "plain", files.last))
    assert torch.equal(plain.pop("weights"), ours.pop("weights"))
    assert plain == ours


@pytest.mark.parametrize("content", ["{", "[]", '{"a": Infinity}', '{"a": NaN}', '{"a": null}', "[" * 100_000])
def test_a_damaged_list_of_hashes_is_named(files: CheckpointFiles, content: str) -> None:
    (files.folder / "checksums.json").write_text(content)
    with pytest.raises(UserError, match=r"checksums.json is damaged .* used unchecked"):
        files.newest()


@pytest.mark.parametrize("failure", [MemoryError("full"), pickle.PicklingError("no")])
def test_whatever_keeps_a_checkpoint_from_being_written_is_told_later(
    files: CheckpointFiles, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(torch, "save", fails)
    io = DurableCheckpointIO()
    io.save_checkpoint({}, files.temporary)
    with pytest.raises(type(failure)):
        io.sha256()
