"""The mini encoder: its tokenizer is of XLM-R's kind and knows the whole sample, and its weights fit."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerBase

from babelfit.errors import UserError
from babelfit.mini import make
from babelfit.sample import NLI_LANGUAGES, ner
from babelfit.sample.lexicon import LEXICON, SPACELESS


@pytest.fixture(scope="module")
def folder(labelled_sample: Path) -> Path:
    return labelled_sample


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
        assert encoded == tokenizer([" ".join(words) for words in sentences]).input_ids


@pytest.mark.parametrize("language", SPACELESS)
def test_where_no_space_tells_words_apart_the_words_of_the_sample_are_pieces(
    tokenizer: PreTrainedTokenizerBase, language: str
) -> None:
    words = {word for word in LEXICON.parts(language) | ner.parts(language) if not word.isascii()}
    assert {word for word in words if word not in tokenizer.tokenize(f"。{word}")} == set()
    for slot in LEXICON.slots:
        # Of what is more general only NLI speaks.
        concepts = LEXICON.values(slot)
        if language in NLI_LANGUAGES:
            concepts = [statement.concept for statement in LEXICON.statements(slot)]
        for concept in concepts:
            phrase = LEXICON.phrase(language, slot=slot, concept=concept)
            clause = LEXICON.clause(language, slot=slot, phrase=phrase, gender="m").partition("<")[0]
            assert LEXICON.parts(language).issuperset(tokenizer.tokenize(phrase)), phrase
            assert " ".join(tokenizer.tokenize(phrase)) in " ".join(tokenizer.tokenize(f"。{clause}")), clause


@pytest.mark.parametrize("language", SPACELESS)
def test_where_no_space_tells_words_apart_a_word_is_one_piece_behind_a_space_and_elsewhere(
    tokenizer: PreTrainedTokenizerBase, language: str
) -> None:
    names = [LEXICON.name(language, concept=concept) for concept in LEXICON.genders]
    for name in names:
        for text in (name, f"Sara {name}", f"。{name}", f"{names[0]} {name}", f"{names[0]}{name}"):
            assert tokenizer.tokenize(text)[-1] == name


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
    # Of the proposed pieces, all characters, and whole words where these are proposed; nothing in between.
    words = {"▁Maria", "▁David", "▁lives", "▁in", "▁Paris", "▁Rome"} if num_pieces == 1000 else set()
    assert set(tokenizer.get_vocab()) == {*make.SPECIAL_TOKENS, "<mask>", "▁", *words, *"".join(sentences)} - {" "}


def test_the_shipped_weights_are_a_whole_masked_language_model_in_little_space() -> None:
    model, loading = AutoModelForMaskedLM.from_pretrained(make.FOLDER, output_loading_info=True)
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(make.FOLDER))
    assert sum(path.stat().st_size for path in make.FOLDER.iterdir() if path.is_file()) < 8_000_000


def changed(folder: Path, **fields: int) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")
    return folder


def test_weights_of_another_vocabulary_or_shape_are_refused(tmp_path: Path) -> None:
    same, other = (shutil.copytree(make.FOLDER, tmp_path / name) for name in ("same", "other"))
    make.check_fit(same, folder=make.FOLDER)
    with pytest.raises(UserError, match="has num_hidden_layers 7, not 3: pretrain it again"):
        make.check_fit(changed(other, num_hidden_layers=7), folder=make.FOLDER)
    make.train_tokenizer(["Maria"], num_pieces=10).save(str(same / "tokenizer.json"))
    with pytest.raises(UserError, match=r"another vocabulary \(\d+ pieces\) than the sample gives"):
        make.check_fit(same, folder=make.FOLDER)
    (other / make.WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"other has no model\.safetensors"):
        make.check_fit(other, folder=make.FOLDER)
