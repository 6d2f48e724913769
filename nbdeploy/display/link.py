"""A link that a notebook shows and a saved text does not tell."""

from __future__ import annotations

from dataclasses import dataclass, field

from nbdeploy.display.html import fragment, link
from nbdeploy.display.mime import ReprMixin

__all__ = ["BrowserLink"]


@dataclass(frozen=True, repr=False)
class BrowserLink(ReprMixin):
    """A link for the browser.

    Parameters
    ----------
    name
        What it leads to.
    url
        The address; it may hold a code, so the plain text does not show it.
    """

    name: str
    url: str = field(repr=False)

    def __repr__(self) -> str:
        return f"<Link to {self.name!r}: its address is .url>"

    def to_html(self) -> str:
        """Write the link; it opens in another tab."""
        return fragment(link(self.url, f"Open {self.name}"))
