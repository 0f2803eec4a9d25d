"""Runs and evaluations that were scored, as `compare` and `matrix` read them: the same data and split, or refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from babelfit import tasks
from babelfit.config import config_files
from babelfit.config.regimes import in_words
from babelfit.config.schema import TrainConfig
from babelfit.errors import UserError
from babelfit.files.untrusted_files import check_folder
from babelfit.predictions import prediction_files
from babelfit.reports.words import warnings_of
from babelfit.rows.read import dropped
from babelfit.run import manifest
from babelfit.run.run import CONFIG
from babelfit.scoring import scores as score_files
from babelfit.scoring.consistency import align
from babelfit.scoring.scores import FewShotNote, Scores
from babelfit.statistics.sums import Array, Counts, Measure
from babelfit.tasks import Task

SEED, NAME = "seed", "name"
"""What may differ between runs of one side."""

ROUNDING = 1e-6
"""By so much may a score differ from that of its predictions: added up in another order."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a run answers to the examples of a language that have gold."""

    answers: Any  # those of its task
    rows: Array  # (predictions,): which rows are predicted, those without gold too
    gold: Mapping[int, Any]  # by row, as its records have it
    counts: Counts  # what each example adds to the selecting measure
    score: float  # in that


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """One folder's scores of one split."""

    folder: Path
    scores: Scores

    @property
    def regime(self) -> str:
        """Return what was seen of the target languages; scores of before there were regimes are zero-shot."""
        return self.scores.regime or "zero_shot"

    @property
    def notes(self) -> list[str]:
        """Return what a reader of the scores must know: the regime, where it is not zero-shot, and all warnings."""
        warnings = warnings_of(self.scores)
        if self.regime == "zero_shot":
            return warnings
        few_shot = self.scores.few_shot or FewShotNote(k=0, languages=None)
        languages = few_shot.languages or ["the target languages"]
        words = in_words(self.regime, k=few_shot.k, languages=languages, examples=self.scores.few_shot_unit)
        return [f"Regime: {words}.", *warnings]

    @cached_property
    def task(self) -> Task:
        """Return the task; raise UserError for one that is not known here, or is not scored so."""
        task = tasks.of_document(self.scores.task, self.scores.labels, where=self.folder / "scores")
        if not task.compares_languages:
            file = self.folder / "scores" / f"{self.scores.split}.json"
            raise UserError(f"{file} has scores of {task.target}, which this command does not read: see report.md")
        if task.selecting.key != self.scores.metric:
            raise UserError(
                f"{self.folder} is scored by {self.scores.metric}, and {task.name} by {task.selecting.key}: evaluate "
                "again"
            )
        return task

    @property
    def measure(self) -> Measure:
        """Return the measure that runs are compared in."""
        return self.task.selecting

    @property
    def is_parallel(self) -> bool:
        """Return whether row i is the same item in every language, as the data promise, and has one answer."""
        return self.scores.parallel and self.task.has_one_answer

    def check_parallel(self, answered: Mapping[str, Answered]) -> None:
        """Raise UserError where row i is not the same item in every language."""
        known = manifest.read(self.folder)
        align(
            {language: given.answers for language, given in answered.items()},
            rows={language: given.rows for language, given in answered.items()},
            read={language: known.of(self.scores.split, language) for language in answered},
        )

    def answered(self, language: str) -> Answered:
        """Return the predictions of a language; raise UserError where they are malformed or not the scored ones."""
        split, task = self.scores.split, self.task
        file = prediction_files.path(self.folder, split=split, language=language)
        if language not in prediction_files.languages(self.folder, split=split):
            raise UserError(f"{file} is missing: a comparison needs predictions, not scores alone; evaluate again")
        entry = manifest.read(self.folder).of(split, language)
        records = prediction_files.read(file, task, dropped=dropped(entry))
        answers = task.read(records)
        gold = {one.index: one.gold for one, has_gold in zip(records, answers.has_gold, strict=True) if has_gold}
        if not gold:
            raise UserError(f"{file} has no gold labels, though it was scored: evaluate again")
        given = answers.with_gold()
        counts = task.counts(given)
        return Answered(
            answers=given,
            rows=answers.indices,
            gold=gold,
            counts=counts.of(self.measure),
            score=self.measure.score(counts.rows),
        )

    def check_score(self, language: str, given: Answered) -> None:
        """Raise UserError where the score of a language differs from the one of its predictions."""
        num_scored, scored = self.scores.languages[language].examples, self.scores.main[language]
        # Not >: a score that is no number is not that of the predictions either.
        if num_scored != len(given.gold) or not abs(scored - given.score) <= ROUNDING:
            raise UserError(
                f"{self.folder}: {self.scores.metric} of {self.scores.split} in {language} is {scored:.4f} by its "
                f"scores ({num_scored:,} examples) and {given.score:.4f} by its predictions ({len(given.gold):,} "
                "examples): one of the two was changed; evaluate again"
            )


def folders(given: str) -> list[Path]:
    """Return the scored folders that an argument names: folders joined by commas, or those of a sweep."""
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

    Raise UserError where a folder lacks it, or was scored on other data.
    """
    by_split = [{one.split: one for one in score_files.read_all(folder)} for folder in found]
    split = split or ("test" if all("test" in one for one in by_split) else "validation")
    for folder, there in zip(found, by_split, strict=True):
        if split not in there:
            raise UserError(
                f"{folder} has no scores of {split}, only of {', '.join(there)}: babelfit evaluate run={folder} "
                f"split={split} adds them, or choose another --split"
            )
    runs = [ScoredRun(folder=folder, scores=there[split]) for folder, there in zip(found, by_split, strict=True)]
    first = runs[0]
    for run in runs[1:]:
        for key in ("data", "task", "metric"):
            ours, theirs = getattr(first.scores, key), getattr(run.scores, key)
            if ours != theirs:
                raise UserError(
                    f"{first.folder} and {run.folder} were scored on different data: {key} {ours} and {theirs}; only "
                    "runs on the same data can be compared"
                )
        if run.scores.synthetic != first.scores.synthetic:
            raise UserError(
                f"one of {first.folder} and {run.folder} was scored on the synthetic sample, the other was not"
            )
    return runs


def check_alike(runs: Sequence[ScoredRun]) -> None:
    """Raise UserError where runs of one side differ in more than the seed, naming the keys, or share a seed."""
    configs = [_settings(run.folder) for run in runs]
    seeds = [config.pop(SEED) for config in configs]
    for run, other in zip(runs[1:], configs[1:], strict=True):
        if changed := config_files.changes(configs[0], other):
            lines = "\n  ".join(changed)
            raise UserError(
                f"{runs[0].folder} and {run.folder} are given as one side and differ in more than the seed:\n  "
                f"{lines}\nGive those that differ in seed alone, with commas: outputs/NAME/ONE,outputs/NAME/OTHER"
            )
    for number, seed in enumerate(seeds):
        if seed in seeds[:number]:
            raise UserError(
                f"{runs[seeds.index(seed)].folder} and {runs[number].folder} are given as one side and have the "
                f"same seed, {seed}: they say nothing of the spread over seeds; give one of them"
            )


def _settings(folder: Path) -> dict[str, Any]:
    """Return what makes a run this run, its seed too, less its name."""
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} has no {CONFIG}: of several runs on one side, each must be a run, not an evaluation")
    values = config_files.identity(asdict(config_files.load(folder / CONFIG, TrainConfig)))
    return {key: value for key, value in values.items() if key != NAME}


def read_answers(runs: Sequence[ScoredRun], language: str) -> list[Answered]:
    """Read what each run answered in a language.

    Raise UserError where the rows or the gold of two runs differ, or a run's scores are not those of its predictions.
    """
    given = [run.answered(language) for run in runs]
    for run, theirs in zip(runs[1:], given[1:], strict=True):
        _check_rows(runs[0], run, language=language, gold=(given[0].gold, theirs.gold))
    for run, theirs in zip(runs, given, strict=True):
        run.check_score(language, theirs)
    return given


def _check_rows(
    first: ScoredRun, other: ScoredRun, *, language: str, gold: tuple[Mapping[int, Any], Mapping[int, Any]]
) -> None:
    """Raise UserError where two runs did not answer the same rows of a language, or their gold differs."""
    one, two = gold
    if only := one.keys() ^ two.keys():
        raise UserError(
            f"{first.folder} and {other.folder} were scored on different rows of {language}: {len(one):,} and "
            f"{len(two):,}, {len(only):,} rows are in only one of the two, the first is row {min(only)}; score both on "
            "the same rows"
        )
    if differing := [row for row in one if one[row] != two[row]]:
        raise UserError(
            f"{first.folder} and {other.folder} have different gold in {language}, first in row {differing[0]}: they "
            "were scored on different data"
        )
