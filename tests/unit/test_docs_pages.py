"""The pages hold together: links lead somewhere, each page is in the list, what is generated is current."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = sorted(ROOT.glob("*.md"))
"""Whose links the builder of the site does not see."""


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_is_in_the_list_and_in_the_readme() -> None:
    def files(nav: object) -> set[str]:
        if isinstance(nav, str):
            return {nav}
        return set().union(*map(files, nav.values() if isinstance(nav, dict) else nav))

    pages = {page.name for page in DOCS.glob("*.md")}
    assert files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]) == pages
    linked = set(re.findall(r"\(docs/([\w-]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert pages - linked == {"index.md"}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_page_begins_with_what_it_is_for_and_a_command(page: Path) -> None:
    if page.name == "from-python.md":
        pytest.skip("begins with Python")
    beginning = page.read_text(encoding="utf-8").split("\n## ")[0]
    title, text = beginning.split("\n", 1)
    assert title.startswith("# ")
    assert re.match(r"\n(babelfit|[A-Z*])", text)
    assert "```bash\n" in beginning


def test_the_page_of_all_keys_is_current() -> None:
    spec = importlib.util.spec_from_file_location("configuration_page", ROOT / "tools" / "configuration_page.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    assert writer.page() == (DOCS / "configuration.md").read_text(encoding="utf-8"), "make docs writes it anew"


def test_messages_that_are_explained_are_still_said() -> None:
    said: list[str] = []
    for path in sorted((ROOT / "src" / "babelfit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(node.value.replace("%s", "\0").replace("%d", "\0"))
            elif isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "\0" for one in node.values]
                said.append("".join(map(str, parts)))
    rows = re.findall(r"^\| (`.*?`) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(messages) >= 60
    unknown = [message for message in messages if not any(_is_said(message, by=text) for text in said)]
    assert unknown == []


def _is_said(message: str, *, by: str) -> bool:
    """Return whether the parts of a message stand in a text, in their order."""
    place = 0
    for part in filter(None, (part.strip() for part in message.split("…"))):
        place = by.find(part, place)
        if place < 0:
            return False
    return True
