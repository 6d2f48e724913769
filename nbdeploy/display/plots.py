"""Plots on demand: matplotlib figures, made without its global state so that threads may draw."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["metric_panels"]

_PANEL_WIDTH, _LEAST_HEIGHT, _ROW_HEIGHT = 3.4, 1.2, 0.36
_LABEL = 24
_PLAIN, _BEST, _INK = "#8aa4c0", "#1f77b4", "#57606a"


def metric_panels(
    names: Sequence[str],
    metrics: Mapping[str, Mapping[str, float]],
    *,
    best: Mapping[str, Collection[str]],
) -> Figure:
    """Draw a panel a metric, with a bar for each version that has it.

    Parameters
    ----------
    names
        The versions, from above to below.
    metrics
        For each metric the values by version.
    best
        For each metric the versions that are drawn stronger.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it; ``savefig`` writes it.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy import

    width = max(len(metrics), 1) * _PANEL_WIDTH
    height = _LEAST_HEIGHT + len(names) * _ROW_HEIGHT
    figure = Figure(figsize=(width, height), layout="constrained")
    # Transparent, with a grey that reads on white and on black: the page's theme stays.
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
        panel.patch.set_alpha(0)
        panel.tick_params(colors=_INK, labelsize=9, length=0)
        panel.spines[:].set_visible(False)
        panel.axvline(0, color=_INK, linewidth=0.8)
    panels[0].invert_yaxis()
    return figure
