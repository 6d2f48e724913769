"""Validated rows as the arrays of numbers that libraries outside of scikit-learn take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["labels_of", "matrix_of"]


def matrix_of(batch: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Give rows as an array of one dtype.

    Examples
    --------
    >>> matrix_of([[1, 2.5]], "float32")
    array([[1. , 2.5]], dtype=float32)
    """
    cells = batch.to_numpy() if hasattr(batch, "to_numpy") else np.asarray(batch)
    return np.ascontiguousarray(cells, dtype=dtype)


def labels_of(places: npt.NDArray[Any], classes: list[Any]) -> npt.NDArray[Any]:
    """Give the classes at some places, in an array of the dtype that they have.

    Examples
    --------
    >>> labels_of(np.array([1, 0]), ["no", "yes"]).tolist()
    ['yes', 'no']
    """
    labels: npt.NDArray[Any] = np.asarray(classes)
    if labels.ndim != 1 or labels.tolist() != classes:
        # Classes of several kinds are no array of numbers or of texts.
        labels = np.empty(len(classes), dtype=object)
        labels[:] = classes
    return np.asarray(labels[places])
