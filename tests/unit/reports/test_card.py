"""A run's model card holds its scores as the Hub reads them, and is never taken from who changed it."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from made_scores import scores as made_scores
from made_tasks import NER, NLI, TOKENS

from babelfit.config import config_files
from babelfit.config.schema import TrainConfig
from babelfit.reports import card
from babelfit.scoring.scores import Contaminated, Scores

FACTS = {"run": "mine", "checkpoint": "step 3 of 4 <b>, chosen by | source_dev"}
SCORES = made_scores(
    NLI,
    {
        "en": {"accuracy": 0.84362, "f1": 0.8421, "examples": 5010, "interval": [0.83, 0.85]},
        "sw": {"accuracy": 0.7, "f1": 0.6876, "examples": 5010},
    },
)


@pytest.fixture
def config() -> TrainConfig:
    return config_files.load(Path(__file__).parents[1] / "config" / "configs" / "version-1.yaml", TrainConfig)


def written(folder: Path, config: TrainConfig, *scores: Scores, doubts: tuple[str, ...] = ()) -> ModelCard:
    card.write_card(
        folder,
        config=config,
        all_scores=scores,
        facts=FACTS,
        doubts=doubts,
        hub_repo="facebook/xnli",
        revision="abc",
    )
    return ModelCard.load(folder / "README.md")


def test_the_hub_reads_each_language_s_scores(tmp_path: Path, config: TrainConfig) -> None:
    validation = replace(SCORES, split="validation")
    data = written(tmp_path, config, SCORES, validation).data

    results = {
        (one.dataset_config, one.dataset_split, one.metric_type): one.metric_value for one in data.eval_results or []
    }
    assert len(results) == 8
    assert results["en", "test", "accuracy"] == 0.8436
    assert results["sw", "validation", "f1"] == 0.6876
    one = (data.eval_results or [])[0]
    assert (one.dataset_type, one.dataset_revision, one.task_type) == ("facebook/xnli", "abc", "text-classification")
    assert (data.language, data.datasets, data.metrics) == (["en", "sw"], ["facebook/xnli"], ["accuracy", "f1"])
    assert (data.model_name, data.license, data.to_dict()["library_name"]) == (config.name, "unknown", "transformers")
    assert data.base_model == config.encoder.path


def test_the_base_model_is_one_of_the_hub_with_its_weights(tmp_path: Path, config: TrainConfig) -> None:
    random = replace(config, encoder=replace(config.encoder, pretrained=False))
    local = replace(config, encoder=replace(config.encoder, path=str(tmp_path)))
    bundled = replace(config, encoder=replace(config.encoder, path="mini"))

    for other in (random, local, bundled):
        assert written(tmp_path, other, SCORES).data.base_model is None


def test_what_is_no_measure_is_not_given_to_the_hub(tmp_path: Path, config: TrainConfig) -> None:
    contaminated = Contaminated(languages=["en"], why="trained on the test split of en")
    found = written(tmp_path, config, replace(SCORES, contaminated=contaminated))
    synthetic = written(tmp_path, config, replace(SCORES, synthetic=True))

    assert {one.dataset_config for one in found.data.eval_results or []} == {"sw"}
    assert "**Contaminated:** the model was trained on the test split of en." in found.text
    assert {one.dataset_type for one in synthetic.data.eval_results or []} == {"babelfit-xnli-sample"}
    assert synthetic.data.datasets is None
    assert "**Synthetic data.**" in synthetic.text


def test_the_text_says_facts_scores_and_doubts_and_takes_none_for_markup(tmp_path: Path, config: TrainConfig) -> None:
    text = written(tmp_path, config, SCORES, doubts=("row 3 of <script>.tsv is trained on",)).text

    assert "| en English | 84.4 | 83.0 to 85.0 | 5,010 |" in text
    assert "| sw Swahili | 70.0 |  | 5,010 |" in text
    assert "- gap 14.4 points" in text
    assert "step 3 of 4 \\<b\\>, chosen by \\| source\\_dev" in text
    assert "row 3 of \\<script\\>.tsv is trained on" in text


def test_it_is_written_anew_until_somebody_changes_it(tmp_path: Path, config: TrainConfig) -> None:
    path = tmp_path / "README.md"
    written(tmp_path, config, SCORES)
    first = path.read_bytes()
    written(tmp_path, config, SCORES)
    assert path.read_bytes() == first
    written(tmp_path, config, replace(SCORES, split="validation"))
    assert path.read_bytes() != first

    changed = first.replace(b"license: unknown", b"license: mit")
    path.write_bytes(changed)
    written(tmp_path, config, SCORES)
    assert path.read_bytes() == changed


def test_a_language_code_that_yaml_takes_for_no_stays_a_code(tmp_path: Path, config: TrainConfig) -> None:
    languages = SCORES.languages | {"no": SCORES.languages["sw"]}
    data = written(tmp_path, config, replace(SCORES, languages=languages)).data

    assert data.language == ["en", "sw", "no"]
    assert {one.dataset_config for one in data.eval_results or []} == {"en", "sw", "no"}


def test_each_task_has_its_pipeline_and_the_measures_that_the_hub_knows(tmp_path: Path, config: TrainConfig) -> None:
    spans = dict.fromkeys((measure.key for measure in NER.measures), 0.5)
    tokens = {"log_likelihood": -1.0, "perplexity": 2.71828, "accuracy": 0.625, "masked": 8}
    tagged = written(tmp_path, config, made_scores(NER, {"en": spans | {"examples": 7}}))
    masked = written(tmp_path, config, made_scores(TOKENS, {"en": tokens | {"examples": 3, "interval": [2.0, 3.5]}}))

    assert (tagged.data.to_dict()["pipeline_tag"], tagged.data.metrics) == (
        "token-classification",
        ["f1", "precision", "recall"],
    )
    assert {(one.metric_type, one.metric_name) for one in tagged.data.eval_results or []} == {
        *(("f1", "span F1"), ("precision", "precision"), ("recall", "recall"))
    }
    assert (masked.data.to_dict()["pipeline_tag"], masked.data.metrics) == ("fill-mask", ["accuracy", "perplexity"])
    assert [one.metric_value for one in masked.data.eval_results or []] == [2.7183, 0.625]
    assert "| language | perplexity | 95 % interval | examples |" in masked.text
    assert "| en English | 2.72 | 2.00 to 3.50 | 3 |" in masked.text
    assert 'pipeline("fill-mask", model="FOLDER")' in masked.text
