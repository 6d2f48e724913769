"""The charts of the dashboard, drawn as SVG by hand.

matplotlib takes a hundred times as long and stalls the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbdeploy.display import units
from nbdeploy.display.html import Html, element, escape
from nbdeploy.monitoring.predictions import PredictionCounts

if TYPE_CHECKING:
    from nbdeploy.monitoring.timeline import Moment

__all__ = ["charts", "prediction_bars"]

_WIDTH, _HEIGHT = 320, 110
_LEFT, _TOP, _BOTTOM = 6, 20, 14
_LINES, _BARS, _VERSIONS, _NAME = 3, 8, 4, 40


def charts(moments: Sequence[Moment]) -> Html:
    """Draw throughput, latencies and what was predicted over the last minutes."""
    if not moments:
        return element("p", "No request in the last five minutes.", class_="nbd-quiet")
    rates = [[moment.requests for moment in moments], [moment.errors for moment in moments]]
    latencies: list[list[float | None]] = [
        [moment.p50 for moment in moments],
        [moment.p95 for moment in moments],
        [moment.p99 for moment in moments],
    ]
    throughput = _chart("requests/s", ("all", "errors"), rates, units.rate)
    latency = _chart("latency", ("p50", "p95", "p99"), latencies, units.duration)
    return element("div", throughput, latency, _predictions(moments), class_="nbd-charts")


def _predictions(moments: Sequence[Moment]) -> Html | None:
    """Draw the shares of the commonest labels, or the mean of numbers."""
    counts = [moment.predictions for moment in moments]
    total = PredictionCounts.merged(counts)
    if not total.rows:
        return None
    if total.is_numeric:
        means = [each.as_numbers().mean for each in counts]
        return _chart("predictions", ("mean",), [means], lambda value: f"{value:.4g}")
    shares = [each.shares() if each.rows else None for each in counts]
    names = tuple(total.shares())[:_LINES]
    lines = [[None if each is None else each.get(name, 0.0) for each in shares] for name in names]
    return _chart("predictions", names, lines, units.percent)


def _chart(
    title: str,
    names: Sequence[str],
    lines: Sequence[Sequence[float | None]],
    written: Callable[[float], str],
) -> Html:
    top = max((value for line in lines for value in line if value is not None), default=0.0)
    drawn = "".join(
        f'<path class="nbd-line nbd-line-{place}" d="{_path(line, top or 1.0)}"/>'
        for place, line in enumerate(lines)
    )
    legend = element(
        "div",
        element("span", title),
        *(
            element("span", " ", element("i", class_=f"nbd-key nbd-key-{place}"), _short(name))
            for place, name in enumerate(names)
        ),
        class_="nbd-legend",
    )
    last = {name: _last(line) for name, line in zip(names, lines, strict=True)}
    spoken = ", ".join(
        f"{_short(name)} {written(value)}" for name, value in last.items() if value is not None
    )
    minutes = units.age(2.0 * len(lines[0]))
    svg = Html(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title} over the last '
        f'{minutes}: {escape(spoken)}" preserveAspectRatio="none">'
        f'<line class="nbd-axis" x1="0" x2="{_WIDTH}" y1="{_TOP}" y2="{_TOP}"/>'
        f'<line class="nbd-axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT - _BOTTOM}" '
        f'y2="{_HEIGHT - _BOTTOM}"/>{drawn}</svg>'
    )
    scale = element(
        "div",
        element("span", f"{minutes} ago"),
        element("span", f" highest {written(top)} "),
        element("span", "now"),
        class_="nbd-scale",
    )
    return element("figure", legend, svg, scale)


def _path(line: Sequence[float | None], top: float) -> str:
    """Draw a line that is interrupted where nothing is known."""
    step = (_WIDTH - 2 * _LEFT) / max(1, len(line) - 1)
    height = _HEIGHT - _TOP - _BOTTOM
    drawn = []
    pen = "M"
    for place, value in enumerate(line):
        if value is None:
            pen = "M"
            continue
        x, y = _LEFT + place * step, _HEIGHT - _BOTTOM - height * value / top
        # A point that stands alone is drawn too.
        drawn.append(f"{pen}{x:.1f} {y:.1f}" + ("h.1" if pen == "M" else ""))
        pen = "L"
    return "".join(drawn)


def _last(line: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(line) if value is not None), None)


def prediction_bars(predictions: Mapping[str, Mapping[str, Any]]) -> Html | None:
    """Draw what each version predicted as bars, side by side.

    Parameters
    ----------
    predictions
        As the statistics of a monitor tell them.
    """
    several = len(predictions) > 1
    drawn = [
        element(
            "figure",
            element("figcaption", version, class_="nbd-quiet") if several else None,
            _bars(_shares_of(told)),
        )
        for version, told in list(predictions.items())[:_VERSIONS]
        if told["rows"]
    ]
    return element("div", *drawn, class_="nbd-charts") if drawn else None


def _shares_of(told: Mapping[str, Any]) -> dict[str, float]:
    """Give the shares of labels, or of numbers in at most eight bins."""
    rows = told["rows"]
    if "shares" in told:
        shares = list(told["shares"].items())
        rest = sum(share for _, share in shares[_BARS:])
        return {**dict(shares[:_BARS]), **({"others": rest} if rest else {})}
    bins: list[list[float]] = [list(each) for each in told["histogram"]]
    while len(bins) > _BARS:
        # The two neighbours that are fewest together are joined.
        place = min(range(len(bins) - 1), key=lambda at: bins[at][2] + bins[at + 1][2])
        (low, _, one), (_, high, other) = bins[place], bins[place + 1]
        bins[place : place + 2] = [[low, high, one + other]]
    return {
        f"{low:.3g} to {high:.3g}" if low < high else f"{low:.3g}": count / rows
        for low, high, count in bins
    }


def _bars(shares: Mapping[str, float]) -> Html:
    most = max(shares.values(), default=0.0) or 1.0
    bars = [
        Html(
            element("span", element("bdi", _short(name)), " ")
            + '<svg class="nbd-bar" viewBox="0 0 100 1" preserveAspectRatio="none" '
            + f'aria-hidden="true"><rect width="{100 * share / most:.1f}" height="1"/></svg>'
            + element("span", units.percent(share), " ")
        )
        for name, share in shares.items()
    ]
    return element("div", *bars, class_="nbd-bars")


def _short(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
