"""Rows as the bodies of requests, one row each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from nbdeploy.exceptions import ScalingError
from nbdeploy.models.forms import form_of
from nbdeploy.models.signature import Signature

__all__ = ["bodies_of"]

# More differ no more, and would only be carried from process to process.
_MOST = 1_000


def bodies_of(rows: Any, signature: Signature) -> list[str]:
    """Write the body of a request for each row.

    Parameters
    ----------
    rows
        A DataFrame, an array, a list of rows, one row as a dict; ``None`` takes a typical row.
    signature
        Knows what a typical row is.

    Raises
    ------
    ScalingError
        If there is no row.
    """
    if rows is None:
        return [json.dumps({"features": signature.example_row()})]
    is_text = signature.kind == "values"
    singles = islice(_one_by_one(rows, is_text=is_text), _MOST)
    bodies = [form_of(row, is_text=lambda: is_text).body.decode() for row in singles]
    if not bodies:
        message = "There is no row to send. Give rows=, such as X_test, at least one."
        raise ScalingError(message)
    return bodies


def _one_by_one(rows: Any, *, is_text: bool) -> Iterator[Any]:
    if isinstance(rows, pd.DataFrame) or (isinstance(rows, pd.Series) and is_text):
        return (rows.iloc[[at]] for at in range(len(rows)))
    if isinstance(rows, (list, tuple, np.ndarray)):
        # A flat list of numbers is one row; of a model of texts, it is many.
        is_one = (
            not is_text and len(rows) > 0 and isinstance(rows[0], (str, int, float, np.generic))
        )
        return iter([rows]) if is_one else (rows[at : at + 1] for at in range(len(rows)))
    return iter([rows])
