"""What other selections of the checkpoint score, laid out: a row a selection, and a row a language."""

from collections.abc import Mapping
from typing import Any

from babelfit.checkpoints.rankings import LAST, MEAN_DEV, SOURCE_DEV
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import SHOWN, percent
from babelfit.scoring.selections import ORACLE

NAMES = {SOURCE_DEV: "source dev", MEAN_DEV: "mean dev", ORACLE: "own dev (oracle)", LAST: "last"}


def sheets(found: Mapping[str, Any]) -> list[Sheet]:
    """Lay the selections out in percent and points: what each scores, and the same by language."""
    metric = SHOWN[found["metric"]][found["metric"]]
    synthetic = " (synthetic sample)" if found.get("synthetic") else ""
    is_honest = found.get("regime", "zero_shot") == "zero_shot" and "contaminated" not in found
    after = [
        f"source dev: {'true zero-shot, and ' if is_honest else ''}this run's model; mean dev and oracle ask for "
        "labels in every language, the oracle takes for each its own checkpoint; last and mean weights ask for none.",
        "price of honest selection: how far the target mean is above that of source dev, in points, with the 95 % "
        "interval of a paired bootstrap; another seed might say otherwise.",
    ]
    if found["split"] == "validation":
        after.append("These rows are those that selected: whoever chose by them looks better here than on others.")
    if "contaminated" in found:
        after.append(f"Contaminated: the model was {found['contaminated']['why']}.")
    elif not is_honest:
        after.append(f"Regime: {found['regime']}.")
    summary = Sheet(
        title=f"Checkpoints otherwise selected: {found['data']}{synthetic}, {found['split']}, {metric} in percent",
        before=[],
        columns=("selected by", "steps", "source", "targets", "worst", "price"),
        rows=[_cells(one) for one in found["selections"]],
        after=after,
        bold={0},
    )
    languages = list(found["selections"][0]["languages"]) if found["selections"] else []
    return [
        summary,
        Sheet(
            title="The same by language",
            before=[],
            columns=("language", *(_name(one) for one in found["selections"])),
            rows=[
                [
                    f"{language} {LANGUAGE_NAMES.get(language, '')}".strip(),
                    *(percent(one["languages"][language]) for one in found["selections"]),
                ]
                for language in languages
            ],
            after=[],
        ),
    ]


def _name(one: Mapping[str, Any]) -> str:
    steps = next(iter(one["steps"].values()))
    return NAMES.get(one["by"], f"mean of last {len(steps)}")


def _cells(one: Mapping[str, Any]) -> list[str]:
    transfer, steps = one["transfer"], sorted({tuple(theirs) for theirs in one["steps"].values()})
    source, targets = (
        ("" if (value := transfer[key]) is None else percent(value)) for key in ("source", "target_mean")
    )
    worst = transfer["worst"]
    return [
        _name(one),
        " ".join(map(str, steps[0])) if len(steps) == 1 else f"{steps[0][0]} to {steps[-1][-1]}",
        source,
        targets,
        "" if worst is None else f"{percent(worst['score'])} {worst['language']}",
        "" if one["price"] is None else _price(one["price"]),
    ]


def _price(price: Mapping[str, Any]) -> str:
    within = price["interval"]
    if within is None:
        return f"{100 * price['target_mean']:+.1f}"
    low, high = (f"{100 * bound:+.1f}" for bound in within)
    return f"{100 * price['target_mean']:+.1f} ({low} to {high})"
