"""The highest rate that a service answers in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nbdeploy.display import units
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table

__all__ = ["Capacity", "Trial", "find_capacity"]

_GROWTH = 2.0
_NARROW = 1.1
_MOST_TRIALS = 16
_MOST_ERRORS = 0.01
_LEAST_ANSWERED = 0.9
# The model is not what limits when, without any, hardly more is answered.
_FRONT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate that was tried.

    Parameters
    ----------
    rate
        Requests a second that were sent.
    throughput
        Good answers a second.
    p95
        Seconds, of the good answers.
    error_rate
        The share that failed.
    """

    rate: float
    throughput: float
    p95: float | None
    error_rate: float

    def keeps(self, goal: float) -> bool:
        """Tell whether the goal was kept: in time, nearly all, and without a growing queue."""
        return (
            self.p95 is not None
            and self.p95 <= goal
            and self.error_rate <= _MOST_ERRORS
            and self.throughput >= _LEAST_ANSWERED * self.rate
        )


@dataclass(frozen=True, repr=False)
class Capacity(ReprMixin):
    """The highest rate that keeps a goal, and how it was found.

    Parameters
    ----------
    goal_p95
        Seconds within which 95 % of the answers shall come.
    rate
        Requests a second; 0 when not even the lowest rate kept the goal.
    trials
        What was tried, in order.
    front_rate
        Answers a second without any model: what server, network and sender can do here.
    is_interrupted
        Whether the search was stopped early.
    """

    goal_p95: float
    rate: float
    trials: Sequence[Trial]
    front_rate: float | None = None
    is_interrupted: bool = False

    @property
    def is_limited_by_front(self) -> bool:
        """Whether the front, not the model, is the limit: replicas would not help."""
        return self.front_rate is not None and self.rate >= _FRONT_SHARE * self.front_rate

    def verdict(self) -> str:
        """Say it in a sentence or two."""
        goal = f"95 % of the answers within {units.duration(self.goal_p95)}"
        if not self.trials:
            return "Nothing was measured: the search was stopped during its first trial."
        if not self.rate:
            return f"Not even {units.rate(min(t.rate for t in self.trials))} kept the goal: {goal}."
        told = f"Up to {units.rate(self.rate)}, {goal}."
        if self.front_rate is None:
            return told
        front = f"{units.rate(self.front_rate)} are answered without any model"
        if self.is_limited_by_front:
            return f"{told} The front is the limit, not the model: {front}. Replicas will not help."
        return f"{told} The model is the limit: {front}. Replicas help if processors are free."

    def __repr__(self) -> str:
        return f"<Capacity: {self.verdict()}>"

    def to_text(self) -> str:
        """Write the verdict and the trials."""
        return f"{self.verdict()}\n\n{self._table().to_text()}"

    def to_html(self) -> str:
        """Write the verdict and the trials."""
        return fragment(element("div", self.verdict()), self._table().element())

    def _table(self) -> Table:
        columns = ("sent", "answered", "failed", "p95", "in time")
        rows = [
            (
                units.rate(trial.rate),
                units.rate(trial.throughput),
                units.percent(trial.error_rate),
                units.duration(trial.p95),
                "yes" if trial.keeps(self.goal_p95) else "no",
            )
            for trial in self.trials
        ]
        return Table(columns, rows, right=columns[:-1], noun="trial")


def find_capacity(
    attempt: Callable[[float], Trial | None], goal: float, *, first: float = 10.0
) -> tuple[float, list[Trial]]:
    """Search for the highest rate that keeps a goal: double until it breaks, then narrow down.

    Parameters
    ----------
    attempt
        Sends a rate for a while; ``None`` ends the search.
    goal
        Seconds, of the p95.
    first
        The rate to begin with.

    Returns
    -------
    rate
        The highest that kept the goal, 0 if none did.
    trials
        All of them.

    Examples
    --------
    >>> def queue(rate):
    ...     return Trial(rate, min(rate, 100), 0.01 if rate <= 100 else 1.0, 0.0)
    >>> 91 < find_capacity(queue, 0.05)[0] <= 100
    True
    """
    good, bad = 0.0, float("inf")
    rate = first
    trials: list[Trial] = []
    while len(trials) < _MOST_TRIALS and bad > good * _NARROW:
        trial = attempt(rate)
        if trial is None:
            break
        trials.append(trial)
        if trial.keeps(goal):
            good = rate
        else:
            bad = rate
        if bad == float("inf"):
            rate = good * _GROWTH
        elif good == 0:
            rate = bad / _GROWTH
            if rate < 1:
                break
        else:
            rate = (good + bad) / 2
    return good, trials
