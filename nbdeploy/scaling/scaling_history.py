"""What an autoscaler saw, wanted and got, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from nbdeploy.display import units
from nbdeploy.display.html import Html
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table

if TYPE_CHECKING:
    from nbdeploy.display.plots import Plot

__all__ = ["ScalingHistory", "ScalingStep"]


@dataclass(frozen=True, slots=True)
class ScalingStep:
    """One look at the load, and what came of it.

    Parameters
    ----------
    time
        Seconds since the start.
    load
        What came in, in all: the requests in flight, or the CPU of all replicas in percent.
    metric
        What the policy decided by: of CPU the mean.
    replicas
        How many there were.
    wanted
        How many the policy wanted.
    got
        How many there were afterwards.
    reason
        In words.
    """

    time: float
    load: float | None
    metric: float | None
    replicas: int
    wanted: int
    got: int
    reason: str


@dataclass(frozen=True, repr=False)
class ScalingHistory(ReprMixin):
    """What was seen, wanted and got, step by step.

    Parameters
    ----------
    steps
        The oldest first.
    """

    steps: Sequence[ScalingStep]

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[ScalingStep]:
        return iter(self.steps)

    def __getitem__(self, position: int) -> ScalingStep:
        return self.steps[position]

    @property
    def changes(self) -> list[ScalingStep]:
        """The steps in which replicas came or went."""
        return [step for step in self.steps if step.got != step.replicas]

    @property
    def turns(self) -> int:
        """How often growing turned into shrinking or back: much of it is flapping."""
        signs = [step.got > step.replicas for step in self.changes]
        return sum(one != other for one, other in pairwise(signs))

    def plot(self) -> Plot:
        """Draw load and replicas over time."""
        from nbdeploy.display.scaling_plots import scaling_plot  # noqa: PLC0415 -- matplotlib: 1 s

        return scaling_plot(
            [step.time for step in self.steps],
            [step.load for step in self.steps],
            wanted=[step.wanted for step in self.steps],
            got=[step.got for step in self.steps],
        )

    def __repr__(self) -> str:
        looks, changes = len(self.steps), len(self.changes)
        return (
            f"<ScalingHistory of {units.counted(looks, 'look')}, "
            f"{units.counted(changes, 'change')}, {units.counted(self.turns, 'turn')}>"
        )

    def to_text(self) -> str:
        """Write the steps in which something changed, and the last one."""
        return self._table().to_text()

    def to_html(self) -> str:
        """Write the same as HTML."""
        return self._table().to_html()

    def element(self) -> Html:
        """Build the table alone, to stand inside another fragment."""
        return self._table().element()

    def _table(self) -> Table:
        shown = [*self.changes, *self.steps[-1:]]
        columns = ("after", "load", "metric", "replicas", "wanted", "got", "reason")
        rows = [
            (
                units.duration(round(step.time, 1)),
                _number(step.load),
                _number(step.metric),
                str(step.replicas),
                str(step.wanted),
                str(step.got),
                step.reason,
            )
            for step in dict.fromkeys(shown)
        ]
        return Table(columns, rows, right=columns[:-1], noun="change")


def _number(value: float | None) -> str:
    return units.MISSING if value is None else f"{value:.3g}"
