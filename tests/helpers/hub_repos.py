"""What the stand-in for the Hub serves: small invented datasets in the real repositories' layout, small encoders."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from hub_server import StandIn
from transformers import AutoConfig, AutoModel

from babelfit.encoder import loading

DATASETS = {"xnli": "facebook/xnli", "pawsx": "google-research-datasets/paws-x", "wikiann": "unimelb-nlp/wikiann"}
SAFETENSORS, BIN, BARE = "invented/safetensors", "invented/bin", "invented/bare"
SIZES = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}

WORDS = ("tapa", "miro", "selu", "kona", "vidi", "lore", "panu", "zemi")
LANGUAGES = ("en", "de", "fr")
ROWS = {"train": 48, "validation": 12, "test": 18}
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")

FEATURES = {
    "xnli": Features(
        {
            "premise": Value("string"),
            "hypothesis": Value("string"),
            "label": ClassLabel(names=["entailment", "neutral", "contradiction"]),
        }
    ),
    "pawsx": Features(
        {
            "id": Value("int32"),
            "sentence1": Value("string"),
            "sentence2": Value("string"),
            "label": ClassLabel(names=["0", "1"]),
        }
    ),
    "wikiann": Features(
        {
            "tokens": List(Value("string")),
            "ner_tags": List(ClassLabel(names=list(TAGS))),
            "langs": List(Value("string")),
            "spans": List(Value("string")),
        }
    ),
}


def add_all(server: StandIn, folder: Path) -> None:
    """Serve every dataset and encoder in two commits."""
    for name, repo in DATASETS.items():
        commits = [folder / name / str(commit) for commit in range(2)]
        for commit, path in enumerate(commits):
            write_dataset(name, path, commit=commit)
        server.add("dataset", repo, *commits)
    for repo in (SAFETENSORS, BIN, BARE):
        commits = [folder / repo / str(commit) for commit in range(2)]
        for commit, path in enumerate(commits):
            write_encoder(repo, path, commit=commit)
        server.add("model", repo, *commits)


def write_encoder(repo: str, folder: Path, *, commit: int) -> None:
    """Write one commit of an encoder with mini's tokenizer; the weights of two commits differ."""
    mini = Path(loading.located(loading.MINI))
    config = AutoConfig.from_pretrained(mini, **SIZES)
    torch.manual_seed(commit)
    model = AutoModel.from_config(config)
    if repo == SAFETENSORS:
        model.save_pretrained(folder)
    config.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(mini / name, folder)
    if repo != BARE:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")


def write_dataset(name: str, folder: Path, *, commit: int) -> None:
    """Write one commit of a dataset; the rows of two commits differ."""
    for language in LANGUAGES:
        for split, num_rows in ROWS.items():
            rows = [row(name, language=language, number=number + 100 * commit) for number in range(num_rows)]
            table = Dataset.from_list(rows, features=FEATURES[name]).data.table
            num_shards = 2 if split == "train" else 1
            for shard in range(num_shards):
                path = folder / language / f"{split}-{shard:05}-of-{num_shards:05}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = num_rows // num_shards
                pq.write_table(table.slice(shard * size, size), path)
    (folder / "README.md").write_text(f"commit {commit}\n")


def row(name: str, *, language: str, number: int) -> dict[str, Any]:
    """Invent a row."""
    first, second, third = (WORDS[(number // step) % len(WORDS)] for step in (1, 3, 7))
    text = f"{language} {first} {second} {number}"
    if name == "xnli":
        return {"premise": f"{text}.", "hypothesis": f"{third} {first}.", "label": number % 3}
    if name == "pawsx":
        return {"id": number + 1, "sentence1": f"{text}.", "sentence2": f"{third} {text}.", "label": number % 2}
    tokens = [first, second, third, str(number)]
    return {
        "tokens": tokens,
        "ner_tags": [1, 2, 0, 3] if number % 2 else [5, 0, 0, 0],
        "langs": [language] * len(tokens),
        "spans": [f"PER: {first} {second}", f"ORG: {number}"] if number % 2 else [f"LOC: {first}"],
    }
