"""Plots of load over time: what came in, how long it took, how many replicas there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbdeploy.display.plots import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["load_plot", "scaling_plot"]

_WIDTH, _PANEL_HEIGHT = 7.2, 1.9
# Readable on white and on black.
_INK, _BLUE, _ORANGE, _RED, _GREEN = "#57606a", "#1f77b4", "#d9822b", "#d1242f", "#2da44e"
_COLORS = (_BLUE, _ORANGE, _RED)


def scaling_plot(
    times: Sequence[float],
    load: Sequence[float | None],
    *,
    wanted: Sequence[int],
    got: Sequence[int],
) -> Plot:
    """Draw the load above the replicas.

    Parameters
    ----------
    times
        Seconds.
    load
        What came in; gaps where it was not measured.
    wanted, got
        Numbers of replicas.
    """
    figure, (above, below) = _panels(2)
    above.plot(times, _gaps(load), color=_BLUE, linewidth=1.5)
    _title(above, "load")
    below.step(times, wanted, where="post", color=_ORANGE, linewidth=1.2, label="wanted")
    below.step(times, got, where="post", color=_BLUE, linewidth=1.8, label="replicas")
    _title(below, "replicas")
    below.set_ylim(bottom=0)
    below.legend(frameon=False, fontsize=9, labelcolor=_INK)
    _seconds(below)
    return Plot(figure, "load and replicas over time")


def load_plot(
    times: Sequence[float],
    quantiles: Mapping[str, Sequence[float | None]],
    *,
    answered: Sequence[float],
    failed: Sequence[float],
    replicas: Sequence[tuple[float, int]] = (),
) -> Plot:
    """Draw latency quantiles above the rate of answers, and replicas where they are known.

    Parameters
    ----------
    times
        Seconds: the middle of each interval.
    quantiles
        By name, in seconds, one value an interval.
    answered, failed
        Requests a second in each interval.
    replicas
        Moments and how many there were.
    """
    figure, panels = _panels(3 if replicas else 2)
    for (name, values), color in zip(quantiles.items(), _COLORS, strict=False):
        milliseconds = [None if value is None else value * 1e3 for value in values]
        panels[0].plot(times, _gaps(milliseconds), color=color, linewidth=1.5, label=name)
    panels[0].set_ylim(bottom=0)
    panels[0].legend(frameon=False, fontsize=9, labelcolor=_INK, ncols=len(quantiles))
    _title(panels[0], "latency in ms")
    panels[1].plot(times, answered, color=_GREEN, linewidth=1.5, label="answered")
    panels[1].plot(times, failed, color=_RED, linewidth=1.5, label="failed")
    panels[1].set_ylim(bottom=0)
    panels[1].legend(frameon=False, fontsize=9, labelcolor=_INK, ncols=2)
    _title(panels[1], "requests per second")
    if replicas:
        moments, counts = zip(*replicas, strict=True)
        panels[2].step(moments, counts, where="post", color=_BLUE, linewidth=1.8)
        panels[2].set_ylim(bottom=0)
        _title(panels[2], "replicas")
    _seconds(panels[-1])
    return Plot(figure, "latency and rate over time")


def _panels(count: int) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy import

    figure = Figure(figsize=(_WIDTH, _PANEL_HEIGHT * count), layout="constrained")
    # Transparent: the page's theme stays.
    figure.patch.set_alpha(0)
    panels = figure.subplots(count, 1, sharex=True)
    for panel in panels:
        panel.patch.set_alpha(0)
        panel.tick_params(colors=_INK, labelsize=9)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color(_INK)
        panel.grid(visible=True, color=_INK, alpha=0.2, linewidth=0.6)
    return figure, panels


def _title(panel: Any, text: str) -> None:
    panel.set_title(text, loc="left", fontsize=10, color=_INK)


def _seconds(panel: Any) -> None:
    panel.set_xlabel("seconds", fontsize=9, color=_INK)


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
