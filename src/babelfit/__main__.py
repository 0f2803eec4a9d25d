"""`python -m babelfit`: the verbs of cli.py."""

from babelfit.cli import main

main()
