"""The labelled parts of the sample together: NLI, paraphrases and named entities, for what is made of their words."""

from collections.abc import Iterator
from pathlib import Path

from babelfit.sample.ner import write_ner
from babelfit.sample.nli import write_nli
from babelfit.sample.paraphrase import write_paraphrase


def write_labelled(folder: Path) -> None:
    """Write all labelled parts under a folder, as each writes its own."""
    for write in (write_nli, write_paraphrase, write_ner):
        write(folder)


def read_sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of a file of a labelled part, row after row; tagged ones with their words apart."""
    text = path.read_text(encoding="utf-8")
    if path.parent.name == "panx":
        for block in text.strip().split("\n\n"):
            yield " ".join(line.partition("\t")[0] for line in block.split("\n"))
    else:
        for line in text.splitlines():
            yield from line.split("\t")[:2]
