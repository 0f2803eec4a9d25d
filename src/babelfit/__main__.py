"""`python -m babelfit`: the program."""

from babelfit.commands.cli import main

main()
