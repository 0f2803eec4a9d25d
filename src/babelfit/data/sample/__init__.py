"""The bundled synthetic sample: small parallel data in the layout of the real thing, written on demand.

It lets a run, a test or a demonstration start without a network, and its scores say nothing of real languages.
"""

from pathlib import Path

from babelfit.data.sample.nli import NLI_LANGUAGES, NLI_ROWS, VERSION, write_nli

__all__ = ["NLI_LANGUAGES", "NLI_ROWS", "VERSION", "write_nli"]

PARAPHRASE_LANGUAGES = NER_LANGUAGES = ("en",)
PARAPHRASE_ROWS = NER_ROWS = NLI_ROWS


def write_paraphrase(folder: Path) -> None:
    raise NotImplementedError


def write_ner(folder: Path) -> None:
    raise NotImplementedError
