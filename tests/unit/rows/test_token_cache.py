"""Rows are tokenized once, and again as soon as anything that decides their tokens or labels is another."""

import importlib
import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny import tokenizer

from babelfit.data import LabelledDataModule, MultilingualDataModule
from babelfit.datasets import PAWSX
from babelfit.encoder.loading import MINI, load_tokenizer, located
from babelfit.rows.encoding import cache_folder, tokenizer_fingerprint

SPLITS = ("train", "validation", "test")
MODULE = """
from functools import partial

from babelfit.data import DatasetFacts, LabelledDataModule
from babelfit.rows.readers import read_tsv
from babelfit.rows.sources import Layout
from babelfit.tasks import Classification

COLUMNS = {"first": ("first",), "second": ("second",), "label": ("label",)}
SPELLINGS = {"0": "no", "1": "yes"}
LABELS = ("no", "yes")

FACTS = DatasetFacts(
    name="invented",
    task=Classification(labels=LABELS, texts=("first", "second")),
    rows={"en": {"train": 2, "validation": 2, "test": 2}},
    layouts=(
        Layout(
            name="one file a split",
            patterns={split: f"{split}-{{language}}.tsv" for split in ("train", "validation", "test")},
            read=partial(read_tsv, columns=COLUMNS, spellings=SPELLINGS),
        ),
    ),
)


class Invented(LabelledDataModule):
    dataset = FACTS

    def __init__(self, **settings):
        super().__init__(self.dataset, **settings)
"""
DROPPED = """
def dropped(table):
    import pyarrow.compute as pc

    return {"a": pc.equal(table["second"], "a")}


FACTS = DatasetFacts(
    dropped=dropped,
"""

NUM_ROWS = 200_000
MODULE_FACTS = """FACTS = DatasetFacts(
    name="invented",
    task=Classification(labels=LABELS, texts=("first", "second")),
"""
LONG_ROWS = """
class LongRows(Classification):
    def encode(self, table, *, tokenizer, max_length):
        import numpy as np
        import pyarrow as pa

        def lists(length):
            offsets = np.arange(table.num_rows + 1, dtype=np.int32) * length
            return pa.ListArray.from_arrays(offsets, np.zeros(offsets[-1], dtype=np.int32))

        return {
            "input_ids": lists(64),
            "windows": [[64]] * table.num_rows,
            "targets": lists(1),
            "truncated": [False] * table.num_rows,
        }


FACTS = DatasetFacts(
    name="invented",
    task=LongRows(labels=LABELS, texts=("first", "second")),
"""
OPENED = """
import sys
from pathlib import Path

from test_token_cache import built, imported


def private():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


data = built(imported(), Path(sys.argv[1]))
data.prepare("validation", languages=["en"])
before = private()
data.prepare("train", languages=["en"])
steps = data.train_dataloader().dataset
for step in range(100):
    steps[0, step]
print(len(data.open("train", "en")), private() - before, data.steps_per_epoch)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset's module that can be imported as `invented_data`, its files, and a cache of its own."""
    for split in SPLITS:
        (tmp_path / f"{split}-en.tsv").write_text(f"{split}\ta\t0\n{split}\tb\t1\n")
    (tmp_path / "invented_data.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("BABELFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def imported() -> type[MultilingualDataModule]:
    sys.modules.pop("invented_data", None)
    importlib.invalidate_caches()
    found: type[MultilingualDataModule] = importlib.import_module("invented_data").Invented
    return found


def built(
    kind: Callable[..., MultilingualDataModule], folder: Path, *, with_tokenizer: Any = None
) -> MultilingualDataModule:
    return kind(
        folder=str(folder),
        revision=None,
        train_languages=["en"],
        languages=["en"],
        max_length=32,
        limit=dict.fromkeys(SPLITS),
        train_split="train",
        tokenizer=with_tokenizer or load_tokenizer(MINI),
        batch_size=2,
        tokens_per_device=64,
        seed=1,
    )


def num_tokenized() -> int:
    return len(list((cache_folder() / "tokens").glob("*.arrow")))


def labels(data: MultilingualDataModule) -> list[list[int]]:
    return list(data.open("train", "en")["gold"])


def test_every_split_is_tokenized_once_for_all_runs_in_whatever_order(folder: Path) -> None:
    used = load_tokenizer(MINI)
    for splits in (SPLITS, SPLITS[::-1]):
        for of_run in (used, load_tokenizer(MINI)):
            data = built(imported(), folder, with_tokenizer=of_run)
            for split in splits:
                data.open(split, "en")

    assert num_tokenized() == len(SPLITS)


def test_an_exported_tokenizer_is_the_same_as_its_original(folder: Path) -> None:
    used = load_tokenizer(MINI)
    before = tokenizer_fingerprint(used)
    built(imported(), folder, with_tokenizer=used).open("train", "en")
    used.save_pretrained(folder / "model")
    shutil.copy(Path(located(MINI)) / "config.json", folder / "model")

    assert used.backend_tokenizer.truncation is not None, "or the test shows nothing"
    assert tokenizer_fingerprint(used) == tokenizer_fingerprint(load_tokenizer(str(folder / "model"))) == before


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('{"0": "no", "1": "yes"}', '{"1": "no", "0": "yes"}', [[1], [0]]),
        ('("no", "yes")', '("yes", "no")', [[1], [0]]),
        ("FACTS = DatasetFacts(\n", DROPPED, [[1]]),
    ],
    ids=["spellings", "labels", "dropped"],
)
def test_a_dataset_that_was_changed_is_tokenized_again(
    folder: Path, old: str, new: str, expected: list[list[int]]
) -> None:
    assert labels(built(imported(), folder)) == [[0], [1]]
    assert old in MODULE
    (folder / "invented_data.py").write_text(MODULE.replace(old, new))

    assert labels(built(imported(), folder)) == expected


def test_a_dataset_inherits_the_code_of_its_parents(folder: Path) -> None:
    (folder / "heir.py").write_text("from invented_data import Invented\n\n\nclass Heir(Invented):\n    pass\n")

    def heir() -> type[MultilingualDataModule]:
        sys.modules.pop("heir", None)
        imported()
        found: type[MultilingualDataModule] = importlib.import_module("heir").Heir
        return found

    assert labels(built(heir(), folder)) == [[0], [1]]
    (folder / "invented_data.py").write_text(MODULE.replace('{"0": "no", "1"', '{"1": "no", "0"'))
    assert labels(built(heir(), folder)) == [[1], [0]]


def test_a_dataset_without_source_is_tokenized_each_time(folder: Path) -> None:
    for spellings in ('{"0": "no", "1": "yes"}', '{"1": "no", "0": "yes"}'):
        names: dict[str, Any] = {"__name__": "an_interpreter"}
        exec(MODULE.replace('{"0": "no", "1": "yes"}', spellings), names)
        assert labels(built(names["Invented"], folder)) == ([[0], [1]] if spellings.startswith('{"0"') else [[1], [0]])

    assert num_tokenized() == 2


def test_facts_that_stand_in_no_file_are_tokenized_each_time(folder: Path) -> None:
    for old, new in (('("no", "yes")', '("no", "yes")'), ('("no", "yes")', '("yes", "no")')):
        (folder / "invented_data.py").write_text(MODULE.replace(old, new))
        imported()
        facts = sys.modules["invented_data"].FACTS
        of_facts = built(partial(LabelledDataModule, facts), folder)
        assert labels(of_facts) == labels(built(imported(), folder))
        assert of_facts.facts().labels == list(facts.task.labels)

    assert num_tokenized() == 4


CODE = ("rows.readers", "rows.sources", "data.splits", "rows.encoding", "datasets.pawsx", "tasks.classification")


@pytest.mark.parametrize("name", CODE)
def test_the_code_of_all_datasets_counts(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> Mapping[str, str]:
        return built(PAWSX, tmp_path)._fingerprint

    before = key()
    getsource = inspect.getsource
    changed = f"babelfit.{name}"
    monkeypatch.setattr(
        inspect, "getsource", lambda module: getsource(module) + ("#" if module.__name__ == changed else "")
    )
    assert key()["code"] != before["code"]
    assert key()["tokenizer"] == before["tokenizer"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="private memory is read from Linux's /proc")
def test_what_is_tokenized_is_mapped_and_not_loaded(folder: Path) -> None:
    (folder / "train-en.tsv").write_text("train\ta\t0\n" * NUM_ROWS)
    (folder / "invented_data.py").write_text(MODULE.replace(MODULE_FACTS, LONG_ROWS))
    built(imported(), folder).open("train", "en")
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2] / "helpers"), str(folder)])

    done = subprocess.run(
        [sys.executable, "-B", "-c", OPENED, str(folder)],
        env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert num_tokenized() == 2, "train and validation, each once"
    rows, private, steps = (int(number) for number in done.stdout.split())
    assert (rows, steps) == (NUM_ROWS, NUM_ROWS // 2)
    # Its ids are 256 bytes; kept are its length, its number of targets and its place in the epoch's order: 16.
    assert private / rows < 64


def test_tokenizers_that_differ_in_their_inputs_are_others() -> None:
    bert = tokenizer("bert")
    before = tokenizer_fingerprint(bert)
    bert.model_input_names = ["input_ids", "attention_mask"]
    without_types = tokenizer_fingerprint(bert)
    bert.unk_token = bert.mask_token

    assert len({before, without_types, tokenizer_fingerprint(bert)}) == 3
