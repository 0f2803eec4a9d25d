"""Encoders of every kind, tiny and with random weights: models, folders with tokenizers, and batches for them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, BertTokenizer, DebertaV2Tokenizer, PreTrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerFast as Tokenizer

from babelfit import mini
from babelfit.batches.ragged import RaggedBatch
from babelfit.encoder.encoder import takes_token_types
from babelfit.heads import HEADS

KINDS = ("xlm-roberta", "xlm-roberta-xl", "bert", "deberta-v2")
"""The model types of the encoders in conf/."""

RANDOM = ("encoder.pretrained=false", "encoder.freeze_embeddings=false", "encoder.embedding_dropout=null")
"""What encoder=mini_random sets, for commands that leave the default encoder its name."""

HEADS_OF_LABELS = ("sequence_classification", "token_classification", "masked_language_modeling")
"""Whose gold is an id of something."""

NUM_LABELS = 3
SIZES: dict[str, Any] = {
    "vocab_size": 200,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "initializer_range": 0.2,
    "num_labels": NUM_LABELS,
}
OF_KIND: dict[str, dict[str, Any]] = {
    "xlm-roberta": {"type_vocab_size": 1},
    "deberta-v2": {  # as in mDeBERTa's config.json
        "relative_attention": True,
        "position_buckets": 16,
        "max_relative_positions": -1,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_size": 32,
        "pooler_hidden_act": "gelu",
    },
    "modernbert": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        **dict.fromkeys(("bos_token_id", "cls_token_id"), 1),
        **dict.fromkeys(("eos_token_id", "sep_token_id"), 2),
        "pad_token_id": 0,
    },
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
}


def config(kind: str, **changes: Any) -> PreTrainedConfig:
    return AutoConfig.for_model(kind, **SIZES | OF_KIND.get(kind, {}) | changes)


def model(kind: str, *, head: str = "sequence_classification", **changes: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    made: PreTrainedModel = HEADS[head].model_class.from_config(config(kind, **changes)).eval()
    return made


def without_dropout(kind: str) -> dict[str, float]:
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0}
    return rates | ({"pooler_dropout": 0.0, "cls_dropout": 0.0} if kind == "deberta-v2" else {})


def ragged(lengths: list[int], *, per_token: bool = False, num_types: int = 2) -> RaggedBatch:
    """Make a batch of random sequences without the padding token; targets are the first tokens, or all."""
    generator = np.random.default_rng(1)
    borders = np.cumsum([0, *lengths])
    targets = np.arange(borders[-1]) if per_token else borders[:-1]
    batch = RaggedBatch(
        input_ids=generator.integers(5, 200, borders[-1]),
        token_type_ids=generator.integers(0, num_types, borders[-1]),
        position_ids=np.concatenate([np.arange(length) for length in lengths]),
        cu_seqlens=borders,
        targets=targets,
        gold=generator.integers(0, NUM_LABELS, len(targets)),
        indices=np.arange(len(targets)),
        languages=np.zeros(len(targets), dtype=np.int64),
        lengths=np.array(lengths),
    )
    return batch.to("cpu")


def padded(model: PreTrainedModel, batch: RaggedBatch) -> dict[str, torch.Tensor]:
    """Lay a batch out as transformers' collators do."""
    sizes = batch.cu_seqlens.diff().tolist()
    padding = model.config.pad_token_id
    ids = pad_sequence(batch.input_ids.split(sizes), batch_first=True, padding_value=padding)
    inputs = {"input_ids": ids, "attention_mask": (ids != padding).long()}
    if takes_token_types(model):
        inputs["token_type_ids"] = pad_sequence(batch.token_type_ids.split(sizes), batch_first=True)
    return inputs


def _pieces() -> list[tuple[str, float]]:
    """Read the pieces of the bundled tokenizer, without its special tokens."""
    content = json.loads((Path(mini.__file__).parent / "tokenizer.json").read_text(encoding="utf-8"))
    return [(piece, score) for piece, score in content["model"]["vocab"] if not piece.startswith("<")]


def tokenizer(kind: str) -> Tokenizer:
    """Build a tokenizer of BERT's or DeBERTa's kind that knows the bundled sample."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    if kind == "bert":
        words = [piece.removeprefix("▁") if piece.startswith("▁") else f"##{piece}" for piece, _ in _pieces()]
        characters = {character for piece, _ in _pieces() for character in piece.removeprefix("▁")}
        names = dict.fromkeys([*special, *words, *sorted(characters), *(f"##{one}" for one in sorted(characters))])
        names.pop("", None)
        return BertTokenizer(vocab={name: number for number, name in enumerate(names)}, do_lower_case=False)
    return DebertaV2Tokenizer(vocab=[*((name, 0.0) for name in special), *_pieces()])


def write_folder(kind: str, folder: Path, *, head: str | None = None, **changes: Any) -> Path:
    """Write an encoder's folder with its tokenizer; with a head, also weights."""
    of_kind = tokenizer(kind)
    of_kind.save_pretrained(folder)
    changes = {"vocab_size": len(of_kind), "num_hidden_layers": 2, "max_position_embeddings": 130} | changes
    if head is None:
        config(kind, **changes).save_pretrained(folder)
    else:
        model(kind, head=head, **changes).base_model.save_pretrained(folder)
    return folder
