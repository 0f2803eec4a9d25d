"""Which of a model's outputs is which of the data's labels: by name, never by order."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedConfig

from babelfit.encoder.label_tables import UNNAMED
from babelfit.errors import UserError


def label_order(config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> list[int]:
    """Return, for each label of the data, which output of the model it is.

    Names are compared without regard to case, aliases included. Raises UserError, with both sets, where the model's
    names are others, stand twice, or differ between its id2label and its label2id.
    """
    theirs = {int(label_id): str(name) for label_id, name in (config.id2label or {}).items()}
    meant = _meant(theirs, label_names=label_names, aliases=aliases)
    names = f"the model has {_in_words(theirs)}; the data have {_in_words(dict(enumerate(label_names)))}"
    if sorted(meant.values(), key=str) != sorted(label_names):
        raise UserError(
            f"label names do not match: {names}. Name the model's outputs in its config.json (id2label, label2id)"
        )
    # A config that was edited in one place only is permuted in one of them; which one cannot be known.
    if {str(name): int(label_id) for name, label_id in (config.label2id or {}).items()} != {
        name: label_id for label_id, name in theirs.items()
    }:
        raise UserError(f"the model's id2label and label2id contradict each other ({config.label2id}): {names}")
    output_of = {name: label_id for label_id, name in meant.items()}
    return [output_of[name] for name in label_names]


def name_outputs(config: PreTrainedConfig, names: Sequence[str]) -> None:
    """Name the outputs of a model in its config, in this order; they are those of one label each."""
    config.id2label = dict(enumerate(names))
    config.label2id = {name: label_id for label_id, name in enumerate(names)}
    # By what another task has left there, `pipeline` would choose how it makes numbers of these outputs.
    config.problem_type = None


def has_own_labels(config: PreTrainedConfig) -> bool:
    """Return whether a model's labels have names, rather than the LABEL_0, LABEL_1 that stand for none."""
    return any(not str(name).startswith(UNNAMED) for name in (config.id2label or {}).values())


def has_labels(config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> bool:
    """Return whether a model's labels are the data's, in whatever order."""
    theirs = {int(label_id): str(name) for label_id, name in (config.id2label or {}).items()}
    meant = _meant(theirs, label_names=label_names, aliases=aliases)
    return sorted(meant.values(), key=str) == sorted(label_names)


def _meant(
    theirs: Mapping[int, str], *, label_names: Sequence[str], aliases: Mapping[str, str]
) -> dict[int, str | None]:
    """Return which of the data's labels each name stands for; None for a name of no label."""
    ours = {name.casefold(): name for name in label_names}
    ours |= {alias.casefold(): name for alias, name in aliases.items()}
    return {label_id: ours.get(name.casefold()) for label_id, name in theirs.items()}


def _in_words(names: Mapping[int, str]) -> str:
    return ", ".join(f"{label_id} = {name}" for label_id, name in sorted(names.items()))
