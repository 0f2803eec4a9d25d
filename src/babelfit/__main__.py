"""`python -m babelfit`: the verbs of cli.py."""

from babelfit.commands.cli import main

main()
