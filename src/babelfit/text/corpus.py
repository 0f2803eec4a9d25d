"""A file of text, or two that belong together: what is known of it by its name and first lines."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One file, or the two of a Moses pair. Of one that is mixed, only the rows whose column says `language`."""

    paths: tuple[Path, ...]
    form: str
    split: str
    language: str  # "" until it is known what a mixed one holds
    is_mixed: bool = False
    has_header: bool = False

    def in_words(self) -> str:
        """Return the names of the files."""
        return " and ".join(map(str, self.paths))
