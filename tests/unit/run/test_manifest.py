"""The manifest names every file that was read, and notices when one is no longer what it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.run import manifest


def entry(digest: str, **facts: Any) -> dict[str, Any]:
    return {"files": [{"path": "x/dev-de.tsv", "bytes": 3, "sha256": digest}], "rows": 3} | facts


def test_what_is_added_stands_beside_what_was_there(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"train": {"en": entry("a")}, "test": {"en": entry("b")}}, encoder={"path": "mini"})
    whole = manifest.add(tmp_path, splits={"test": {"de": entry("c")}}, data="xnli")

    assert whole == json.loads((tmp_path / "manifest.json").read_text())
    assert whole["splits"] == {"train": {"en": entry("a")}, "test": {"en": entry("b"), "de": entry("c")}}
    assert (whole["schema"], whole["encoder"], whole["data"]) == (1, {"path": "mini"}, "xnli")


def test_the_same_file_may_be_read_again(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"de": entry("a", examples=2)}})
    whole = manifest.add(tmp_path, splits={"test": {"de": entry("a", examples=3)}})

    assert whole["splits"]["test"]["de"]["examples"] == 3


def test_a_file_that_changed_is_refused_and_the_manifest_stays(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"de": entry("a")}})
    before = (tmp_path / "manifest.json").read_bytes()

    with pytest.raises(
        UserError, match=r"x/dev-de\.tsv changed since .* put the old file back, or choose another name="
    ):
        manifest.add(tmp_path, splits={"test": {"en": entry("b"), "de": entry("b")}})
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_what_was_compared_with_training_stays_and_is_said(tmp_path: Path) -> None:
    leak = {"rows": 2, "exact": 1, "of": 9, "examples": [{"row": 3, "file": "b", "train_row": 4, "train_file": "a"}]}
    none = {"rows": 0, "exact": 0, "of": 9, "examples": []}
    manifest.add(tmp_path, splits={}, data="xnli", leaks={"test": {"en": leak}, "validation": {"en": none}})
    manifest.add(tmp_path, splits={"test": {"de": entry("c")}})
    whole = manifest.add(tmp_path, splits={}, leaks={"test": {"de": none}})

    assert whole["leaks"] == {"test": {"en": leak, "de": none}, "validation": {"en": none}}
    (doubt,) = manifest.doubts(manifest.read(tmp_path))
    assert doubt.startswith("xnli test: rows that the model is trained on: en 2 of 9 (1 word for word). Counted from 0")


def test_a_file_that_does_not_look_like_its_language_is_a_doubt(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={"test": {"ar": entry("a", scripts={"LATIN": 1.0}), "de": entry("b", scripts={})}})

    (doubt,) = manifest.doubts(manifest.read(tmp_path))
    assert doubt.startswith("x/dev-de.tsv: 100 % of the letters are Latin, where 'ar' is written in Arabic")


def test_another_encoder_is_refused_and_the_same_one_elsewhere_is_not(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={}, encoder={"path": "a", "files": {"config.json": "1"}})
    manifest.add(tmp_path, splits={}, encoder={"path": "b", "files": {"config.json": "1"}})

    with pytest.raises(UserError, match="b is no longer the encoder that"):
        manifest.add(tmp_path, splits={}, encoder={"path": "b", "files": {"config.json": "2"}})


def test_another_model_is_refused_where_predictions_of_the_old_one_lie(tmp_path: Path) -> None:
    manifest.add(tmp_path, splits={}, model={"path": "m", "files": {"model.safetensors": "1"}})
    manifest.add(tmp_path, splits={}, model={"path": "m", "files": {"model.safetensors": "2"}})
    (tmp_path / "predictions" / "test").mkdir(parents=True)
    (tmp_path / "predictions" / "test" / "de.jsonl").touch()

    with pytest.raises(UserError, match="m is no longer the model whose predictions lie in"):
        manifest.add(tmp_path, splits={}, model={"path": "m", "files": {"model.safetensors": "3"}})


def test_a_limit_that_left_out_rows_is_told_from_dropped_rows() -> None:
    dropped = {"untranslated, NS": [1]}

    assert manifest.is_cut(entry("a", dropped=dropped, examples=1))
    assert not manifest.is_cut(entry("a", dropped=dropped, examples=2))
    assert manifest.is_cut(entry("a", dropped=dropped | {"empty": [1]}, examples=1))


def with_dropped(dropped: str) -> str:
    return f'{{"splits": {{"test": {{"en": {{"files": [], "dropped": {dropped}}}}}}}}}'


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "[]",
        '{"splits": {"test": {"en": {}}}}',
        '{"splits": 3}',
        '{"data": []}',
        '{"encoder": 1}',
        '{"splits": {"test": {"en": {"files": [], "examples": "many"}}}}',
        '{"imported": {"test": {"en": {"path": "x"}}}}',
        with_dropped("[]"),
        with_dropped('{"x": 1}'),
        with_dropped('{"x": [[1]]}'),
        "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / "manifest.json").write_text(damage)

    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        manifest.add(tmp_path, splits={})
