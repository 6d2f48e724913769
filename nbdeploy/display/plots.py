"""Plots on demand: matplotlib figures, made without its global state so that threads may draw."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plot", "metric_panels"]

_PANEL_WIDTH, _LEAST_HEIGHT, _ROW_HEIGHT = 3.4, 1.2, 0.36
_LABEL = 24
_SHARP = 2  # pixels drawn for each pixel shown
_DOTS = 96
# Read on white and on black alike: the page behind may be either.
_PLAIN, _BEST, _INK = "#8c959f70", "#3d85d6", "#7a7a7a"


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


def metric_panels(
    names: Sequence[str],
    metrics: Mapping[str, Mapping[str, float]],
    *,
    best: Mapping[str, Collection[str]],
) -> Plot:
    """Draw a panel a metric, with a bar for each version that has it.

    Parameters
    ----------
    names
        The versions, from above to below.
    metrics
        For each metric the values by version.
    best
        For each metric the versions that are drawn stronger.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy import

    width = max(len(metrics), 1) * _PANEL_WIDTH
    height = _LEAST_HEIGHT + len(names) * _ROW_HEIGHT
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    panels = figure.subplots(1, max(len(metrics), 1), sharey=True, squeeze=False)[0]
    labels = [visible(shortened(name, _LABEL)) for name in names]
    for panel, (metric, values) in zip(panels, metrics.items(), strict=False):
        heights = [values.get(name, 0.0) for name in names]
        strong = best.get(metric, ())
        colors = [_BEST if name in strong else _PLAIN for name in names]
        bars = panel.barh(range(len(names)), heights, color=colors, height=0.6)
        texts = [f"{values[name]:.4g}" if name in values else "" for name in names]
        panel.bar_label(bars, labels=texts, padding=3, color=_INK, fontsize=9)
        panel.set_title(visible(shortened(metric, _LABEL)), fontsize=10, color=_INK)
        panel.margins(x=0.25)
    for panel in panels:
        panel.set_yticks(range(len(names)), labels=labels)
        panel.set_xticks([])
        panel.patch.set_alpha(0)
        panel.tick_params(colors=_INK, labelsize=9, length=0)
        panel.spines[:].set_visible(False)
        panel.axvline(0, color=_INK, linewidth=0.8)
    panels[0].invert_yaxis()
    return Plot(figure, f"{', '.join(metrics) or 'nothing'} of {', '.join(names) or 'nothing'}")
