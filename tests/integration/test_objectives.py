"""A run with an objective tells it of every validation and of its model, and trains and selects as without one."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from babelfit.config.schema import TrainConfig
from babelfit.config.values import OBJECTIVES
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.prepared import Prepared, prepare
from babelfit.scoring.objectives import of_scores
from babelfit.scoring.scores import Scores, read

RUN = Path("outputs/xnli-mini")


def logged(run: Path) -> dict[tuple[int, str], str]:
    """Read metrics.csv: (step, metric) -> value as it stands there."""
    with (run / "metrics.csv").open(newline="") as file:
        return {(int(row["step"]), row["metric"]): row["value"] for row in csv.DictReader(file)}


def dev_scores(run: Path) -> Scores:
    return read(run / "scores" / "validation.json")


@pytest.mark.parametrize(
    ("data", "dev"),
    [("xnli_sample", None), ("xnli_sample", ["zh", "sw"]), ("wikiann", None)],
    ids=["accuracy", "chosen languages", "span F1"],
)
def test_what_a_validation_logs_is_what_the_score_file_of_the_selected_model_says(
    train: Callable[..., Any], data: str, dev: list[str] | None
) -> None:
    arguments = ["name=xnli-mini", f"data={data}", "data.folder=sample", "data.train_languages=[en,de]",
                 "data.languages=[en,de,zh,sw]", "validation.every=12", "optimization.learning_rate=3e-3",
                 "optimization.epochs=12"]  # fmt: skip
    if dev is not None:
        arguments.append(f"objective_languages=[{','.join(dev)}]")
    outcome = train(*arguments, "objective=worst_dev")

    assert outcome.status == 0, outcome.err
    step = json.loads((RUN / "status.json").read_text())["selected"]["step"]
    found = of_scores(dev_scores(RUN), languages=dev)
    assert list(found) == list(OBJECTIVES)
    assert len({round(value, 6) for value in found.values()}) > 1, "numbers that cannot be mixed up"
    for name, value in found.items():
        assert float(logged(RUN)[step, name]) == pytest.approx(value, abs=1e-6)
    (told,) = (line for line in outcome.err.splitlines() if "objectives on dev: " in line)
    for name, value in found.items():
        assert f"{name} {100 * value:.1f}" in told
    assert told.endswith("; chosen: worst_dev")
    # Of every evaluated language, and on test as ever.
    for split in ("validation", "test"):
        scored = json.loads((RUN / "scores" / f"{split}.json").read_text())["languages"]
        assert scored.keys() == {"en", "de", "zh", "sw"}
        assert len(list((RUN / "predictions" / split).iterdir())) == 4
    resolved = yaml.safe_load((RUN / "config.yaml").read_text())["objective_languages"]
    assert resolved == (dev or ["en", "de", "zh", "sw"])


@pytest.mark.parametrize("vocabulary", ["full", "active"])
def test_an_objective_changes_no_step_no_score_of_the_source_languages_and_no_selection(
    train: Callable[..., Any], vocabulary: str
) -> None:
    arguments = (
        "data.languages=[en,zh,sw]",
        "validation.every=3",
        "logger.every=1",
        f"encoder.vocabulary={vocabulary}",
        "optimization.weight_decay=0.5",
    )
    plain, chosen = Path("outputs/plain"), Path("outputs/chosen")
    assert train("name=plain", *arguments).status == 0
    outcome = train("name=chosen", "objective=target_dev", *arguments)
    assert outcome.status == 0, outcome.err

    before, after = logged(plain), logged(chosen)
    assert {key: after[key] for key in before} == before
    added = {name for _, name in after.keys() - before.keys()}
    of_languages = {f"validation/{name}/{language}" for name in ("accuracy", "f1") for language in ("zh", "sw")}
    assert added == {"mean_dev", "worst_dev", "target_dev"} | of_languages
    statuses = [json.loads((run / "status.json").read_text())["selected"] for run in (plain, chosen)]
    assert statuses[0] == statuses[1]
    weights, theirs = (load_file(run / "model" / "model.safetensors") for run in (plain, chosen))
    assert weights.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in weights.items())


def test_the_source_languages_are_validated_in_batches_of_their_own(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []

    def seen(config: TrainConfig) -> Prepared:
        prepared = prepare(config)
        batches.append(list(prepared.data.val_dataloader()))
        return prepared

    monkeypatch.setattr("babelfit.training.prepare", seen)
    for objective in ("null", "mean_dev"):
        small = ("data.languages=[en,sw]", "optimization.max_steps=1")
        assert train(f"name=of-{objective}", f"objective={objective}", *small).status == 0

    assert len(batches[1]) > len(batches[0])
    for ours, theirs in zip(batches[0], batches[1], strict=False):
        assert np.array_equal(ours.input_ids, theirs.input_ids)


def test_the_source_mean_reads_no_other_language_until_the_end(train: Callable[..., Any]) -> None:
    arguments = ("data.languages=[zh,sw]", "validation.every=4")
    assert train("name=plain", *arguments).status == 0
    outcome = train("objective=source_dev", *arguments)

    assert outcome.status == 0, outcome.err
    assert logged(RUN) == logged(Path("outputs/plain"))
    assert dev_scores(RUN).languages.keys() == {"en", "zh", "sw"}, "also what is a source language alone"
    assert of_scores(dev_scores(RUN), languages=["zh", "sw"]).keys() == set(OBJECTIVES)
    assert "; chosen: source_dev" in outcome.err


def test_a_run_without_an_objective_is_not_scored_on_dev(train: Callable[..., Any]) -> None:
    outcome = train("data.languages=[en,sw]", "objective_languages=[sw]")

    assert outcome.status == 0, outcome.err
    assert [path.name for path in (RUN / "scores").iterdir()] == ["test.json"]
    assert "objectives on dev" not in outcome.err


def test_an_objective_over_other_languages_is_another_run(train: Callable[..., Any]) -> None:
    assert train("objective=mean_dev", "data.languages=[en,sw]").status == 0

    outcome = train("objective=mean_dev", "data.languages=[en,sw,zh]")
    assert outcome.status == 2
    assert "objective_languages: ['en', 'sw'] -> ['en', 'sw', 'zh']" in outcome.err
    outcome = train("objective=worst_dev", "data.languages=[en,sw]")
    assert outcome.status == 2
    assert "objective: mean_dev -> worst_dev" in outcome.err
    # Named, they stay what they are where more is evaluated.
    assert train("objective=mean_dev", "objective_languages=[en,sw]", "data.languages=[en,sw,zh]").status == 0
    assert dev_scores(RUN).languages.keys() == {"en", "sw", "zh"}


def test_a_run_with_an_objective_goes_on_where_it_stopped(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("objective=target_dev", "checkpoint.every=1", "validation.every=4", "data.languages=[en,sw]")
    assert train("name=whole", *arguments).status == 0
    step = Finetuner.training_step

    def broken(self: Finetuner, *given: Any) -> torch.Tensor:
        if self.global_step == 7:
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        assert train("name=halved", *arguments).status == 130
    assert train("name=halved", *arguments).status == 0

    assert logged(Path("outputs/halved")) == logged(Path("outputs/whole"))
    assert dev_scores(Path("outputs/halved")) == dev_scores(Path("outputs/whole"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of XNLI with all splits in three languages, for a test to take from."""
    rows = "".join(f"p{n}\th{n}\t{('entailment', 'neutral', 'contradiction')[n % 3]}\n" for n in range(12))
    (tmp_path / "data" / "xnli").mkdir(parents=True)
    for language in ("en", "de", "sw"):
        for split in ("train", "dev", "test"):
            (tmp_path / "data" / "xnli" / f"{split}-{language}.tsv").write_text(rows)
    return tmp_path / "data"


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("p\th\t-\n")],
                         ids=["no file", "no gold"])  # fmt: skip
def test_a_language_without_dev_labels_is_refused_where_the_objective_needs_it(
    train: Callable[..., Any], folder: Path, damage: Callable[[Path], Any]
) -> None:
    damage(folder / "xnli" / "dev-sw.tsv")
    arguments = ("data=xnli", f"data.folder={folder}", "data.languages=[en,de,sw]")

    for needed in (["objective=mean_dev"], ["objective=target_dev", "objective_languages=[sw]"]):
        outcome = train(*arguments, *needed)
        assert outcome.status == 2
        for part in ("xnli validation sw", "no gold labels", "objective_languages"):
            assert part in outcome.err
        assert not Path("outputs").exists()
    for number, enough in enumerate((["objective=source_dev"], ["objective=worst_dev", "objective_languages=[de]"])):
        outcome = train(f"name=enough{number}", *arguments, *enough)
        assert outcome.status == 0, outcome.err
        assert dev_scores(Path(f"outputs/enough{number}")).languages.keys() == {"en", "de"}


def test_where_dev_is_what_is_scored_anyway_it_is_scored_once(train: Callable[..., Any], folder: Path) -> None:
    (folder / "xnli" / "test-sw.tsv").unlink()
    outcome = train("data=xnli", f"data.folder={folder}", "data.languages=[de,sw]", "objective=mean_dev")

    assert outcome.status == 0, outcome.err
    assert outcome.err.count("report: ") == 1
    assert dev_scores(RUN).languages.keys() == {"en", "de", "sw"}
    (folder / "xnli" / "dev-sw.tsv").unlink()
    for arguments in ([], ["objective=source_dev"]):
        outcome = train("name=none", "data=xnli", f"data.folder={folder}", "data.languages=[de,sw]", *arguments)
        assert outcome.status == 2
        assert "no validation split of xnli for language 'sw'" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["objective=best_dev"], ["objective=best_dev", "source_dev, mean_dev, worst_dev, target_dev"]),
        (["objective_languages=sw"], ["objective_languages", "list"]),
        (["objective_languages=[en,xx]"], ["'xx' in objective_languages", "data.languages has en, sw"]),
        (["objective=mean_dev", "objective_languages=[de]"], ["'de' in objective_languages", "data.languages"]),
        (["objective=mean_dev", "objective_languages=[sw,sw]"], ["objective_languages=['sw', 'sw']", "each one once"]),
        (["objective=target_dev", "objective_languages=[en]"], ["objective=target_dev", "none is a target"]),
        (["objective=target_dev", "data.train_languages=[en,sw]"], ["objective=target_dev", "none is a target"]),
    ],
)
def test_a_wrong_objective_is_told_before_anything_is_trained(
    train: Callable[..., Any], arguments: list[str], parts: list[str]
) -> None:
    outcome = train("data.languages=[en,sw]", *arguments)

    assert outcome.status == 2, outcome.err
    for part in parts:
        assert part in outcome.err
    assert not Path("outputs").exists()
