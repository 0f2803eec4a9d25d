"""manifest.json: every file and Hub revision that a run or an evaluation read. Reads no data itself."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from babelfit.encoder.loading import ModelFiles
from babelfit.errors import UserError
from babelfit.files import atomic_files, documents
from babelfit.files.documents import Word
from babelfit.predictions import prediction_files
from babelfit.rows.leaks import Leak, Leaks, in_words
from babelfit.rows.read import DatasetRead, Read, RowsRead, digests, paths
from babelfit.rows.scripts import look_alike

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A file that predictions are taken from."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest(DatasetRead):
    """What is read again of a manifest, which holds more; the last three are by split and language."""

    encoder: ModelFiles | None = None
    model: ModelFiles | None = None
    facts: dict[str, str] = field(default_factory=dict)  # those of the reports
    leaks: dict[Word, dict[Word, Leak]] = field(default_factory=dict)
    imported: dict[Word, dict[Word, Imported]] = field(default_factory=dict)
    splits: dict[Word, dict[Word, RowsRead]] = field(default_factory=dict)

    def of(self, split: str, language: str) -> RowsRead:
        """Return what was read of a language in a split; nothing where the manifest does not say it."""
        return self.splits.get(split, {}).get(language, RowsRead(files=[]))


def add(
    folder: Path,
    *,
    splits: Mapping[str, Mapping[str, Read]] | None = None,
    dataset: DatasetRead | None = None,
    encoder: ModelFiles | None = None,
    model: ModelFiles | None = None,
    facts: Mapping[str, str] | None = None,
    leaks: Leaks | None = None,
    imported: Mapping[str, Mapping[str, Imported]] | None = None,
) -> Manifest:
    """Add what was read to a folder's manifest, whatever else stands there, and return the whole.

    Raises UserError where a data file, the encoder, or the model or file whose predictions lie in the folder, is no
    longer what it was.
    """
    document, known = _read(folder)
    _check_files(folder, known=known, splits=splits or {})
    _check_model(folder, known=known, encoder=encoder, model=model)
    for split, files in (imported or {}).items():
        for language, file in files.items():
            before = known.imported.get(split, {}).get(language)
            _check_import(folder, split=split, language=language, before=before, file=file)
    given = {"encoder": encoder and asdict(encoder), "model": model and asdict(model), "facts": facts and dict(facts)}
    whole = {"schema": SCHEMA, **document, **(asdict(dataset) if dataset else {}), **_known(given.items())}
    merged = _merged(whole.pop("splits", {}), splits or {})
    for key, added in (("leaks", leaks), ("imported", imported)):
        whole |= {key: _merged(whole.get(key, {}), added)} if added else {}
    whole["splits"] = merged
    atomic_files.write_json(folder / "manifest.json", whole)
    return documents.parsed(Manifest, whole, where="it")


def _merged(before: Mapping[str, Any], added: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the typed values of a document, by split and language, with others merged in."""
    of_added = {
        split: {language: asdict(one, dict_factory=_known) for language, one in theirs.items()}
        for split, theirs in added.items()
    }
    return {**before, **{split: before.get(split, {}) | theirs for split, theirs in of_added.items()}}


def _known(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in pairs if value is not None}


def _check_files(folder: Path, *, known: Manifest, splits: Mapping[str, Mapping[str, Read]]) -> None:
    """Raise UserError where a data file is not the one that was read before."""
    for split, entries in splits.items():
        for language, entry in entries.items():
            before = known.splits.get(split, {}).get(language)
            if before is not None and digests(before) != digests(entry):
                raise UserError(
                    f"{paths(entry)} changed since {folder} read it (SHA-256 {digests(before)}, now {digests(entry)}): "
                    "put the old file back, or choose another name="
                )


def _check_model(folder: Path, *, known: Manifest, encoder: ModelFiles | None, model: ModelFiles | None) -> None:
    """Raise UserError where an encoder or model consists of other files than before; where it lies may change."""
    if encoder is not None and known.encoder is not None and encoder.files != known.encoder.files:
        raise UserError(
            f"{encoder.path} is no longer the encoder that {folder} was started with: put the old files back, or "
            "choose another name="
        )
    is_predicted = any((folder / "predictions").glob("*/*.jsonl"))
    if is_predicted and model is not None and known.model is not None and model.files != known.model.files:
        raise UserError(
            f"{model.path} is no longer the model whose predictions lie in {folder}: delete its predictions/ and "
            "scores/ to predict anew, or choose another name="
        )


def _check_import(folder: Path, *, split: str, language: str, before: Imported | None, file: Imported) -> None:
    """Raise UserError where predictions lie in the folder that are not from this file."""
    if not prediction_files.path(folder, split=split, language=language).exists():
        return
    if before is None or before.sha256 != file.sha256:
        whence = "nobody knows where" if before is None else f"{before.path} (SHA-256 {before.sha256[:12]})"
        raise UserError(
            f"{file.path} (SHA-256 {file.sha256[:12]}) holds other predictions than {folder}, which has those of "
            f"{split} {language} from {whence}; nothing was overwritten: choose another --name, or delete {folder}"
        )


def doubts(known: Manifest) -> list[str]:
    """Return in words what a manifest records against the data: rows trained on, files of another language."""
    found = in_words(known.leaks, dataset=str(known.data))
    for entries in known.splits.values():
        for language, entry in entries.items():
            if other := look_alike(language, shares=entry.scripts):
                found.append(f"{paths(entry)}: {other}")
    return list(dict.fromkeys(found))


def read(folder: Path) -> Manifest:
    """Return a folder's manifest, empty where there is none; raise UserError where it is damaged."""
    return _read(folder)[1]


def _read(folder: Path) -> tuple[dict[str, Any], Manifest]:
    """Return a folder's manifest as it stands there, and its known fields."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}, Manifest()
    try:
        document = documents.loads(path.read_text(encoding="utf-8"))
        return document, documents.parsed(Manifest, document, where="it")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, and the same command writes it anew") from error
