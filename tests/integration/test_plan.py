"""`babelfit plan` tells beforehand what the run then reads, does and holds, and writes nothing."""

import logging
import os
import re
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import RANDOM
from whole_tables import WIDTHS

from babelfit.changes import vocabulary
from babelfit.commands import cli
from babelfit.finetuning.prepared import Prepared
from babelfit.planning import footprint

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "data.limit={train: 192, validation: 48, test: 48}",
    *RANDOM,
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "optimization.epochs=2",
)
TOLERANCE = 0.15
"""How far the estimate of the memory may be from the measured peak."""

LABELS = ("entailment", "neutral", "contradiction")

Plan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plan(in_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Plan:
    """Run `babelfit plan` in an empty folder: exit status, what it printed and what it logged."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        handlers, level = logging.root.handlers[:], logging.root.level
        capfd.readouterr()
        status = 0
        try:
            cli.main(["plan", *SMALL, *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            logging.root.handlers[:], logging.root.level = handlers, level
            logging.getLogger(vocabulary.__name__).setLevel(logging.NOTSET)
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run


def cells(printed: str, *begin: str) -> list[str]:
    """Find the line of a table that begins with these cells, and return the cells behind them."""
    for line in printed.splitlines():
        found = re.split(r"\s{2,}", line.strip())
        if found[: len(begin)] == list(begin) and len(found) > len(begin):
            return found[len(begin) :]
    raise AssertionError(f"no line {begin} in\n{printed}")


def test_its_counts_are_those_of_the_run(plan: Plan, train: Callable[..., Any]) -> None:
    status, printed, _ = plan("data.languages=[en,de]", "validation.every=5")
    assert status == 0
    run = train("data.languages=[en,de]", "validation.every=5")
    assert run.status == 0, run.err

    for split, languages in (("train", ["en"]), ("validation", ["en"]), ("test", ["en", "de"])):
        total = sum(int(cells(printed, split, one)[4].replace(",", "")) for one in languages)
        (told,) = re.findall(rf"xnli {split}: .* examples, ([\d,]+) tokens", run.err)
        assert f"{total:,}" == told
    assert cells(printed, "train", "en")[:2] == ["4,500", "192"]
    assert cells(printed, "steps") == ["12, of 6 in an epoch"]
    assert "12 steps of 32 examples, validated every 5" in run.err
    assert cells(printed, "validations")[0].startswith("3, every 5 steps")
    (told,) = re.findall(r"([\d,]+) parameters", run.err)
    assert cells(printed, "all") == [told, "0"]
    (active, whole) = re.findall(r"active vocabulary: ([\d,]+) of ([\d,]+)", run.err)[0]
    assert f"embeddings of {active} of {whole} token ids" in printed
    checkpoint = Path("outputs/xnli-mini/checkpoints").glob("step-*.ckpt")
    assert float(cells(printed, "a checkpoint")[0].split()[0]) == pytest.approx(
        next(checkpoint).stat().st_size / 1e6, rel=0.2
    )


def test_what_an_objective_reads_is_counted(plan: Plan) -> None:
    status, printed, _ = plan("data.languages=[en,de]", "objective=mean_dev", "validation.every=5")

    assert status == 0
    tokens = {
        split: sum(int(cells(printed, split, one)[4].replace(",", "")) for one in ("en", "de"))
        for split in ("validation", "test")
    }
    assert cells(printed, "validations")[0] == f"3, every 5 steps, of {tokens['validation']:,} tokens each"
    last = [f"{tokens[split]:,} tokens of {split} in 2 languages" for split in ("validation", "test")]
    assert cells(printed, "last evaluation")[0] == ", ".join(last)


def test_no_number_is_lost_on_a_narrow_terminal(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("data.languages=[en,de]",)
    _, wide, _ = plan(*arguments)
    numbers = Counter(re.findall(r"\d[\d,.]*", wide.split("memory, estimated")[0]))
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        _, printed, _ = plan(*arguments)

        assert "…" not in printed
        tables, _ = printed.rsplit("It fits", 1)
        assert max(map(len, tables.splitlines())) <= width
        assert Counter(re.findall(r"\d[\d,.]*", printed.split("memory, estimated")[0])) >= numbers


def test_it_writes_nothing_but_the_cache_of_tokens(plan: Plan) -> None:
    status, printed, _ = plan("plan.probe=true", "data.languages=[en,de]")

    assert status == 0
    assert "It fits" in printed
    assert cells(printed, "training, 12 steps")[0].endswith((" s", " min"))
    assert list(Path.cwd().iterdir()) == []


def test_rows_that_are_trained_on_and_scored_are_told(plan: Plan) -> None:
    folder = Path("data/xnli")
    folder.mkdir(parents=True)
    for name, count in (("train-en", 12), ("dev-en", 6), ("dev-de", 6), ("test-en", 6), ("test-de", 6)):
        lines = [f"premise {place} of {name[-2:]}\thypothesis\t{LABELS[place % 3]}\n" for place in range(count)]
        (folder / f"{name}.tsv").write_text("".join(lines))
    status, printed, _ = plan("data=xnli", "data.folder=data", "data.languages=[en,de]")

    assert status == 0
    assert float(cells(printed, "train", "en")[6]) > 1
    for split in ("validation", "test"):
        assert f"LEAK: xnli {split}: rows that the model is trained on: en 6 of 6 (6 word for word)." in printed
    assert "Translations of such rows: de 6" in printed


def test_frozen_parameters_are_counted_apart(plan: Plan) -> None:
    _, printed, _ = plan("encoder.freeze_embeddings=true")

    trained, frozen = cells(printed, "embeddings")
    assert trained == "0"
    assert int(frozen.replace(",", "")) > 0
    assert cells(printed, "1 layers")[1] == "0"


def test_what_does_not_fit_is_told_with_what_to_change(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (
        "encoder.vocabulary=full",
        "data.languages=[en]",
        "encoder.overrides={num_hidden_layers: 6, hidden_size: 256, num_attention_heads: 4, intermediate_size: 512}",
    )
    _, printed, _ = plan(*arguments)
    needed = max(float(size) for size in re.findall(r"at once: .*?([\d.]+) GB", printed))
    monkeypatch.setattr(footprint, "available", lambda _: int(needed * 1e9) // 2)

    status, printed, said = plan(*arguments, "plan.probe=true")

    assert status == 0
    assert "MEMORY" in printed
    assert "does not fit" in printed
    for setting in ("encoder.vocabulary=active", "encoder.gradient_checkpointing=true"):
        assert f"with {setting}: " in printed
    assert "a smaller encoder" in printed
    assert "is not measured" in said


def test_a_change_that_suffices_is_told(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    large = (
        "encoder.vocabulary=full",
        "encoder.overrides={num_hidden_layers: 1, hidden_size: 4096, num_attention_heads: 2, intermediate_size: 64}",
    )
    found = {}
    for kept in ("full", "active"):
        _, printed, _ = plan(*large, f"encoder.vocabulary={kept}", "data.languages=[en]")
        found[kept] = max(float(size) for size in re.findall(r"at once: .*?([\d.]+) GB", printed))
    assert found["active"] < found["full"]
    monkeypatch.setattr(footprint, "available", lambda _: int(1e9 * sum(found.values()) / 2))

    _, printed, _ = plan(*large, "data.languages=[en]")

    assert re.search(r"with encoder.vocabulary=active: [\d.]+ GB, which fits", printed)


def test_a_full_disk_is_told(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]

    status, printed, _ = plan("data.languages=[en]")

    assert status == 0
    assert "DISK" in printed
    assert "checkpoint.keep=1" in printed


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["plan.prob=true"], ["plan.prob=true", "plan.probe=true"]),
        (["plan.probe=2"], ["plan.probe=2", "plan.probe=true"]),
        (["encoder=xlmr_bas"], ["xlmr_bas", "xlmr_base"]),
        (["encoder.path=not/there/at/all"], ["no encoder at not/there/at/all"]),
        (["encoder.path=owner/not-there"], ["owner/not-there"]),
        (["data.folder=not/there"], ["not/there"]),
        (["data.max_length=1000"], ["data.max_length=1000", "512"]),
        (["encoder.freeze_layers=3"], ["encoder.freeze_layers=3", "has 1 layers"]),
        (["encoder.pretrained=true"], ["encoder.overrides", "encoder.pretrained=false"]),
        (["trainer.devices=8"], ["trainer.devices=8", "0 visible GPUs"]),
        (["optimization.batchsize=3"], ["optimization.batchsize"]),
    ],
)
def test_mistakes_are_told_as_the_run_tells_them(plan: Plan, arguments: list[str], parts: list[str]) -> None:
    status, printed, said = plan(*arguments)

    assert status == 2
    assert "Traceback" not in printed + said
    for part in parts:
        assert part in said, said


def test_the_trained_model_is_gone_before_the_exported_one_is_scored(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[weakref.ref[Any]] = []
    build = Prepared.finetuner

    def watched(self: Prepared, model: Any) -> Any:
        finetuner = build(self, model)
        trained.append(weakref.ref(finetuner))
        return finetuner

    monkeypatch.setattr(Prepared, "finetuner", watched)
    monkeypatch.setattr("babelfit.evaluation.evaluate_model", lambda *_, **__: trained.append(trained[0]()))

    assert train("data.languages=[en]").status == 0
    assert trained[1] is None


BASE = (
    "encoder=xlmr_base",
    "encoder.revision=null",
    "encoder.pretrained=false",
    "data.languages=[en]",
    "optimization.max_steps=2",
    "name=measured",
)


@pytest.fixture(scope="module")
def rows(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many of the real rows as are read: tokenizing all takes longer than the runs."""
    folder = tmp_path_factory.mktemp("rows")
    for name, between in (("xnli", "\n"), ("panx", "\n\n")):
        (folder / name).mkdir()
        for split, number in (("train", 2000), ("dev", 8), ("test", 8)):
            file = shared / "xtreme" / name / f"{split}-en.tsv"
            if file.exists():
                of_file = file.read_text(encoding="utf-8").split(between)[:number]
                (folder / name / file.name).write_text(between.join(of_file) + between, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(
            (
                "data=xnli",
                "encoder.overrides.num_hidden_layers=2",
                "optimization.batch_size=128",
                "data.limit={train: 2000, validation: 8, test: 8}",
            ),
            id="activations",
        ),
        pytest.param(
            (
                "data=xnli",
                "encoder.overrides.num_hidden_layers=1",
                "encoder.vocabulary=full",
                "data.limit={train: 2000, validation: 8, test: 8}",
            ),
            id="embeddings",
        ),
        pytest.param(
            (
                "data=wikiann",
                "encoder.overrides={num_hidden_layers: 4, hidden_size: 1024, num_attention_heads: 16, "
                "intermediate_size: 4096}",
                "encoder.gradient_checkpointing=true",
                "data.limit={train: 2000, validation: 8, test: 8}",
            ),
            id="checkpointing",
        ),
    ],
)
def test_its_memory_is_that_of_the_run(arguments: tuple[str, ...], shared: Path, rows: Path, tmp_path: Path) -> None:
    settings = (*BASE, *arguments, f"encoder.path={shared}/xlmr_base", f"data.folder={rows}")

    def started(*command: str) -> tuple[str, int]:
        environment = os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        with (tmp_path / "said").open("w+") as said:
            process = subprocess.Popen(
                [sys.executable, *command, *settings], cwd=tmp_path, env=environment, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        assert process.returncode == 0, text
        return text, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    printed, _ = started("-m", "babelfit", "plan")
    estimate = 1e9 * max(float(size) for size in re.findall(r"at once: .*?([\d.]+) GB", printed))
    _, measured = started(str(ROOT / "train.py"))

    told = f"estimated {estimate / 1e9:.2f} GB, measured {measured / 1e9:.2f} GB"
    assert estimate == pytest.approx(measured, rel=TOLERANCE), f"{told}\n{printed}"
