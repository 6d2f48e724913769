"""What a notebook asks an object for when a cell ends with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["ReprMixin"]


class ReprMixin(ABC):
    """Show an object as HTML where a front end can, and as text everywhere.

    A class gives ``to_html``, and ``to_text`` when its text is more than ``repr``. Both are pure:
    they change nothing, and the same object gives the same text.
    """

    @abstractmethod
    def to_html(self) -> str:
        """Write the HTML of a notebook's output: no script, no id, nothing from a network."""

    def to_text(self) -> str:
        """Write the same facts as plain text; ``repr`` unless a class says more."""
        return repr(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.to_text(), "text/html": self.to_html()}
