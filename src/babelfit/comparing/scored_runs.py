"""Runs and evaluations that were scored, as `compare` and `matrix` read them: the same data and split, or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from babelfit.config import config_files
from babelfit.config.regimes import in_words
from babelfit.config.schema import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.datasets import DATASETS as DATA
from babelfit.errors import UserError
from babelfit.files.untrusted_files import check_folder
from babelfit.predictions import prediction_files
from babelfit.reports.words import warnings_of
from babelfit.run import manifest
from babelfit.run.run import CONFIG
from babelfit.scoring import scoring
from babelfit.scoring.answers import Answers, answers, parts
from babelfit.scoring.consistency import aligned
from babelfit.scoring.metrics import MAIN_METRIC
from babelfit.statistics.bootstrap import Parts

SEED, NAME = "seed", "name"
"""What may differ between runs of one side."""

ROUNDING = 1e-6
"""By so much may a score differ from that of its predictions: added up in another order."""


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """One folder's scores of one split."""

    folder: Path
    scores: Mapping[str, Any]

    @property
    def sources(self) -> list[str]:
        """Return the languages that were trained on."""
        return [str(one) for one in self.scores["source_languages"]]

    @property
    def main(self) -> dict[str, float]:
        """Return the main metric of each language, a fraction of 1."""
        metric = self.scores["metric"]
        return {str(one): float(values[metric]) for one, values in self.scores["languages"].items()}

    @property
    def regime(self) -> str:
        """Return what was seen of the target languages; scores of before there were regimes are zero-shot."""
        return str(self.scores.get("regime", "zero_shot"))

    @property
    def notes(self) -> list[str]:
        """Say what a reader of the scores must know: the regime, where it is not zero-shot, and all warnings."""
        warnings = warnings_of(self.scores)
        if self.regime == "zero_shot":
            return warnings
        shots = self.scores.get("few_shot", {"k": 0, "languages": None})
        words = in_words(
            self.regime,
            k=shots["k"],
            languages=shots["languages"] or ["the target languages"],
            per_label=self.data.head == "sequence_classification",
        )
        return [f"Regime: {words}.", *warnings]

    @cached_property
    def data(self) -> type[MultilingualDataModule]:
        """Return the dataset; raises UserError for one that is not known here."""
        name = self.scores["data"]
        if name not in DATA or MAIN_METRIC[DATA[name].head] != self.scores["metric"]:
            raise UserError(f"{self.folder} is scored by {self.scores['metric']} on {name}: there is {', '.join(DATA)}")
        return DATA[name]

    def check_parallel(self, answers: Mapping[str, Answers]) -> None:
        """Raise UserError where row i is not the same item in every language."""
        entries = {one: manifest.entry(self.folder, split=self.scores["split"], language=one) for one in answers}
        aligned(
            answers,
            dropped={language: set(chain(*entry.get("dropped", {}).values())) for language, entry in entries.items()},
            cut=[language for language, entry in entries.items() if manifest.is_cut(entry)],
        )

    def answers(self, language: str) -> Answers:
        """Read the predictions of a language; raises UserError for what is none."""
        file = prediction_files.path(self.folder, split=self.scores["split"], language=language)
        if language not in prediction_files.languages(self.folder, split=self.scores["split"]):
            raise UserError(f"{file} is gone: a comparison needs predictions, not scores alone; evaluate again")
        label_names = self.data.label_names
        records = prediction_files.read(
            file,
            scoring.RECORDS[self.data.head],
            label_names=label_names,
            dropped=manifest.dropped(self.folder, split=self.scores["split"], language=language),
        )
        if all(record.gold is None for record in records):
            raise UserError(f"{file} has no gold labels, and its scores have: evaluate again")
        return answers(records, label_names=label_names)


def folders(given: str) -> list[Path]:
    """Find the scored folders that a word of the command line stands for: folders, with commas, or those of a sweep."""
    found: list[Path] = []
    for part in given.split(","):
        if not part:
            raise UserError(f"{given!r}: a folder is missing; give several with commas and without spaces")
        folder = Path(part)
        if folder.is_dir():
            check_folder(folder)
        inside = [folder] if _is_scored(folder) else sorted(one for one in folder.glob("*") if _is_scored(one))
        if not inside:
            raise UserError(
                f"{part} has no scores, and no folder in it has: give the folder of a run, an evaluation or a sweep "
                "(outputs/NAME) that was scored, or several with commas and without spaces"
            )
        found += inside
    check_once(found)
    return found


def check_once(found: Sequence[Path]) -> None:
    """Raise UserError where a folder is given twice."""
    places = [folder.resolve() for folder in found]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UserError(f"{found[number]} is given twice: give each run once")


def _is_scored(folder: Path) -> bool:
    return any((folder / "scores").glob("*.json"))


def read(found: Sequence[Path], *, split: str | None) -> list[ScoredRun]:
    """Read the scores of one split: test where all folders have it, else validation.

    Raises UserError where a folder lacks it, or was scored on other data.
    """
    by_split = [{str(one.get("split")): one for one in scoring.read_all(folder)} for folder in found]
    split = split or ("test" if all("test" in one for one in by_split) else "validation")
    for folder, there in zip(found, by_split, strict=True):
        if split not in there:
            raise UserError(
                f"{folder} has no scores of {split}, only of {', '.join(there)}: python evaluate.py run={folder} "
                f"split={split} adds them, or choose another --split"
            )
    runs = [ScoredRun(folder=folder, scores=there[split]) for folder, there in zip(found, by_split, strict=True)]
    first = runs[0]
    for run in runs[1:]:
        for key in ("data", "metric"):
            if run.scores[key] != first.scores[key]:
                raise UserError(
                    f"{first.folder} and {run.folder} were scored on different data: {key} {first.scores[key]} and "
                    f"{run.scores[key]}; only runs on the same data can be compared"
                )
        if bool(run.scores.get("synthetic")) != bool(first.scores.get("synthetic")):
            raise UserError(f"of {first.folder} and {run.folder}, one was scored on the synthetic sample, one was not")
    return runs


def check_alike(runs: Sequence[ScoredRun]) -> None:
    """Raise UserError where runs of one side differ in more than the seed, naming the keys, or share a seed."""
    configs = [_settings(run.folder) for run in runs]
    seeds = [config.pop(SEED) for config in configs]
    for run, other in zip(runs[1:], configs[1:], strict=True):
        changed = [
            f"{key}: {configs[0].get(key, 'absent')} -> {other.get(key, 'absent')}"
            for key in sorted(configs[0].keys() | other.keys())
            if configs[0].get(key) != other.get(key)
        ]
        if changed:
            lines = "\n  ".join(changed)
            raise UserError(
                f"{runs[0].folder} and {run.folder} are one side and differ in more than the seed:\n  {lines}\nGive "
                "those that differ in seed alone, with commas: outputs/NAME/ONE,outputs/NAME/OTHER"
            )
    for number, seed in enumerate(seeds):
        if seed in seeds[:number]:
            raise UserError(
                f"{runs[seeds.index(seed)].folder} and {runs[number].folder} are one side and have the same seed, "
                f"{seed}: they say nothing of how seeds spread; give one of them"
            )


def _settings(folder: Path) -> dict[str, Any]:
    """Return what makes a run this run, its seed too, less its name."""
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} has no {CONFIG}: of several runs on one side, each must be a run, not an evaluation")
    values = config_files.identity(asdict(config_files.load(folder / CONFIG, TrainConfig)))
    return {key: value for key, value in values.items() if key != NAME}


def answered(runs: Sequence[ScoredRun], language: str) -> list[tuple[Answers, Parts]]:
    """Read what each run answered in a language, and what it adds to the score.

    Raises UserError where the rows or the gold of two runs differ, or a run's scores are not those of its predictions.
    """
    given = [run.answers(language) for run in runs]
    for run, theirs in zip(runs[1:], given[1:], strict=True):
        check_rows(runs[0], run, language=language, answers=(given[0], theirs))
    data = runs[0].data
    found = [(theirs, parts(theirs, head=data.head, label_names=data.label_names)) for theirs in given]
    for run, (theirs, counted) in zip(runs, found, strict=True):
        num_scored = run.scores["languages"][language]["examples"]
        # Not >: a score that is no number is not that of the predictions either.
        if num_scored != len(theirs.indices) or not abs(run.main[language] - counted.score) <= ROUNDING:
            raise UserError(
                f"{run.folder}: {run.scores['metric']} in {language} is {run.main[language]:.4f} of {num_scored:,} "
                f"examples by its scores and {counted.score:.4f} of {len(theirs.indices):,} by its predictions, of "
                f"{run.scores['split']}: one of them was changed; evaluate again"
            )
    return found


def check_rows(first: ScoredRun, other: ScoredRun, *, language: str, answers: tuple[Answers, Answers]) -> None:
    """Raise UserError where two runs did not answer the same rows of a language, or their gold differs."""
    one, two = answers
    if not np.array_equal(one.indices, two.indices):
        only = np.setxor1d(one.indices, two.indices)
        raise UserError(
            f"{first.folder} and {other.folder} were scored on different rows of {language}: {len(one.indices):,} and "
            f"{len(two.indices):,}, {len(only):,} of them in one alone, the first is row {only.min()}; score both on "
            "the same rows"
        )
    if not np.array_equal(one.examples, two.examples) or not np.array_equal(one.gold, two.gold):
        targets = [zip(given.examples.tolist(), given.gold.tolist(), strict=True) for given in answers]
        # Where a sentence is shorter in one of them, the next one follows there, or nothing at all.
        longest = zip_longest(*targets, fillvalue=(len(one.indices), 0))
        differing = one.indices[next(min(pair)[0] for pair in longest if pair[0] != pair[1])]
        raise UserError(
            f"{first.folder} and {other.folder} have different gold in {language}, first in row {differing}: they were "
            "scored on different data"
        )
