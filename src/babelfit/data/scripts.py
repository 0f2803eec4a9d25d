"""In which scripts the texts of a language are to be expected, and whether a file's are. Reads no file."""

from collections.abc import Mapping

LEAST_EXPECTED = 0.5
"""Share of the letters in a script of the language, below which the file is doubted: names and terms are in others."""

# By the names of letters in Unicode. Some languages are written in more than one script.
_LANGUAGES = {
    "ARABIC": "ar arz az ckb fa kk ku ks mzn pa pnb ps sd ug ur uz",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "CANADIAN": "iu",
    "CJK": "gan hak ja ko wuu zh zh-classical zh-min-nan zh-yue",
    "CYRILLIC": "az ba be be-x-old bg bs ce cv kk ku ky mhr mk mn os ro ru sah sh sr tg tk tt uk uz",
    "DEVANAGARI": "bh hi mr ne sa sd",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka xmf",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he yi",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "KANNADA": "kn",
    "KHMER": "km",
    "LATIN": "az bs hak kk ku ro sh sr tk tt ug uz zh-min-nan",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "SYRIAC": "arc",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAANA": "dv",
    "THAI": "th",
    "TIBETAN": "bo",
}
# All others that the datasets have: Latin alone.
_LATIN = (
    "ace af als an ang ast ay bar bat-smg br ca cbk-zam cdo ceb co crh cs csb cy da de diq eml en eo es et eu ext fi "
    "fiu-vro fo fr frr fur fy ga gd gl gn hr hsb hu ia id ig ilo io is it jbo jv ksh la lb li lij lmo ln lt lv map-bms "
    "mg mi min ms mt mwl nap nds nl nn no nov oc pdc pl pms pt qu rm rw scn sco simple sk sl so sq su sv sw szl tl tr "
    "vec vep vi vls vo wa war yo zea"
)


def expected_scripts(language: str) -> list[str]:
    """List the scripts of a language; none where it is not known."""
    if language in _LATIN.split():
        return ["LATIN"]
    return [script for script, languages in _LANGUAGES.items() if language in languages.split()]


def look_alike(language: str, *, shares: Mapping[str, float]) -> str | None:
    """Say, where a file does not look like its language, what it looks like: script -> share of the letters."""
    expected = expected_scripts(language)
    if not expected or not shares or sum(shares.get(script, 0) for script in expected) >= LEAST_EXPECTED:
        return None
    script, share = max(shares.items(), key=lambda pair: pair[1])
    return (
        f"{100 * share:.0f} % of the letters are {script.title()}, where '{language}' is written in "
        f"{' or '.join(one.title() for one in expected)}; is it another language's file?"
    )
