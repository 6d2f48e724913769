"""How the statistics of a monitor look, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nbdeploy.display.html import element, fragment
from nbdeploy.display.members import members_element, members_of_report
from nbdeploy.display.table import Table
from nbdeploy.display.units import age, count, counted, duration, percent, rate
from nbdeploy.monitoring.quality import quality_table

__all__ = ["to_html", "to_text"]

_LATENCIES = {
    "mean": "avg_latency",
    "p50": "p50_latency",
    "p95": "p95_latency",
    "p99": "p99_latency",
    "max": "max_latency",
}
_LABELS = 6
_COLUMNS = ("", "requests", "errors", "error rate", *_LATENCIES)


def to_text(statistics: Mapping[str, Any]) -> str:
    """Write what ``ModelMonitor.get_statistics`` returned as lines of text."""
    lines = [_headline(statistics)]
    if statistics["requests"]:
        lines += [_table(statistics).to_text(), _statuses(statistics), *_more(statistics)]
    if "members" in statistics:
        lines.append(_members(statistics).to_text())
    if "quality" in statistics:
        lines.append(quality_table(statistics["quality"]).to_text())
    return "\n".join([*lines, _now(statistics)])


def to_html(statistics: Mapping[str, Any]) -> str:
    """Write the same facts as HTML."""
    has_requests = bool(statistics["requests"])
    table = element("div", _table(statistics).element(), class_="nbd-scroll")
    return fragment(
        element("div", element("strong", _headline(statistics)), class_="nbd-head"),
        table if has_requests else None,
        members_element(members_of_report(statistics["members"]))
        if "members" in statistics
        else None,
        element("div", quality_table(statistics["quality"]).element(), class_="nbd-scroll")
        if "quality" in statistics
        else None,
        *(
            element("div", line, class_="nbd-quiet")
            for line in (_statuses(statistics), *_more(statistics))
            if has_requests
        ),
        element("div", _now(statistics), class_="nbd-quiet"),
        class_="nbd-card",
    )


def _members(statistics: Mapping[str, Any]) -> Table:
    columns = ("member", "requests", "errors", "late", "mean", "p95")
    rows = [
        (
            name,
            count(facts["requests"]),
            count(facts["errors"]),
            count(facts["late"]),
            duration(facts["avg_latency"]),
            duration(facts["p95_latency"]),
        )
        for name, facts in statistics["members"].items()
    ]
    return Table(columns, rows, right=columns[1:])


def _headline(statistics: Mapping[str, Any]) -> str:
    if not statistics["requests"]:
        return "No requests yet"
    return ", ".join(
        [
            counted(statistics["requests"], "request"),
            counted(statistics["errors"], "error"),
            f"{count(statistics['cancelled'])} cancelled",
        ]
    )


def _now(statistics: Mapping[str, Any]) -> str:
    return (
        f"{rate(statistics['requests_per_second'])} in the last minute, "
        f"{count(statistics['in_flight'])} in flight, up {age(statistics['uptime'])}"
    )


def _statuses(statistics: Mapping[str, Any]) -> str:
    by_status = statistics["by_status"].items()
    return "by status " + "; ".join(f"{status}: {count(number)}" for status, number in by_status)


def _more(statistics: Mapping[str, Any]) -> Iterator[str]:
    """Say what was predicted, where the time goes and what was refused."""
    for version, told in statistics["predictions"].items():
        yield f"predicted{f' by {version}' if version else ''} {_predicted(told)}"
    if statistics["stages"]:
        stages = statistics["stages"].items()
        yield "stages " + "; ".join(f"{name}: {duration(of['p50_latency'])}" for name, of in stages)
    if statistics["rejected"]:
        reasons = statistics["rejected"].items()
        yield "rejected " + "; ".join(f"{reason}: {count(number)}" for reason, number in reasons)


def _predicted(told: Mapping[str, Any]) -> str:
    if "shares" in told:
        shares = list(told["shares"].items())
        shown = [f"{label}: {percent(share)}" for label, share in shares[:_LABELS]]
        return "; ".join([*shown, *(["..."] if len(shares) > _LABELS else [])])
    if told["mean"] is None:
        return f"{count(told['rows'])} numbers, none of them finite"
    return f"{told['min']:.4g} to {told['max']:.4g}, {told['mean']:.4g} on average"


def _table(statistics: Mapping[str, Any]) -> Table:
    return Table(_COLUMNS, tuple(_rows(statistics)), right=_COLUMNS[1:])


def _rows(statistics: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    attempts = statistics["total_predictions"]
    failed = round(attempts * statistics["error_rate"])
    window = {**statistics, "requests": attempts, "errors": failed}
    yield _row(f"last {count(attempts)}", window)
    for endpoint, group in statistics["by_endpoint"].items():
        yield _row(endpoint, group)
    for version, group in statistics["by_version"].items():
        yield _row(f"version {version}", group)


def _row(name: str, group: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        count(group["requests"]),
        count(group["errors"]),
        percent(group["error_rate"]),
        *(duration(group[key]) for key in _LATENCIES.values()),
    )
