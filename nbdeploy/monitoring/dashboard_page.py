"""The dashboard as HTML: a pure function of what is known of a service.

Charts are drawn as SVG by hand: matplotlib takes a hundred times as long and stalls the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbdeploy.display import units
from nbdeploy.display.html import Html, element, fragment, style
from nbdeploy.display.table import Table
from nbdeploy.monitoring.dashboard_charts import charts, prediction_bars

if TYPE_CHECKING:
    from nbdeploy.monitoring.drift import DriftRow
    from nbdeploy.monitoring.error_log import RecordedError
    from nbdeploy.monitoring.timeline import Moment

__all__ = ["DashboardFacts", "dashboard"]

_ERRORS, _DRIFTS = 6, 6
_MODEL_RAISED = 500


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
    drift: Sequence[DriftRow] = ()
    errors: Sequence[RecordedError] = ()
    now: float = 0.0


def dashboard(facts: DashboardFacts, *, styled: bool = True) -> str:
    """Draw the dashboard of a service.

    Parameters
    ----------
    facts
        What is known of it.
    styled
        Whether the style goes along.

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
    statistics = facts.statistics
    parts = [_tiles(statistics), charts(facts.moments), _stages(statistics), *_sections(facts)]
    own = style("dashboard.css") if styled else None
    return fragment(own, head, *parts, class_="nbd-card nbd-dashboard", styled=styled)


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


def _stages(statistics: Mapping[str, Any]) -> Html | None:
    """Say in one line where the time of a request goes."""
    stages, batches = statistics["stages"], statistics["batch_sizes"]
    if not stages:
        return None
    told = [f"{name} {units.duration(facts['avg_latency'])}" for name, facts in stages.items()]
    if batches["calls"]:
        rows = "row" if batches["mean"] == 1 else "rows"
        told.append(f"{batches['mean']:.3g} {rows} a call of the model")
    text = f"On average since the start: {', '.join(told)}."
    return element("p", text, class_="nbd-quiet")


def _sections(facts: DashboardFacts) -> list[Html]:
    found = [
        _section("Versions", _versions(facts)),
        _section("Predictions since the start", prediction_bars(_predictions(facts))),
        _section("Drift", _drift(facts.drift)),
        _section("Errors, the latest", _errors(facts)),
    ]
    return [each for each in found if each is not None]


def _predictions(facts: DashboardFacts) -> dict[str, Any]:
    """Give what was predicted, the versions in the order of the table above."""
    told = facts.statistics["predictions"]
    return {name: told[name] for name in dict.fromkeys([*facts.shares, *told]) if name in told}


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
