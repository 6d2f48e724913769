"""How the members of an ensemble look: who they are, how long they take, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbdeploy.display.html import Html, element, visible
from nbdeploy.display.table import shortened
from nbdeploy.display.units import count, duration, percent

__all__ = ["MemberFacts", "members_element", "members_of_report"]

_COLUMNS = ("member", "model", "mean time", "", "asked", "failed", "late", "disagrees")
_RIGHT = frozenset({"mean time", "asked", "failed", "late", "disagrees"})


@dataclass(frozen=True)
class MemberFacts:
    """What there is to tell of one member.

    Parameters
    ----------
    name
        What it is called.
    kind
        The class of its model.
    report
        What it did, as the monitor counts it.
    """

    name: str
    kind: str
    report: Mapping[str, Any]

    def __str__(self) -> str:
        """Say who it is, without a time."""
        return visible(f"{shortened(self.name)}: {shortened(self.kind)}")


def members_of_report(report: Mapping[str, Mapping[str, Any]]) -> list[MemberFacts]:
    """Read what a monitor tells under ``members``."""
    return [MemberFacts(name, str(facts["model"]), facts) for name, facts in report.items()]


def members_element(members: Sequence[MemberFacts]) -> Html:
    """Draw members with a bar for the time that each takes."""
    longest = max((member.report["avg_latency"] or 0.0 for member in members), default=0.0)
    head = element(
        "tr",
        *(
            element("th", name or None, scope="col", class_="nbd-right" if name in _RIGHT else None)
            for name in _COLUMNS
        ),
    )
    body = (_row(member, longest) for member in members)
    table = element("table", element("thead", head), element("tbody", *body), class_="nbd-table")
    return element("div", table, class_="nbd-scroll")


def _row(member: MemberFacts, longest: float) -> Html:
    report = member.report
    seconds = report["avg_latency"]
    share = 0.0 if not seconds else seconds / longest
    is_off = bool(report["errors"] or report["late"])
    kind = "nbd-time nbd-off" if is_off else "nbd-time"
    filled = element("span", class_=kind, style=f"width: {share:.1%}")
    bar = element("span", filled, class_="nbd-track")
    return element(
        "tr",
        element("td", element("bdi", shortened(member.name))),
        element("td", element("bdi", shortened(member.kind))),
        element("td", duration(seconds), class_="nbd-right"),
        element("td", bar),
        *(
            element("td", text, class_="nbd-right")
            for text in (
                count(report["requests"]),
                count(report["errors"]),
                count(report["late"]),
                _distance(report),
            )
        ),
    )


def _distance(report: Mapping[str, Any]) -> str:
    distance = report["disagreement"]
    if distance is None:
        return "-"
    return percent(distance) if report["names_classes"] else f"{distance:.3g}"
