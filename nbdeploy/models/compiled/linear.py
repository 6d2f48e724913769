"""Linear models, compiled: the product and the sum, without what surrounds them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.features import Number
from nbdeploy.models.compiled.heads import Answer, Head, Situation, softmax, two_columns
from nbdeploy.models.compiled.outcomes import Unanswerable, Unsupported
from nbdeploy.models.compiled.readers import Matrix, SparseRows

__all__ = ["linear_classifier", "linear_regressor"]

_MATRIX = 2
_PROBES = 4
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


def linear_regressor(model: Any, situation: Situation) -> Head:
    """Compile a linear regressor."""
    product = _Product(np.asarray(model.coef_), model.intercept_, situation)
    if type(model).__name__ in _FLAT_REGRESSORS:
        return Head({"predict": product.flat}, as_sparse=True)
    return Head({"predict": product.all}, as_sparse=True)


def linear_classifier(model: Any, situation: Situation) -> Head:
    """Compile a linear classifier."""
    coef = np.asarray(model.coef_)
    classes: npt.NDArray[Any] = np.asarray(model.classes_)
    if isinstance(model.classes_, list) or classes.ndim != 1 or _is_multilabel(model):
        message = f"{type(model).__name__} has several outputs"
        raise Unsupported(message)
    product = _Product(coef, model.intercept_, situation)
    is_binary = _is_binary(coef)
    scores = product.flat if is_binary else product.all
    choose = _choice_of_two if is_binary else _choice_of_many
    answers = {"predict": choose(product, classes), "decision_function": scores}
    if hasattr(model, "predict_proba"):
        formula = _find_formula(model, coef, product.intercept)
        answers["predict_proba"] = lambda rows: formula(scores(rows))
        answers["predict_log_proba"] = lambda rows: np.log(formula(scores(rows)))
    return Head(answers, as_sparse=True)


class _Product:
    """``X @ coef.T + intercept``, by the same routine of BLAS or SciPy that scikit-learn reaches.

    Parameters
    ----------
    coef
        Shape ``[features]`` or ``[outputs, features]``; its layout is kept, as it decides the
        rounding.
    intercept
        One number, or one an output.
    situation
        Whether the product may be fed with NaN or infinity, which scikit-learn refuses.
    """

    def __init__(self, coef: npt.NDArray[Any], intercept: Any, situation: Situation) -> None:
        features = situation.table.features
        if coef.dtype != np.float64:
            message = f"the coefficients are {coef.dtype}"
            raise Unsupported(message)
        self.coef = coef.copy(order="K").T
        self.intercept = np.array(intercept, dtype=np.float64)
        self.single_intercept = self.intercept.item() if self.intercept.size == 1 else math.nan
        is_bare = all(isinstance(feature, Number) and not feature.steps for feature in features)
        self.is_guarded = situation.nullable or not is_bare
        self.is_rounded_alike = situation.rounded_alike or situation.table.sparse
        self.multiply = _sparse_product(self.coef) if situation.table.sparse else self._dense

    def all(self, rows: Any) -> Matrix:
        """Return the scores of rows."""
        return self.finish(self.multiply(rows))

    def flat(self, rows: Any) -> Matrix:
        """Return the scores of rows, if a row has one, in one dimension."""
        return self.finish(self.multiply(rows)).ravel()

    def finish(self, products: Matrix) -> Matrix:
        """Return scores; NaN or infinity in any feature leaves a trace in a sum of products."""
        scores = products + self.intercept
        if self.is_guarded and not np.isfinite(scores).all():
            raise Unanswerable
        return scores

    def finish_one(self, product: float) -> float:
        """Return the one score of one row: without arrays, in a fifth of the time."""
        score = product + self.single_intercept
        if not math.isfinite(score):
            raise Unanswerable
        return score

    def refuse_ties(self, scores: Matrix, rows: Any) -> None:
        """Leave rows alone whose label the order of a sum could decide."""
        if self.is_rounded_alike or len(scores) == 1:
            return
        largest = float(np.abs(rows).max(initial=0.0) * np.abs(self.coef).sum(axis=0).max())
        error = _ROUNDING * len(self.coef) * (largest + float(np.abs(self.intercept).max()))
        margins = np.abs(scores) if scores.ndim == 1 else _margins(scores)
        if not margins.min() > error:
            raise Unanswerable

    def _dense(self, rows: Matrix) -> Matrix:
        product: Matrix = rows @ self.coef
        return product


def _choice_of_two(product: _Product, classes: npt.NDArray[Any]) -> Answer:
    alone: tuple[npt.NDArray[Any], npt.NDArray[Any]] = (classes[:1], classes[1:])

    def predict(rows: Any) -> npt.NDArray[Any]:
        products = product.multiply(rows)
        if products.size == 1:
            return alone[product.finish_one(products.item()) > 0].copy()
        scores = product.finish(products).ravel()
        product.refuse_ties(scores, rows)
        labels: npt.NDArray[Any] = classes.take((scores > 0).astype(np.intp))
        return labels

    return predict


def _choice_of_many(product: _Product, classes: npt.NDArray[Any]) -> Answer:
    def predict(rows: Any) -> npt.NDArray[Any]:
        scores = product.all(rows)
        product.refuse_ties(scores, rows)
        labels: npt.NDArray[Any] = classes.take(scores.argmax(axis=1))
        return labels

    return predict


def _margins(scores: Matrix) -> Matrix:
    best = np.partition(scores, -2, axis=1)
    margins: Matrix = best[:, -1] - best[:, -2]
    return margins


def _sparse_product(coef: Matrix) -> Callable[[SparseRows], Matrix]:
    # What X @ coef calls in the end; around it SciPy spends ten times as long on checks.
    from scipy.sparse import _sparsetools  # noqa: PLC0415 -- heavy import, loaded by scikit-learn

    dense = coef.ravel()
    width = len(coef)
    outputs = coef.shape[1] if coef.ndim == _MATRIX else 1

    def multiply(rows: SparseRows) -> Matrix:
        count = len(rows.ends) - 1
        product = np.zeros((count, outputs) if coef.ndim == _MATRIX else count)
        if outputs == 1:
            _sparsetools.csr_matvec(count, width, *rows, dense, product.ravel())
        else:
            _sparsetools.csr_matvecs(count, width, outputs, *rows, dense, product.ravel())
        return product

    return multiply


def _find_formula(model: Any, coef: Matrix, intercept: Matrix) -> Answer:
    """Return the formula of the probabilities: the one that gives what the model gives."""
    width = coef.shape[-1]
    # Rows whose scores are neither far from zero nor alike: there the formulas differ.
    wanted = np.random.default_rng(0).normal(size=(_PROBES, coef.reshape(-1, width).shape[0]))
    probes = np.linalg.lstsq(coef.reshape(-1, width), (wanted - intercept).T, rcond=None)[0].T
    scores = probes @ coef.T + intercept
    expected = model.predict_proba(probes)
    is_binary = _is_binary(coef)
    for formula in _FORMULAS_OF_TWO if is_binary else _FORMULAS_OF_MANY:
        given = formula(scores.ravel() if is_binary else scores)
        if given.shape == expected.shape and np.allclose(given, expected, rtol=1e-9, atol=1e-12):
            return formula
    message = f"{type(model).__name__} has probabilities by a formula that is not known here"
    raise Unsupported(message)


def _logistic(scores: Matrix) -> Matrix:
    from scipy.special import expit  # noqa: PLC0415 -- heavy import, loaded by scikit-learn

    return two_columns(expit(scores))


def _softmax_of_two(scores: Matrix) -> Matrix:
    return softmax(np.stack([-scores, scores], axis=1))


def _clipped(scores: Matrix) -> Matrix:
    return two_columns((np.clip(scores, -1, 1) + 1.0) / 2.0)


def _normalized_logistic(scores: Matrix) -> Matrix:
    from scipy.special import expit  # noqa: PLC0415 -- heavy import, loaded by scikit-learn

    return _normalize(expit(scores))


def _normalized_clipped(scores: Matrix) -> Matrix:
    return _normalize((np.clip(scores, -1, 1) + 1.0) / 2.0)


def _normalize(weights: Matrix) -> Matrix:
    total = weights.sum(axis=1)
    weights[total == 0, :] = 1
    total[total == 0] = weights.shape[1]
    weights /= total.reshape(-1, 1)
    return weights


def _is_binary(coef: Matrix) -> bool:
    return coef.ndim == 1 or len(coef) == 1


def _is_multilabel(model: Any) -> bool:
    binarizer = getattr(model, "_label_binarizer", None)
    return str(getattr(binarizer, "y_type_", "")).startswith("multilabel")


_FLAT_REGRESSORS = {"SGDRegressor", "LinearSVR"}
_FORMULAS_OF_TWO: tuple[Answer, ...] = (_logistic, _softmax_of_two, _clipped)
_FORMULAS_OF_MANY: tuple[Answer, ...] = (softmax, _normalized_logistic, _normalized_clipped)
