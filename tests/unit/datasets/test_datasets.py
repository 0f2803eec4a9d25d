"""What all datasets promise: facts under their names, and DataModules for anybody's Trainer."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch.nn import EmbeddingBag, Linear
from torch.nn.functional import cross_entropy

from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.config.schema import FewShot, LabelledConfig, Limit
from babelfit.datasets import DATASETS, XNLI
from babelfit.datasets.building import build_data
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.rows.origin import written_sample


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_goes_by_the_name_in_its_facts(name: str) -> None:
    assert DATASETS[name].dataset.name == name


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "text"])
def test_a_sample_has_the_rows_that_its_facts_say(name: str) -> None:
    facts = DATASETS[name].dataset
    assert facts.sample is not None
    written = written_sample(name, write=facts.sample.write)
    paths = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    patterns = next(layout.patterns for layout in facts.layouts if layout.name == "XTREME")
    splits = {patterns[split].replace("{language}", one) for one, rows in facts.sample.rows.items() for split in rows}

    assert paths == splits


CHOSEN = LabelledConfig(
    name="xnli",
    folder="sample",
    revision=None,
    train_languages=["en"],
    languages=["en", "de"],
    max_length=32,
    limit=Limit(train=64, validation=16, test=16),
    train_split="train",
    regime="zero_shot",
    few_shot=FewShot(k=10, languages=None),
    sampling_exponent=None,
)


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("snli", "sequence_classification", "^data.name=snli: must be one of xnli, pawsx, wikiann, text$"),
        ("xnli", "token_classification", "^head=token_classification: xnli needs head=sequence_classification"),
    ],
)
def test_an_unknown_dataset_or_another_head_is_refused(name: str, head: str, told: str) -> None:
    chosen = LabelledConfig(**vars(CHOSEN) | {"name": name})
    with pytest.raises(UserError, match=told):
        build_data(chosen, head=head, languages=None, tokenizer=load_tokenizer(MINI), tokens_per_device=64)


class BagOfSubwords(LightningModule):
    """A classifier of anybody's, which knows of babelfit only what a batch is."""

    def __init__(self, num_ids: int) -> None:
        super().__init__()
        self.embed, self.classify = EmbeddingBag(num_ids, 16), Linear(16, 3)
        self.trained: list[tuple[int, int]] = []  # row and label
        self.validated: list[int] = []

    def loss(self, batch: RaggedBatch) -> torch.Tensor:
        logits = self.classify(self.embed(batch.input_ids, offsets=batch.cu_seqlens[:-1]))
        return cross_entropy(logits, batch.gold, reduction="sum")

    def training_step(self, step: StepBatch, _: int) -> torch.Tensor:
        for batch in step.micro_batches:
            self.trained += zip(batch.indices.tolist(), batch.gold.tolist(), strict=True)
        return torch.stack([self.loss(batch) for batch in step.micro_batches]).sum() / step.weight

    def validation_step(self, batch: RaggedBatch, _: int) -> None:
        self.validated += batch.indices.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.1)


def test_a_dataset_trains_in_a_trainer_of_anybodys(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(MINI)
    data = XNLI(
        folder="sample",
        revision=None,
        train_languages=["en"],
        languages=["en", "de"],
        max_length=32,
        limit={"train": 64, "validation": 16, "test": 16},
        train_split="train",
        tokenizer=tokenizer,
        batch_size=16,
        tokens_per_device=256,
        seed=1,
    )
    model = BagOfSubwords(len(tokenizer))
    before = model.embed.weight.detach().clone()
    plain = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **plain)
    trainer.fit(model, datamodule=data)

    rows = [(index, label) for index, (label,) in enumerate(data.open("train", "en")["gold"])]
    epochs = model.trained[:64], model.trained[64:]
    assert sorted(epochs[0]) == sorted(epochs[1]) == rows
    assert epochs[0] != epochs[1], "in another order"
    assert {label for _, label in rows} == {0, 1, 2}
    assert sorted(model.validated) == sorted([*range(16)] * 2)
    assert trainer.global_step == 2 * data.steps_per_epoch == 8
    assert not torch.equal(model.embed.weight, before)
