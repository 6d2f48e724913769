"""A verdict in words above the tables that it comes from."""

from __future__ import annotations

from collections.abc import Iterable

from nbdeploy.display.html import Html, element, fragment
from nbdeploy.display.table import Table

__all__ = ["verdict_card"]


def verdict_card(verdict: str, tables: Iterable[tuple[str, Table]]) -> str:
    """Write it as a card.

    Parameters
    ----------
    verdict
        The words.
    tables
        Each with its title.
    """
    written = [
        Html(
            element("div", title, class_="nbd-quiet")
            + element("div", table.element(), class_="nbd-scroll")
        )
        for title, table in tables
    ]
    head = element("div", element("strong", verdict), class_="nbd-head")
    return fragment(head, *written, class_="nbd-card nbd-comparison")
