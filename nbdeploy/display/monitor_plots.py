"""The plot of a monitor: what happened in the last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdeploy.display.plots import Plot

if TYPE_CHECKING:
    from nbdeploy.monitoring.timeline import Moment

__all__ = ["plot_moments"]

# Okabe and Ito's colours, told apart by colour-blind eyes, on white and on black alike.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a7a7a")
_INK = "#7a7a7a"
_SIZE = (7.0, 5.6)
_MINUTE = 60.0


def plot_moments(moments: Sequence[Moment]) -> Plot:
    """Draw throughput, latencies and the shares of what was predicted, one below the other.

    Parameters
    ----------
    moments
        The oldest first.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 -- half a second, for who plots only

    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.patch.set_alpha(0)
    rates, latencies, shares = figure.subplots(3, 1, sharex=True)
    minutes = [-moment.age / _MINUTE for moment in moments]
    rates.plot(minutes, [moment.requests for moment in moments], _COLOURS[0], label="all")
    rates.plot(minutes, [moment.errors for moment in moments], _COLOURS[5], label="errors", ls="--")
    for name, colour, style in zip(("p50", "p95", "p99"), _COLOURS, ("-", "--", ":"), strict=False):
        values = [getattr(moment, name) for moment in moments]
        shown = [float("nan") if value is None else 1000 * value for value in values]
        latencies.plot(minutes, shown, colour, label=name, ls=style)
    _shares(shares, minutes, moments)
    titles = ("requests/s", "latency in ms", "predictions")
    for axes, title in zip((rates, latencies, shares), titles, strict=True):
        axes.set_title(title, loc="left", color=_INK, fontsize=9)
        axes.set_ylim(bottom=0)
        _dress(axes)
    shares.set_xlabel("minutes", color=_INK, fontsize=8)
    return Plot(figure, f"{len(moments)} stretches of two seconds")


def _shares(axes: Any, minutes: Sequence[float], moments: Sequence[Moment]) -> None:
    """Stack the shares of labels; of numbers draw the means."""
    counts = [moment.predictions for moment in moments]
    # Not imported: display knows nothing of monitors.
    total = type(counts[0]).merged(counts) if counts else None
    if total is None or not total.rows:
        return
    if total.is_numeric:
        means = [each.as_numbers().mean for each in counts]
        shown = [float("nan") if mean is None else mean for mean in means]
        axes.plot(minutes, shown, _COLOURS[0], label="mean")
    else:
        labels = list(total.shares())[: len(_COLOURS)]
        stacks = [
            [moment.predictions.shares().get(label, 0.0) for moment in moments] for label in labels
        ]
        axes.stackplot(minutes, *stacks, labels=labels, colors=_COLOURS, alpha=0.8)


def _dress(axes: Any) -> None:
    axes.set_facecolor("none")
    axes.tick_params(colors=_INK, labelsize=8)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(_INK)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper left", fontsize=8, frameon=False, labelcolor=_INK, bbox_to_anchor=(1, 1)
        )
