"""What is asked of one model: validated rows for one of its methods."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbdeploy.models.cell_columns import CellColumns

if TYPE_CHECKING:
    from nbdeploy.serving.routing import Route

__all__ = ["Question", "form_of"]

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
    form
        What the rows of others must be like to be joined with these; ``None`` joins none.
    """

    __slots__ = (
        "can_join",
        "ended",
        "key",
        "method",
        "route",
        "rows",
        "seconds_of_call",
        "size",
        "started",
    )

    def __init__(self, route: Route, method: str, rows: Any, *, form: Hashable) -> None:
        self.route = route
        self.method = method
        self.rows = rows
        self.size = len(rows)
        self.can_join = form is not None
        self.key = (route, method, form)
        self.seconds_of_call: float | None = None
        self.started = 0.0
        """When its request came, where it is answered together with others."""
        self.ended: float | None = None
        """When the monitor counted its answer."""

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
        parts = [self.rows, *(other.rows for other in others)]
        return Question(self.route, self.method, _joined(parts), form=self.key[2])

    def run(self) -> list[Any]:
        """Ask the model."""
        return self.route.answer(self.method, self.rows)


def form_of(rows: Any) -> Hashable:
    """Tell the form of validated rows that can be joined with others of the same; or ``None``."""
    if isinstance(rows, (list, CellColumns)):
        form: Hashable = type(rows)
        return form
    if isinstance(rows, np.ndarray) and rows.ndim == 2:  # noqa: PLR2004 -- rows and columns
        return str(rows.dtype)
    # Of columns that differ in their type another one would be made.
    return tuple(rows.dtypes) if isinstance(rows, pd.DataFrame) else None


def _joined(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    if isinstance(parts[0], CellColumns):
        return CellColumns.joined(parts)
    return list(chain.from_iterable(parts))
