"""report.html in a real browser: it sorts, filters and chooses, runs nothing strange and asks for nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser
from made_pages import ATTACK, made_run, page, richer

from babelfit.scoring.scores import read_all, write

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the page in")

CODES = "[...document.querySelectorAll('#test-table tbody tr:not([hidden]) th')].map(one => one.dataset.sort)"
SORTS = "[...document.querySelectorAll('#test-table th[aria-sort]')].map(one => one.getAttribute('aria-sort'))"
CHOSEN = "[...document.querySelectorAll('article')].filter(one => one.offsetParent).map(one => one.dataset.choice)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = made_run(tmp_path_factory.mktemp("page"))
    (scores,) = read_all(run)
    write(richer(scores), run)
    page(run)
    return run / "report.html"


@pytest.fixture
def opened(file: Path) -> Iterator[Page]:
    with browser() as found:
        found.open(file)
        yield found
        # Whatever a test did, it ended without complaint and within the file.
        assert found.complaints == []
        assert found.requests == [file.resolve().as_uri()]
        assert found.ask("performance.getEntriesByType('resource').length") == 0


def test_a_header_sorts_and_sorts_the_other_way_round(opened: Page) -> None:
    assert opened.ask(CODES) == ["en", "ar", "de"]
    button = "document.querySelectorAll('#test-table th button')[{}].click()"
    opened.ask(button.format(0))
    assert opened.ask(CODES) == ["ar", "de", "en"]
    assert opened.ask(SORTS)[:2] == ["ascending", "none"]
    opened.ask(button.format(2))  # macro F1
    assert opened.ask(CODES) == ["de", "ar", "en"]
    assert opened.ask(SORTS)[:3] == ["none", "none", "descending"]
    opened.ask(button.format(2))
    assert opened.ask(CODES) == ["en", "ar", "de"]
    assert opened.ask(SORTS)[2] == "ascending"


def test_a_header_sorts_by_the_keyboard(opened: Page) -> None:
    opened.ask("document.querySelector('#test-table th button').focus()")
    opened.press("Enter", 13)
    assert opened.ask(CODES) == ["ar", "de", "en"]


def test_the_first_key_of_the_keyboard_offers_to_skip_to_the_scores(opened: Page) -> None:
    opened.press("Tab", 9)
    assert opened.ask("document.activeElement.className") == "skip"
    assert opened.ask("document.activeElement.getBoundingClientRect().left >= 0")
    assert opened.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_filter_leaves_the_languages_that_are_asked_for(opened: Page) -> None:
    typed = "box = document.querySelector('[data-filters]'); box.value = '{}'; box.dispatchEvent(new Event('input'))"
    opened.ask(typed.format("GERM"))
    assert opened.ask(CODES) == ["de"]
    assert opened.ask("document.querySelector('output').textContent") == "1 of 3 languages"
    opened.ask(typed.format(""))
    assert opened.ask(CODES) == ["en", "ar", "de"]


def test_the_errors_of_the_chosen_language_are_shown(opened: Page) -> None:
    assert opened.ask(CHOSEN) == ["en"]
    opened.ask("one = document.querySelector('select'); one.value = 'de'; one.dispatchEvent(new Event('change'))")
    assert opened.ask(CHOSEN) == ["de"]
    shown = opened.ask("document.querySelector('article[data-choice=de]').innerText")
    assert "Premise 2 in de." in shown
    assert "Premise 2 in en." in shown


def test_a_row_that_holds_a_script_shows_it_and_runs_nothing(opened: Page) -> None:
    assert opened.ask("document.title") == "made · xnli · babelfit"
    assert ATTACK in opened.ask("document.querySelector('article[data-choice=de]').textContent")


def test_arabic_runs_from_right_to_left(opened: Page) -> None:
    text = "document.querySelector('article[data-choice=ar] .text [lang=ar]')"
    assert opened.ask(f"getComputedStyle({text}).direction") == "rtl"
    assert opened.ask("getComputedStyle(document.body).direction") == "ltr"


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_any_screen_and_can_be_read_on_it(file: Path, width: int, dark: bool) -> None:
    with browser() as found:
        found.open(file, width=width, dark=dark)
        assert found.ask("document.documentElement.scrollWidth") <= width
        # WCAG 2.2, 1.4.3: text has a contrast of at least 4.5.
        assert found.ask(WEAK) == []
        assert found.complaints == []


NARROW = 390


@pytest.mark.parametrize("scrolled", [0, 10_000])
def test_captions_are_whole_on_a_narrow_screen_wherever_their_tables_are_scrolled_to(file: Path, scrolled: int) -> None:
    with browser() as found:
        found.open(file, width=NARROW)
        found.ask(f"document.querySelectorAll('.scroll').forEach(one => one.scrollLeft = {scrolled})")
        assert found.ask("document.querySelector('[aria-label=Data]').scrollLeft > 0") == (scrolled > 0)
        captions = found.ask(PLACES.format("caption"))
        assert len(captions) >= 5
        assert all(left >= 0 and right <= NARROW for left, right in captions), captions
        # And so are the names of the rows.
        for one in ("#test-table tbody th", "[aria-label=Data] tbody th", ".name"):
            places = found.ask(PLACES.format(one))
            assert places
            assert all(left >= 0 and right <= NARROW for left, right in places), one


def test_what_the_keyboard_reaches_is_not_under_the_names_of_the_rows(file: Path) -> None:
    with browser() as found:
        found.open(file, width=NARROW)
        found.ask("document.querySelector('[aria-label=\"Scores by language\"]').scrollLeft = 10000")
        found.ask("document.querySelectorAll('#test-table th button')[1].focus()")
        ((_, end),) = found.ask(PLACES.format("#test-table .name"))
        ((start, _),) = found.ask(PLACES.format("#test-table th button:focus"))
        assert start >= end


def test_errors_on_a_narrow_screen_say_which_label_is_gold_and_text_stands_beside_its_name(file: Path) -> None:
    with browser() as found:
        found.open(file, width=NARROW)
        found.ask("one = document.querySelector('select'); one.value = 'ar'; one.dispatchEvent(new Event('change'))")
        row = "document.querySelector('article[data-choice=ar] .errors tbody tr')"
        said = f"[...{row}.children].map(one => getComputedStyle(one, '::before').content)"
        assert found.ask(said) == ['"row "', '"sure "', '"gold "', '"predicted "', "none", '"the same in en"']
        parts = f"[...{row}.querySelector('p').children].map(one => one.getBoundingClientRect())"
        assert found.ask(f"(([name, text]) => name.bottom > text.top && text.left > name.right)({parts})")


PLACES = """
[...document.querySelectorAll('{}')].filter((one) => one.offsetParent).map((one) => one.getBoundingClientRect())
  .map((box) => [box.left, box.right])
"""


WEAK = """
(() => {
  const rgba = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const weak = new Set();
  for (const one of document.querySelectorAll("body *:not(svg, svg *, script, option)")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    let behind = one, back = [0, 0, 0, 0];
    while (behind && !(back = rgba(getComputedStyle(behind).backgroundColor))[3]) behind = behind.parentElement;
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) weak.add(`${one.tagName} ${one.className} ${contrast} ${one.textContent.slice(0, 30)}`);
  }
  return [...weak];
})()
"""
