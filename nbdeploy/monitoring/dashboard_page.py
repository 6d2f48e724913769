"""The dashboard as HTML: a pure function of what is known of a service.

Charts are drawn as SVG by hand: matplotlib takes a hundred times as long and stalls the server.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbdeploy.display import units
from nbdeploy.display.html import Html, element, fragment, style
from nbdeploy.display.table import Table

if TYPE_CHECKING:
    from nbdeploy.monitoring.drift import DriftRow
    from nbdeploy.monitoring.error_log import RecordedError
    from nbdeploy.monitoring.timeline import Moment

__all__ = ["DashboardFacts", "dashboard"]

_WIDTH, _HEIGHT = 320, 110
_LEFT, _TOP, _BOTTOM = 6, 20, 14
_ERRORS, _DRIFTS, _CLASSES, _BINS = 6, 6, 8, 8
_MODEL_RAISED = 500
_MINUTE = 60


@dataclass(frozen=True)
class DashboardFacts:
    """What is known of one service at one moment.

    Parameters
    ----------
    name
        What it is called.
    state
        ``"ready"``, or why not.
    statistics
        What ``ModelMonitor.get_statistics`` returns.
    moments
        What ``ModelMonitor.timeline`` returns.
    shares
        The share of each version in the traffic.
    predictions
        The latest ones.
    drift
        The rows of a `Drift`.
    errors
        The latest failures, the oldest first.
    now
        Seconds since 1970.
    """

    name: str
    state: str
    statistics: Mapping[str, Any]
    moments: Sequence[Moment] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    predictions: Sequence[Any] = ()
    drift: Sequence[DriftRow] = ()
    errors: Sequence[RecordedError] = ()
    now: float = 0.0


def dashboard(facts: DashboardFacts) -> str:
    """Draw the dashboard of a service.

    Returns
    -------
    str
        HTML that needs nothing from anywhere. The latency of all requests is shown, those that
        failed included.
    """
    # Spaces stand between what the style keeps apart: a notebook that is not trusted has no style.
    is_ready = facts.state == "ready"
    state = element(
        "span",
        element("span", "\u25cf " if is_ready else "\u25cb ", aria_hidden="true"),
        facts.state,
        class_="nbd-state nbd-running" if is_ready else "nbd-state nbd-stopped",
    )
    head = element(
        "div", element("strong", facts.name, class_="nbd-name"), " ", state, class_="nbd-head"
    )
    parts = [_tiles(facts.statistics), _charts(facts.moments), *_sections(facts)]
    own = style("dashboard.css")
    return fragment(own, head, *parts, class_="nbd-card nbd-dashboard")


def _tiles(statistics: Mapping[str, Any]) -> Html:
    tiles = [
        ("requests/s", units.rate(statistics["requests_per_second"]).removesuffix("/s")),
        ("p50", units.duration(statistics["p50_latency"])),
        ("p95", units.duration(statistics["p95_latency"])),
        ("p99", units.duration(statistics["p99_latency"])),
        ("errors", units.percent(statistics["error_rate"])),
        ("in flight", units.count(statistics["in_flight"])),
        ("requests", units.count(statistics["requests"])),
    ]
    replicas = statistics.get("replicas")
    if replicas is not None:
        tiles.append(("replicas", f"{replicas['ready']} of {replicas['wanted']}"))
    drawn = (
        element("div", element("dt", name), element("dd", value), class_="nbd-tile")
        for name, value in tiles
    )
    return element("dl", *drawn, class_="nbd-tiles")


def _charts(moments: Sequence[Moment]) -> Html:
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
    return element("div", throughput, latency, class_="nbd-charts")


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
            element("span", " ", element("i", class_=f"nbd-key nbd-key-{place}"), name)
            for place, name in enumerate(names)
        ),
        class_="nbd-legend",
    )
    last = {name: _last(line) for name, line in zip(names, lines, strict=True)}
    spoken = ", ".join(
        f"{name} {written(value)}" for name, value in last.items() if value is not None
    )
    minutes = units.age(2.0 * len(lines[0]))
    svg = Html(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title} over the last '
        f'{minutes}: {spoken}" preserveAspectRatio="none">'
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


def _sections(facts: DashboardFacts) -> list[Html]:
    found = [
        _section("Versions", _versions(facts)),
        _section("Predictions, the latest", _shares_of(facts.predictions)),
        _section("Drift", _drift(facts.drift)),
        _section("Errors, the latest", _errors(facts)),
    ]
    return [each for each in found if each is not None]


def _section(title: str, content: Html | None) -> Html | None:
    if content is None:
        return None
    return Html(element("h4", title) + element("div", content, class_="nbd-scroll"))


def _versions(facts: DashboardFacts) -> Html | None:
    by_version = facts.statistics.get("by_version", {})
    names = list(dict.fromkeys([*facts.shares, *by_version]))
    if not names:
        return None
    nothing: dict[str, Any] = {}
    rows = []
    for name in names:
        told = by_version.get(name, nothing)
        rows.append(
            (
                name,
                units.percent(facts.shares[name]) if name in facts.shares else units.MISSING,
                units.count(told.get("requests", 0)),
                units.percent(told.get("error_rate", 0.0)),
                units.duration(told.get("p50_latency")),
                units.duration(told.get("p95_latency")),
            )
        )
    columns = ("version", "traffic", "requests", "errors", "p50", "p95")
    return Table(columns, rows, right=columns[1:], noun="version").element()


def _shares_of(predictions: Sequence[Any]) -> Html | None:
    if not predictions:
        return None
    counts = _binned(predictions)
    most = max(counts.values())
    bars = [
        Html(
            element("span", element("bdi", name), " ")
            + element(
                "span",
                element("span", style=f"width: {count / most:.1%}"),
                class_="nbd-bar",
                aria_hidden="true",
            )
            + element("span", units.percent(count / len(predictions)), " ")
        )
        for name, count in counts.items()
    ]
    return element("div", *bars, class_="nbd-bars")


def _binned(predictions: Sequence[Any]) -> dict[str, int]:
    """Count labels, the commonest first, or numbers in bins of equal width."""
    numbers = [each for each in predictions if type(each) is float and math.isfinite(each)]
    if len(numbers) == len(predictions) and len(set(numbers)) > _CLASSES:
        low, high = min(numbers), max(numbers)
        step = (high - low) / _BINS
        places = Counter(min(_BINS - 1, int((each - low) / step)) for each in numbers)
        return {
            f"{low + place * step:.3g} to {low + (place + 1) * step:.3g}": places[place]
            for place in range(_BINS)
        }
    counts = Counter(map(str, predictions)).most_common()
    shown = dict(counts[:_CLASSES])
    rest = sum(count for _, count in counts[_CLASSES:])
    return {**shown, "others": rest} if rest else shown


def _drift(rows: Sequence[DriftRow]) -> Html | None:
    if not rows:
        return None
    alarms = [row for row in rows if row.alarm]
    if not alarms:
        seen = min(row.rows for row in rows)
        text = f"None found in {units.counted(seen, 'row')}."
        return element("span", text, class_="nbd-quiet")
    shown = [
        element("li", row.verdict if len({row.version for row in rows}) == 1 else _of_version(row))
        for row in alarms[:_DRIFTS]
    ]
    more = len(alarms) - len(shown)
    if more > 0:
        shown.append(element("li", f"and {more} more"))
    return element("ul", *shown, class_="nbd-note", role="status")


def _of_version(row: DriftRow) -> str:
    return f"{row.version}: {row.verdict}"


def _errors(facts: DashboardFacts) -> Html | None:
    if not facts.errors:
        return None
    counts: dict[tuple[str, str, str], int] = {}
    latest: dict[tuple[str, str, str], float] = {}
    for error in reversed(facts.errors):
        is_of_model = error.status is not None and error.status >= _MODEL_RAISED
        # What a model says may hold rows and paths: that is for the notebook alone.
        message = "see service.errors()" if is_of_model else error.message
        status = units.MISSING if error.status is None else str(error.status)
        same = (status, error.type or units.MISSING, message)
        counts[same] = counts.get(same, 0) + 1
        latest.setdefault(same, error.time)
    rows = [
        (units.age(max(0.0, facts.now - latest[same])), f"{counts[same]} x", *same)
        for same in list(counts)[:_ERRORS]
    ]
    columns = ("when", "how often", "status", "error", "message")
    return Table(columns, rows, right=("how often",), noun="error").element()
