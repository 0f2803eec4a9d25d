"""WikiANN (Pan et al. 2017; splits of Rahimi et al. 2019), which XTREME calls PAN-X: persons, organisations and places.

All facts about the dataset and how its files lie; not how files are found or read.
"""

from functools import partial
from typing import Any, final

from babelfit.data import DatasetFacts, LabelledDataModule, Sample
from babelfit.rows.readers import read_tagged, read_tagged_parquet
from babelfit.rows.sources import HUB_PARQUET, Layout
from babelfit.sample import NER_LANGUAGES, NER_ROWS, write_ner
from babelfit.tasks import Tagging

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")  # the Hub's order
# (train, validation, test) rows: the languages that have so many, as the Hub's copy says of itself.
SIZES = {
    (20_000, 10_000, 10_000): (
        "ar bg ca cs da de el en es fa fi fr he hr hu id it ja ko nl no pl pt ro ru sh sk sr sv th tr uk vi zh zh-yue"
    ),
    (20_000, 1_000, 1_000): ("ms nn simple ur"),
    (15_000, 10_000, 10_000): ("eo et gl sl"),
    (15_000, 1_000, 1_000): ("be bs hy ta"),
    (10_000, 10_000, 10_000): ("eu ka lt lv"),
    (10_000, 1_000, 1_000): ("az bn cy mk ml tl"),
    (5_000, 1_000, 1_000): ("af be-x-old hi la lb mr sq"),
    (1_000, 1_000, 1_000): ("an ast br ckb fy ga is kk sw te tt uz"),
    (100, 100, 100): (
        "ace als am ang arc arz as ay ba bar bat-smg bh bo cbk-zam cdo ce ceb co crh csb cv diq dv eml ext "
        "fiu-vro fo frr fur gan gd gn gu hak hsb ia ig ilo io jbo jv km kn ksh ku ky li lij lmo ln map-bms mg "
        "mhr mi min mn mt mwl my mzn nap nds ne nov oc or os pa pdc pms pnb ps qu rm rw sa sah scn sco sd si "
        "so su szl tg tk ug vec vep vls vo wa war wuu xmf yi yo zea zh-classical zh-min-nan"
    ),
}
ROWS = dict(
    sorted(
        (language, dict(zip(("train", "validation", "test"), size, strict=True)))
        for size, languages in SIZES.items()
        for language in languages.split()
    )
)
XTREME_LANGUAGES = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)

LAYOUTS = (
    Layout(
        name="XTREME",
        patterns={
            "train": "panx/train-{language}.tsv",
            "validation": "panx/dev-{language}.tsv",
            "test": "panx/test-{language}.tsv",
        },
        read=partial(read_tagged, tags=LABELS, prefixed=False),
    ),
    Layout(
        name="the original archives",
        patterns={"train": "{language}/train", "validation": "{language}/dev", "test": "{language}/test"},
        read=partial(read_tagged, tags=LABELS, prefixed=True),
    ),
    Layout(
        name="Hub parquet",
        patterns=HUB_PARQUET,
        read=partial(read_tagged_parquet, tags=LABELS),
    ),
)


@final
class WikiANN(LabelledDataModule):
    """Named entities in sentences of Wikipedia in 176 languages, not parallel."""

    dataset = DatasetFacts(
        name="wikiann",
        task=Tagging(labels=LABELS),
        rows=ROWS,
        layouts=LAYOUTS,
        hub_repo="unimelb-nlp/wikiann",
        hub_languages=tuple(XTREME_LANGUAGES.split()),
        sample=Sample(rows=dict.fromkeys(NER_LANGUAGES, NER_ROWS), write=write_ner),
    )

    def __init__(self, **settings: Any) -> None:
        """Accept the settings of every labelled dataset."""
        super().__init__(self.dataset, **settings)
