"""Gradient boosting, compiled: small trees as bit masks, others joined into one; sums in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.heads import MOST_ROWS, Answer, Head, Situation
from nbdeploy.models.compiled.joined_trees import WalkedTrees, tree_of
from nbdeploy.models.compiled.leaf_masks import LeafMasks, MaskedTrees
from nbdeploy.models.compiled.outcomes import Unsupported
from nbdeploy.models.compiled.ranks import Ranks
from nbdeploy.models.compiled.readers import Matrix
from nbdeploy.models.compiled.trees import Floats

__all__ = [
    "gradient_boosting_classifier",
    "gradient_boosting_regressor",
    "hist_gradient_boosting_classifier",
    "hist_gradient_boosting_regressor",
]

# Above so many rows the loops of scikit-learn itself are faster: than masks, and than a walk.
_MOST_ROWS_MASKED = 500
_MOST_ROWS = 30


class _Total(NamedTuple):
    """The sum of all trees, and from how many rows on it is found another way, or not at all."""

    of: Answer
    limit: int = MOST_ROWS
    turn: int = 0

    def head(self, answers: dict[str, Answer], trees: int) -> Head:
        """Return what can be asked."""
        return Head(answers, limit=self.limit, walks=trees, turn=self.turn)


def gradient_boosting_classifier(model: Any, situation: Situation) -> Head:
    """Compile a GradientBoostingClassifier."""
    total = _gradient_boosting(model, situation)
    return total.head(_answers(model, total.of, np.greater_equal), model.estimators_.size)


def gradient_boosting_regressor(model: Any, situation: Situation) -> Head:
    """Compile a GradientBoostingRegressor."""
    total = _gradient_boosting(model, situation)
    return total.head({"predict": lambda rows: total.of(rows).ravel()}, model.estimators_.size)


def hist_gradient_boosting_classifier(model: Any, situation: Situation) -> Head:
    """Compile a HistGradientBoostingClassifier."""
    total = _hist_gradient_boosting(model, situation)
    return total.head(_answers(model, total.of, np.greater), _trees_of(model))


def hist_gradient_boosting_regressor(model: Any, situation: Situation) -> Head:
    """Compile a HistGradientBoostingRegressor."""
    total = _hist_gradient_boosting(model, situation)
    inverse = model._loss.link.inverse  # noqa: SLF001 -- no public name does it
    answers: dict[str, Answer] = {"predict": lambda rows: inverse(total.of(rows).ravel())}
    return total.head(answers, _trees_of(model))


def _trees_of(model: Any) -> int:
    return int(model.n_iter_ * model.n_trees_per_iteration_)


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


def _gradient_boosting(model: Any, situation: Situation) -> _Total:
    width = len(situation.table.features)
    floats = Floats(takes_nan=False)
    states = [tree.tree_.__getstate__() for stage in model.estimators_ for tree in stage]
    trees = [state["nodes"] for state in states]
    start = _start_of(model, width)
    leaves = _with_start([model.learning_rate * state["values"].ravel() for state in states], start)
    masked = MaskedTrees.of(trees, leaves, width, outputs=len(start))
    if masked is not None:
        return _Total(
            lambda rows: masked.sums(floats.check(rows)), limit=_MOST_ROWS_MASKED, turn=masked.turn
        )
    walked = WalkedTrees(trees, leaves, width, outputs=len(start))
    return _Total(lambda rows: walked.sums(floats.check(rows)), limit=_MOST_ROWS)


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


def _hist_gradient_boosting(model: Any, situation: Situation) -> _Total:
    stages = model._predictors  # noqa: SLF001 -- no public name tells it
    predictors = [predictor for stage in stages for predictor in stage]
    known, numbers = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001 -- as above
    ranks = Ranks(predictors, len(situation.table.features), known=known, numbers=numbers)
    trees = [ranks.recode(predictor) for predictor in predictors]
    start = model._baseline_prediction.reshape(-1)  # noqa: SLF001 -- as above
    leaves = _with_start([predictor.nodes["value"] for predictor in predictors], start)
    if LeafMasks.fit(trees, ranks.counts):
        masks = LeafMasks(trees, leaves, ranks.counts, outputs=len(start))
        return _Total(lambda rows: masks.sums(ranks.of(rows)), turn=masks.rows_at_once)
    width = len(ranks.counts)
    apart = [tree_of(nodes, width) for nodes in trees]
    walked = WalkedTrees(trees, leaves, width, outputs=len(start), apart=apart)
    return _Total(lambda rows: walked.sums(ranks.as_floats(ranks.of(rows))), turn=walked.turn)


def _with_start(leaves: Sequence[Matrix], start: Matrix) -> list[Matrix]:
    """Let the first stage hold the start too: the sum then begins with the same rounding."""
    first = [leaf + base for leaf, base in zip(leaves, start, strict=False)]
    return [*first, *leaves[len(start) :]]
