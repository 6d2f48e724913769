"""Rows to try a compiled model on: usual ones, odd ones, and those nobody thinks of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from nbdeploy.models.coercion import is_missing, plain_scalar
from nbdeploy.models.columns import Column
from nbdeploy.models.signature import Signature

__all__ = ["generate_rows"]

Cells: TypeAlias = list[Any]

_MOST_EXAMPLE_ROWS = 256
_TINY = (0.0, -0.0, 5e-324, -1e-300, 1e-12, 1.0, -1.0)
_HUGE = (1e9, -1e9, 2.0**53 + 2, 1e18, -1e30, 3.5e38, 1e200, -1e300)
_STRANGERS = ("", " ", "unheard of", "NaN", "None", "0", "\N{SNOWMAN}")


def generate_rows(
    signature: Signature,
    *,
    count: int,
    draw: np.random.Generator,
    example: Any = None,
    known: Mapping[int, Iterable[Any]] | None = None,
) -> list[Cells]:
    """Return rows of plain cells, of which a few may not fit the signature.

    Parameters
    ----------
    signature
        What rows look like.
    count
        How many.
    draw
        The source of chance.
    example
        Rows as the model was fitted on; a quarter of the generated ones are among them.
    known
        More cells that the model tells apart, by the index of the column.

    Notes
    -----
    A row has no odd cell, one, or many. Only the one may be huge: with two of them a sum is nothing
    but rounding, and scikit-learn itself answers such a row differently alone and in a batch.
    """
    samples = _sample(signature, example)
    columns = [
        _Source(column, pool=samples[place], known=list((known or {}).get(place, ())))
        for place, column in enumerate(signature.columns)
    ]
    rows = []
    for number in range(count):
        if example is not None and number % 4 == 0:
            pick = int(draw.integers(len(samples[0])))
            rows.append([sample[pick] for sample in samples])
        else:
            rows.append(_row(columns, draw))
    return rows


def _row(columns: Sequence[_Source], draw: np.random.Generator) -> Cells:
    kind = draw.choice(["usual", "one odd", "many odd"], p=[0.4, 0.35, 0.25])
    cells = [column.usual(draw) for column in columns]
    if kind == "one odd":
        place = int(draw.integers(len(columns)))
        cells[place] = columns[place].odd(draw, huge=True)
    elif kind == "many odd":
        for place in np.flatnonzero(draw.random(len(columns)) < 1 / 2).tolist():
            cells[place] = columns[place].odd(draw, huge=False)
    return cells


class _Source:
    """Where the cells of a column come from."""

    def __init__(self, column: Column, *, pool: Cells, known: Cells) -> None:
        self.column = column
        present = [cell for cell in pool if cell is not None]
        listed = [*column.categories, *present]
        if column.kind != "category":
            listed += [cell for cell in known if not is_missing(cell)]
        if column.typical is not None:
            listed.append(column.typical)
        self.pool = listed or [0.0]
        numbers = [float(cell) for cell in self.pool if isinstance(cell, (int, float))]
        self.spread = float(np.std(numbers)) if numbers else 1.0
        self.has_numbers = len(numbers) == len(self.pool)

    def usual(self, draw: np.random.Generator) -> Any:
        """Return a cell as the model was fitted on."""
        cell = self.pool[int(draw.integers(len(self.pool)))]
        if self.column.kind == "float" and draw.random() < 1 / 2:
            return float(cell + draw.normal() * (self.spread or 1.0))
        return cell

    def odd(self, draw: np.random.Generator, *, huge: bool) -> Any:
        """Return a missing cell, an unknown category, or a number far off."""
        if self.column.nullable and draw.random() < 1 / 2:
            return None
        odd: Callable[..., Any] | None = _ODD.get(self.column.kind)
        if odd is None and self.column.kind == "any":
            odd = _odd_float if self.has_numbers else _odd_text
        return self.usual(draw) if odd is None else odd(self.column, draw, huge)


def _odd_float(column: Column, draw: np.random.Generator, huge: bool) -> float:
    numbers = (*_TINY, *(_HUGE if huge else ()))
    bounds = [bound for bound in (column.minimum, column.maximum) if isinstance(bound, float)]
    number = float(draw.choice([*numbers, *bounds]))
    return float(np.nextafter(number, math.inf)) if draw.random() < 1 / 10 else number


def _odd_int(column: Column, draw: np.random.Generator, huge: bool) -> int:
    try:
        bounds = np.iinfo(column.dtype.lower())
    except ValueError:
        bounds = np.iinfo("int64")
    low, high = (int(bounds.min), int(bounds.max)) if huge else (-3, 3)
    return min(max(int(draw.choice([low, high, 0, 1, -1, 1000])), int(bounds.min)), int(bounds.max))


def _odd_text(column: Column, draw: np.random.Generator, huge: bool) -> str:
    del column, huge
    return str(draw.choice(_STRANGERS))


_ODD: dict[str, Callable[..., Any]] = {
    "float": _odd_float,
    "int": _odd_int,
    "string": _odd_text,
    "bool": lambda _column, draw, _huge: bool(draw.integers(2)),
}


def _sample(signature: Signature, example: Any) -> list[Cells]:
    """Return the cells of some rows of the example, column by column."""
    if example is None:
        return [[] for _ in signature.columns]
    rows = signature.validate(example)
    if isinstance(rows, pd.DataFrame):
        columns: list[Any] = [rows.iloc[:, place].tolist() for place in range(rows.shape[1])]
    else:
        columns = np.asarray(rows).T.tolist()
    step = max(len(columns[0]) // _MOST_EXAMPLE_ROWS, 1)
    return [[_plain(cell) for cell in cells[::step]] for cells in columns]


def _plain(cell: Any) -> Any:
    if is_missing(cell):
        return None
    return cell.isoformat() if hasattr(cell, "isoformat") else plain_scalar(cell)
