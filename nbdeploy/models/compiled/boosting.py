"""Gradient boosting, compiled: its trees joined into one, its sums in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.heads import MOST_ROWS, Answer, Head, Situation
from nbdeploy.models.compiled.outcomes import Unsupported
from nbdeploy.models.compiled.ranks import Ranks
from nbdeploy.models.compiled.readers import Matrix
from nbdeploy.models.compiled.trees import Floats, JoinedTrees, tree_of, turn_of

__all__ = [
    "gradient_boosting_classifier",
    "gradient_boosting_regressor",
    "hist_gradient_boosting_classifier",
    "hist_gradient_boosting_regressor",
]

# Above so many rows the loops of scikit-learn itself are faster.
_MOST_ROWS = 30


def gradient_boosting_classifier(model: Any, situation: Situation) -> Head:
    """Compile a GradientBoostingClassifier."""
    answers = _answers(model, _gradient_boosting(model, situation), np.greater_equal)
    return Head(answers, limit=_MOST_ROWS, walks=model.estimators_.size)


def gradient_boosting_regressor(model: Any, situation: Situation) -> Head:
    """Compile a GradientBoostingRegressor."""
    total = _gradient_boosting(model, situation)
    answers: dict[str, Answer] = {"predict": lambda rows: total(rows).ravel()}
    return Head(answers, limit=_MOST_ROWS, walks=model.estimators_.size)


def hist_gradient_boosting_classifier(model: Any, situation: Situation) -> Head:
    """Compile a HistGradientBoostingClassifier."""
    answers = _answers(model, _hist_gradient_boosting(model, situation), np.greater)
    return _head_of_histograms(model, answers)


def hist_gradient_boosting_regressor(model: Any, situation: Situation) -> Head:
    """Compile a HistGradientBoostingRegressor."""
    total = _hist_gradient_boosting(model, situation)
    inverse = model._loss.link.inverse  # noqa: SLF001 -- no public name does it
    answers: dict[str, Answer] = {"predict": lambda rows: inverse(total(rows).ravel())}
    return _head_of_histograms(model, answers)


def _head_of_histograms(model: Any, answers: dict[str, Answer]) -> Head:
    trees = int(model.n_iter_ * model.n_trees_per_iteration_)
    return Head(answers, walks=trees, turn=turn_of(trees))


def _answers(model: Any, total: Answer, is_second: Callable[..., Any]) -> dict[str, Answer]:
    classes: npt.NDArray[Any] = np.asarray(model.classes_)
    loss = model._loss  # noqa: SLF001 -- no public name does it

    def scores(rows: Any) -> Matrix:
        raw = total(rows)
        return raw.ravel() if raw.shape[1] == 1 else raw

    def predict(rows: Any) -> npt.NDArray[Any]:
        raw = scores(rows)
        chosen = is_second(raw, 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
        labels: npt.NDArray[Any] = classes.take(chosen)
        return labels

    answers: dict[str, Answer] = {
        "predict": predict,
        "decision_function": scores,
        "predict_proba": lambda rows: loss.predict_proba(total(rows)),
    }
    if hasattr(model, "predict_log_proba"):
        answers["predict_log_proba"] = lambda rows: np.log(loss.predict_proba(total(rows)))
    return answers


def _gradient_boosting(model: Any, situation: Situation) -> Answer:
    width = len(situation.table.features)
    floats = Floats(takes_nan=False)
    states = [tree.tree_.__getstate__() for stage in model.estimators_ for tree in stage]
    joined = JoinedTrees([state["nodes"] for state in states], width)
    start = _start_of(model, width)
    leaves = [model.learning_rate * state["values"].ravel() for state in states]
    return _sum(joined, leaves, start, floats.check)


def _start_of(model: Any, width: int) -> Matrix:
    """Return what the sum starts with, which must be the same for every row."""
    initial = model.init_
    if not isinstance(initial, str) and type(initial).__name__ not in {
        "DummyClassifier",
        "DummyRegressor",
    }:
        message = f"{type(model).__name__}(init=...) starts with a model of its own"
        raise Unsupported(message)
    start: Matrix = model._raw_predict_init(np.zeros((1, width), dtype=np.float32))[0]  # noqa: SLF001 -- no public name tells it
    return start


def _hist_gradient_boosting(model: Any, situation: Situation) -> Answer:
    stages = model._predictors  # noqa: SLF001 -- no public name tells it
    predictors = [predictor for stage in stages for predictor in stage]
    known, numbers = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001 -- as above
    ranks = Ranks(predictors, len(situation.table.features), known=known, numbers=numbers)
    trees = [ranks.recode(predictor) for predictor in predictors]
    joined = JoinedTrees(trees, ranks.width)
    start = model._baseline_prediction.reshape(-1)  # noqa: SLF001 -- as above
    leaves = [predictor.nodes["value"] for predictor in predictors]
    apart = [tree_of(nodes, ranks.width) for nodes in trees]
    return _sum(joined, leaves, start, ranks.of, apart=apart)


def _sum(
    joined: JoinedTrees,
    leaves: Sequence[Matrix],
    start: Matrix,
    prepare: Callable[[Matrix], npt.NDArray[Any]],
    *,
    apart: Sequence[Any] = (),
) -> Answer:
    """Return the sum of the leaves of a row, shape ``[n, trees a stage]``.

    Of many rows too, tree by tree, where `apart` has the trees.
    """
    outputs = len(start)
    # The first stage holds the start too: the sum then begins with the same rounding.
    first = [leaf + base for leaf, base in zip(leaves, start, strict=False)]
    values = joined.stack([*first, *leaves[outputs:]])
    stages = len(leaves) // outputs
    turn = turn_of(len(apart)) if apart else MOST_ROWS
    parts = joined.parts(values)

    def total(rows: Matrix) -> Matrix:
        features = prepare(rows)
        if len(rows) > turn:
            sums = np.zeros((outputs, len(rows)))
            for number, (tree, held) in enumerate(zip(apart, parts, strict=True)):
                sums[number % outputs] += held.take(tree.apply(features))
            return np.ascontiguousarray(sums.T)
        found = values.take(joined.leaves(features))
        # One after the other, as the stages add them up: sum() would add in pairs.
        summed = np.add.accumulate(found.reshape(stages, outputs, -1), axis=0)[-1]
        return np.ascontiguousarray(summed.T)

    return total
