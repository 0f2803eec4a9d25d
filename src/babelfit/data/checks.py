"""What is asked of the data before anything is trained on them; raises UserError, and reads what it needs for that."""

from typing import TYPE_CHECKING

from babelfit.errors import UserError
from babelfit.rows.origin import SAMPLE

if TYPE_CHECKING:
    from babelfit.data.base import MultilingualDataModule
    from babelfit.data.labelled import LabelledDataModule


def check_selectable(data: "MultilingualDataModule") -> None:
    """Raise UserError where the validation split of a source or a dev language has no gold, or is not there."""
    there = data.origin.available("validation", languages=data.validated_languages)
    for language in data.train_languages:
        if not data.has_gold("validation", language):
            files = ", ".join(entry["path"] for entry in data.read["validation"][language]["files"])
            raise UserError(
                f"{files}: no gold labels to choose a checkpoint by, in {data.data_name} validation {language}; "
                "give a file with labels"
            )
    for language in data.dev_languages:
        if language not in there or not data.has_gold("validation", language):
            raise UserError(
                f"{data.data_name} validation {language}: no gold labels, which the objective or checkpoint.compare "
                "needs; give a file with labels, or objective_languages (to compare: data.languages) without this one"
            )


def check_place(data: "type[LabelledDataModule]", *, folder: str | None, regime: str, train_split: str) -> None:
    """Raise UserError where the rows that a regime asks for cannot be in a place of this kind; nothing is looked at."""
    name = data.data_name
    if folder is None and data.hub_repo is None:
        raise UserError(f"data.folder=null: {name} is not on the Hub; give a folder")
    if folder == SAMPLE and not data.sample_languages:
        raise UserError(f"data.folder={SAMPLE}: {name} has no bundled sample; give a folder")
    if regime == "translate_test" and folder in (None, SAMPLE) and data.written_in is not None:
        raise UserError(
            f"data.regime=translate_test: {'the Hub' if folder is None else 'the sample'} has no dev and test rows of "
            f"{name} translated into '{data.written_in}': give a folder that has them, data.folder=FOLDER"
        )
    if train_split != "train" and regime not in ("zero_shot", "translate_test"):
        raise UserError(
            f"data.regime={regime} is about training rows, and data.train_split={train_split} takes others: leave it "
            "at data.train_split=train"
        )
