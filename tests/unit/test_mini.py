"""The mini encoder's tokenizer is of XLM-R's kind and knows the whole sample."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from babelfit.data.sample import write_ner, write_nli, write_paraphrase
from babelfit.errors import UserError
from babelfit.mini import make

SPACELESS = ("ja", "th", "zh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    for write in (write_nli, write_paraphrase, write_ner):
        write(path)
    return path


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(make.FOLDER)


def test_it_is_of_the_kind_of_xlmr(tokenizer: PreTrainedTokenizerBase) -> None:
    config = AutoConfig.from_pretrained(make.FOLDER)
    assert tokenizer.is_fast
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1 == config.vocab_size - 1
    special = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert special == (config.bos_token_id, config.pad_token_id, config.eos_token_id)
    first, second = (tokenizer(text, add_special_tokens=False).input_ids for text in ("Maria", "David"))
    assert tokenizer("Maria", "David").input_ids == [0, *first, 2, 2, *second, 2]
    assert tokenizer("龘", add_special_tokens=False).input_ids[-1] == tokenizer.unk_token_id


@pytest.mark.parametrize("part", ["xnli", "pawsx"])
def test_it_knows_every_sentence_of_a_pair(tokenizer: PreTrainedTokenizerBase, folder: Path, part: str) -> None:
    for path in sorted((folder / part).iterdir()):
        lines = path.read_text(encoding="utf-8").splitlines()
        sentences = sorted({sentence for line in lines for sentence in line.split("\t")[:2]})
        assert all(tokenizer.unk_token_id not in ids for ids in tokenizer(sentences).input_ids)
        few = sentences[:20]
        assert tokenizer.batch_decode(tokenizer(few).input_ids, skip_special_tokens=True) == few


def test_it_knows_every_tagged_word_and_splits_it_as_in_running_text(
    tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    for path in sorted((folder / "panx").iterdir()):
        text = path.read_text(encoding="utf-8").strip()
        sentences = [[line.split("\t")[0] for line in lines.split("\n")] for lines in text.split("\n\n")]
        encoded = tokenizer(sentences, is_split_into_words=True).input_ids
        assert all(tokenizer.unk_token_id not in ids for ids in encoded)
        if not path.stem.endswith(SPACELESS):
            assert encoded == tokenizer([" ".join(words) for words in sentences]).input_ids


def test_the_shipped_folder_is_what_the_sample_gives(tmp_path: Path) -> None:
    make.make(tmp_path)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((make.FOLDER / name).read_text("utf-8")) == json.loads((tmp_path / name).read_text("utf-8"))
        assert (make.FOLDER / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("num_pieces", [3, 1000])
def test_a_vocabulary_that_its_text_does_not_support_is_refused(num_pieces: int) -> None:
    sentences = ["Maria lives in Paris.", "David lives in Rome."]
    with pytest.raises(UserError, match=rf"{num_pieces:,} pieces .* gives \d+") as refused:
        make.train_tokenizer(sentences, num_pieces=num_pieces)
    num_supported = int(str(refused.value).rpartition("gives ")[2].partition(":")[0])
    tokenizer = make.train_tokenizer(sentences, num_pieces=num_supported)
    assert tokenizer.get_vocab_size() == num_supported + 5  # the special ones
