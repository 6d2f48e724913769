"""Trees walked by scikit-learn's own loop in few calls.

scikit-learn visits the trees of an ensemble one by one from Python, and checks the rows at each,
which takes longer than the walk. For few rows all trees hang under one root: a row that starts
there and is told the number of a tree comes to that tree, so one call of ``Tree.apply`` walks all
of them. Many rows are sent through one tree after the other, with a call for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.outcomes import Unsupported
from nbdeploy.models.compiled.readers import Matrix

__all__ = ["LEAF", "JoinedTrees", "WalkedTrees", "refuse_broken", "tree_of"]

LEAF = -1
"""What a leaf has for children."""

_MOST_NODES = 2_000_000
_MOST_NUMBERS = 8_000_000
_MANY_ROWS = 128
_ROWS_ALWAYS, _TREES_PER_ROW = 40, 10


class JoinedTrees:
    """Many trees as one, so that one call finds the leaves of a row in all of them.

    Parameters
    ----------
    trees
        The nodes of each tree, as ``tree_.__getstate__()["nodes"]`` has them.
    width
        Number of features.

    Notes
    -----
    The buffer of a row has the numbers of all trees, then the features. Seen from its place ``i``
    on, column 0 is the number ``i``, and feature ``f`` is column ``trees - i + f``, which is where
    the nodes of tree ``i`` look for it. So windows into one buffer, each starting one place after
    the one before, send one row into all trees.
    """

    def __init__(self, trees: Sequence[npt.NDArray[Any]], width: int) -> None:
        from sklearn.tree._tree import NODE_DTYPE  # noqa: PLC0415 -- heavy import

        self.count = len(trees)
        self.width = width
        first = np.cumsum([self.count - 1, *map(len, trees)])
        starts: list[int] = first[:-1].tolist()
        # Where the nodes of each tree lie among those of all.
        self._places = [slice(start, end) for start, end in pairwise(first.tolist())]
        if first[-1] > _MOST_NODES:
            message = f"its trees have more than {_MOST_NODES:,} nodes"
            raise Unsupported(message)
        nodes = np.zeros(first[-1], dtype=NODE_DTYPE)
        _lead_to_trees(nodes, starts)
        for number, (tree, start) in enumerate(zip(trees, starts, strict=True)):
            nodes[start : start + len(tree)] = _moved(tree, start, self.count - number)
        self._tree = tree_of(nodes, self.count + width)
        self._numbers = np.arange(self.count, dtype=np.float32)

    def stack(self, values: Sequence[Matrix]) -> Matrix:
        """Return what the leaves of each tree hold, so that `leaves` finds it.

        Parameters
        ----------
        values
            An array a tree, one entry a node.
        """
        # -0.0 becomes 0.0, which is what adding it to the zeros of a new sum gives.
        lead = np.zeros((self.count - 1, *values[0].shape[1:]))
        if sum(array.size for array in values) > _MOST_NUMBERS:
            message = f"the leaves of its trees hold more than {_MOST_NUMBERS:,} numbers"
            raise Unsupported(message)
        return np.concatenate([lead, *values]) + 0.0

    def parts(self, stacked: Matrix) -> list[Matrix]:
        """Return what the nodes of each tree hold, out of what `stack` gave."""
        return [stacked[place] for place in self._places]

    def leaves(self, matrix: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Return the numbers of the leaves, shape ``[trees, n]``.

        Parameters
        ----------
        matrix
            Features, shape ``[n, width]``; they are rounded to float32.
        """
        count, width = self.count, self.width
        buffers = np.zeros((len(matrix), 2 * count + width), dtype=np.float32)
        buffers[:, :count] = self._numbers
        buffers[:, count : count + width] = matrix
        shape, step = (count, count + width), buffers.itemsize
        each_row = [
            self._tree.apply(np.ndarray(shape, np.float32, row, 0, (step, step))) for row in buffers
        ]
        return np.array(each_row).T


class WalkedTrees:
    """The trees of an ensemble that is a sum, stage by stage, each walked to its end.

    Parameters
    ----------
    trees
        The nodes of each tree, as ``tree_.__getstate__()["nodes"]`` has them.
    values
        What the nodes of each tree hold, one number each or several.
    width
        Number of features.
    outputs
        Numbers a stage: those of one tree, or one each of as many trees.
    apart
        The trees themselves, where many rows are quicker through one after the other.
    """

    def __init__(
        self,
        trees: Sequence[npt.NDArray[Any]],
        values: Sequence[Matrix],
        width: int,
        *,
        outputs: int,
        apart: Sequence[Any] = (),
    ) -> None:
        self._joined = JoinedTrees(trees, width)
        self._values = self._joined.stack([held.reshape(len(held), -1) for held in values])
        self._apart = list(zip(apart, self._joined.parts(self._values), strict=False))
        self._outputs = outputs
        self.turn = _turn_of(len(trees)) if apart else 0
        """Above so many rows they go through one tree after the other; 0 if they never do."""

    def sums(self, features: npt.NDArray[Any]) -> Matrix:
        """Return the sums of the leaves of rows, added stage by stage, shape ``[n, outputs]``."""
        if self.turn and len(features) > self.turn:
            return self._sums_tree_by_tree(features)
        found = self._values.take(self._joined.leaves(features), axis=0)
        trees, rows, numbers = found.shape
        stages = found.reshape(trees * numbers // self._outputs, -1, rows, numbers)
        # One after the other, as the stages add them up: sum() would add in pairs.
        summed = np.add.accumulate(stages, axis=0)[-1]
        return np.ascontiguousarray(summed.transpose(1, 0, 2)).reshape(rows, self._outputs)

    def _sums_tree_by_tree(self, features: npt.NDArray[Any]) -> Matrix:
        narrow = np.ascontiguousarray(features, dtype=np.float32)
        sums = np.zeros((len(features), self._outputs))
        place = 0
        for tree, held in self._apart:
            end = place + held.shape[1]
            sums[:, place:end] += held.take(tree.apply(narrow), axis=0)
            place = end % self._outputs
        return sums


def tree_of(nodes: npt.NDArray[Any], width: int) -> Any:
    """Make a tree of scikit-learn that has these nodes, if they lead somewhere.

    Parameters
    ----------
    nodes
        As ``tree_.__getstate__()["nodes"]`` has them.
    width
        Number of features.
    """
    from sklearn.tree._tree import Tree  # noqa: PLC0415 -- heavy import

    refuse_broken(nodes, width)
    tree = Tree(width, np.array([1], dtype=np.intp), 1)
    depth = int(np.ceil(np.log2(max(len(nodes), 2))))
    values = np.zeros((len(nodes), 1, 1))
    tree.__setstate__(
        {"max_depth": depth, "node_count": len(nodes), "nodes": nodes, "values": values}
    )
    return tree


def _turn_of(trees: int) -> int:
    """Above so many rows a call for each tree costs less than one for each row: as measured."""
    return min(trees, _ROWS_ALWAYS + trees // _TREES_PER_ROW, _MANY_ROWS)


def refuse_broken(nodes: npt.NDArray[Any], width: int) -> None:
    """Refuse nodes that lead nowhere: the walk itself checks nothing, and would leave memory."""
    places = np.arange(len(nodes))
    inner = nodes["left_child"] != LEAF
    for child in ("left_child", "right_child"):
        children = nodes[child][inner]
        if not ((places[inner] < children) & (children < len(nodes))).all():
            message = "its trees are not stored as expected"
            raise Unsupported(message)
    features = nodes["feature"][inner]
    if not ((features >= 0) & (features < width)).all():
        message = "its trees split on features that do not exist"
        raise Unsupported(message)


def _lead_to_trees(nodes: npt.NDArray[Any], roots: Sequence[int]) -> None:
    """Fill the first nodes so that a row comes to the tree whose number it has in column 0."""
    pending = [(0, 0, len(roots))]
    free = 1
    while pending and len(roots) > 1:
        node, low, high = pending.pop()
        middle = (low + high) // 2
        children = []
        for start, end in ((low, middle), (middle, high)):
            if end - start == 1:
                children.append(roots[start])
                continue
            children.append(free)
            pending.append((free, start, end))
            free += 1
        nodes["left_child"][node], nodes["right_child"][node] = children
        nodes["threshold"][node] = middle - 0.5


def _moved(tree: npt.NDArray[Any], start: int, shift: int) -> npt.NDArray[Any]:
    moved = tree.copy()
    inner = moved["left_child"] != LEAF
    for child in ("left_child", "right_child"):
        moved[child][inner] += start
    moved["feature"][inner] += shift
    return moved
