"""Where a model comes from: its parameters, its data and its author, in a few words."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from typing import Any

import numpy as np
import pandas as pd

from nbdeploy.display.table import shortened
from nbdeploy.exceptions import SignatureError
from nbdeploy.models.example import ArrayExample, FrameExample, read_example
from nbdeploy.models.forms import form_of

__all__ = ["data_of", "example_rows", "parameters_of", "user_name"]

_KEPT_ROWS = 32
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str, type(None))


def parameters_of(model: Any) -> dict[str, str]:
    """Return what a model was made with, as text.

    Parameters
    ----------
    model
        Any object; what has no ``get_params`` has no parameters.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> found = parameters_of(make_pipeline(Ridge(alpha=2.0)))
    >>> found["ridge"], found["ridge__alpha"]
    ('Ridge', '2.0')
    """
    ask = getattr(model, "get_params", None)
    if not callable(ask) or isinstance(model, type):
        return {}
    try:
        found = dict(ask())
    except Exception:  # noqa: BLE001 -- a model of the user: what it cannot tell is not told
        return {}
    return {str(name): _in_words(value) for name, value in found.items()}


def _in_words(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return shortened(repr(value))
    if hasattr(value, "get_params"):
        # Its own parameters are listed one by one.
        return type(value).__name__
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__))
    if isinstance(value, (list, tuple)) and any(hasattr(one, "__len__") for one in value):
        return f"{type(value).__name__} of {len(value)}"
    return shortened(_ADDRESS.sub("", repr(value)))


def data_of(example: Any) -> dict[str, Any]:
    """Return what tells this data from other data, and none of its values.

    Parameters
    ----------
    example
        Rows that the model was fitted on, or ``None``.

    Examples
    --------
    >>> data_of([[1.0, 2.0], [3.0, 4.0]])["rows"]
    2
    """
    if example is None:
        return {}
    read = read_example(example)
    if isinstance(read, FrameExample):
        columns, digest = read.frame.shape[1], _digest_of_frame(read.frame)
    elif isinstance(read, ArrayExample):
        columns, digest = read.array.shape[1], _digest_of_frame(pd.DataFrame(read.array))
    else:
        columns, digest = 1, _digest_of_frame(read.cells.to_frame())
    return {"rows": len(read), "columns": columns, "digest": digest}


def _digest_of_frame(frame: pd.DataFrame) -> str | None:
    try:
        hashes = pd.util.hash_pandas_object(frame, index=False)
    except (TypeError, ValueError):
        # Cells that are lists or other objects have no hash.
        return None
    names = "\0".join(map(str, frame.columns)).encode(errors="surrogatepass")
    content = names + np.ascontiguousarray(hashes.to_numpy()).tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def example_rows(example: Any) -> bytes | None:
    """Return the first rows of an example as JSON; ``None`` for rows that JSON does not hold.

    Examples
    --------
    >>> example_rows({"a": [1.0, 2.0], "b": ["x", "y"]})
    b'{"features":{"a":[1.0,2.0],"b":["x","y"]}}'
    """
    if example is None:
        return None
    read = read_example(example)
    if isinstance(read, FrameExample):
        head: Any = read.frame.head(_KEPT_ROWS)
    elif isinstance(read, ArrayExample):
        head = read.array[:_KEPT_ROWS]
    else:
        head = read.cells.head(_KEPT_ROWS).tolist()
    try:
        return form_of(head).body
    except (SignatureError, TypeError):
        return None


def user_name() -> str:
    """Return who works here: the name on a hub, else that of the system's user."""
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container may run as a number that has no name.
        return f"user {os.getuid()}"
