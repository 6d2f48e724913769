"""The last step of a model, compiled: features in, answers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.features import Table

__all__ = ["MOST_ROWS", "Answer", "Head", "Situation", "softmax", "two_columns"]

MOST_ROWS = 1_000_000
"""The limit where none was found: the arithmetic is scikit-learn's own."""

Answer: TypeAlias = Callable[[Any], npt.NDArray[Any]]
"""From features to what the method of that name would have given."""


@dataclass(frozen=True)
class Situation:
    """What a head may rely on.

    Parameters
    ----------
    table
        The features that reach it.
    nullable
        A cell may be missing.
    rounded_alike
        Batches have the layout in memory that scikit-learn gives them, so that BLAS adds up in the
        same order for many rows as well. For one row it always does.
    """

    table: Table
    nullable: bool
    rounded_alike: bool


@dataclass(frozen=True)
class Head:
    """What a compiled last step can be asked.

    Parameters
    ----------
    answers
        One function a method, all of the features.
    as_sparse
        The functions take `SparseRows` where scikit-learn would hold a sparse matrix.
    limit
        Above so many rows scikit-learn itself is faster.
    walks
        How many trees a row goes through.
    turn
        Above so many rows the answers are found another way, which is to be verified too.
    """

    answers: dict[str, Answer]
    as_sparse: bool = False
    limit: int = MOST_ROWS
    walks: int = 0
    turn: int = 0


def softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities, rounded as by ``sklearn.utils.extmath.softmax``."""
    powers: npt.NDArray[np.float64] = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def two_columns(positive: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the probabilities of both classes from that of the second."""
    both = np.empty((len(positive), 2))
    both[:, 1] = positive
    np.subtract(1, positive, out=both[:, 0])
    return both
