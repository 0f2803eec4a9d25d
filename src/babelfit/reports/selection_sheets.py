"""What other selections of the checkpoint score, laid out: a row a selection, and a row a language."""

from babelfit.checkpoints.rankings import LAST, MEAN_DEV, SOURCE_DEV
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import named, named_data
from babelfit.scoring.selections import ORACLE, Price, Selection, Selections
from babelfit.statistics.sums import Unit

NAMES = {SOURCE_DEV: "source dev", MEAN_DEV: "mean dev", ORACLE: "own dev (oracle)", LAST: "last"}


def sheets(found: Selections) -> list[Sheet]:
    """Lay the selections out in the unit of their scores: what each scores, and the same by language."""
    how = found.measure.how
    of_differences = f", in {how.of_differences}" if how.of_differences else ""
    is_honest = found.regime in (None, "zero_shot") and found.contaminated is None
    after = [
        f"source dev: {'true zero-shot, and ' if is_honest else ''}this run's model; mean dev and oracle ask for "
        "labels in every language, the oracle takes for each its own checkpoint; last and mean weights ask for none.",
        f"price of honest selection: how far the target mean is above that of source dev{of_differences}, with the "
        "95 % interval of a paired bootstrap; another seed might say otherwise.",
    ]
    if found.split == "validation":
        after.append("These rows are those that selected: whoever chose by them looks better here than on others.")
    if found.contaminated is not None:
        after.append(f"Contaminated: the model was {found.contaminated.why}.")
    elif not is_honest:
        after.append(f"Regime: {found.regime}.")
    data = named_data(found.data, is_synthetic=found.synthetic)
    summary = Sheet(
        title=f"Checkpoints otherwise selected: {data}, {found.split}, {found.measure.with_unit}",
        before=[],
        columns=("selected by", "steps", "source", "targets", "worst", "price"),
        rows=[_cells(one, how=how) for one in found.selections],
        after=after,
        bold={0},
    )
    languages = list(found.selections[0].languages) if found.selections else []
    by_language = Sheet(
        title="The same by language",
        before=[],
        columns=("language", *(_name(one) for one in found.selections)),
        rows=[
            [named(language), *(how.text(one.languages[language]) for one in found.selections)]
            for language in languages
        ],
        after=[],
    )
    return [summary, by_language]


def _name(one: Selection) -> str:
    steps = next(iter(one.steps.values()))
    return NAMES.get(one.by, f"mean of last {len(steps)}")


def _cells(one: Selection, *, how: Unit) -> list[str]:
    transfer, steps = one.transfer, sorted({tuple(theirs) for theirs in one.steps.values()})
    return [
        _name(one),
        " ".join(map(str, steps[0])) if len(steps) == 1 else f"{steps[0][0]} to {steps[-1][-1]}",
        *("" if mean is None else how.text(mean) for mean in (transfer.source, transfer.target_mean)),
        "" if transfer.worst is None else f"{how.text(transfer.worst.score)} {transfer.worst.language}",
        "" if one.price is None else _price(one.price, how=how),
    ]


def _price(price: Price, *, how: Unit) -> str:
    mean = how.difference(price.target_mean)
    if price.interval is None:
        return mean
    low, high = (how.difference(bound) for bound in price.interval)
    return f"{mean} ({low} to {high})"
