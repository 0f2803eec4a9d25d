"""What is kept of what commands leave: numbers and text as they are, hashes of what is large, no place and no time."""

import csv
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Kept = dict[str, Any]

PAGES = ("whole", "seed-1")
"""Runs whose report.html is kept: one of each dataset."""

OF_A_MACHINE = ('"commit":', '"platform":', '"cores":')
"""How lines of a page begin that say where and by which commit it was made."""


def of_folder(folder: Path, *, root: Path) -> Kept:
    """Keep all that the commands of one folder have left there."""
    outputs = folder / "outputs"
    runs = [path.parent for path in outputs.rglob("*.yaml") if path.name in ("config.yaml", "evaluation.yaml")]
    # Trials are named by a hash of what their configuration happens to hold; those of the net differ in seed.
    trials = {run: f"seed-{_seed(run)}" for run in runs if run.parent != outputs}
    clean = _cleaner({str(folder): "FOLDER", str(root): "ROOT"} | {run.name: seed for run, seed in trials.items()})
    names = {run: clean(str(run.relative_to(outputs))) for run in runs}
    return {
        "cache": sorted(_token_caches(folder / "cache"), key=json.dumps),
        "runs": {name: of_run(run, clean=clean) for run, name in sorted(names.items(), key=lambda item: item[1])},
        "sweeps": {path.parent.name: _of_sweep(path.parent, clean=clean) for path in outputs.glob("*/sweep.json")},
        "documents": {path.name: clean(_read(path)) for path in sorted(folder.glob("*.json"))},
        "exported": _hashes(folder / "exported", "*.tsv"),
    }


def _seed(run: Path) -> str:
    return re.findall(r"^seed: (\d+)$", (run / "config.yaml").read_text(), flags=re.MULTILINE)[0]


def of_run(run: Path, *, clean: Callable[[Any], Any]) -> Kept:
    """Keep what lies in the folder of a run or an evaluation."""
    losses, others = _metrics(run / "metrics.csv")
    status = _read(run / "status.json")
    facts = {
        "losses": losses,
        "predictions": _hashes(run, "*.jsonl"),
        "weights": _weights(run / "model" / "model.safetensors"),
        "scores": {path.name: clean(_read(path)) for path in sorted((run / "scores").glob("*.json"))},
        "selections": clean(_read(run / "selections.json")),
        "status": clean({key: status[key] for key in ("state", "selected", "rankings", "objectives") if key in status}),
        "manifest": clean(_read(run / "manifest.json")),
        "texts": {
            "metrics.csv": others,
            "report.md": clean(_lines(run / "report.md")),
            "report.html": clean(_words_of_page(run / "report.html")) if run.name in PAGES else [],
            "model/README.md": clean(_lines(run / "model" / "README.md")),
            "configuration": clean(_lines(run / "config.yaml") or _lines(run / "evaluation.yaml")),
        },
    }
    return {name: value for name, value in facts.items() if value} | {
        "texts": {name: lines for name, lines in facts["texts"].items() if lines}
    }


def _of_sweep(folder: Path, *, clean: Callable[[Any], Any]) -> Kept:
    texts = {f"sweep.{kind}": clean(_lines(folder / f"sweep.{kind}")) for kind in ("csv", "md")}
    return {"sweep.json": clean(_read(folder / "sweep.json")), "texts": texts}


def _token_caches(folder: Path) -> Iterator[Kept]:
    """Keep, of each dataset in the token cache, the number of rows, how it begins, and a hash of each column's values.

    Neither the name of its file nor the width of its integers counts.
    """
    from datasets import Dataset

    for path in folder.rglob("*.arrow"):
        columns = Dataset.from_file(str(path)).data
        values = {name: columns[name].to_pylist() for name in columns.column_names}
        hashed = {name: hashlib.sha256(json.dumps(theirs).encode()).hexdigest() for name, theirs in values.items()}
        yield {"rows": columns.num_rows, "begins": values.get("input_ids", [[]])[0][:8], "columns": hashed}


def _metrics(path: Path) -> tuple[list[str], list[str]]:
    """Split metrics.csv into the losses of training and all other rows."""
    losses, others = [], []
    for row in csv.DictReader(path.read_text().splitlines()) if path.is_file() else ():
        rows = losses if row["metric"] == "train/loss" else others
        rows.append(",".join(row.values()))
    return losses, others


def _weights(path: Path) -> Kept:
    """Hash the file of the exported weights, and the tensors in it, whatever else it says."""
    if not path.is_file():
        return {}
    from safetensors.torch import load_file

    tensors = load_file(path)
    hashed = hashlib.sha256()
    for name in sorted(tensors):
        hashed.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        hashed.update(tensors[name].numpy().tobytes())
    return {"file": _sha256(path), "tensors": hashed.hexdigest(), "num_tensors": len(tensors)}


def _hashes(folder: Path, pattern: str) -> dict[str, str]:
    return {str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob(pattern))}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _words_of_page(path: Path) -> list[str]:
    """Take what can be read on a page: no tags, no figures, no style and no script."""
    page = "\n".join(_lines(path))
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    page = re.sub(r"</?(p|div|tr|table|h\d|li|section|summary|details|thead|tbody)\b[^>]*>", "\n", page)
    lines = html.unescape(re.sub(r"<[^>]*>", " ", page)).splitlines()
    return [words for line in lines if (words := " ".join(line.split())) and not words.startswith(OF_A_MACHINE)]


def _cleaner(names: dict[str, str]) -> Callable[[Any], Any]:
    """Make a function that writes other names in what was read, and of a value that is a path the last part alone."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {clean(key): Path(one).name if key == "path" and one else clean(one) for key, one in value.items()}
        if isinstance(value, list):
            return [clean(one) for one in value]
        if isinstance(value, str):
            for name, other in names.items():
                value = value.replace(name, other)
        return value

    return clean
