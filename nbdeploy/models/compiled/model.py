"""Models compiled to the arithmetic that is left when every check was made before."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.boosting import (
    gradient_boosting_classifier,
    gradient_boosting_regressor,
    hist_gradient_boosting_classifier,
    hist_gradient_boosting_regressor,
)
from nbdeploy.models.compiled.composition import find, follow, split_pipeline
from nbdeploy.models.compiled.features import Number, Table, as_number, feature_of
from nbdeploy.models.compiled.heads import Head, Situation
from nbdeploy.models.compiled.linear import linear_classifier, linear_regressor
from nbdeploy.models.compiled.outcomes import Declined, Unanswerable, Unsupported
from nbdeploy.models.compiled.readers import Reader, reader_for
from nbdeploy.models.compiled.trees import tree_classifier, tree_regressor
from nbdeploy.models.signature import Signature

__all__ = ["CompiledModel", "compile_model"]

_log = logging.getLogger("nbdeploy")

_REFUSALS = (Unanswerable, ArithmeticError, LookupError, TypeError, ValueError)
"""What a cell ends in that no compiled feature takes: the plain model says what is wrong."""

_Compile = Callable[[Any, Situation], Head]

_HEADS: dict[str, _Compile] = {
    **{
        f"sklearn.linear_model.{name}": linear_classifier
        for name in (
            "LogisticRegression",
            "LogisticRegressionCV",
            "RidgeClassifier",
            "RidgeClassifierCV",
            "SGDClassifier",
            "Perceptron",
        )
    },
    **{
        f"sklearn.linear_model.{name}": linear_regressor
        for name in (
            "LinearRegression",
            "Ridge",
            "RidgeCV",
            "Lasso",
            "LassoCV",
            "ElasticNet",
            "ElasticNetCV",
            "SGDRegressor",
        )
    },
    "sklearn.svm.LinearSVC": linear_classifier,
    "sklearn.svm.LinearSVR": linear_regressor,
    "sklearn.tree.DecisionTreeClassifier": tree_classifier,
    "sklearn.tree.DecisionTreeRegressor": tree_regressor,
    "sklearn.tree.ExtraTreeClassifier": tree_classifier,
    "sklearn.tree.ExtraTreeRegressor": tree_regressor,
    "sklearn.ensemble.RandomForestClassifier": tree_classifier,
    "sklearn.ensemble.RandomForestRegressor": tree_regressor,
    "sklearn.ensemble.ExtraTreesClassifier": tree_classifier,
    "sklearn.ensemble.ExtraTreesRegressor": tree_regressor,
    "sklearn.ensemble.GradientBoostingClassifier": gradient_boosting_classifier,
    "sklearn.ensemble.GradientBoostingRegressor": gradient_boosting_regressor,
    "sklearn.ensemble.HistGradientBoostingClassifier": hist_gradient_boosting_classifier,
    "sklearn.ensemble.HistGradientBoostingRegressor": hist_gradient_boosting_regressor,
}


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """A model without its checks, for rows that a signature has validated.

    Parameters
    ----------
    reader
        From rows to features.
    head
        From features to answers.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    >>> compiled = compile_model(model, Signature.learn(model))
    >>> compiled.call("predict", np.array([[2.0]]))
    array([5.])
    """

    reader: Reader
    head: Head

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the model that it answers."""
        return tuple(self.head.answers)

    @property
    def limit(self) -> int:
        """Above so many rows the plain model is faster."""
        return min(self.reader.limit, self.head.limit)

    @property
    def turn(self) -> int:
        """Above so many rows they are answered another way, to be verified too."""
        return max(self.reader.turn, self.head.turn)

    def call(self, method: str, rows: Any) -> npt.NDArray[Any] | None:
        """Answer rows as the model would, or leave them to it.

        Parameters
        ----------
        method
            One of `methods`.
        rows
            At least one validated row: sequences of plain cells in the order of the columns,
            ``None`` where one is missing; or, if all are numbers, an array of float64, shape
            ``[n, columns]``, with NaN there.

        Returns
        -------
        NDArray or None
            What the method of the model returns; ``None`` if the model itself must be asked,
            because it may refuse a row, or because rounding could decide.
        """
        try:
            return self.head.answers[method](self.reader.read(rows))
        except _REFUSALS:
            return None


def compile_model(model: Any, signature: Signature) -> CompiledModel | Declined:
    """Compile a fitted model of scikit-learn, if that is known to give the same answers.

    Parameters
    ----------
    model
        A fitted estimator or pipeline. Only scikit-learn's own classes are compiled, no subclasses.
    signature
        What its rows look like.

    Returns
    -------
    CompiledModel or Declined
        The reason is in the second.
    """
    try:
        with warnings.catch_warnings():
            # Encoders are asked about unknown categories here, on purpose.
            warnings.simplefilter("ignore")
            return _compile(model, signature)
    except Unsupported as reason:
        return Declined(f"{reason}.")
    except Exception as error:  # noqa: BLE001 -- whatever a model holds, it still answers itself
        _log.debug("Compiling a %s failed", type(model).__name__, exc_info=True)
        return Declined(f"{type(model).__name__} is not as expected: {error!r:.200}.")


def _compile(model: Any, signature: Signature) -> CompiledModel:
    transformers, last = split_pipeline(model)
    compile_head = _head_of(last)
    given = _input_of(model, signature)
    table = follow((*transformers, *_transformers_in(last)), given)
    table = replace(table, features=tuple(map(as_number, table.features)))
    if not _is_transformer(last) and last.n_features_in_ != len(table.features):
        message = f"{last.n_features_in_} features were expected, {len(table.features)} found"
        raise Unsupported(message)
    situation = Situation(
        table=table,
        nullable=any(column.nullable for column in signature.columns),
        rounded_alike=signature.kind == "array" and _is_in_order(table),
    )
    head = compile_head(last, situation)
    reader = reader_for(
        table,
        is_numeric=all(isinstance(feature, Number) for feature in given.features),
        width=signature.width,
        as_sparse=head.as_sparse,
    )
    return CompiledModel(reader, head)


def _head_of(last: Any) -> _Compile:
    return _transform if _is_transformer(last) else find(last, _HEADS)


def _transformers_in(last: Any) -> list[Any]:
    """Return what transforms rows in the last step: itself, or what it has inside."""
    if _is_transformer(last):
        return [last]
    # Histogram gradient boosting that knows categories begins with a column transformer.
    inner = getattr(last, "_preprocessor", None)
    return [] if inner is None else [inner]


def _is_transformer(step: Any) -> bool:
    return hasattr(step, "transform") and not hasattr(step, "predict")


def _transform(_: object, situation: Situation) -> Head:
    if situation.table.sparse:
        message = "transform() gives a sparse matrix"
        raise Unsupported(message)
    return Head({"transform": np.array})


def _is_in_order(table: Table) -> bool:
    places = [getattr(feature, "place", None) for feature in table.features]
    return places == list(range(len(places)))


def _input_of(model: Any, signature: Signature) -> Table:
    if signature.kind == "values":
        message = "each row is a single value"
        raise Unsupported(message)
    if signature.kind == "array" and np.dtype(signature.dtype).kind not in "fiub":
        message = f"the input is an array of {signature.dtype}"
        raise Unsupported(message)
    names = getattr(model, "feature_names_in_", None)
    if names is not None and list(names) != [column.key for column in signature.columns]:
        message = "the columns of the signature are not those of the model"
        raise Unsupported(message)
    if model.n_features_in_ != signature.width:
        message = f"the signature has {signature.width} columns, the model {model.n_features_in_}"
        raise Unsupported(message)
    return Table(tuple(map(feature_of, signature.columns, range(signature.width))))
