"""PAWS-X and WikiANN run from command to report, with every word predicted, scored and accounted for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from transformers import pipeline

from babelfit.sample import NER_LANGUAGES, PARAPHRASE_LANGUAGES

NER = ("data=wikiann", "data.folder=sample")
LIMIT = "data.limit={train: 640, validation: 40, test: 40}"
PAIRS = ("data=pawsx", "data.folder=sample")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sentences(folder: Path, language: str, split: str = "test") -> list[tuple[list[str], list[str]]]:
    text = (folder / "panx" / f"{split}-{language}.tsv").read_text(encoding="utf-8")
    blocks = [[line.split("\t") for line in block.splitlines()] for block in text.split("\n\n") if block.strip()]
    return [([word for word, _ in block], [tag for _, tag in block]) for block in blocks]


@pytest.fixture
def panx(labelled_sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample's NER part that a test may damage."""
    shutil.copytree(labelled_sample / "panx", tmp_path / "copy" / "panx")
    return tmp_path / "copy"


def refused(outcome: Any, *parts: str) -> None:
    assert outcome.status == 2, outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    for part in parts:
        assert part in outcome.err


def test_ner_is_trained_scored_and_exported(train: Callable[..., Any], cache: Path) -> None:
    outcome = train(*NER, LIMIT, "data.max_length=16", "optimization.learning_rate=5e-3", "optimization.epochs=4")
    run = Path("outputs/wikiann-mini")

    assert outcome.status == 0, outcome.err
    scores = json.loads((run / "scores" / "test.json").read_text())
    assert scores["metric"] == "f1"
    assert set(scores["languages"]) == set(NER_LANGUAGES)
    assert "span F1" in outcome.out
    assert "span F1" in (run / "report.md").read_text()
    [sample] = sorted((cache / "sample").glob("wikiann-*"))[-1:]
    for language in ("en", "zh"):
        records = lines(run / "predictions" / "test" / f"{language}.jsonl")
        written = sentences(sample, language)[:40]
        # Every word of every sentence, those in windows of 16 subwords included, in order.
        assert [record["gold"] for record in records] == [tags for _, tags in written]
        assert [record["index"] for record in records] == list(range(40))
        assert all(len(record["predicted"]) == len(record["gold"]) for record in records)
        assert all(0 < share <= 1 for record in records for share in record["probabilities"])
        gold, predicted = ([record[key] for record in records] for key in ("gold", "predicted"))
        values = scores["languages"][language]
        assert values["f1"] == pytest.approx(f1_score(gold, predicted), abs=1e-6)
        assert values["f1_strict"] == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=IOB2), abs=1e-6)
        assert values["words"] == sum(map(len, gold))
        assert values["examples"] == 40
    assert any(tag != "O" for record in lines(run / "predictions/test/en.jsonl") for tag in record["predicted"])


def test_the_exported_tagger_gives_the_same_tags_through_transformers_and_in_another_order(
    train: Callable[..., Any], command: Callable[..., Any], cache: Path
) -> None:
    train(*NER, LIMIT, "data.languages=[en]", "optimization.learning_rate=5e-3", "optimization.epochs=4")
    run = Path("outputs/wikiann-mini")
    tag = pipeline("token-classification", model=str(run / "model"), device="cpu", ignore_labels=[])
    [sample] = sorted((cache / "sample").glob("wikiann-*"))[-1:]
    seen = set()
    for record, (words, _) in zip(lines(run / "predictions/test/en.jsonl"), sentences(sample, "en"), strict=False):
        starts = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
        # Of pieces that begin together (the mark of a word's start may be a piece of its own) the first counts.
        by_start = {piece["start"]: piece for piece in reversed(tag(" ".join(words)))}
        for start, predicted, share in zip(starts, record["predicted"], record["probabilities"], strict=True):
            assert by_start[start]["entity"] == predicted
            assert by_start[start]["score"] == pytest.approx(share, abs=1e-5)
            seen.add(predicted)
    assert len(seen) > 1

    # The same model with its outputs in another order.
    shutil.copytree("outputs/wikiann-mini/model", "model")
    config = json.loads(Path("model/config.json").read_text())
    names = [config["id2label"][str(number)] for number in range(7)][::-1]
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    Path("model/config.json").write_text(json.dumps(config))
    weights = load_file("model/model.safetensors")
    flipped = {key: value.flip(0) if key.startswith("classifier") else value for key, value in weights.items()}
    save_file(flipped, "model/model.safetensors", metadata={"format": "pt"})
    outcome = command("evaluate.py", "model=./model", *NER, LIMIT, "data.languages=[en]", "name=flipped")

    assert outcome.status == 0, outcome.err
    ours, theirs = (lines(Path(f"outputs/{name}/predictions/test/en.jsonl")) for name in ("wikiann-mini", "flipped"))
    assert [one["predicted"] for one in ours] == [one["predicted"] for one in theirs]


def test_paraphrases_are_trained_and_scored(train: Callable[..., Any]) -> None:
    outcome = train(*PAIRS)
    run = Path("outputs/pawsx-mini")

    assert outcome.status == 0, outcome.err
    scores = json.loads((run / "scores" / "test.json").read_text())
    assert set(scores["languages"]) == set(PARAPHRASE_LANGUAGES)
    assert "contaminated" not in scores
    assert {record["gold"] for record in lines(run / "predictions/test/ko.jsonl")} == {"paraphrase", "not_paraphrase"}


def test_scores_on_the_split_that_was_trained_on_are_called_contaminated(
    train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    arguments = (*PAIRS, "data.train_split=validation", "data.languages=[en,de]")
    outcome = train(*arguments)
    run = Path("outputs/pawsx-mini")

    assert outcome.status == 0, outcome.err
    assert "training on the validation split" in outcome.err
    assert "contaminated" not in json.loads((run / "scores" / "test.json").read_text()), "test was not trained on"
    again = command("evaluate.py", f"run={run}", "split=validation")
    assert "Contaminated (en, de): the model was trained on the validation split of en" in " ".join(again.out.split())
    scores = json.loads((run / "scores" / "validation.json").read_text())
    assert scores["contaminated"]["why"].endswith("of which the other languages' rows are translations")
    assert set(scores["contaminated"]["languages"]) == set(PARAPHRASE_LANGUAGES)
    assert "**Contaminated" in (run / "report.md").read_text()
    # Asked for by other data of the same name, they are no better.
    other = command("evaluate.py", f"run={run}", *PAIRS, "data.languages=[en]", "split=validation", "name=other")
    assert other.status == 0, other.err
    assert "contaminated" in json.loads(Path("outputs/other/scores/validation.json").read_text())


def test_the_manifest_names_every_file_that_was_read(train: Callable[..., Any], panx: Path) -> None:
    arguments = ("data=wikiann", f"data.folder={panx}", LIMIT, "data.languages=[en,zh]")
    assert train(*arguments).status == 0
    manifest = json.loads(Path("outputs/wikiann-mini/manifest.json").read_text())

    assert manifest["origin"] == {"folder": str(panx)}
    assert set(manifest["encoder"]["files"]) == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    read = {(split, language) for split, entries in manifest["splits"].items() for language in entries}
    assert read == {("train", "en"), ("validation", "en"), ("test", "en"), ("test", "zh")}
    entry = manifest["splits"]["train"]["en"]
    assert (entry["rows"], entry["examples"]) == (3000, 640)
    assert entry["files"][0]["path"] == str(panx / "panx" / "train-en.tsv")
    assert sum(entry["labels"].values()) == sum(len(tags) for _, tags in sentences(panx, "en", "train")[:640])

    (panx / "panx" / "test-zh.tsv").write_text("北\tB-LOC\n\n", encoding="utf-8")
    refused(train(*arguments), "test-zh.tsv changed since", "name=")


def test_rows_without_gold_are_predicted_not_scored_and_this_is_said(
    train: Callable[..., Any], command: Callable[..., Any], panx: Path
) -> None:
    for language in ("en", "de"):
        words = "".join("".join(f"{word}\n" for word in one) + "\n" for one, _ in sentences(panx, language)[:7])
        (panx / "panx" / f"test-{language}.tsv").write_text(words, encoding="utf-8")
    outcome = train("data=wikiann", f"data.folder={panx}", LIMIT, "data.languages=[en,de]")
    run = Path("outputs/wikiann-mini")

    assert "scoring validation: not every language has a test split with labels" in outcome.err
    assert (run / "scores" / "validation.json").is_file()
    again = command("evaluate.py", f"run={run}", "split=test")
    assert again.status == 0, again.err
    assert "predicted and not scored" in again.err
    records = lines(run / "predictions" / "test" / "de.jsonl")
    assert [(record["index"], record["gold"]) for record in records] == [(index, None) for index in range(7)]
    assert not (run / "scores" / "test.json").exists()


def test_a_validation_split_without_gold_can_choose_no_checkpoint(train: Callable[..., Any], panx: Path) -> None:
    (panx / "panx" / "dev-en.tsv").write_text("Berlin\nis\n\n", encoding="utf-8")
    outcome = train("data=wikiann", f"data.folder={panx}", LIMIT, "data.languages=[en,de]")
    refused(outcome, "dev-en.tsv", "no gold labels to choose a checkpoint by, in wikiann validation en")
    assert not Path("outputs").exists()


def test_a_language_without_gold_is_named_among_others(
    train: Callable[..., Any], command: Callable[..., Any], panx: Path
) -> None:
    (panx / "panx" / "test-de.tsv").write_text("Berlin\nist\n\n", encoding="utf-8")
    train("data=wikiann", f"data.folder={panx}", LIMIT, "data.languages=[en,de]")
    again = command("evaluate.py", "run=outputs/wikiann-mini", "split=test")

    assert "Predicted and not scored, for want of gold labels: de" in again.out
    scores = json.loads(Path("outputs/wikiann-mini/scores/test.json").read_text())
    assert (list(scores["languages"]), scores["unscored_languages"]) == (["en"], ["de"])


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Maria\tB-PER\nlives\n\n", ["line 2", "found 1 tab-separated fields; expected 2"]),
        ("Maria\tB-NAME\n\n", ["line 1", "unknown tag 'B-NAME'", "B-PER"]),
        ("\tO\n\n", ["line 1", "empty word"]),
        ("Maria\tB-PER\n\n\n\nlives\tO\n", ["line 3", "a sentence of no words"]),
        ("Maria\nlives\n\n", ["train en", "1 rows have no label to train on"]),
    ],
    ids=["missing tag", "unknown tag", "empty word", "empty sentence", "no tags"],
)
def test_damaged_sentences_are_named(train: Callable[..., Any], panx: Path, content: str, parts: list[str]) -> None:
    (panx / "panx" / "train-en.tsv").write_text(content, encoding="utf-8")
    refused(train("data=wikiann", f"data.folder={panx}", LIMIT, "data.languages=[en]"), *parts)
    assert not Path("outputs").exists()


def test_predictions_of_another_model_are_not_taken_for_this_ones(
    train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    train(*PAIRS, "data.languages=[en]")
    shutil.copytree("outputs/pawsx-mini/model", "model")
    arguments = ("model=./model", *PAIRS, LIMIT, "name=other")
    assert command("evaluate.py", *arguments, "data.languages=[en]").status == 0
    weights = load_file("model/model.safetensors")
    save_file({key: -value for key, value in weights.items()}, "model/model.safetensors", metadata={"format": "pt"})

    refused(command("evaluate.py", *arguments, "data.languages=[en]"), "./model is no longer the model", "name=")
    shutil.rmtree("outputs/other/predictions")
    assert command("evaluate.py", *arguments, "data.languages=[en]").status == 0


def test_a_missing_train_file_names_the_way_out(train: Callable[..., Any], panx: Path) -> None:
    (panx / "panx" / "train-en.tsv").unlink()
    refused(train("data=wikiann", f"data.folder={panx}"), "train-en.tsv", "data.train_split=validation")


def test_a_head_of_another_task_is_refused(train: Callable[..., Any]) -> None:
    refused(train(*NER, "head=sequence_classification"), "wikiann needs head=token_classification")


def test_a_tagger_with_other_labels_is_refused_with_both_sets(
    train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    train(*NER, LIMIT, "data.languages=[en]")
    shutil.copytree("outputs/wikiann-mini/model", "model")
    config = json.loads(Path("model/config.json").read_text())
    names = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-MISC", "I-MISC"]
    config |= {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    Path("model/config.json").write_text(json.dumps(config))
    refused(command("evaluate.py", "model=./model", *NER), "B-MISC", "B-LOC")
