"""Score a run or a Hugging Face model in any languages: python evaluate.py --help"""

import sys

if __name__ != "__main__":
    # Imported rather than run: somebody started from this folder wants the package `evaluate`, not this script.
    from pathlib import Path

    _here = Path(__file__).parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != _here.resolve()]
    del sys.modules[__name__]
    import evaluate  # noqa: F401  (takes this module's place in sys.modules)
else:
    from babelfit.commands.evaluate import run

    run()
