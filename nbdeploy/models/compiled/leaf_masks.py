"""Ensembles of small trees as bit masks: all trees at once, without a walk through any.

A comparison that sends a row to the right rules out the leaves on the left. If each leaf of a tree
is a bit, what is left after all comparisons is found by AND, and the first bit left is the leaf in
which the walk would have ended. What all thresholds of a feature that a number exceeds rule out is
in one line of a table, so a row takes one line a feature, whatever its way. The method is called
QuickScorer: Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive
ensembles of regression trees", SIGIR 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.joined_trees import LEAF, refuse_broken
from nbdeploy.models.compiled.readers import Matrix
from nbdeploy.models.compiled.thresholds import Thresholds

__all__ = ["LeafMasks", "MaskedTrees"]

_WIDTHS = (8, 16, 32, 64)
# Measured: a walk through a tree takes as long as to read so many bytes of masks.
_BYTES_OF_A_WALK = 256
_MOST_BYTES = 32 * 2**20
# What is looked at in one step stays in a cache of the core.
_BYTES_AT_ONCE = 2**19


class LeafMasks:
    """The trees of an ensemble that is a sum, stage by stage.

    Parameters
    ----------
    trees
        The nodes of each tree, stage by stage, as ``tree_.__getstate__()["nodes"]`` has them, with
        ``threshold`` the place among the thresholds of the feature, plus 0.5.
    values
        What the nodes of each tree hold, one number each or several.
    thresholds
        How many thresholds each feature has.
    outputs
        Numbers a stage: those of one tree, or one each of as many trees.

    Examples
    --------
    A stump: what exceeds the first of two thresholds of the only feature goes to the right.

    >>> from sklearn.tree._tree import NODE_DTYPE
    >>> nodes = np.zeros(3, dtype=NODE_DTYPE)
    >>> nodes["left_child"], nodes["right_child"] = [1, -1, -1], [2, -1, -1]
    >>> nodes["threshold"][0] = 0.5
    >>> masks = LeafMasks([nodes], [np.array([0.0, 10.0, 20.0])], [2])
    >>> masks.sums(np.array([[0], [1], [2]])).ravel()
    array([10., 20., 20.])
    """

    def __init__(
        self,
        trees: Sequence[npt.NDArray[Any]],
        values: Sequence[Matrix],
        thresholds: Sequence[int],
        *,
        outputs: int = 1,
    ) -> None:
        for nodes in trees:
            refuse_broken(nodes, len(thresholds))
        spans = [_spans(nodes) for nodes in trees]
        bits = max(span.leaves for span in spans)
        dtype = _dtype_for(bits)
        # Of each feature: nothing exceeded, then up to all of its thresholds, then no number.
        starts = np.cumsum([0, *(count + 2 for count in thresholds)])
        self._starts = starts[:-1]
        self._table = np.full((starts[-1], len(trees)), np.iinfo(dtype).max, dtype=dtype)
        for number, (nodes, span) in enumerate(zip(trees, spans, strict=True)):
            self._rule_out(starts, number, nodes, span)
        for start, end in pairwise(starts):
            exceeded = self._table[start : end - 1]
            np.bitwise_and.accumulate(exceeded, axis=0, out=exceeded)
        held = np.zeros((len(trees), bits, *values[0].shape[1:]))
        for leaves, nodes, span, each in zip(held, trees, spans, values, strict=True):
            is_leaf = nodes["left_child"] == LEAF
            # -0.0 becomes 0.0, which is what adding it to the zeros of a new sum gives.
            leaves[span.first[is_leaf]] = each[is_leaf] + 0.0
        self._values = held.reshape(len(trees) * bits, *values[0].shape[1:])
        self._places = np.arange(len(trees)) * bits
        self._stages = held[:, 0].size // outputs
        self._outputs = outputs
        bytes_of_row = len(thresholds) * len(trees) * dtype.itemsize
        self.rows_at_once = max(1, _BYTES_AT_ONCE // bytes_of_row)
        """So many rows are looked at in one step."""

    @staticmethod
    def fit(trees: Sequence[npt.NDArray[Any]], thresholds: Sequence[int]) -> bool:
        """Tell whether masks hold the leaves of every tree, and are quicker than a walk."""
        most_leaves = max((len(nodes) + 1) // 2 for nodes in trees)
        if most_leaves > _WIDTHS[-1]:
            return False
        size = _dtype_for(most_leaves).itemsize
        lines = sum(count + 2 for count in thresholds)
        is_quicker = len(thresholds) * size <= _BYTES_OF_A_WALK
        return is_quicker and lines * len(trees) * size <= _MOST_BYTES

    def _rule_out(
        self, starts: npt.NDArray[np.intp], number: int, nodes: npt.NDArray[Any], span: _Spans
    ) -> None:
        """Take the leaves on the left out of the lines of what goes to the right."""
        inner = np.flatnonzero(nodes["left_child"] != LEAF)
        low = span.first[inner].astype(np.uint64)
        high = span.first[nodes["right_child"][inner]].astype(np.uint64)
        one = np.uint64(1)
        masks = (~((one << high) - (one << low))).astype(self._table.dtype)
        features = nodes["feature"][inner]
        lines = starts[features] + (nodes["threshold"][inner] + 0.5).astype(np.intp)
        column = self._table[:, number]
        np.bitwise_and.at(column, lines, masks)
        to_right = nodes["missing_go_to_left"][inner] == 0
        np.bitwise_and.at(column, starts[features[to_right] + 1] - 1, masks[to_right])

    def sums(self, codes: npt.NDArray[np.intp]) -> Matrix:
        """Return the sums of the leaves of rows, added stage by stage, shape ``[n, outputs]``.

        Parameters
        ----------
        codes
            How many thresholds of the feature each number exceeds, one more than there are where
            it is missing, shape ``[n, features]``.
        """
        lines = codes + self._starts
        sums = np.empty((len(lines), self._outputs))
        step = self.rows_at_once
        for start in range(0, len(lines), step):
            taken = self._table.take(lines[start : start + step], axis=0)
            left = np.bitwise_and.reduce(taken, axis=1)
            found = self._values.take(_zeros_before_first_bit(left) + self._places, axis=0)
            stages = found.reshape(-1, self._stages, self._outputs)
            # One after the other, as the stages add them up: sum() would add in pairs.
            sums[start : start + step] = np.add.accumulate(stages, axis=1)[:, -1]
        return sums


class MaskedTrees(NamedTuple):
    """Trees of scikit-learn as masks, with what places a row among their thresholds."""

    thresholds: Thresholds
    masks: LeafMasks

    @classmethod
    def of(
        cls,
        trees: Sequence[npt.NDArray[Any]],
        values: Sequence[Matrix],
        width: int,
        *,
        outputs: int,
    ) -> Self | None:
        """Make masks of trees, if that is quicker than to walk them.

        Parameters
        ----------
        trees
            The nodes of each tree, as ``tree_.__getstate__()["nodes"]`` has them.
        values, outputs
            As `LeafMasks` takes them.
        width
            Number of features.
        """
        thresholds = Thresholds.of(trees, width)
        if not LeafMasks.fit(trees, thresholds.counts):
            return None
        placed = thresholds.placed(trees)
        return cls(thresholds, LeafMasks(placed, values, thresholds.counts, outputs=outputs))

    @property
    def turn(self) -> int:
        """Above so many rows they are looked at in several steps."""
        return self.masks.rows_at_once

    def sums(self, matrix: Matrix) -> Matrix:
        """Return the sums of the leaves of rows; the trees compare float32."""
        return self.masks.sums(self.thresholds.exceeded(matrix.astype(np.float32)))


class _Spans(NamedTuple):
    """The leaves below each node are those from its first one on; how many the tree has."""

    first: npt.NDArray[np.intp]
    leaves: int


def _dtype_for(leaves: int) -> np.dtype[Any]:
    return np.dtype(f"uint{min(width for width in _WIDTHS if width >= leaves)}")


def _spans(nodes: npt.NDArray[Any]) -> _Spans:
    left, right = nodes["left_child"].tolist(), nodes["right_child"].tolist()
    leaves = [1] * len(left)
    # Children come after their parents.
    for node in reversed(range(len(left))):
        if left[node] != LEAF:
            leaves[node] = leaves[left[node]] + leaves[right[node]]
    first = [0] * len(left)
    for node, child in enumerate(left):
        if child != LEAF:
            first[child] = first[node]
            first[right[node]] = first[node] + leaves[child]
    return _Spans(np.array(first, dtype=np.intp), leaves[0])


def _zeros_before_first_bit(bits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Count from the lowest bit on."""
    if hasattr(np, "bitwise_count"):
        counted: npt.NDArray[Any] = np.bitwise_count((bits - 1) & ~bits)
        return counted
    # NumPy 1. A power of two is exact as a float.
    lowest = (bits & (~bits + 1)).astype(np.float64)
    exponents: npt.NDArray[Any] = np.frexp(lowest)[1] - 1
    return exponents
