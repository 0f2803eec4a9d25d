"""The bundled synthetic sample: small parallel data in the layout of the real thing, written on demand.

It lets a run, a test or a demonstration start without a network, and its scores say nothing of real languages.
"""

from babelfit.sample.corpus import CORPUS_LANGUAGES, CORPUS_ROWS, write_corpus
from babelfit.sample.ner import NER_LANGUAGES, NER_ROWS, write_ner
from babelfit.sample.nli import NLI_LANGUAGES, NLI_ROWS, write_nli
from babelfit.sample.paraphrase import PARAPHRASE_LANGUAGES, PARAPHRASE_ROWS, write_paraphrase

VERSION = 6
"""Of the files: any change to their bytes raises it, so that no cache keeps old ones."""

__all__ = [
    "CORPUS_LANGUAGES",
    "CORPUS_ROWS",
    "NER_LANGUAGES",
    "NER_ROWS",
    "NLI_LANGUAGES",
    "NLI_ROWS",
    "PARAPHRASE_LANGUAGES",
    "PARAPHRASE_ROWS",
    "VERSION",
    "write_corpus",
    "write_ner",
    "write_nli",
    "write_paraphrase",
]
