"""Histogram gradient boosting: its features and its trees by the places of their thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.joined_trees import LEAF
from nbdeploy.models.compiled.readers import Matrix
from nbdeploy.models.compiled.thresholds import Codes, Thresholds

__all__ = ["Ranks"]

_CODES = 256
# Of the one threshold of a split on categories: not exceeded, exceeded, nobody knows.
_LEFT, _RIGHT, _UNKNOWN = range(3)


class Ranks:
    """The features of histogram gradient boosting by the thresholds that they exceed.

    A split on categories becomes a feature of its own, with one threshold: the categories that go
    left do not exceed it, the others that the model knows do, and the rest goes where missing
    values go.

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
        self._thresholds = Thresholds(splits["feature_idx"], splits["num_threshold"], width)
        self._known = [_members(known[number]) for number in numbers] if len(known) else []
        self._splits: dict[tuple[int, bytes], int] = {}
        self._outcomes: dict[int, list[Codes]] = {}
        self._slots: dict[int, list[int]] = {}
        for predictor in predictors:
            self._add_category_splits(predictor)
        self._tables = {
            place: np.stack(outcomes, axis=1) for place, outcomes in self._outcomes.items()
        }

    @property
    def counts(self) -> list[int]:
        """How many thresholds each feature of the recoded trees has."""
        return [*self._thresholds.counts, *[1] * len(self._splits)]

    def recode(self, predictor: Any) -> npt.NDArray[Any]:
        """Return the nodes of a predictor as those of a tree, with places for thresholds."""
        from sklearn.tree._tree import NODE_DTYPE  # noqa: PLC0415 -- heavy import

        old = predictor.nodes
        nodes = np.zeros(len(old), dtype=NODE_DTYPE)
        is_leaf = old["is_leaf"] == 1
        for child, side in (("left_child", "left"), ("right_child", "right")):
            nodes[child] = np.where(is_leaf, LEAF, old[side].astype(np.intp))
        nodes["missing_go_to_left"] = old["missing_go_to_left"]
        by_category = ~is_leaf & (old["is_categorical"] == 1)
        for place in np.flatnonzero(by_category):
            nodes["feature"][place] = self._splits[_key(predictor, old[place])]
            nodes["threshold"][place] = 0.5
        by_number = ~is_leaf & ~by_category
        slots, places = self._thresholds.locate(
            old["feature_idx"][by_number], old["num_threshold"][by_number]
        )
        nodes["feature"][by_number] = slots
        nodes["threshold"][by_number] = places + 0.5
        return nodes

    def of(self, matrix: Matrix) -> Codes:
        """Return how many thresholds rows exceed, one more than there are where that is unknown."""
        numbers = self._thresholds.exceeded(matrix)
        if not self._tables:
            return numbers
        every = np.empty((len(matrix), len(self.counts)), dtype=np.intp)
        every[:, : numbers.shape[1]] = numbers
        for place, outcomes in self._tables.items():
            codes = matrix[:, place]
            is_code = (codes >= 0) & (codes < _CODES)
            rows = np.where(is_code, codes, _CODES).astype(np.intp)
            every[:, self._slots[place]] = outcomes[rows]
        return every

    def as_floats(self, codes: Codes) -> npt.NDArray[np.float32]:
        """Return what `of` gave as scikit-learn's own trees take it: NaN where it is unknown."""
        floats = codes.astype(np.float32)
        floats[codes > np.array(self.counts)] = np.nan
        return floats

    def _add_category_splits(self, predictor: Any) -> None:
        nodes = predictor.nodes
        for split in nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 1)]:
            key = _key(predictor, split)
            if key in self._splits:
                continue
            place = key[0]
            outcomes = np.full(_CODES + 1, _UNKNOWN, dtype=np.intp)
            outcomes[:_CODES][self._known[place]] = _RIGHT
            outcomes[:_CODES][_members(np.frombuffer(key[1], dtype=np.uint32))] = _LEFT
            self._splits[key] = len(self.counts)
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
