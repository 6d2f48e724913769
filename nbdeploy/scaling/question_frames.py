"""Rows on their way to a replica: JSON, or the memory of an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.models.forms import form_of
from nbdeploy.models.signature import Signature
from nbdeploy.serving.frames import array_of, describe_array

__all__ = ["frame_of", "rows_of"]


def frame_of(rows: Any) -> tuple[dict[str, Any], bytes | memoryview]:
    """Write validated rows.

    Parameters
    ----------
    rows
        Plain cells, a list of rows or their columns, or what `Signature.validate` gives.

    Returns
    -------
    tuple
        A JSON value and bytes, for `rows_of`.
    """
    if type(rows) is list:
        return {"form": "cells"}, orjson.dumps(rows)
    if isinstance(rows, CellColumns):
        return {"form": "columns"}, orjson.dumps(rows.columns, option=orjson.OPT_SERIALIZE_NUMPY)
    if isinstance(rows, np.ndarray):
        described = describe_array(rows)
        if described is not None:
            return {"form": "array", "array": described[0]}, described[1]
    # As the rows of a client come too: whatever is valid arrives as it was.
    return {"form": "features"}, form_of(rows, is_text=lambda: True).body


def rows_of(form: dict[str, Any], payload: memoryview, signature: Signature) -> Any:
    """Read what `frame_of` wrote, as `Route.answer` takes it.

    Parameters
    ----------
    form
        The JSON value.
    payload
        The bytes.
    signature
        What the rows look like.

    Examples
    --------
    >>> signature = Signature.learn(example=[[1.0, 2.0], [3.0, 4.0]])
    >>> form, payload = frame_of([(1.5, 2.5)])
    >>> rows_of(form, memoryview(payload), signature)
    [[1.5, 2.5]]
    """
    if form["form"] == "cells":
        return orjson.loads(payload)
    if form["form"] == "columns":
        return CellColumns(orjson.loads(payload))
    if form["form"] == "array":
        return array_of(form["array"], payload)
    return signature.validate(orjson.loads(payload)["features"])
