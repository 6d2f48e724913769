"""What a model answered, as plain lists: one item a row, exact, ready for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbdeploy.exceptions import PredictionError

__all__ = ["as_rows"]


def as_rows(output: Any, *, rows: int) -> list[Any]:
    """Turn the output of a model into one plain item a row.

    Parameters
    ----------
    output
        An array, sparse matrix, DataFrame, Series or list; or a list of arrays, one an output, as
        ``predict_proba`` of a multi-output model gives: item ``i`` is then the list of the
        outputs' answers for row ``i``.
    rows
        How many rows were asked.

    Raises
    ------
    PredictionError
        If there are more or fewer answers than rows.

    Examples
    --------
    >>> as_rows(np.array([0.1, 0.2], dtype="float32"), rows=2)
    [0.10000000149011612, 0.20000000298023224]
    >>> as_rows([np.array([[0.2, 0.8]]), np.array([[1.0]])], rows=1)
    [[[0.2, 0.8], [1.0]]]
    """
    if type(output) is np.ndarray and output.dtype.kind in "fiub" and output.shape[:1] == (rows,):
        return list(output.tolist())
    if _is_list_of_outputs(output, rows):
        each = [as_rows(one, rows=rows) for one in output]
        return [list(parts) for parts in zip(*each, strict=True)]
    plain = _plain(output)
    if not isinstance(plain, list) or len(plain) != rows:
        got = (
            f"{len(plain)} answers"
            if isinstance(plain, list)
            else f"a bare {type(output).__name__}"
        )
        message = f"The model was asked for {rows} rows and gave {got}."
        raise PredictionError(message)
    return plain


def _is_list_of_outputs(output: Any, rows: int) -> bool:
    return (
        isinstance(output, list)
        and len(output) > 0
        and all(isinstance(one, np.ndarray) and one.ndim > 1 and len(one) == rows for one in output)
    )


def _plain(output: Any) -> Any:
    if hasattr(output, "toarray"):
        output = output.toarray()
    if hasattr(output, "to_numpy"):
        output = output.to_numpy()
    if isinstance(output, np.ndarray) and output.dtype.kind in "Mm":
        output = output.astype(str)
    if isinstance(output, (np.ndarray, np.generic)):
        # float32 widens exactly here; as float32 text it would come back as another float64.
        return output.tolist()
    if isinstance(output, (list, tuple)):
        return [_plain(item) for item in output]
    return output
