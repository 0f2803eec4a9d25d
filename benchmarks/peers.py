"""One process of speed.py on the other side: the Hugging Face Trainer trains or predicts rows that ours.py has written.

The Trainer gets what a user who cares for speed gives it: fused AdamW and its default attention (SDPA), no logging, no
saving, no check of each loss, and on a GPU workers that collate ahead and lengths that are multiples of 8.
"""

import json
import sys
from pathlib import Path
from typing import Any

import datasets
from measuring import now, peak_memory
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)

MAX_LENGTH = 128
NO_LABEL = -100
PRECISION = {"32-true": {}, "bf16-mixed": {"bf16": True}, "16-mixed": {"fp16": True}}


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    datasets.disable_progress_bars()
    result = predict(task) if task["work"].endswith("evaluation") else train(task)
    Path(task["result"]).write_text(json.dumps(result))


class Clock(TrainerCallback):
    """Time the second epoch: the first is for allocators, caches and compilers."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.result: dict[str, Any] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == state.max_steps // 2:
            self.started = now(self.device)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == state.max_steps:
            self.result = {"seconds": now(self.device) - self.started, **peak_memory(self.device)}


def train(task: dict[str, Any]) -> dict[str, Any]:
    """Train two epochs, and time the second."""
    clock = Clock(task["device"])
    tokenizer = AutoTokenizer.from_pretrained(task["model"])
    (rows,) = rows_of(task, tokenizer=tokenizer)
    trainer = build(task, tokenizer=tokenizer, train_dataset=rows, callbacks=[clock])
    trainer.train()
    return clock.result | facts(trainer)


def predict(task: dict[str, Any]) -> dict[str, Any]:
    """Predict language after language, in file order, as run_xnli.py and XTREME's scripts do."""
    tokenizer = AutoTokenizer.from_pretrained(task["model"])
    splits = rows_of(task, tokenizer=tokenizer)
    trainer = build(task, tokenizer=tokenizer)
    started = now(task["device"])
    for rows in splits:
        trainer.predict(rows)
    return {"seconds": now(task["device"]) - started, **peak_memory(task["device"]), **facts(trainer)}


def build(task: dict[str, Any], *, tokenizer: PreTrainedTokenizerBase, **options: Any) -> Trainer:
    """Set the Trainer up as run_xnli.py and run_ner.py do, for speed."""
    is_tagging = task["work"].startswith("panx")
    auto = AutoModelForTokenClassification if is_tagging else AutoModelForSequenceClassification
    on_gpu = task["device"] == "gpu"
    # In evaluation it would start them anew for each language.
    num_workers = 4 if on_gpu and task["work"].endswith("training") else 0
    arguments = TrainingArguments(
        output_dir=task["folder"],
        num_train_epochs=2,
        per_device_train_batch_size=task["batch_size"],
        per_device_eval_batch_size=task["batch_size"],
        learning_rate=2e-5,
        lr_scheduler_type="linear",
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=1,
        use_cpu=not on_gpu,
        torch_compile=task["compile"],
        train_sampling_strategy="group_by_length" if task["side"] == "group_by_length" else "random",
        dataloader_num_workers=num_workers,
        dataloader_persistent_workers=num_workers > 0,
        logging_nan_inf_filter=False,  # it would wait for the device at each step
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        **PRECISION[task["precision"]],
    )
    collator: Any = default_data_collator
    if task["side"] != "padded_to_128":
        kind = DataCollatorForTokenClassification if is_tagging else DataCollatorWithPadding
        collator = kind(tokenizer, pad_to_multiple_of=8 if on_gpu else None)
    model = auto.from_pretrained(task["model"])
    return Trainer(model=model, args=arguments, processing_class=tokenizer, data_collator=collator, **options)


def rows_of(task: dict[str, Any], *, tokenizer: PreTrainedTokenizerBase) -> list[datasets.Dataset]:
    """Read the rows of each language; all padded alike where that is the side."""
    splits = [datasets.load_from_disk(f"{task['rows']}/{language}") for language in task["languages"]]
    return [to_max_length(rows, tokenizer=tokenizer) for rows in splits] if task["side"] == "padded_to_128" else splits


def to_max_length(rows: datasets.Dataset, *, tokenizer: PreTrainedTokenizerBase) -> datasets.Dataset:
    """Pad ids, masks and labels, where there is one per token, as a tokenizer's `padding="max_length"` does."""
    ids = {"input_ids": list(rows["input_ids"])}
    columns = dict(tokenizer.pad(ids, padding="max_length", max_length=MAX_LENGTH, return_attention_mask=True))
    labels = [
        label + [NO_LABEL] * (MAX_LENGTH - len(label)) if isinstance(label, list) else label for label in rows["labels"]
    ]
    return datasets.Dataset.from_dict(columns | {"labels": labels})


def facts(trainer: Trainer) -> dict[str, str]:
    """Name what was left to the Trainer's defaults."""
    return {"optimizer": str(trainer.args.optim.value), "attention": str(trainer.model.config._attn_implementation)}


if __name__ == "__main__":
    main()
