"""What speed.py makes of its measurements: medians over the rounds, their spread, the table. Measures nothing."""

from collections.abc import Sequence
from statistics import median
from typing import Any


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    """Sum up a setting: of each side medians and spread over the rounds, and how ours compares with the others.

    `speedup` is their median time over ours, and its spread that of the rounds one by one; `memory` is our peak over
    theirs; `share` is what the useful operations reach of the matrix rate.
    """
    setting, facts = measured["setting"], measured["facts"]
    # An evaluation is one piece of work, a training so many steps.
    pieces = 1 if setting["work"].endswith("evaluation") else setting["steps"]
    best = max(median(one[shape] for one in measured["matrix_rates"]) for shape in measured["matrix_rates"][0])
    seconds = {side: [one["seconds"] / pieces for one in of(measured, side)] for side in setting["sides"]}
    sides = {}
    for side, times in seconds.items():
        middle = median(times)
        sides[side] = {
            "seconds": middle,
            "spread": [min(times), max(times)],
            "examples_per_second": facts["examples"] / (middle * pieces),
            "share": facts["operations"] / (middle * pieces) / best,
            "memory_bytes": {name: median(one[name] for one in of(measured, side)) for name in memories(measured)},
        }
        if "ours" in seconds and side != "ours":
            ratios = [theirs / ours for theirs, ours in zip(times, seconds["ours"], strict=True)]
            sides[side]["speedup"] = middle / median(seconds["ours"])
            sides[side]["speedup_spread"] = [min(ratios), max(ratios)]
    for name in memories(measured):
        for side in sides if "ours" in sides else ():
            ours, theirs = sides["ours"]["memory_bytes"][name], sides[side]["memory_bytes"][name]
            sides[side].setdefault("memory", {})[name] = ours / theirs
    return {"matrix_rate": best, "sides": sides}


def of(measured: dict[str, Any], side: str) -> list[dict[str, Any]]:
    return [one for one in measured["runs"] if one["side"] == side]


def memories(measured: dict[str, Any]) -> Sequence[str]:
    return [name for name in ("peak_bytes", "peak_gpu_bytes") if name in measured["runs"][0]]


def table(found: dict[str, Any]) -> str:
    """Lay the results out as Markdown, a table for each setting of the model."""
    machine = found["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    lines = [f"{', '.join(machine['gpus']) or machine['cpu']}, {machine['threads']} threads; {packages}"]
    before = None
    for measured in found["settings"]:
        setting = measured["setting"]
        model = (setting["size"], setting["batch_size"], setting["compile"])
        if model != before:
            lines += ["", *heading(measured)]
            before = model
        lines += rows(measured)
    return "\n".join(lines)


def heading(measured: dict[str, Any]) -> list[str]:
    setting, facts = measured["setting"], measured["facts"]
    columns = (
        "work",
        "side",
        "seconds a step, or in all (least to most)",
        "examples a second",
        "times ours (by round)",
        "peak memory, GB",
        "ours over this",
        "share of matrix rate",
    )
    return [
        f"XLM-R {setting['size']} ({facts['layers']} layers, {facts['parameters'] / 1e6:.0f} million parameters), "
        f"batch {setting['batch_size']}, {setting['precision']}, {'' if setting['compile'] else 'not '}compiled",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]


def rows(measured: dict[str, Any]) -> list[str]:
    found = measured["summary"]
    # On a GPU its own memory is what runs out.
    memory = list(memories(measured))[-1]
    lines = []
    for side, one in found["sides"].items():
        rate = f" of {found['matrix_rate'] / 1e9:,.0f} GFLOP/s" if side == "ours" else ""
        cells = (
            measured["setting"]["work"],
            side,
            f"{one['seconds']:.3f} ({_range(one['spread'], digits=3)})",
            f"{one['examples_per_second']:.1f}",
            f"**{one['speedup']:.2f}** ({_range(one['speedup_spread'])})" if "speedup" in one else "",
            f"{one['memory_bytes'][memory] / 1e9:.2f}",
            f"{one['memory'][memory]:.2f}" if "speedup" in one else "",
            f"{100 * one['share']:.0f} %{rate}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _range(values: Sequence[float], *, digits: int = 2) -> str:
    return f"{values[0]:.{digits}f} to {values[1]:.{digits}f}"
