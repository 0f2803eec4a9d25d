"""Sentences become windows in which every word has its target, whatever the tokenizer makes of it."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from babelfit.datasets.wikiann import LAYOUTS
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.rows.encoding import encode_words, read_words_as_in_text, special_tokens
from babelfit.rows.readers import TAGS, WORDS

TOKENIZER = load_tokenizer(MINI)
VANISHING = "\u200b"

word = st.one_of(
    st.sampled_from(["Maria", "Paris", "a", "unbelievable", "巴黎", "पेरिस"]), st.text("abcxyz", min_size=1)
)


def encoded(*sentences: list[str], max_length: int) -> dict[str, Any]:
    table = pa.table({WORDS: list(sentences), TAGS: [None] * len(sentences)})
    return encode_words(table, tokenizer=TOKENIZER, words=WORDS, max_length=max_length)


@given(st.lists(word, min_size=1, max_size=30), st.integers(8, 40))
@settings(max_examples=80, deadline=None)
def test_windows_part_between_words_and_hold_every_word_once(words: list[str], max_length: int) -> None:
    columns = encoded(words, max_length=max_length)
    ids, windows, targets = (columns[name][0] for name in ("input_ids", "windows", "targets"))
    borders = np.cumsum([0, *windows])

    assert borders[-1] == len(ids)
    assert max(windows) <= max_length
    assert len(targets) == len(words)
    assert targets == sorted(set(targets))
    read = []
    for start, end in pairwise(borders):
        assert (ids[start], ids[end - 1]) == (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id)
        firsts = [target for target in targets if start <= target < end]
        assert firsts[0] == start + 1, "a window begins with the first subword of a word"
        read += [ids[a:b] for a, b in pairwise([*firsts, end - 1])]
    room = max_length - 2
    expected = [TOKENIZER(one, add_special_tokens=False)["input_ids"] for one in words]
    assert read == [one[:room] for one in expected]
    assert columns["truncated"] == [any(len(one) > room for one in expected)]


def test_a_sentence_that_fits_is_one_window_as_the_tokenizer_writes_it() -> None:
    columns = encoded(["Maria", "lives", "in", "Paris"], max_length=32)

    assert columns["input_ids"] == [TOKENIZER("Maria lives in Paris")["input_ids"]]
    assert columns["windows"] == [[len(columns["input_ids"][0])]]


def test_a_word_that_the_tokenizer_turns_into_nothing_is_predicted_all_the_same() -> None:
    silent = load_tokenizer(MINI)
    silent.backend_tokenizer.normalizer = normalizers.Replace(VANISHING, "")  # as XLM-R's does
    table = pa.table({WORDS: [["Maria", VANISHING, "Paris"]], TAGS: [None]})
    columns = encode_words(table, tokenizer=silent, words=WORDS, max_length=32)

    [target] = columns["targets"][0][1:2]
    assert len(columns["targets"][0]) == 3
    assert columns["input_ids"][0][target] == silent.unk_token_id


def test_a_word_longer_than_a_window_is_cut_and_counted() -> None:
    columns = encoded(["Maria", "x" * 200, "Paris"], ["Maria"], max_length=8)

    assert columns["truncated"] == [True, False]
    assert len(columns["targets"][0]) == 3
    assert max(columns["windows"][0]) == 8


def test_the_special_tokens_are_those_of_the_tokenizer() -> None:
    assert special_tokens(TOKENIZER) == ([TOKENIZER.bos_token_id], [TOKENIZER.eos_token_id])


def test_special_tokens_that_cannot_be_told_are_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "</s>": 2}, unk_token="<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="</s>", special_tokens=[("</s>", 2)])
    swallowing = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    with pytest.raises(UserError, match=r"turns 'a' into \[\], and with special tokens into \[2\]"):
        special_tokens(swallowing)


def test_a_tokenizer_without_unknown_token_is_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"Maria": 0}))
    with pytest.raises(UserError, match="has no unknown token"):
        read_words_as_in_text(PreTrainedTokenizerFast(tokenizer_object=tokenizer))


def byte_level(*, in_sequence: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer like ModernBERT's: the space before a word is a part of the word."""
    tokenizer = Tokenizer(models.BPE())
    step: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([step]) if in_sequence else step
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["in 1969 Maria Kowalska visited Nairobi"] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.mark.parametrize("in_sequence", [False, True])
def test_a_byte_level_tokenizer_is_set_right_and_stays_so_when_exported(in_sequence: bool, tmp_path: Path) -> None:
    tokenizer = byte_level(in_sequence=in_sequence)
    words = ["Maria", "visited", "Nairobi"]
    assert tokenizer(words, is_split_into_words=True)["input_ids"] != tokenizer(" ".join(words))["input_ids"]

    read_words_as_in_text(tokenizer)
    tokenizer.save_pretrained(tmp_path)

    for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        assert one(words, is_split_into_words=True)["input_ids"] == one(" ".join(words))["input_ids"]


def test_a_tokenizer_of_xlmrs_kind_is_left_alone() -> None:
    before = TOKENIZER.backend_tokenizer.to_str()
    read_words_as_in_text(TOKENIZER)
    assert TOKENIZER.backend_tokenizer.to_str() == before


def test_a_tokenizer_that_cannot_be_set_right_is_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "Maria Kowalska": 1}, unk_token="<unk>"))
    lumping = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    with pytest.raises(UserError, match="splits a word given alone differently"):
        read_words_as_in_text(lumping)


def test_every_word_of_a_long_japanese_sentence_has_its_target(shared: Path) -> None:
    tokenizer = load_tokenizer(str(shared / "xlmr_base"))
    table = LAYOUTS[0].read(shared / "xtreme" / "panx" / "dev-ja.tsv", language="ja")
    columns = encode_words(table, tokenizer=tokenizer, words=WORDS, max_length=128)
    lengths = [sum(windows) - 2 * len(windows) for windows in columns["windows"]]

    assert [len(targets) for targets in columns["targets"]] == [len(words) for words in table[WORDS].to_pylist()]
    assert sum(len(windows) > 1 for windows in columns["windows"]) == 867
    assert max(lengths) + 2 == 1492
    assert not any(columns["truncated"])
