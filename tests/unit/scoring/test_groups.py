"""Groups of languages and their means are as counted by hand, and the facts about languages are whole."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from babelfit.datasets import DATASETS
from babelfit.languages.facts import LANGUAGES
from babelfit.scoring import groups as language_groups
from babelfit.scoring.scores import Group, Groups

RESAMPLED = dict.fromkeys(LANGUAGES | {"xx": None}, np.full(2, 0.5))


def groups(scores: Mapping[str, float], *, resampled: Mapping[str, Any] = RESAMPLED, **more: Any) -> Groups:
    return language_groups.groups(scores, resampled=resampled, **more)


SCORES = {"en": 0.9, "de": 0.8, "nl": 0.6, "ru": 0.7, "sw": 0.5, "ace": 0.4, "sv": 0.75}


def test_means_and_gaps_are_those_of_the_target_languages() -> None:
    found = groups(SCORES, source_languages=["en"], source=0.9)

    mean = (0.8 + 0.6 + 0.75) / 3
    assert found.family["Germanic"] == Group(
        languages=["de", "nl", "sv"],
        mean=pytest.approx(mean),
        interval=[0.5, 0.5],
        gap=pytest.approx(0.9 - mean),
    )
    assert list(found.family) == ["Austronesian", "Germanic", "Niger-Congo", "Slavic"]
    cyrillic = found.script["Cyrillic"]
    assert (cyrillic.languages, cyrillic.mean, cyrillic.gap) == (["ru"], 0.7, pytest.approx(0.2))


def test_the_interval_of_a_mean_is_that_of_the_mean_of_each_resample() -> None:
    # 41 resamples: the 2.5 % quantile is the second lowest, the 97.5 % one the second highest.
    up = np.arange(41) / 100
    resampled = {"de": up, "nl": up[::-1], "sv": np.full(41, 0.6), "ru": 2 * up, "en": up}
    scores = dict.fromkeys(resampled, 0.5)
    found = groups(scores, resampled=resampled, source_languages=["en"], source=0.5)

    # German and Dutch make up for each other in every resample.
    assert found.family["Germanic"].interval == pytest.approx([1 / 3, 1 / 3])
    assert found.family["Slavic"].interval == pytest.approx([0.02, 0.78])
    assert found.pretraining["over 100 GiB"].interval == pytest.approx([0.02, 0.78])


def test_sizes_are_in_order_and_absence_is_not_ignorance() -> None:
    sizes = groups(SCORES, source_languages=["en"], source=0.9).pretraining

    assert {name: group.languages for name, group in sizes.items()} == {
        "over 100 GiB": ["ru"],
        "10 to 100 GiB": ["de", "nl"],
        "1 to 10 GiB": ["sw"],
        "not in it": ["ace"],
        "size not known": ["sv"],
    }
    assert list(sizes) == ["over 100 GiB", "10 to 100 GiB", "1 to 10 GiB", "not in it", "size not known"]


def test_the_correlation_is_of_ranks_over_the_known_sizes() -> None:
    # Sizes 278, 66.6, 29.3, 1.6 and 0.8: the largest two have changed places.
    scores = {"en": 1.0, "ru": 0.7, "de": 0.8, "nl": 0.6, "sw": 0.5, "am": 0.4, "ace": 0.9, "xx": 0.1}
    found = groups(scores, source_languages=["en"], source=1.0)

    assert found.size_correlation is not None
    assert found.size_correlation.spearman == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert found.size_correlation.languages == 5
    assert found.family["no facts"].languages == ["xx"]


@pytest.mark.parametrize("scores", [{"de": 0.5, "nl": 0.6}, dict.fromkeys(["de", "nl", "ru", "sw", "am"], 0.5)])
def test_few_languages_or_equal_scores_have_no_correlation(scores: dict[str, float]) -> None:
    assert groups(scores, source_languages=[], source=None).size_correlation is None


def test_without_a_source_there_is_no_gap() -> None:
    assert groups({"de": 0.5}, source_languages=["en"], source=None).family["Germanic"].gap is None


def test_every_language_of_the_datasets_has_its_facts() -> None:
    for data in DATASETS.values():
        for language in data.dataset.rows:
            assert LANGUAGES[language].family
            assert LANGUAGES[language].script


@pytest.mark.parametrize(
    ("language", "family", "script", "size"),
    [
        ("en", "Germanic", "Latin", 300.8),
        ("ur", "Indo-Aryan", "Arabic", 5.7),
        ("zh", "Sino-Tibetan", "Han", 63.5),
        ("yo", "Niger-Congo", "Latin", 0),
        ("eu", "Basque", "Latin", 2),
        ("sv", "Germanic", "Latin", None),
    ],
)
def test_facts_are_those_of_the_sources(language: str, family: str, script: str, size: float | None) -> None:
    facts = LANGUAGES[language]
    assert (facts.family, facts.script, facts.pretraining_gib) == (family, script, size)
