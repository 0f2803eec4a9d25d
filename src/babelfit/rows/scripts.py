"""In which scripts the texts of a language are to be expected, and whether a file's are. Reads no file."""

from collections.abc import Mapping

from babelfit.languages.facts import LANGUAGES

LEAST_EXPECTED = 0.5
"""Share of the letters in a script of the language, below which the file is doubted: names and terms are in others."""

# What letters are called in Unicode, where that is not the name of the script.
_LETTERS = {"Han": ["CJK"], "Japanese": ["CJK", "HIRAGANA", "KATAKANA"], "Hangul": ["HANGUL", "CJK"]}
# Languages that are written in other scripts than that of their Wikipedia as well.
_ALSO = {
    "ARABIC": "az kk ku ky pa uz",
    "CYRILLIC": "az bs ku ro sh tk uz",
    "DEVANAGARI": "sd",
    "CJK": "cdo hak vi zh-min-nan",
    "LATIN": "gan kk sr tg tt ug wuu",
    "HEBREW": "arc",
}


def expected_scripts(language: str) -> list[str]:
    """List the scripts of a language by what Unicode calls their letters; none where it is not known."""
    if language not in LANGUAGES:
        return []
    script = LANGUAGES[language].script
    also = [other for other, languages in _ALSO.items() if language in languages.split()]
    return [*_LETTERS.get(script, [script.upper()]), *also]


def look_alike(language: str, *, shares: Mapping[str, float]) -> str | None:
    """Return a warning where a file looks unlike its language, else None; `shares`: script -> share of letters."""
    expected = expected_scripts(language)
    if not expected or not shares or sum(shares.get(script, 0) for script in expected) >= LEAST_EXPECTED:
        return None
    script, share = max(shares.items(), key=lambda pair: pair[1])
    return (
        f"{100 * share:.0f} % of the letters are {in_words(script)}, where '{language}' is written in "
        f"{' or '.join(in_words(one) for one in expected)}; is it another language's file?"
    )


def in_words(script: str) -> str:
    """Write what Unicode calls letters as in a text; CJK is short for Chinese, Japanese, Korean."""
    return script if script == "CJK" else script.title()
