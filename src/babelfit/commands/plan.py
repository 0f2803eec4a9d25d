"""`babelfit plan`: what a training run would take."""

import argparse

from babelfit.commands.options import Verbs, add_overrides


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "plan",
        help="show what a training run would read, compute, hold and write; trains nothing",
        description="Show what a training run would read, compute, hold in memory and write to disk, and what to "
        "change where it does not fit. Nothing is trained and nothing written to outputs/; rows are tokenized and "
        "kept as for the run. With plan.probe=true a few steps are measured, to say how long it would take.",
        epilog="Example: babelfit plan experiment=xnli_zero_shot plan.probe=true",
    )
    add_overrides(parser, more=", and plan.probe=true")
    parser.set_defaults(verb=plan)


def plan(given: argparse.Namespace) -> None:
    """Print what a training run of a configuration would take."""
    from babelfit.commands.compose import compose_config
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.errors import UserError

    own = [override for override in given.overrides if override.startswith("plan.")]
    for override in own:
        if override not in ("plan.probe=true", "plan.probe=false"):
            raise UserError(f"{override}: the only key of plan is plan.probe=true or plan.probe=false")
    theirs = [override for override in given.overrides if override not in own]
    config = checked(compose_config("train", theirs, config_dir=given.config_dir), TrainConfig)
    from babelfit.planning import plan as planning

    planning.plan(config, probe=own[-1:] == ["plan.probe=true"])
