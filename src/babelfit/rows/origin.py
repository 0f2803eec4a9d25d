"""Where a dataset's files come from: a folder of the user's, the bundled sample, or the Hub. Reads none of them."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from babelfit import sample
from babelfit.devices import preemption
from babelfit.errors import UserError
from babelfit.files import hub
from babelfit.rows import sources
from babelfit.rows.encoding import cache_folder
from babelfit.rows.readers import LABEL

log = logging.getLogger(__name__)

SAMPLE = "sample"
"""The `data.folder` that names the bundled synthetic sample."""


class Origin:
    """The files of one dataset, found by looking; what comes from the Hub is downloaded when it is asked for."""

    def __init__(
        self,
        dataset: str,
        *,
        folder: str | None,
        repo: str | None,
        revision: str | None,
        layouts: Sequence[sources.Layout],
        write_sample: Callable[[Path], None] | None = None,
        translated_into: str | None = None,
    ) -> None:
        """Read from a folder, from `sample`, or with None from the repository of the Hub.

        Dev and test rows of other languages are their translations into `translated_into`, where that is given.
        """
        self.is_sample = folder == SAMPLE
        self.is_hub = folder is None
        self._dataset = dataset
        self._repo = repo or ""
        self._layouts = layouts
        self._translated_into = translated_into
        # For the Hub, the commit's folder in its cache, once something was asked for.
        self._folder = None if folder is None else Path(folder).expanduser()
        self._revision = revision
        self._downloaded: set[str] = set()
        if self.is_sample:
            assert write_sample is not None
            self._folder = written_sample(dataset, write=write_sample)

    def facts(self) -> dict[str, str | None]:
        """Return for the manifest where the files come from."""
        if self.is_sample:
            return {"sample": f"synthetic, version {sample.VERSION}"}
        if self.is_hub:
            return {"hub": self._repo, "revision": None if self._folder is None else self._folder.name}
        return {"folder": str(self._folder)}

    def stored(self, split: str, language: str) -> str:
        """Return which of the stored splits is a language's: its own, or the translated one."""
        is_own = self._translated_into in (None, language) or split == "train"
        return split if is_own else f"{sources.TRANSLATED}{split}"

    def folder(self, split: str, *, languages: Sequence[str]) -> Path:
        """Return the folder that holds a split in some languages; what comes from the Hub is downloaded first, at once.

        Languages that have no such split are not an error here.
        """
        if not self.is_hub:
            assert self._folder is not None
            return self._folder
        wanted = {
            pattern.replace("{language}", language)
            for layout in self._layouts
            for language in languages
            if (pattern := layout.patterns.get(self.stored(split, language)))
        }
        if self._folder is None or not wanted <= self._downloaded:
            # One commit for all: the branch may move while this runs.
            revision = self._revision if self._folder is None else self._folder.name
            missing = tuple(sorted(wanted - self._downloaded))
            with preemption.break_off_at_once():
                self._folder = hub.download(self._repo, kind="dataset", revision=revision, patterns=missing)
            self._downloaded |= wanted
        return self._folder

    def available(self, split: str, *, languages: Sequence[str]) -> tuple[str, ...]:
        """Return the languages that have files for a split; only reading them shows whether they have gold labels."""
        folder = self.folder(split, languages=languages)
        return tuple(
            language
            for language in languages
            if sources.available(
                folder, layouts=self._layouts, split=self.stored(split, language), languages=[language]
            )
        )

    def translated(self, languages: Sequence[str]) -> Sequence[str]:
        """List those of the languages that have training rows; from the Hub all, and nothing is downloaded to see."""
        # Where there are none at all, the error for the first one says what was looked for.
        return languages if self.is_hub else self.available("train", languages=languages) or languages

    def source(self, split: str, language: str) -> sources.Source:
        """Return the files of one language in one split; raise UserError where there are none."""
        folder = self.folder(split, languages=[language])
        stored = self.stored(split, language)
        if self.is_hub and not self.available(split, languages=[language]):
            raise UserError(
                f"{self._repo} at {folder.name} has no {stored} split for language '{language}'"
                + (f" in {folder}: `babelfit fetch` downloads it" if hub.is_offline() else "")
                + ". Choose another language, or another commit with data.revision"
            )

        def find(split: str) -> sources.Source:
            return sources.find(folder, layouts=self._layouts, dataset=self._dataset, split=split, language=language)

        found = find(stored)
        if stored != split and sources.available(folder, layouts=self._layouts, split=split, languages=[language]):
            labels = found.read()[LABEL]
            if labels.null_count == len(labels):
                # Row by row, a translation is the language's own split, which has the labels.
                return replace(found, gold=find(split))
        return found

    def evaluable(self, known: Sequence[str]) -> Sequence[str]:
        """Return the languages that can be scored together, and log which cannot: by test where no other has more.

        Where some have only validation, it is validation that is scored (building.chosen_split).
        """
        tested, validated = (set(self.available(split, languages=known)) for split in ("test", "validation"))
        found = tested if validated <= tested else validated
        absent = [language for language in known if language not in found]
        if absent:
            names = ", ".join(absent) if len(absent) <= 20 else f"{len(absent)} of {len(known)} languages"
            log.info("%s: %s are not scored: they have no files", self._dataset, names)
        # Where there are none at all, the error for the first one says what was looked for.
        return [language for language in known if language in found] or known


def written_sample(name: str, *, write: Callable[[Path], None]) -> Path:
    """Write the bundled sample into the cache, unless it is there."""
    folder = cache_folder() / "sample" / f"{name}-{sample.VERSION}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as temporary:
            write(Path(temporary))
            # Another process may have been faster; what it wrote is the same.
            with suppress(OSError):
                Path(temporary).rename(folder)
    return folder
