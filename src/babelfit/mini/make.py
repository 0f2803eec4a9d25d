"""Rebuild the mini encoder's folder: `python -m babelfit.mini.make [folder] [--weights MODEL]`.

The tokenizer is of XLM-R's kind and knows the text of all parts of the bundled synthetic sample in all their languages;
the same sample gives the same bytes. Weights are taken from a run of `experiment=pretrain_mini`. The model card is
written by hand.
"""

import argparse
import json
import math
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE, Model, Unigram
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer

from babelfit.errors import UserError
from babelfit.sample import ner
from babelfit.sample.labelled import read_sentences, write_labelled
from babelfit.sample.lexicon import LEXICON, SPACELESS

FOLDER = Path(__file__).parent
NUM_PIECES = 7294  # proposed, of which those in use stay
NUM_ROWS = 900  # pairs of each language: enough to meet every word
WEIGHTS = "model.safetensors"
# Writing without spaces: a word is the same piece behind one, as tagged words and foreign ones stand, and elsewhere.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}"
SHAPE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")  # XLM-R's ids 0 to 3; <mask> is its last
CONFIG = {
    "model_type": "xlm-roberta",
    "architectures": ["XLMRobertaForMaskedLM"],
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.15,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",  # XLM-R's own class would put its own splitting in place of ours
    "model_max_length": 512,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}


def make(folder: Path = FOLDER, *, num_pieces: int = NUM_PIECES, weights: Path | None = None) -> None:
    """Write config.json, tokenizer.json and tokenizer_config.json into a folder, and the weights of a run's model.

    Raises UserError where these are of another vocabulary or shape.
    """
    with tempfile.TemporaryDirectory() as sample:
        write_labelled(Path(sample))
        # Some parts stand in pretraining's text alone.
        parts = sorted({part for language in LEXICON.languages for part in LEXICON.parts(language)})
        sentences = [*_sentences(Path(sample)), *parts]
        tokenizer = train_tokenizer(sentences, num_pieces=num_pieces)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    _write_json(folder / "tokenizer_config.json", content=TOKENIZER_CONFIG)
    _write_json(folder / "config.json", content=CONFIG | {"vocab_size": tokenizer.get_vocab_size()})
    if weights is not None:
        check_fit(weights, folder=folder)
        shutil.copyfile(weights / WEIGHTS, folder / WEIGHTS)


def check_fit(weights: Path, *, folder: Path) -> None:
    """Raise UserError unless a folder holds weights for the tokenizer and the config of another."""
    if not (weights / WEIGHTS).is_file():
        raise UserError(f"{weights} has no {WEIGHTS}: give the model/ of a run of experiment=pretrain_mini")
    theirs, ours = (AutoTokenizer.from_pretrained(one).get_vocab() for one in (weights, folder))
    if theirs != ours:
        raise UserError(
            f"{weights} was trained on another vocabulary ({len(theirs):,} pieces) than the sample gives "
            f"({len(ours):,}): make the tokenizer first, then pretrain"
        )
    config = json.loads((weights / "config.json").read_text(encoding="utf-8"))
    for field in SHAPE:
        if config.get(field) != CONFIG[field]:
            raise UserError(f"{weights} has {field} {config.get(field)}, not {CONFIG[field]}: pretrain it again")


def train_tokenizer(sentences: Sequence[str], *, num_pieces: int) -> Tokenizer:
    """Train a tokenizer: its pieces are those of so many proposed ones that the text is cut into, and its characters.

    Raises UserError where the text supports fewer, or has more characters.
    """
    # Pieces come from BPE because the unigram trainer breaks ties by hash order; their scores are the unigram model's.
    splitter = _tokenizer(BPE())
    # A word keeps its piece in front of a full stop. Where no space tells words apart, the sample's parts are words: a
    # whole clause as one piece would share nothing with any other.
    words = {part for language in SPACELESS for part in LEXICON.parts(language) | ner.parts(language)}
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    splitter.pre_tokenizer = pre_tokenizers.Sequence(
        [
            splitter.pre_tokenizer,
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Split(Regex("|".join(map(re.escape, longest_first))), "isolated"),
        ]
    )
    splitter.train_from_iterator(sentences, BpeTrainer(vocab_size=num_pieces, show_progress=False))
    if splitter.get_vocab_size() != num_pieces:
        raise UserError(
            f"a vocabulary of {num_pieces:,} pieces does not suit this text, which gives "
            f"{splitter.get_vocab_size():,}: ask for as many, or give other text"
        )
    counts = Counter(piece for piece in splitter.get_vocab() if len(piece) == 1)
    for encoding in splitter.encode_batch(sentences, add_special_tokens=False):
        counts.update(encoding.tokens)
    total = counts.total()
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    vocabulary = [
        *((token, 0.0) for token in SPECIAL_TOKENS),
        *((piece, round(math.log(count / total), 4)) for piece, count in ranked),
        ("<mask>", 0.0),
    ]
    tokenizer = _tokenizer(Unigram(vocabulary, SPECIAL_TOKENS.index("<unk>"), False))
    tokenizer.add_special_tokens([*SPECIAL_TOKENS, AddedToken("<mask>", lstrip=True)])
    return tokenizer


def _tokenizer(model: Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
            pre_tokenizers.Split(Regex(f"▁(?=[{UNSPACED}])"), "removed"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["<s>", "$A", "</s>"],
        pair=["<s>", "$A", "</s>", "</s>", "$B", "</s>"],
        special_tokens=[(token, SPECIAL_TOKENS.index(token)) for token in ("<s>", "</s>")],
    )
    return tokenizer


def _sentences(folder: Path) -> Iterator[str]:
    """Yield the distinct sentences of each file of training pairs, and all tagged ones: some names no training has."""
    for path in [*sorted(folder.glob("xnli/train-*")), *sorted(folder.glob("pawsx/train-*"))]:
        yield from dict.fromkeys(islice(read_sentences(path), 2 * NUM_ROWS))
    for path in sorted(folder.glob("panx/*")):
        yield from read_sentences(path)


def _write_json(path: Path, *, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rebuild the mini encoder's config and tokenizer from the sample.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to write (default: the package)")
    parser.add_argument(
        "--pieces", type=int, default=NUM_PIECES, help=f"proposed for the tokenizer (default: {NUM_PIECES})"
    )
    parser.add_argument("--weights", type=Path, help="model/ of a run of experiment=pretrain_mini (default: none)")
    options = parser.parse_args()
    try:
        make(options.folder, num_pieces=options.pieces, weights=options.weights)
    except UserError as error:
        sys.exit(f"error: {error}")
