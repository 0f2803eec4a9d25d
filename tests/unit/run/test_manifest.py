"""The manifest names every file that was read, and notices when one is no longer what it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from babelfit.encoder.loading import ModelFiles
from babelfit.errors import UserError
from babelfit.rows.leaks import Leak, LeakedRow
from babelfit.rows.read import DataFile, DatasetRead, RowsRead, TextRead, Tokens, is_cut
from babelfit.run import manifest

OLD = Path(__file__).resolve().parents[2] / "fixtures" / "version-2"
XNLI = DatasetRead(data="xnli", task="classification", labels=["a"], hub_repo=None, origin={"folder": "data"})


def entry(digest: str, **facts: Any) -> RowsRead:
    return RowsRead(files=[DataFile(path="x/dev-de.tsv", bytes=3, sha256=digest)], rows=3, **facts)


def model(path: str, sha256: str) -> ModelFiles:
    return ModelFiles(path=path, files={"config.json": sha256})


def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def test_what_is_added_stands_beside_what_was_there(tmp_path: Path) -> None:
    mini = ModelFiles(path="mini")
    manifest.add(tmp_path, splits={"train": {"en": entry("a")}, "test": {"en": entry("b")}}, encoder=mini)
    whole = manifest.add(tmp_path, splits={"test": {"de": entry("c")}}, dataset=XNLI)

    assert whole == manifest.read(tmp_path)
    assert whole.splits == {"train": {"en": entry("a")}, "test": {"en": entry("b"), "de": entry("c")}}
    assert (whole.encoder, whole.data, whole.labels) == (mini, "xnli", ["a"])
    assert (whole.of("test", "de"), whole.of("test", "sw")) == (entry("c"), RowsRead(files=[]))


def test_what_is_written_has_the_keys_in_their_order_though_they_say_nothing(tmp_path: Path) -> None:
    read = entry("a", split="test", layout="XTREME", duplicates=0, tokens=Tokens(words=3, targets=0))
    leak = Leak(rows=0, exact=0, of=3, examples=[])
    manifest.add(tmp_path, splits={"test": {"de": read}}, dataset=XNLI, leaks={"test": {"de": leak}})
    written = document(tmp_path)

    of_dataset = ["data", "task", "labels", "aliases", "parallel", "hub_repo", "origin"]
    assert list(written) == ["schema", *of_dataset, "leaks", "splits"]
    assert (written["aliases"], written["parallel"], written["hub_repo"]) == ({}, False, None)
    assert list(written["leaks"]["test"]["de"]) == ["rows", "exact", "of", "examples"]
    of_rows = ["rows", "dropped", "scripts", "examples", "labels", "truncated", "windows", "duplicates", "tokens"]
    rows = written["splits"]["test"]["de"]
    assert list(rows) == ["split", "layout", "files", *of_rows]
    assert (rows["dropped"], rows["truncated"], rows["duplicates"]) == ({}, 0, 0)
    assert list(rows["tokens"]) == ["words", "characters", "subwords", "unknown", "targets", "lengths"]


def test_text_is_written_with_its_own_counts(tmp_path: Path) -> None:
    before = document(OLD / "text")["splits"]["train"]["de"]
    kept = {"files": [DataFile(**one) for one in before["files"]], "tokens": Tokens(**before["tokens"])}
    manifest.add(tmp_path, splits={"train": {"de": TextRead(**before | kept)}})

    assert json.dumps(document(tmp_path)["splits"]["train"]["de"]) == json.dumps(before)


@pytest.mark.parametrize("name", ["nli-1", "ner", "text", "selections", "evaluated", "imported"])
def test_an_old_manifest_loses_nothing_when_something_is_added(tmp_path: Path, name: str) -> None:
    before = document(OLD / name)
    before |= {"later": [1], "splits": before.pop("splits")}
    for entries in before["splits"].values():
        for one in entries.values():
            one["later"] = {"x": None}
    (tmp_path / "manifest.json").write_text(json.dumps(before))
    manifest.add(tmp_path, splits={"more": {"sw": entry("c")}}, facts={"run": "x"})

    after = document(tmp_path)
    assert after.pop("facts") == {"run": "x"}
    assert after["splits"].pop("more").keys() == {"sw"}
    assert json.dumps(after) == json.dumps({key: value for key, value in before.items() if key != "facts"})


def test_the_same_file_may_be_read_again(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"de": entry("a", examples=2)}})
    whole = manifest.add(tmp_path, splits={"test": {"de": entry("a", examples=3)}})

    assert whole.splits["test"]["de"].examples == 3


def test_a_file_that_changed_is_refused_and_the_manifest_stays(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"de": entry("a")}})
    before = (tmp_path / "manifest.json").read_bytes()

    with pytest.raises(
        UserError, match=r"x/dev-de\.tsv changed since .* put the old file back, or choose another name="
    ):
        manifest.add(tmp_path, splits={"test": {"en": entry("b"), "de": entry("b")}})
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_what_was_compared_with_training_stays_and_is_said(tmp_path: Path) -> None:
    leak = Leak(rows=2, exact=1, of=9, examples=[LeakedRow(row=3, file="b", train_row=4, train_file="a")])
    none = Leak(rows=0, exact=0, of=9, examples=[])
    manifest.add(tmp_path, dataset=XNLI, leaks={"test": {"en": leak}, "validation": {"en": none}})
    manifest.add(tmp_path, splits={"test": {"de": entry("c")}})
    whole = manifest.add(tmp_path, leaks={"test": {"de": none}})

    assert whole.leaks == {"test": {"en": leak, "de": none}, "validation": {"en": none}}
    (doubt,) = manifest.doubts(manifest.read(tmp_path))
    assert doubt.startswith("xnli test: rows that the model is trained on: en 2 of 9 (1 word for word). Counted from 0")


def test_a_file_that_does_not_look_like_its_language_is_a_doubt(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"ar": entry("a", scripts={"LATIN": 1.0}), "de": entry("b", scripts={})}})

    (doubt,) = manifest.doubts(manifest.read(tmp_path))
    assert doubt.startswith("x/dev-de.tsv: 100 % of the letters are Latin, where 'ar' is written in Arabic")


def test_another_encoder_is_refused_and_the_same_one_elsewhere_is_not(tmp_path: Path) -> None:
    manifest.add(tmp_path, encoder=model("a", "1"))
    manifest.add(tmp_path, encoder=model("b", "1"))

    with pytest.raises(UserError, match="b is no longer the encoder that"):
        manifest.add(tmp_path, encoder=model("b", "2"))


def test_another_model_is_refused_where_predictions_of_the_old_one_lie(tmp_path: Path) -> None:
    manifest.add(tmp_path, model=model("m", "1"))
    manifest.add(tmp_path, model=model("m", "2"))
    (tmp_path / "predictions" / "test").mkdir(parents=True)
    (tmp_path / "predictions" / "test" / "de.jsonl").touch()

    with pytest.raises(UserError, match="m is no longer the model whose predictions lie in"):
        manifest.add(tmp_path, model=model("m", "3"))


def test_a_limit_that_left_out_rows_is_told_from_dropped_rows() -> None:
    dropped = {"untranslated, NS": [1]}

    assert is_cut(entry("a", dropped=dropped, examples=1))
    assert not is_cut(entry("a", dropped=dropped, examples=2))
    assert is_cut(entry("a", dropped=dropped | {"empty": [1]}, examples=1))


def of_entry(**facts: Any) -> str:
    return json.dumps({"splits": {"test": {"en": {"files": [], **facts}}}})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("{", "Expecting property name"),
        ("[]", "it: "),
        ("[" * 100_000, "recursion"),
        ('{"splits": 3}', "it.splits: Input should be"),
        ('{"data": []}', "it.data: Input should be a valid string; found '[]'"),
        ('{"labels": "ab"}', "it.labels: "),
        ('{"origin": {"revision": 1}}', "it.origin.revision: "),
        ('{"encoder": 1}', "it.encoder: "),
        ('{"encoder": {"path": "x", "files": {"a": 1}}}', "it.encoder.files.a: "),
        ('{"facts": []}', "it.facts: "),
        ('{"leaks": {"test": {"en": {"rows": 1}}}}', "it.leaks.test.en.exact: Field required"),
        ('{"imported": {"test": {"en": {"path": "x"}}}}', "it.imported.test.en.sha256: Field required"),
        ('{"splits": {"test": {"en": {}}}}', "it.splits.test.en.files: Field required"),
        (of_entry(files=[{"path": "x", "bytes": "3", "sha256": "a"}]), "it.splits.test.en.files.0.bytes: "),
        (of_entry(examples="many"), "it.splits.test.en.examples: Input should be a valid integer; found 'many'"),
        (of_entry(rows=True), "it.splits.test.en.rows: "),
        (of_entry(scripts={"LATIN": "all"}), "it.splits.test.en.scripts.LATIN: "),
        (of_entry(tokens=[]), "it.splits.test.en.tokens: "),
        (of_entry(dropped=[]), "it.splits.test.en.dropped: "),
        (of_entry(dropped={"x": 1}), "it.splits.test.en.dropped.x: "),
        (of_entry(dropped={"x": [[1]]}), "it.splits.test.en.dropped.x.0: "),
        ('{"splits": {"test": {"en": {"files": [], "rows": 1e999}}}}', "1e999 is not a number"),
    ],
)
def test_a_damaged_manifest_is_named_with_what_is_wrong_where(tmp_path: Path, damage: str, told: str) -> None:
    (tmp_path / "manifest.json").write_text(damage)

    for use in (manifest.read, manifest.add):
        with pytest.raises(UserError, match=r"manifest\.json is damaged \(") as error:
            use(tmp_path)
        assert told in str(error.value)
        assert "delete it, and the same command writes it anew" in str(error.value)
    assert (tmp_path / "manifest.json").read_text() == damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"splits": {"../x": {}}}, "it.splits.'../x'"),
        ({"splits": {"test": {"\x1b[2J": {"files": []}}}}, "it.splits.test.'\\x1b[2J'"),
        ({"splits": {"test": {"en": {"files": [], "rows": -1}}}}, "it.splits.test.en.rows: "),
        ({"splits": {"test": {"en": {"files": [], "scripts": {"Latin": 7}}}}}, "it.splits.test.en.scripts.Latin: "),
        ({"splits": {"test": {"en": {"files": [], "dropped": {"x": [-1]}}}}}, "it.splits.test.en.dropped.x.0: "),
        ({"leaks": {"a b": {}}}, "it.leaks.'a b'.[key]: String should be a word"),
        ({"imported": {"test": {"<b>": {"path": "x", "sha256": "y"}}}}, "it.imported.test.'<b>'"),
        ({"facts": {"run": 1}}, "it.facts.run: "),
        ({"splits": None}, "it.splits: "),
    ],
)
def test_a_manifest_that_no_run_writes_is_named(tmp_path: Path, damage: dict[str, Any], told: str) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "data": "xnli"} | damage))

    for read in (manifest.read, manifest.add):
        with pytest.raises(UserError, match=r"manifest\.json is damaged \(.*delete it") as error:
            read(tmp_path)
        assert told in str(error.value)
        assert "\x1b" not in str(error.value)
