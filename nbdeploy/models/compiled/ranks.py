"""Features as small whole numbers, for the trees of histogram gradient boosting."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.readers import Matrix

__all__ = ["Ranks"]

_WORTH_SORTING = 32
_LEAF = -1
_CODES = 256


class Ranks:
    """Features as the number of thresholds below them: exact, where float32 would round.

    Histogram trees compare float64, the trees they are joined into float32. Which way a row goes
    depends only on the thresholds it exceeds, and their number fits both. A split on categories
    becomes a feature of its own: 0 for the categories that go left, 1 for the others that the model
    knows, NaN for the rest, which goes where missing values go.

    Parameters
    ----------
    predictors
        The trees of the model.
    width
        Number of features.
    known
        The categories that each categorical feature has, as bits.
    numbers
        The row of each feature in ``known``.
    """

    def __init__(
        self,
        predictors: Sequence[Any],
        width: int,
        *,
        known: npt.NDArray[np.uint32],
        numbers: npt.NDArray[np.uint32],
    ) -> None:
        nodes = np.concatenate([predictor.nodes for predictor in predictors])
        splits = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
        self.thresholds = [
            np.unique(splits["num_threshold"][splits["feature_idx"] == place])
            for place in range(width)
        ]
        self._lists = [thresholds.tolist() for thresholds in self.thresholds]
        self._known = [_members(known[number]) for number in numbers] if len(known) else []
        self._splits: dict[tuple[int, bytes], int] = {}
        self._outcomes: dict[int, list[Matrix]] = {}
        self._slots: dict[int, list[int]] = {}
        for predictor in predictors:
            self._add_category_splits(predictor)
        self._tables = {
            place: np.stack(outcomes, axis=1) for place, outcomes in self._outcomes.items()
        }

    @property
    def width(self) -> int:
        """Number of features of the recoded trees."""
        return len(self.thresholds) + len(self._splits)

    def recode(self, predictor: Any) -> npt.NDArray[Any]:
        """Return the nodes of a predictor as those of a tree that splits on ranks."""
        from sklearn.tree._tree import NODE_DTYPE  # noqa: PLC0415 -- heavy import

        old = predictor.nodes
        nodes = np.zeros(len(old), dtype=NODE_DTYPE)
        is_leaf = old["is_leaf"] == 1
        for child, side in (("left_child", "left"), ("right_child", "right")):
            nodes[child] = np.where(is_leaf, _LEAF, old[side].astype(np.intp))
        nodes["missing_go_to_left"] = old["missing_go_to_left"]
        for place in np.flatnonzero(~is_leaf):
            split, feature = old[place], int(old["feature_idx"][place])
            if split["is_categorical"]:
                nodes["feature"][place] = self._splits[_key(predictor, split)]
                nodes["threshold"][place] = 0.5
            else:
                rank = self.thresholds[feature].searchsorted(split["num_threshold"])
                nodes["feature"][place] = feature
                nodes["threshold"][place] = rank + 0.5
        return nodes

    def of(self, matrix: Matrix) -> npt.NDArray[Any]:
        """Return the recoded features; a missing one stays NaN."""
        ranks = self._rank(matrix)
        if not self._tables:
            return ranks
        every = np.empty((len(matrix), self.width), dtype=np.float32)
        every[:, : ranks.shape[1]] = ranks
        for place, outcomes in self._tables.items():
            codes = matrix[:, place]
            is_code = (codes >= 0) & (codes < _CODES)
            rows = np.where(is_code, codes, _CODES).astype(np.intp)
            every[:, self._slots[place]] = outcomes[rows]
        return every

    def _rank(self, matrix: Matrix) -> npt.NDArray[Any]:
        if len(matrix) < _WORTH_SORTING:
            ranked = [list(map(bisect_left, self._lists, row)) for row in matrix.tolist()]
            ranks = np.array(ranked, dtype=np.float32)
        else:
            ranks = np.empty(matrix.shape, dtype=np.float32)
            for place, thresholds in enumerate(self.thresholds):
                ranks[:, place] = thresholds.searchsorted(matrix[:, place])
        flat = matrix.ravel()
        # NaN shows in the minimum, which is one call for all features.
        if math.isnan(flat.min()):
            ranks[np.isnan(matrix)] = np.nan
        return ranks

    def _add_category_splits(self, predictor: Any) -> None:
        nodes = predictor.nodes
        for split in nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 1)]:
            key = _key(predictor, split)
            if key in self._splits:
                continue
            place = key[0]
            outcomes = np.full(_CODES + 1, np.nan)
            outcomes[:_CODES][self._known[place]] = 1.0
            outcomes[:_CODES][_members(np.frombuffer(key[1], dtype=np.uint32))] = 0.0
            self._splits[key] = self.width
            self._slots.setdefault(place, []).append(self._splits[key])
            self._outcomes.setdefault(place, []).append(outcomes)


def _key(predictor: Any, split: Any) -> tuple[int, bytes]:
    """Return what makes a split on categories: its feature, and the categories that go left."""
    bits = predictor.raw_left_cat_bitsets[split["bitset_idx"]]
    return int(split["feature_idx"]), np.ascontiguousarray(bits, dtype=np.uint32).tobytes()


def _members(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Return which of the 256 codes are in a set of bits."""
    codes = np.arange(_CODES, dtype=np.uint32)
    return ((bits[codes // 32] >> (codes % 32)) & 1).astype(bool)
