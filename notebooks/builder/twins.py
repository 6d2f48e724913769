"""The two languages of a script: which text lacks its twin, and what twins must share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbformat import NotebookNode

from builder.chinese import LANGUAGE, faults, join_lines
from builder.source import LANGUAGES, Cell, Source

__all__ = ["read_untranslated", "review_twins", "stale_twins"]

_FENCE = re.compile(r"```.*?```", re.DOTALL)
_SHARED = {
    "code": re.compile(r"`([^`\n]+)`|<code>(.*?)</code>"),
    "links": re.compile(r"\]\(([^)\s]+)\)|(https?://[^\s)>`，。]*[^\s)>`，。,.])"),
    "pictures and folded parts": re.compile(r"(<details>|<img[^>]*>|!\[)"),
}
_ITEMS = re.compile(r"^(#+ |- |\d+\. )", re.MULTILINE)


def read_untranslated(folder: Path) -> frozenset[str]:
    """Read which scripts may still be in English only; the list is to shrink to nothing."""
    path = folder / LANGUAGE / "untranslated.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(line for line in lines if line and not line.startswith("#"))


def review_twins(
    source: Source, untranslated: frozenset[str], terms: Mapping[str, str]
) -> Iterator[str]:
    """Say which text cells lack their twin, and which twins do not agree.

    Parameters
    ----------
    source
        The script.
    untranslated
        Names of scripts that may have no Chinese at all.
    terms
        See `builder.chinese.faults`.
    """
    has_twins = LANGUAGES[1] in source.languages
    has_text = any(cell.kind == "markdown" for cell in source.cells)
    is_listed = str(source.path) in untranslated
    if is_listed and not has_twins:
        return
    if is_listed:
        yield "has Chinese cells: take it off zh-TW/untranslated.txt"
    elif has_text and not has_twins:
        yield "has no Chinese at all: write it, or for now list it in zh-TW/untranslated.txt"
        return
    yield from source.missing_twins()
    for first, second in _pairs(source):
        start = _start(second.text)
        for problem in (*_differences(first.text, second.text), *faults(second.text, terms)):
            yield f"{problem}, in {start!r}"


def stale_twins(
    source: Source, first: NotebookNode | None, second: NotebookNode | None
) -> Iterator[str]:
    """Say where the English is another than in the last build, and its twin is still the same.

    Parameters
    ----------
    source
        The script.
    first, second
        The notebooks of the last build in both languages; ``None`` if there was none.
    """
    if first is None or second is None:
        return
    texts = {cell.source for cell in first.cells}
    twins = {cell.source for cell in second.cells}
    for english, chinese in _pairs(source):
        if english.text not in texts and join_lines(chinese.text) in twins:
            yield (
                f"the English of {_start(english.text)!r} changed, and its twin "
                f"{_start(chinese.text)!r} did not: change it, or build with --same"
            )


def _pairs(source: Source) -> Iterator[tuple[Cell, Cell]]:
    for cell, following in zip(source.cells, source.cells[1:], strict=False):
        if [cell.language, following.language] == [*LANGUAGES] and cell.kind == "markdown":
            yield cell, following


def _differences(first: str, second: str) -> Iterator[str]:
    for what, pattern in _SHARED.items():
        wanted, found = _found(pattern, first), _found(pattern, second)
        if lacking := sorted(wanted - found):
            yield f"the twin lacks {what}: {', '.join(lacking)}"
        if added := sorted(found - wanted):
            yield f"only the twin has {what}: {', '.join(added)}"
    if _FENCE.findall(first) != _FENCE.findall(second):
        yield "the twin has another block of code"
    wanted_items, found_items = (_ITEMS.findall(_FENCE.sub("", text)) for text in (first, second))
    if wanted_items != found_items:
        yield f"the twin has other headings or list items: {found_items} for {wanted_items}"


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    text = " ".join(_FENCE.sub("", text).split())
    found = (next(filter(None, match.groups())) for match in pattern.finditer(text))
    # The Chinese edition is one folder deeper.
    return {one.removeprefix("../") for one in found}


def _start(text: str) -> str:
    return text.strip().partition("\n")[0][:24]
