"""What must be reached, and whether it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from notebook import NotebookFigures
from turns import Run

__all__ = ["BEST_PEER", "Goal", "Verdict", "judge", "judge_notebook"]

BEST_PEER = "the best peer in its best mode"
_REFERENCES = frozenset({"nbdeploy", "chapter", "echo", "constant"})


@dataclass(frozen=True)
class Goal:
    """A ratio of nbdeploy to another server, and its bound for each model."""

    title: str
    load: str
    metric: str
    against: str
    bounds: Mapping[str, float]
    is_least: bool = True
    server: str = "nbdeploy"


GOALS = (
    Goal(
        "requests/s, 64 connections, by the chapter's code",
        "c64",
        "per_second",
        "chapter",
        {"m1": 8, "m2": 40, "m3": 8, "m4": 25},
    ),
    Goal(
        f"requests/s, 64 connections, by {BEST_PEER}",
        "c64",
        "per_second",
        BEST_PEER,
        {"m1": 8, "m2": 8, "m3": 2, "m4": 4},
    ),
    Goal(
        "requests/s, 64 connections, by a raw ASGI echo",
        "c64",
        "per_second",
        "echo",
        {"m1": 0.6, "m2": 0.4, "m3": 0.4, "m4": 0.4},
    ),
    Goal(
        "p50, 1 connection, by the chapter's code",
        "c1",
        "p50",
        "chapter",
        {"m1": 0.6, "m2": 0.2, "m3": 1.0, "m4": 0.1},
        is_least=False,
    ),
    Goal(
        f"requests of 1000 rows, rows/s, by {BEST_PEER}",
        "1000 rows",
        "per_second",
        BEST_PEER,
        {"m1": 1.2, "m2": 1.0, "m3": 1.0, "m4": 1.0},
    ),
)


@dataclass(frozen=True)
class Verdict:
    """A goal and what was measured; `value` is ``None`` where nothing was."""

    title: str
    subject: str
    bound: float
    is_least: bool
    value: float | None
    note: str = ""

    @property
    def state(self) -> str:
        """``ok``, ``short`` or ``not measured``."""
        if self.value is None:
            return "not measured"
        reached = self.value >= self.bound if self.is_least else self.value <= self.bound
        return "ok" if reached else "short"

    @property
    def wanted(self) -> str:
        """The bound with its direction."""
        return f"{'>=' if self.is_least else '<='} {self.bound:g}"


def judge(run: Run) -> list[Verdict]:
    """Compare a run with the goals; only for models and servers that were in it."""
    subjects = list(dict.fromkeys(turn.subject for turn in run.turns))
    verdicts = []
    for goal in GOALS:
        for subject in subjects:
            if subject not in goal.bounds:
                continue
            value, note = _value(run, goal, subject)
            if value is None:
                continue
            bound = goal.bounds[subject]
            verdicts.append(Verdict(goal.title, subject, bound, goal.is_least, value, note))
    return verdicts


def judge_notebook(figures: NotebookFigures) -> list[Verdict]:
    """Compare what a notebook pays with the goals."""
    added = (figures.paced_p95 - figures.call) * 1e3
    return [
        Verdict(
            "`deploy()` to first answer, by a fresh process of the chapter's code",
            "m1",
            0.5,
            is_least=False,
            value=figures.start_ratio,
            note=f"processor time {figures.start_cpu_ratio:.2f}",
        ),
        Verdict("idle CPU, % of a core", "m1", 0.5, is_least=False, value=figures.idle_percent),
        Verdict(
            "50 requests/s to a model that does nothing: p95 less the call, ms",
            "",
            5.0,
            is_least=False,
            value=added,
        ),
    ]


def peers_of(run: Run) -> list[str]:
    """List the servers that are nobody's reference."""
    return [server for server in run.servers() if server not in _REFERENCES]


def _value(run: Run, goal: Goal, subject: str) -> tuple[float | None, str]:
    if goal.against != BEST_PEER:
        value = run.ratio(goal.server, goal.against, subject, goal.load, goal.metric)
        cpu = run.ratio(goal.against, goal.server, subject, goal.load, "cpu")
        note = f"by CPU {cpu:.2f}" if cpu is not None and goal.metric == "per_second" else ""
        return value, note
    ratios = _against(run, goal, subject, peers_of(run))
    if not ratios:
        return None, ""
    best = min(ratios, key=ratios.__getitem__)
    return ratios[best], best


def _against(run: Run, goal: Goal, subject: str, servers: Iterable[str]) -> dict[str, float]:
    ratios = {}
    for server in servers:
        ratio = run.ratio(goal.server, server, subject, goal.load, goal.metric)
        if ratio is not None:
            ratios[server] = ratio
    return ratios
