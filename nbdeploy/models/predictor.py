"""What can predict: one protocol, and the adapters that bring models to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from nbdeploy.exceptions import PredictionError, UnfittedModelError, UnsupportedModelError
from nbdeploy.models.adapters.libraries import adapter_of

__all__ = [
    "METHODS",
    "EstimatorPredictor",
    "FunctionPredictor",
    "Predictor",
    "is_of_scikit_learn",
    "predictor_for",
    "register_predictor",
]

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
    "apply",
)
"""The methods of scikit-learn that give one answer a row: those a model has become endpoints."""


@runtime_checkable
class Predictor(Protocol):
    """Whatever answers a batch of validated rows: a model here, in a replica, or an ensemble."""

    model_type: str
    """Name of the model's class."""

    methods: tuple[str, ...]
    """What it can be asked, a subset of `METHODS`, the first one being the usual."""

    classes: list[Any] | None
    """Labels in the order of the columns of ``predict_proba``; a list an output if several."""

    def call(self, method: str, batch: Any) -> Any:
        """Answer a batch, one answer a row, in order."""
        ...


class EstimatorPredictor:
    """A fitted scikit-learn estimator, or any object with ``predict`` that looks like one.

    Parameters
    ----------
    model
        The object; it is used as it is, not copied.

    Raises
    ------
    UnsupportedModelError
        If it has none of `METHODS`.
    UnfittedModelError
        If scikit-learn says that it was not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> predictor = EstimatorPredictor(LogisticRegression().fit([[0], [1]], ["no", "yes"]))
    >>> predictor.call("predict", [[3]]).tolist()
    ['yes']
    """

    def __init__(self, model: Any) -> None:
        _refuse_unfitted(model)
        self.model = model
        self.model_type = type(model).__name__
        self.methods = tuple(name for name in METHODS if callable(getattr(model, name, None)))
        if not self.methods:
            raise UnsupportedModelError(_what_it_is(model))
        self.classes = _classes(model)

    def call(self, method: str, batch: Any) -> Any:
        """Call the model's own method."""
        return getattr(self.model, method)(batch)


class FunctionPredictor:
    """A plain function of a batch.

    Parameters
    ----------
    function
        Takes the validated batch (a DataFrame or an array, shape ``[n, columns]``) and gives
        ``n`` answers.

    Examples
    --------
    >>> FunctionPredictor(lambda rows: [sum(row) for row in rows]).call("predict", [[1, 2], [3, 4]])
    [3, 7]
    """

    methods: tuple[str, ...] = ("predict",)
    classes: list[Any] | None = None

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.model = function
        self.model_type = getattr(function, "__name__", type(function).__name__)

    def call(self, method: str, batch: Any) -> Any:
        """Call the function."""
        if method != "predict":
            message = f"A function has no {method!r}; it only predicts."
            raise PredictionError(message)
        return self.model(batch)


_Factory = TypeVar("_Factory", bound=Callable[[Any], Predictor])
_registered: dict[type, Callable[[Any], Predictor]] = {}


def register_predictor(model_class: type) -> Callable[[_Factory], _Factory]:
    """Register how models of a class (and of its subclasses) predict.

    Parameters
    ----------
    model_class
        The class of the models.

    Returns
    -------
    decorator
        For a function or class that takes the model and gives a `Predictor`.

    Examples
    --------
    >>> class Constant:
    ...     def __init__(self, value): self.value = value
    >>> @register_predictor(Constant)
    ... class ConstantPredictor:
    ...     model_type, methods, classes = "Constant", ("predict",), None
    ...     def __init__(self, model): self.model = model
    ...     def call(self, method, batch): return [self.model.value] * len(batch)
    >>> predictor_for(Constant(7)).call("predict", [[1], [2]])
    [7, 7]
    """

    def register(factory: _Factory) -> _Factory:
        _registered[model_class] = factory
        return factory

    return register


def predictor_for(model: Any) -> Predictor:
    """Choose the adapter of a model by its type.

    Raises
    ------
    UnsupportedModelError
        If the object has nothing to predict with.
    UnfittedModelError
        If the model was not fitted.
    """
    for known in type(model).__mro__:
        if known in _registered:
            return _registered[known](model)
    adapter = adapter_of(model)
    if adapter is not None:
        return adapter.predictor(model)
    if isinstance(model, Predictor) and not inspect.isclass(model):
        return model
    if inspect.isroutine(model):
        return FunctionPredictor(model)
    # A DataFrame can transform and apply too: only with fit() or predict() is it a model.
    if inspect.isclass(model) or not (hasattr(model, "fit") or hasattr(model, "predict")):
        raise UnsupportedModelError(_what_it_is(model))
    return EstimatorPredictor(model)


def _refuse_unfitted(model: Any) -> None:
    if not hasattr(model, "fit"):
        return
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 -- only for estimators
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 -- only for estimators

    try:
        check_is_fitted(model)
    except NotFittedError:
        message = (
            f"This {type(model).__name__} was not fitted yet. "
            "Call model.fit(X, y) first, then deploy it."
        )
        raise UnfittedModelError(message) from None
    except TypeError:
        # check_is_fitted knows only scikit-learn's estimators; others tell when they predict.
        return


def is_of_scikit_learn(model: Any) -> bool:
    """Tell whether a model is made of scikit-learn's own code and of nothing else.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer, StandardScaler
    >>> is_of_scikit_learn(make_pipeline(StandardScaler()))
    True
    >>> is_of_scikit_learn(make_pipeline(FunctionTransformer(print)))
    False
    """
    if not type(model).__module__.startswith("sklearn.") or not hasattr(model, "get_params"):
        return False
    parts = model.get_params(deep=True).values()
    return all(
        _module_of(part).partition(".")[0] in {"sklearn", "numpy"}
        for part in parts
        if callable(part) or hasattr(part, "fit")
    )


def _module_of(part: Any) -> str:
    owner = part if inspect.isroutine(part) or inspect.isclass(part) else type(part)
    return getattr(owner, "__module__", None) or ""


def _what_it_is(model: Any) -> str:
    if inspect.isclass(model):
        return (
            f"{model.__name__} is a class, not a fitted model. "
            f"Make one and fit it: {model.__name__}(...).fit(X, y)."
        )
    return (
        f"An object of type {type(model).__name__!r} has no predict(). Expected a fitted model, "
        "a function of the rows, or the path of a saved model."
    )


def _classes(model: Any) -> list[Any] | None:
    try:
        classes = getattr(model, "classes_", None)
    except Exception:  # noqa: BLE001 -- a property of a foreign object may raise anything
        return None
    if isinstance(classes, np.ndarray):
        return list(classes.tolist())
    if isinstance(classes, (list, tuple)):
        return [item.tolist() if isinstance(item, np.ndarray) else item for item in classes]
    return None
