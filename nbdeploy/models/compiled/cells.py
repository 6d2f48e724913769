"""Validated rows in the forms that a compiled model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.models.cell_columns import CellColumns

__all__ = ["plain_cells"]


def plain_cells(rows: Any) -> Sequence[Sequence[Any]] | npt.NDArray[np.float64] | None:
    """Give rows as a compiled model takes them; ``None`` if it does not take their form.

    Parameters
    ----------
    rows
        What `Signature.validate` gives, a list of rows of plain cells, or their columns.

    Examples
    --------
    >>> list(plain_cells(pd.DataFrame({"size": [1.5, None], "kind": ["a", "b"]})))
    [(1.5, 'a'), (nan, 'b')]
    """
    if isinstance(rows, (list, CellColumns)):
        return rows
    if isinstance(rows, np.ndarray):
        return rows if rows.dtype == np.float64 else None
    if not isinstance(rows, pd.DataFrame):
        return None
    if all(dtype == np.float64 for dtype in rows.dtypes):
        return rows.to_numpy()
    # Column by column: a row of a DataFrame costs as much as all of a column.
    return CellColumns([_cells_of(rows.iloc[:, place]) for place in range(rows.shape[1])])


def _cells_of(series: pd.Series[Any]) -> Any:
    return series.to_numpy() if series.dtype == np.float64 else series.tolist()
