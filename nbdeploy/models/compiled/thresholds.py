"""How many thresholds of its feature a number exceeds: all that decides its way through trees."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.joined_trees import LEAF
from nbdeploy.models.compiled.outcomes import Unsupported

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

    Features that nothing is compared with are left out of what is counted.

    Parameters
    ----------
    features, thresholds
        Of all comparisons ``feature <= threshold``.
    width
        Number of features of a row.

    Raises
    ------
    Unsupported
        A feature does not exist.

    Examples
    --------
    >>> thresholds = Thresholds(np.array([0, 0, 2]), np.array([1.5, 0.5, 3.0]), 3)
    >>> rows = np.array([[1.5, 0.0, 4.0], [2.0, 0.0, np.nan]])
    >>> thresholds.counts, thresholds.exceeded(rows).tolist()
    ([2, 1], [[1, 1], [2, 2]])
    """

    def __init__(
        self, features: npt.NDArray[Any], thresholds: npt.NDArray[Any], width: int
    ) -> None:
        compared = np.unique(features).tolist() or [0]
        if compared[0] < 0 or compared[-1] >= width:
            message = "its trees split on features that do not exist"
            raise Unsupported(message)
        self._are_all = len(compared) == width
        self._compared = np.array(compared, dtype=np.intp)
        self._sorted = _sorted_by_feature(features, thresholds, compared)
        self._lists = [each.tolist() for each in self._sorted]
        self._grid = _Grid(self._sorted)
        self.counts = list(map(len, self._sorted))
        """How many there are of each feature that is compared."""

    @classmethod
    def of(cls, trees: Sequence[npt.NDArray[Any]], width: int) -> Self:
        """Collect the thresholds of trees, whose nodes ``tree_.__getstate__()["nodes"]`` has."""
        nodes = np.concatenate(trees)
        splits = nodes[nodes["left_child"] != LEAF]
        return cls(splits["feature"], splits["threshold"], width)

    def locate(
        self, features: npt.NDArray[Any], thresholds: npt.NDArray[Any]
    ) -> tuple[Codes, Codes]:
        """Return the numbers of features among those compared, and the places of thresholds."""
        slots = self._compared.searchsorted(features)
        places = np.empty(len(slots), dtype=np.intp)
        for slot in np.unique(slots):
            here = slots == slot
            places[here] = self._sorted[slot].searchsorted(thresholds[here])
        return slots, places

    def placed(self, trees: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Return trees with the place of each threshold, plus 0.5, instead of the threshold."""
        nodes = np.concatenate(trees)
        inner = nodes["left_child"] != LEAF
        slots, places = self.locate(nodes["feature"][inner], nodes["threshold"][inner])
        nodes["feature"][inner] = slots
        nodes["threshold"][inner] = places + 0.5
        return np.split(nodes, np.cumsum(list(map(len, trees)))[:-1])

    def exceeded(self, matrix: npt.NDArray[Any]) -> Codes:
        """Return how many thresholds each number exceeds, one more than there are for NaN.

        Parameters
        ----------
        matrix
            Features, shape ``[n, width]``.

        Returns
        -------
        ndarray
            Shape ``[n, features that are compared]``.
        """
        if not self._are_all:
            matrix = matrix.take(self._compared, axis=1)
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
        self._buckets = min(_BUCKETS, _MOST_CELLS // width)
        # Features whose thresholds lie too close to each other for buckets of equal width.
        self._searched: list[tuple[int, npt.NDArray[Any]]] = []
        if self._buckets < _FEWEST_BUCKETS:
            self._searched += enumerate(thresholds)
            return
        ends = np.array(list(map(_ends, thresholds)))
        with np.errstate(all="ignore"):
            scale = (self._buckets - 2) / (ends[:, 1] - ends[:, 0])
        is_even = np.isfinite(scale) & (scale > 0)
        self._low = np.where(is_even, ends[:, 0], 0.0)
        self._scale = np.where(is_even, scale, 1.0)
        below = np.zeros((width, self._buckets), dtype=np.intp)
        inside = np.full((_MOST_IN_A_BUCKET, width, self._buckets), np.inf)
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
        codes = self._looked_up(matrix)
        for place, each in self._searched:
            codes[:, place] = each.searchsorted(matrix[:, place])
        return codes

    def _looked_up(self, matrix: npt.NDArray[Any]) -> Codes:
        if len(self._searched) == matrix.shape[1]:
            return np.empty(matrix.shape, dtype=np.intp)
        buckets = self._bucket(matrix, self._low, self._scale)
        buckets += self._starts
        codes: Codes = self._below.take(buckets)
        for thresholds in self._inside:
            codes += thresholds.take(buckets) < matrix
        return codes

    def _bucket(self, numbers: npt.NDArray[Any], low: Any, scale: Any) -> Codes:
        with np.errstate(over="ignore"):
            steps = (numbers - low) * scale
        # Before the first threshold, and from the last one on.
        np.clip(steps, -1.0, self._buckets - 2.0, out=steps)
        steps += 1.0
        buckets: Codes = steps.astype(np.intp)
        return buckets


def _sorted_by_feature(
    features: npt.NDArray[Any], thresholds: npt.NDArray[Any], compared: Sequence[int]
) -> list[npt.NDArray[Any]]:
    order = np.argsort(features, kind="stable")
    cuts = features[order].searchsorted(compared[1:])
    return [np.unique(part) for part in np.split(thresholds[order], cuts)]


def _ends(thresholds: npt.NDArray[Any]) -> tuple[float, float]:
    # What only separates the missing from all others has a threshold that no number exceeds.
    usual = thresholds[np.abs(thresholds) < _ALMOST_INFINITE]
    return (usual[0], usual[-1]) if len(usual) else (0.0, 0.0)
