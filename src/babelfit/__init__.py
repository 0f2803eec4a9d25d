"""Fine-tune on some languages, and see what that is worth in others.

import babelfit

run = babelfit.train(["data=xnli_sample", "seed=2"])    # what stands on the command line
run.scores()                                            # a pandas frame
run.predict([("Nina lives in Cairo.", "Nina is in Cairo.")])
babelfit.load("outputs/xnli-mini")                      # the same run again
babelfit.scores(["outputs/one", "outputs/other"])       # many, in one frame
"""

from babelfit.commands.from_python import LoadedRun, evaluate, load, scores, train
from babelfit.errors import UserError

__all__ = ["LoadedRun", "UserError", "__version__", "evaluate", "load", "scores", "train"]

__version__ = "0.2.0"
