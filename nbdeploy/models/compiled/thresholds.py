"""How many thresholds of its feature a number exceeds: all that decides its way through trees."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Codes", "Thresholds"]

Codes: TypeAlias = npt.NDArray[np.intp]
"""How many thresholds are exceeded, one more than there are where that is unknown."""

_FEW_ROWS = 4
_BUCKETS = 1024
_FEWEST_BUCKETS = 64
_ALMOST_INFINITE = 1e300
# Tables of many features would leave the caches, and fill the memory.
_MOST_CELLS = 2**18
_MOST_IN_A_BUCKET = 3


class Thresholds:
    """The thresholds that each feature is compared with, in order.

    Parameters
    ----------
    features, thresholds
        Of all comparisons ``feature <= threshold``.
    width
        Number of features.

    Examples
    --------
    >>> thresholds = Thresholds(np.array([0, 0, 1]), np.array([1.5, 0.5, 3.0]), 2)
    >>> thresholds.counts, thresholds.exceeded(np.array([[1.5, 4.0], [2.0, np.nan]])).tolist()
    ([2, 1], [[1, 1], [2, 2]])
    """

    def __init__(
        self, features: npt.NDArray[Any], thresholds: npt.NDArray[Any], width: int
    ) -> None:
        self._sorted = [np.unique(thresholds[features == place]) for place in range(width)]
        self._lists = [each.tolist() for each in self._sorted]
        self._grid = _Grid(self._sorted)
        self.counts = list(map(len, self._sorted))
        """How many there are of each feature."""

    def place(self, feature: int, threshold: float) -> int:
        """Return the place of a threshold among those of its feature."""
        return int(self._sorted[feature].searchsorted(threshold))

    def exceeded(self, matrix: npt.NDArray[Any]) -> Codes:
        """Return how many thresholds each number exceeds, one more than there are for NaN.

        Parameters
        ----------
        matrix
            Features, shape ``[n, width]``.
        """
        # NaN shows in the minimum, which is one call for all features.
        missing = np.isnan(matrix) if math.isnan(matrix.ravel().min()) else None
        if missing is not None:
            matrix = np.where(missing, 0.0, matrix)
        if len(matrix) < _FEW_ROWS:
            ranked = [list(map(bisect_left, self._lists, row)) for row in matrix.tolist()]
            codes = np.array(ranked, dtype=np.intp)
        else:
            codes = self._grid.exceeded(matrix)
        if missing is not None:
            codes = np.where(missing, np.array(self.counts) + 1, codes)
        return codes


class _Grid:
    """Buckets of equal width, that say of most numbers at once which thresholds they exceed.

    A search halves the thresholds again and again, and the processor guesses every second turn of
    it wrong. Here a number is compared with the few thresholds of its bucket only. Rounding cannot
    err: a difference and a product keep the order of what goes in, so a threshold of an earlier
    bucket is smaller than the number, and one of a later bucket is not.
    """

    def __init__(self, thresholds: Sequence[npt.NDArray[Any]]) -> None:
        width = len(thresholds)
        self._buckets = max(_FEWEST_BUCKETS, min(_BUCKETS, _MOST_CELLS // width))
        ends = np.array(list(map(_ends, thresholds)))
        with np.errstate(all="ignore"):
            scale = (self._buckets - 2) / (ends[:, 1] - ends[:, 0])
        is_even = np.isfinite(scale) & (scale > 0)
        self._low = np.where(is_even, ends[:, 0], 0.0)
        self._scale = np.where(is_even, scale, 1.0)
        below = np.zeros((width, self._buckets), dtype=np.intp)
        inside = np.full((_MOST_IN_A_BUCKET, width, self._buckets), np.inf)
        # Features whose thresholds lie too close to each other for buckets of equal width.
        self._searched: list[tuple[int, npt.NDArray[Any]]] = []
        used = 1
        for place, each in enumerate(thresholds):
            buckets = self._bucket(each, self._low[place], self._scale[place])
            counts = np.bincount(buckets, minlength=self._buckets)
            if counts.max() > _MOST_IN_A_BUCKET:
                self._searched.append((place, each))
                continue
            used = max(used, int(counts.max()))
            below[place] = np.cumsum(counts) - counts
            nth = np.arange(len(each)) - below[place][buckets]
            inside[nth, place, buckets] = each
        self._below = below.ravel()
        self._inside = [table.flatten() for table in inside[:used]]
        self._starts = np.arange(width) * self._buckets

    def exceeded(self, matrix: npt.NDArray[Any]) -> Codes:
        """Return how many thresholds numbers exceed, none of which is NaN."""
        with np.errstate(over="ignore"):
            buckets = self._bucket(matrix, self._low, self._scale)
        buckets += self._starts
        codes: Codes = self._below.take(buckets)
        for thresholds in self._inside:
            codes += thresholds.take(buckets) < matrix
        for place, each in self._searched:
            codes[:, place] = each.searchsorted(matrix[:, place])
        return codes

    def _bucket(self, numbers: npt.NDArray[Any], low: Any, scale: Any) -> Codes:
        steps = (numbers - low) * scale
        # Before the first threshold, and from the last one on.
        np.clip(steps, -1.0, self._buckets - 2.0, out=steps)
        steps += 1.0
        buckets: Codes = steps.astype(np.intp)
        return buckets


def _ends(thresholds: npt.NDArray[Any]) -> tuple[float, float]:
    # What only separates the missing from all others has a threshold that no number exceeds.
    usual = thresholds[np.abs(thresholds) < _ALMOST_INFINITE]
    return (usual[0], usual[-1]) if len(usual) else (0.0, 0.0)
