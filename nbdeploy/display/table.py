"""A table as text and as HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from nbdeploy.display.html import Html, element, fragment, visible
from nbdeploy.display.mime import ReprMixin

__all__ = ["Table", "shortened", "width"]

_CELL = 200


@dataclass(frozen=True, repr=False)
class Table(ReprMixin):
    """Cells under column names.

    Parameters
    ----------
    columns
        The names.
    rows
        The cells, as many in each row as there are names.
    right
        Names of the columns that are flush right, as numbers are.
    limit
        Rows that are shown; the others are only counted.
    noun
        What a row is, to count the others.

    Examples
    --------
    >>> print(Table(("column", "count"), (("island", "344"), ("sex", "9")), right=("count",)))
    column  count
    island    344
    sex         9
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[str] = ()
    limit: int = 100
    noun: str = "row"

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Table of {len(self.rows)} {self.noun}s>"

    def to_text(self) -> str:
        """Write the table in columns of spaces."""
        lines = [self.columns, *self.rows[: self.limit]]
        cells = [[visible(shortened(cell)) for cell in line] for line in lines]
        widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
        written = [
            "  ".join(
                _padded(cell, size, right=name in self.right)
                for cell, size, name in zip(line, widths, self.columns, strict=True)
            ).rstrip()
            for line in cells
        ]
        return "\n".join([*written, *self._more()])

    def to_html(self) -> str:
        """Write the table with its style, as the output of a cell."""
        return fragment(self.element())

    def element(self) -> Html:
        """Build the table alone, to stand inside another fragment."""
        head = element("tr", *(self._cell("th", name, name) for name in self.columns))
        body = (
            element("tr", *map(self._cell, ["td"] * len(row), row, self.columns))
            for row in self.rows[: self.limit]
        )
        table = element(
            "table", element("thead", head), element("tbody", *body), class_="nbd-table"
        )
        more = (element("div", text, class_="nbd-quiet") for text in self._more())
        return Html("".join([table, *more]))

    def _more(self) -> list[str]:
        hidden = len(self.rows) - self.limit
        return [f"and {hidden:,} more {self.noun}{'s' * (hidden > 1)}"] if hidden > 0 else []

    def _cell(self, tag: str, cell: str, name: str) -> Html:
        # bdi: the letters of a right-to-left script do not reorder the cells beside them.
        scope = "col" if tag == "th" else None
        class_ = "nbd-right" if name in self.right else None
        return element(
            tag, element("bdi", shortened(cell)) if cell else None, scope=scope, class_=class_
        )


def shortened(text: str, length: int = _CELL) -> str:
    """Cut text that is too long to be read in one look.

    Examples
    --------
    >>> shortened("a long story", 7)
    'a long…'
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def width(text: str) -> int:
    """Count the columns of a terminal that a text takes: two for a Chinese character.

    Examples
    --------
    >>> width("model"), width("模型")
    (5, 4)
    """
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _padded(cell: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(cell))
    return f"{space}{cell}" if right else f"{cell}{space}"
