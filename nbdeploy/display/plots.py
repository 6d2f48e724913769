"""Plots on demand: matplotlib figures, made without its global state so that threads may draw."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plot"]

_SHARP = 2  # pixels drawn for each pixel shown
_DOTS = 96


@dataclass(frozen=True, repr=False)
class Plot:
    """A figure that a notebook shows, whatever its backend of matplotlib.

    Parameters
    ----------
    figure
        The ``matplotlib.figure.Figure``.
    title
        What it shows, in words.
    """

    figure: Figure
    title: str

    def savefig(self, path: Any, **options: Any) -> None:
        """Write the figure to a file; see ``matplotlib.figure.Figure.savefig``."""
        self.figure.savefig(path, **options)

    def __repr__(self) -> str:
        return f"<Plot: {visible(shortened(self.title))}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        # A figure alone is only shown once pyplot was imported, which nbdeploy never does.
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=_DOTS * _SHARP)
        width, height = (round(inches * _DOTS) for inches in self.figure.get_size_inches())
        return drawn.getvalue(), {"width": width, "height": height}
