"""The ledger of a sweep where it is read: on the terminal, as sweep.csv, sweep.json and sweep.md in its folder."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.files.escaping import escaped, escaped_for_spreadsheets, printable
from babelfit.files.untrusted_files import check_folder
from babelfit.ledger.comparison import TEST
from babelfit.ledger.groups import Group
from babelfit.ledger.importance import METHOD
from babelfit.ledger.ledger import Ledger, Row, collect
from babelfit.ledger.results import means
from babelfit.ledger.study import read_sweep
from babelfit.reports import sweep_pictures, sweep_tables
from babelfit.reports.sheets import markdown_table, terminal
from babelfit.run.run import CONFIG, EVALUATION
from babelfit.statistics.spread import Spread

SCHEMA = 1


def report_sweep(folder: Path) -> None:
    """Print what a sweep found and write it into the sweep's folder; raise UserError for any other folder."""
    if (folder / EVALUATION).is_file():
        raise UserError(f"{folder} is an evaluation, not a sweep: give the folder of a babelfit train -m, outputs/NAME")
    if (folder / CONFIG).is_file():
        raise UserError(
            f"{folder} is a single run, not a sweep: its scores are in {folder / 'report.md'}. A sweep's folder is "
            "that of a babelfit train -m, outputs/NAME"
        )
    check_folder(folder)
    ledger = collect(read_sweep(folder))
    print_ledger(ledger, console=Console())
    write_files(ledger, folder=folder)
    sweep_pictures.draw(ledger, path=folder / "sweep.png")


def print_ledger(ledger: Ledger, *, console: Console) -> None:
    """Print the ledger's tables and sentences."""
    console.print(Text(printable(f"sweep {ledger.name}: {sweep_tables.count_in_words(ledger)}")))
    for remark in ledger.remarks:
        console.print(Text(printable(remark), style="bold"))
    for sheet in sweep_tables.sheets(ledger):
        console.print(terminal(sheet))
    for sentence in sweep_tables.sentences(ledger):
        console.print(Text(printable(sentence)))
    if ledger.comparison is not None and ledger.comparison.seeds_command is not None:
        # Whole, to be copied.
        console.print(Text(printable(ledger.comparison.seeds_command)), soft_wrap=True)


def write_files(ledger: Ledger, *, folder: Path) -> None:
    """Write sweep.csv, sweep.json and sweep.md, each whole, in the place of older ones."""
    atomic_files.write_text(folder / "sweep.csv", as_csv(ledger))
    text = json.dumps(document(ledger), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_files.write_text(folder / "sweep.json", f"{text}\n")
    atomic_files.write_text(folder / "sweep.md", markdown(ledger))


def as_csv(ledger: Ledger) -> str:
    """Write a row per trial: fractions of 1 at full precision, empty where there is none."""
    languages = sorted(
        {(split, one) for row in ledger.rows for split in row.scores for one in row.scores[split].languages}
    )
    header = [
        *("number", "repeats", "state", "group"),
        *ledger.swept,
        *ledger.objectives,
        *(f"rank/{name}" for name in ledger.objectives),
        *(f"{split}/{language}" for split, language in languages),
        *("folder", "why"),
    ]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(escaped_for_spreadsheets, header))
    for row in ledger.rows:
        trial = row.trial
        scores = [row.scores[split].main.get(one, "") if split in row.scores else "" for split, one in languages]
        writer.writerow(
            [
                *(trial.number, " ".join(map(str, row.repeats)), trial.state, row.group),
                *(escaped_for_spreadsheets(trial.overrides.get(key, "")) for key in ledger.swept),
                *(trial.objectives.get(name, "") for name in ledger.objectives),
                *(row.ranks.get(name, "") for name in ledger.objectives),
                *scores,
                *(trial.folder.name, escaped_for_spreadsheets(trial.why or "")),
            ]
        )
    return file.getvalue()


def document(ledger: Ledger) -> dict[str, Any]:
    """Return all of the ledger as plain values: scores and differences are fractions of 1."""
    compared, important = ledger.comparison, ledger.importance
    return {
        "schema": SCHEMA,
        "name": ledger.name,
        "search": ledger.search,
        "objective": ledger.objective,
        "swept": ledger.swept,
        "proposed": ledger.num_proposed,
        "counts": ledger.counts,
        "remarks": ledger.remarks,
        "trials": [_trial(row) for row in ledger.rows],
        "groups": [_group(group) for group in ledger.groups],
        "selection": {
            "by": SOURCE_DEV,
            "picked": ledger.picked,
            "objectives": {
                name: asdict(price) | {"difference": price.difference} for name, price in ledger.prices.items()
            },
        },
        "comparison": None if compared is None else {"test": TEST, "objective": ledger.objective} | asdict(compared),
        "importance": {"method": METHOD, "objective": ledger.objective} | asdict(important),
    }


def _trial(row: Row) -> dict[str, Any]:
    trial = row.trial
    return {
        "number": trial.number,
        "repeats": row.repeats,
        "state": trial.state,
        "why": trial.why,
        "folder": trial.folder.name,
        "overrides": trial.overrides,
        "group": row.group,
        "objectives": trial.objectives,
        "ranks": row.ranks,
        "scores": {
            split: {"metric": scores.metric, "languages": scores.main, "transfer": means(scores)}
            for split, scores in row.scores.items()
        },
        "curve": None if row.curve is None else asdict(row.curve),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "number": group.number,
        "overrides": group.settings,
        "trials": group.trials,
        "states": group.states,
        "objectives": _spreads(group.objectives),
        "scores": {
            split: {"languages": _spreads(languages), "transfer": _spreads(group.means[split])}
            for split, languages in group.languages.items()
        },
    }


def _spreads(spreads: Mapping[str, Spread]) -> dict[str, Any]:
    return {
        name: {
            "mean": one.mean,
            "standard_deviation": one.sd,
            "count": one.count,
            "min": one.low,
            "max": one.high,
            "values": one.values,
        }
        for name, one in spreads.items()
    }


def markdown(ledger: Ledger) -> str:
    """Write sweep.md: the tables, the sentences, and what the numbers mean."""
    lines = [f"# Sweep {escaped(ledger.name)}", ""]
    lines += [line for remark in ledger.remarks for line in (f"**{escaped(remark)}**", "")]
    lines += [
        f"- {escaped(sweep_tables.count_in_words(ledger))}",
        f"- search: {escaped(ledger.search)}; objective: {escaped(ledger.objective)}",
        f"- swept: {escaped(', '.join(ledger.swept) or 'nothing')}",
        *(f"- {escaped(sentence)}" for sentence in sweep_tables.sentences(ledger)),
    ]
    if ledger.comparison is not None and ledger.comparison.seeds_command is not None:
        # As code, to be copied: indented, nothing in a line can end it.
        lines += ["", f"      {' '.join(printable(ledger.comparison.seeds_command).split())}"]
    lines += ["", "![The same as a picture](sweep.png)"]
    for sheet in sweep_tables.sheets(ledger):
        title = escaped(sheet.title)
        lines += ["", f"## {title[:1].upper()}{title[1:]}", "", *markdown_table(sheet)]
        lines += ["", *(f"- {escaped(note)}" for note in sheet.after)] if sheet.after else []
    return "\n".join([*lines, "", "## What the numbers mean", "", *_meanings(ledger), ""])


def _meanings(ledger: Ledger) -> list[str]:
    """Return what the numbers mean, a line each."""
    return [
        "- **source_dev** is the mean dev score over the source languages. The other objectives read dev labels of "
        "target languages: what is chosen by them is no longer zero-shot, and "
        f"**{sweep_tables.lost(ledger.how)}** is what staying so costs.",
        *_MEANINGS,
    ]


_MEANINGS = (
    "- Trials are ranked by their dev score, equal ones alike; where one of equals is named, it is the first.",
    "- The best of many dev scores is a lucky one. Report the test scores of what was chosen; they choose nothing.",
    "- **±** is the standard deviation over seeds, of the sample (n - 1); one seed has none.",
    "- **importance** adds up to 100. It says which keys set the best trials apart, not in which direction, and what "
    "the seed gets is luck.",
)
