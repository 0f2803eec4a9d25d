"""BERT's and DeBERTa's tokenizers give what datasets need: pairs with types, words with windows, borders."""

from pathlib import Path

import pyarrow as pa
import pytest
from tiny import tokenizer, write_folder

from babelfit.encoder import loading
from babelfit.errors import UserError
from babelfit.rows.encoding import encode_texts, encode_words, read_words_as_in_text, special_tokens

TOKENIZERS = ["bert", "deberta-v2"]
PAIRS = {"premise": ["a b c d", "one"], "hypothesis": ["e f", "two"]}


@pytest.fixture(params=TOKENIZERS)
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> loading.PreTrainedTokenizerFast:
    return loading.load_tokenizer(str(write_folder(request.param, tmp_path)))


def test_a_pair_is_two_types(loaded: loading.PreTrainedTokenizerFast) -> None:
    columns = encode_texts(pa.table(PAIRS), tokenizer=loaded, texts=("premise", "hypothesis"), max_length=12)

    for ids, types in zip(columns["input_ids"], columns["token_type_ids"], strict=True):
        assert [loaded.cls_token_id, loaded.sep_token_id] == [ids[0], ids[-1]]
        border = ids.index(loaded.sep_token_id) + 1
        assert types == [0] * border + [1] * (len(ids) - border)
    assert columns["truncated"] == [len(loaded("a b c d", "e f")["input_ids"]) > 12, False]
    assert columns["targets"] == [[0], [0]]


def test_words_are_all_of_one_type_and_cut_into_windows(loaded: loading.PreTrainedTokenizerFast) -> None:
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
    columns = encode_words(pa.table({"words": [words]}), tokenizer=loaded, words="words", max_length=8)

    (ids,), (types,), (windows,), (targets,) = (
        columns[name] for name in ("input_ids", "token_type_ids", "windows", "targets")
    )
    assert len(windows) > 1
    assert sum(windows) == len(ids) == len(types)
    assert not any(types)
    start = 0
    for size in windows:
        assert (ids[start], ids[start + size - 1]) == (loaded.cls_token_id, loaded.sep_token_id)
        start += size
    firsts = [loaded(word, add_special_tokens=False)["input_ids"][0] for word in words]
    assert [ids[target] for target in targets] == firsts


def test_special_tokens_and_words_as_in_text(loaded: loading.PreTrainedTokenizerFast) -> None:
    before = loaded.backend_tokenizer.to_str()
    read_words_as_in_text(loaded)

    assert loaded.backend_tokenizer.to_str() == before, "nothing had to be set right"
    assert special_tokens(loaded) == ([loaded.cls_token_id], [loaded.sep_token_id])


@pytest.fixture
def like_mdeberta(tmp_path: Path, shared: Path) -> Path:
    """A folder as mDeBERTa's: its only tokenizer is spm.model, here with XLM-R's pieces."""
    write_folder("deberta-v2", tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    (tmp_path / "spm.model").write_bytes((shared / "xlmr_base" / "sentencepiece.bpe.model").read_bytes())
    return tmp_path


def test_without_sentencepiece_it_is_said_what_to_install(like_mdeberta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"spm\.model needs sentencepiece: pip install 'babelfit\[sentencepiece\]'"):
        loading.load_tokenizer(str(like_mdeberta))


def test_with_sentencepiece_spm_model_is_enough(like_mdeberta: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    loaded = loading.load_tokenizer(str(like_mdeberta))

    assert loaded.tokenize("The cat sat on the mat.") == ["▁The", "▁cat", "▁sat", "▁on", "▁the", "▁mat", "."]
    assert special_tokens(loaded) == ([loaded.cls_token_id], [loaded.sep_token_id])
    assert loaded.model_input_names == tokenizer("deberta-v2").model_input_names
    loaded.save_pretrained(tmp_path / "exported")
    assert (tmp_path / "exported" / "tokenizer.json").is_file(), "an exported model needs no sentencepiece"
