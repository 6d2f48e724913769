"""Trees and forests, compiled: small trees as bit masks, others walked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nbdeploy.models.compiled.heads import Answer, Head, Situation
from nbdeploy.models.compiled.joined_trees import WalkedTrees
from nbdeploy.models.compiled.leaf_masks import MaskedTrees
from nbdeploy.models.compiled.outcomes import Unanswerable, Unsupported
from nbdeploy.models.compiled.readers import Matrix

__all__ = ["Floats", "tree_classifier", "tree_regressor"]

# Masks are quicker, as measured, than walks of more than a few rows through more than a few trees,
# and than calls tree by tree for less than many rows.
_FEWEST_MASKED = 8
_FEW_ROWS, _MANY_ROWS = 4, 400
# Whole numbers of this size are exact as floats, and far from the end of float32.
_LARGEST = 2.0**53


class Floats:
    """What scikit-learn's trees take: numbers that float32 holds, and NaN if they know it.

    Parameters
    ----------
    takes_nan
        NaN is taken.
    """

    def __init__(self, *, takes_nan: bool) -> None:
        self.takes_nan = takes_nan

    def check(self, matrix: Matrix) -> Matrix:
        """Return the features if they are certainly taken."""
        flat = matrix.ravel()
        # Of NaN no comparison says yes. (A sum of squares would warn of huge numbers.)
        if flat.max() < _LARGEST and flat.min() > -_LARGEST:
            return matrix
        fits = np.abs(matrix) < _LARGEST
        if self.takes_nan:
            fits |= np.isnan(matrix)
        if not fits.all():
            raise Unanswerable
        return matrix


def tree_classifier(model: Any, situation: Situation) -> Head:
    """Compile a tree, a forest or extra trees that choose among classes."""
    if model.n_outputs_ != 1:
        message = f"{type(model).__name__} has several outputs"
        raise Unsupported(message)
    classes = np.asarray(model.classes_)
    average, turn = _averages(model, situation)
    answers: dict[str, Answer] = {
        "predict": lambda rows: classes.take(average(rows).argmax(axis=1)),
        "predict_proba": average,
        "predict_log_proba": lambda rows: np.log(average(rows)),
    }
    return Head(answers, walks=len(_trees_of(model)), turn=turn)


def tree_regressor(model: Any, situation: Situation) -> Head:
    """Compile a tree, a forest or extra trees that predict numbers."""
    average, turn = _averages(model, situation)
    predict = average if model.n_outputs_ > 1 else lambda rows: average(rows)[:, 0]
    return Head({"predict": predict}, walks=len(_trees_of(model)), turn=turn)


def _trees_of(model: Any) -> Sequence[Any]:
    trees: Sequence[Any] = getattr(model, "estimators_", [model])
    return trees


def _averages(model: Any, situation: Situation) -> tuple[Answer, int]:
    """Return the mean of the leaves of a row, shape ``[n, classes or outputs]``, and its turn."""
    trees = _trees_of(model)
    states = [tree.tree_.__getstate__() for tree in trees]
    takes_nan = not situation.table.sparse and trees[0]._support_missing_values(np.zeros((1, 1)))  # noqa: SLF001 -- no public name tells it
    floats = Floats(takes_nan=takes_nan)
    nodes = [state["nodes"] for state in states]
    leaves = [state["values"].reshape(len(state["nodes"]), -1) for state in states]
    width, count, outputs = len(situation.table.features), len(trees), leaves[0].shape[1]
    apart = [tree.tree_ for tree in trees]
    walked = WalkedTrees(nodes, leaves, width, outputs=outputs, apart=apart)
    masked = None
    if count >= _FEWEST_MASKED:
        masked = MaskedTrees.of(nodes, leaves, width, outputs=outputs)

    def average(rows: Matrix) -> Matrix:
        features = floats.check(rows)
        if masked is not None and _FEW_ROWS < len(rows) <= _MANY_ROWS:
            return masked.sums(features) / count
        return walked.sums(features) / count

    return average, walked.turn if masked is None else _MANY_ROWS
