"""What is asked of one model: validated rows for one of its methods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdeploy.serving.routing import Route

__all__ = ["Question"]

_WIDE_ROWS = 256


class Question:
    """Validated rows for one method of one model.

    Parameters
    ----------
    route
        The model.
    method
        What it is asked.
    rows
        What `Route.answer` takes.
    can_join
        Whether the rows are a list that can be joined with others.
    """

    __slots__ = ("can_join", "key", "method", "route", "rows", "seconds_of_call", "size")

    def __init__(self, route: Route, method: str, rows: Any, *, can_join: bool) -> None:
        self.route = route
        self.method = method
        self.rows = rows
        self.size = len(rows)
        self.can_join = can_join
        self.key = (route, method, can_join)
        self.seconds_of_call: float | None = None

    @property
    def expected_seconds(self) -> float:
        """What a call is expected to cost."""
        return self.route.seconds

    @property
    def may_block(self) -> bool:
        """Whether the call may take much longer than usual."""
        return self.route.may_block

    @property
    def is_wide(self) -> bool:
        """Whether the call is long and may run beside others: scikit-learn's models only read."""
        return self.size >= _WIDE_ROWS and self.route.runs_beside

    def joined(self, others: Sequence[Question]) -> Question:
        """Ask the rows of all at once."""
        rows = [*self.rows, *chain.from_iterable(other.rows for other in others)]
        return Question(self.route, self.method, rows, can_join=True)

    def run(self) -> list[Any]:
        """Ask the model."""
        return self.route.answer(self.method, self.rows)
