"""Where a clone of the repository has its YAML, and the command beside it."""

from pathlib import Path

CONF = Path(__file__).resolve().parents[3] / "conf"
TRAIN = CONF.parent / "train.py"
