"""Facts about languages, from languages.tsv: what their codes stand for. Knows no dataset."""

import csv
from pathlib import Path

with Path(__file__).with_name("languages.tsv").open(encoding="utf-8", newline="") as _file:
    LANGUAGE_NAMES = {row["code"]: row["name"] for row in csv.DictReader(_file, delimiter="\t")}
