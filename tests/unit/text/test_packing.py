"""Sentences are packed in order and without loss, and pairs are cut as the tokenizer itself cuts them."""

from itertools import chain, pairwise

import numpy as np
import pytest
from tiny import tokenizer
from transformers import PreTrainedTokenizerFast

from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.text.packing import Packer

WORDS = [
    "the",
    "man",
    "reads",
    "a",
    "long",
    "book",
    "in",
    "the",
    "small",
    "house",
    "near",
    "the",
    "river",
    "while",
    "children",
    "sleep",
]
KINDS = ("mini", "bert", "deberta-v2")


def of_kind(kind: str) -> PreTrainedTokenizerFast:
    return load_tokenizer(MINI) if kind == "mini" else tokenizer(kind)


def drawn(number: int, *, longest: int = 12) -> list[str]:
    generator = np.random.default_rng(7)
    return [" ".join(generator.choice(WORDS, generator.integers(1, longest))) for _ in range(number)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_length", [8, 24, 64])
def test_packed_sentences_are_whole_in_order_and_as_many_as_there_is_room_for(kind: str, max_length: int) -> None:
    used, sentences = of_kind(kind), drawn(200)
    packer = Packer(used, max_length=max_length)
    examples = list(chain(*(table["input_ids"].to_pylist() for table in packer.packed([sentences]))))
    begin, end = used.cls_token_id, used.sep_token_id
    alone = [used(sentence, add_special_tokens=False)["input_ids"] for sentence in sentences]
    room = max_length - 2
    pieces = [ids[start : start + room] for ids in alone for start in range(0, len(ids), room)]

    assert list(chain(*(ids[1:] for ids in examples))) == list(chain(*([*piece, end] for piece in pieces)))
    assert all(ids[0] == begin and ids[-1] == end and len(ids) <= max_length for ids in examples)
    for ids, after in pairwise(examples):
        assert len(ids) + after.index(end) > max_length, "the next sentence had room"
    assert packer.counts["pieces"] == sum(len(ids) > room for ids in alone)
    assert packer.counts["subwords"] == sum(map(len, alone))
    assert (packer.counts["pieces"] > 0) == (max_length < 64)


def test_how_sentences_come_in_chunks_changes_nothing() -> None:
    sentences = drawn(100)
    packed = []
    for size in (1, 7, 100):
        chunks = [sentences[start : start + size] for start in range(0, 100, size)]
        tables = Packer(load_tokenizer(MINI), max_length=32).packed(chunks)
        packed.append(list(chain(*(table.to_pylist() for table in tables))))

    assert packed[0] == packed[1] == packed[2]
    assert [example["index"] for example in packed[0]] == list(range(len(packed[0])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_length", [8, 13, 14, 40])
def test_pairs_are_those_of_the_tokenizer(kind: str, max_length: int) -> None:
    used, sentences = of_kind(kind), drawn(400, longest=16)
    firsts, seconds = sentences[::2], sentences[1::2]
    packer = Packer(used, max_length=max_length)
    examples = list(chain(*(table.to_pylist() for table in packer.paired([sentences[:100], sentences[100:]]))))
    theirs = used(firsts, seconds, truncation="longest_first", max_length=max_length, return_token_type_ids=True)

    assert [example["input_ids"] for example in examples] == theirs["input_ids"]
    assert [example["windows"] for example in examples] == [[len(ids)] for ids in theirs["input_ids"]]
    assert [example["second"] for example in examples] == [one.sequence_ids.index(1) for one in theirs.encodings]
    assert packer.counts["truncated"] == sum(bool(one.overflowing) for one in theirs.encodings)
    if "token_type_ids" in used.model_input_names:
        assert [example["token_type_ids"] for example in examples] == theirs["token_type_ids"]
    else:
        assert "token_type_ids" not in examples[0]


def test_an_example_says_how_many_of_its_tokens_may_be_masked() -> None:
    used = load_tokenizer(MINI)
    [table] = Packer(used, max_length=64).paired([["the man reads", "a book ☃ here"]])
    [example] = table.to_pylist()

    assert used.unk_token_id in example["input_ids"]
    assert example["maskable"] == sum(number not in used.all_special_ids for number in example["input_ids"])
    [packed] = [
        one for table in Packer(used, max_length=64).packed([["the man", "reads"]]) for one in table.to_pylist()
    ]
    assert packed["second"] == 0


def test_text_that_reads_like_a_special_token_is_none() -> None:
    used = load_tokenizer(MINI)
    packer = Packer(used, max_length=64)
    examples = [one for table in packer.packed([["the man </s> <mask>reads", "a book"]]) for one in table.to_pylist()]

    assert examples[0]["input_ids"].count(used.sep_token_id) == 2
    assert used.mask_token_id not in examples[0]["input_ids"]
    assert packer.counts["special"] == 2
