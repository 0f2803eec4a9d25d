"""Find the files of one's own text by looking: in which form each is, of which split, and in which language.

How a file is read is for passages.py, and what becomes of its text for text.py.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from babelfit.errors import UserError
from babelfit.files.atomic_files import sha256
from babelfit.languages.facts import LANGUAGES
from babelfit.rows.origin import SAMPLE, written_sample
from babelfit.sample import VERSION, write_corpus
from babelfit.text.corpus import Corpus
from babelfit.text.passages import first_line

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}
"""How the splits may be called in the names of files and folders; what names none is for training."""

FORMS = {".txt": "text", ".jsonl": "jsonl", ".parquet": "parquet", ".tsv": "tsv"}
MOSES = "moses"

WANTED = (
    "sw.txt or sw/*.txt (a sentence or paragraph a line), .jsonl or .parquet with a column of text, "
    "en-sw.tsv, or NAME.en-sw.en beside NAME.en-sw.sw; each also with .gz"
)

_SHARD = re.compile(r"[._-]\d+(-of-\d+)?$")
_MARKED = re.compile(
    rf"(?P<before>{'|'.join(SPLITS)})(?P<mark>[._-])(?P<rest>.+)|(?P<first>.+)(?P<sign>[._-])(?P<behind>{'|'.join(SPLITS)})"
)
_MOSES = re.compile(r"(?P<name>.+)\.(?P<pair>[A-Za-z0-9]+(-[A-Za-z0-9]+)+)\.(?P<side>[A-Za-z0-9-]+)")

log = logging.getLogger(__name__)


def sides(code: str, *, is_code: Callable[[str], bool]) -> tuple[str, str] | None:
    """Return the two languages of a pair's code, as in `en-sw`; None where it is not a pair."""
    for hyphen in re.finditer("-", code):
        first, second = code[: hyphen.start()], code[hyphen.end() :]
        if first != second and is_code(first) and is_code(second):
            return first, second
    return None


class Corpora:
    """The files of a folder, or those that a pattern below it matches, by split and language."""

    def __init__(self, folder: str | None, *, files: str | None, named: Sequence[str]) -> None:
        """Look for files; `named` are language codes that the user knows, whatever languages.tsv says.

        The folder `sample` is the bundled synthetic text.

        In the pattern `files`, `{language}` stands for a code. Raises UserError where there is no such folder or
        nothing in it, for files of no language and for halves of pairs.
        """
        self.is_sample = folder == SAMPLE
        self._folder = written_sample("text", write=write_corpus) if self.is_sample else Path(folder or "").expanduser()
        if folder is None or not self._folder.is_dir():
            raise UserError(f"data.folder={folder}: no such folder; give the folder of your text")
        self._named = {*named, *(side for code in named if "-" in code for side in code.split("-"))}
        self._pattern = files
        self._digests: dict[Path, str] = {}
        self.found = sorted(self._look(), key=lambda corpus: corpus.paths)
        if not self.found:
            raise UserError(
                f"no text in '{self._folder}'"
                + (f" by data.files={files}" if files else "")
                + f". Looked for: {WANTED}"
                + (f"\nFound: {', '.join(self._names()[:8])}" if self._names() else "")
            )

    def is_language(self, code: str) -> bool:
        """Return whether a code is one of languages.tsv or of those that the user named."""
        return code in LANGUAGES or code in self._named

    def sides(self, code: str) -> tuple[str, str] | None:
        """Part the code of a pair of languages; None for a single one."""
        return None if code in LANGUAGES else sides(code, is_code=self.is_language)

    def facts(self) -> dict[str, str | None]:
        """Return for the manifest where the files come from."""
        where = {"sample": f"synthetic, version {VERSION}"} if self.is_sample else {"folder": str(self._folder)}
        return {**where, **({"files": self._pattern} if self._pattern else {})}

    def check(self, code: str, *, where: str) -> str:
        """Return a code; raise UserError where it names neither a language nor a pair."""
        if self.is_language(code) or self.sides(code):
            return code
        raise UserError(
            f"{where}: '{code}' is not a language code that is known here, as 'sw' is, nor a pair of two, as 'en-sw'. "
            f"If it is a language, list it: data.train_languages=[{code}], with all others that you want"
        )

    def part_mixed(self, languages_of: Callable[[Corpus], Sequence[str]]) -> None:
        """Put in the place of each file of several languages one for each of them, as `languages_of` reads them."""
        resolved: list[Corpus] = []
        for corpus in self.found:
            codes = languages_of(corpus) if corpus.is_mixed else [corpus.language]
            resolved += [replace(corpus, language=self.check(code, where=corpus.in_words())) for code in codes]
        self.found = resolved

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages that there is any text of, and after them the pairs."""
        codes = {corpus.language for corpus in self.found}
        return tuple(sorted(codes, key=lambda code: (self.sides(code) is not None, code)))

    def of(self, split: str, language: str) -> list[Corpus]:
        """List the files of a split in a language, in the order of their paths; none where there are none."""
        return [corpus for corpus in self.found if (corpus.split, corpus.language) == (split, language)]

    def available(self, split: str, *, languages: Sequence[str]) -> tuple[str, ...]:
        """Return the languages that have text for a split; that of validation may be held out of training's."""
        splits = ("validation", "train") if split == "validation" else (split,)
        return tuple(one for one in languages if any(self.of(name, one) for name in splits))

    def sha256(self, corpus: Corpus) -> list[str]:
        """Hash the files of a corpus, as `sha256sum` does, once for all that is read of them."""
        for path in corpus.paths:
            if path not in self._digests:
                self._digests[path] = sha256(path)
        return [self._digests[path] for path in corpus.paths]

    def _names(self) -> list[str]:
        return sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in self._folder.iterdir())

    def _look(self) -> Iterator[Corpus]:
        left_out, halves = [], {}
        for path, code in self._paths():
            name = path.name.removesuffix(".gz")
            form = FORMS.get(PurePath(name).suffix)
            if half := self._half_of_pair(name):
                halves[path] = half
            elif form is None:
                left_out.append(path)
            else:
                yield self._corpus(path, form=form, code=code)
        yield from self._pairs(halves)
        if left_out:
            named = ", ".join(str(path.relative_to(self._folder)) for path in left_out[:3])
            more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            log.info("left out, as they are in none of the forms of text: %s%s", named, more)

    def _paths(self) -> Iterator[tuple[Path, str | None]]:
        """Yield each file that may be text, with the code that the pattern finds in its path."""
        pattern = self._pattern
        if pattern is None:
            for path in sorted(self._folder.rglob("*")):
                is_hidden = any(part.startswith(".") for part in path.relative_to(self._folder).parts)
                if path.is_file() and not is_hidden:
                    yield path, None
            return
        try:
            paths = sorted(path for path in self._folder.glob(pattern.replace("{language}", "*")) if path.is_file())
        except (ValueError, NotImplementedError) as error:
            raise UserError(
                f"data.files={pattern}: {error}; give a pattern below data.folder, as in {{language}}/*.txt"
            ) from error
        matches = re.compile(_regex(pattern))
        for path in paths:
            match = matches.fullmatch(path.relative_to(self._folder).as_posix())
            if match is not None:
                yield path, match.groupdict().get("language")

    def _corpus(self, path: Path, *, form: str, code: str | None) -> Corpus:
        split, by_name = self._said(path)
        code = self.check(code, where=f"data.files={self._pattern}: {path}") if code else by_name
        header = self._header(path) if form == "tsv" else None
        if form == "tsv":
            code = "-".join(header) if header else code
            if code is None or self.sides(code) is None:
                raise UserError(
                    f"{path}: which two languages? Name the file by them, as in en-sw.tsv, or the columns in its first "
                    "line, as in en TAB sw; list codes that are not known here, as in data.train_languages=[en-ha]"
                )
        elif code is None and form == "text":
            stem = _stem(path)
            raise UserError(
                f"{path}: in which language? Name the file or its folder by the code (sw.txt, sw/{path.name}), or say "
                f"where it stands in the path, as in data.files='{{language}}/*.txt'. '{stem}' is not a code known "
                f"here; if it is a language, list it: data.train_languages=[{stem}], with all others that you want"
            )
        elif code is not None and self.sides(code) is not None:
            raise UserError(f"{path}: text in two languages, {code}, comes as {code}.tsv or as a Moses pair")
        return Corpus(
            paths=(path,), form=form, split=split, language=code or "", is_mixed=code is None, has_header=bool(header)
        )

    def _said(self, path: Path) -> tuple[str, str | None]:
        """Return the split and the language of a file by its name, or by that of the folder closest to it."""
        relative = path.relative_to(self._folder)
        split = code = None
        for part in (_stem(path), *reversed(relative.parent.parts)):
            rest = _SHARD.sub("", part)
            if rest in SPLITS:
                split = split or SPLITS[rest]
                continue
            if match := None if self._is_code(rest) else _MARKED.fullmatch(rest):
                rest = match["rest"] or match["first"]
                # "test-corpus" need not be meant.
                if self._is_code(rest) or "." in (match["mark"], match["sign"]):
                    split = split or SPLITS[match["before"] or match["behind"]]
            if code is None and self._is_code(rest):
                code = rest
        return split or "train", code

    def _is_code(self, text: str) -> bool:
        return self.is_language(text) or self.sides(text) is not None

    def _half_of_pair(self, name: str) -> tuple[str, str, str] | None:
        """Part the name of one side of a Moses pair, NAME.en-sw.en, into name, pair and side."""
        match = _MOSES.fullmatch(name)
        if match is None or f"-{match['side']}-" not in f"-{match['pair']}-":
            return None
        return match["name"], self.check(match["pair"], where=name), match["side"]

    def _pairs(self, halves: dict[Path, tuple[str, str, str]]) -> Iterator[Corpus]:
        by_pair: dict[tuple[Path, str, str], dict[str, Path]] = {}
        for path, (name, pair, side) in halves.items():
            by_pair.setdefault((path.parent, name, pair), {})[side] = path
        for (folder, name, pair), paths in by_pair.items():
            wanted = self.sides(pair) or ()
            for side in wanted:
                if side not in paths:
                    there = next(iter(paths.values()))
                    raise UserError(f"{there}: its other side, {folder / name}.{pair}.{side}, is missing")
            split, _ = self._said(folder / f"{name}.tsv")
            yield Corpus(paths=tuple(paths[side] for side in wanted), form=MOSES, split=split, language=pair)

    def _header(self, path: Path) -> tuple[str, str] | None:
        fields = first_line(path).split("\t")
        is_header = len(fields) == 2 and all(map(self.is_language, fields)) and fields[0] != fields[1]
        return (fields[0], fields[1]) if is_header else None


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.removesuffix(next((suffix for suffix in FORMS if name.endswith(suffix)), ""))


def _regex(pattern: str) -> str:
    """Turn a glob pattern into a regular expression with a group `language`."""
    regex = ""
    for part in re.split(r"(\{language\}|\*\*/|\*|\?|\[[^]]+\])", pattern):
        if part == "{language}":
            regex += "(?P=language)" if "(?P<language>" in regex else "(?P<language>[A-Za-z0-9-]+)"
        else:
            wild = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
            regex += wild.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part))
    return regex
