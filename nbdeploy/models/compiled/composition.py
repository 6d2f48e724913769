"""Pipelines and column transformers, followed down to the steps they are made of."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from nbdeploy.models.compiled.features import Feature, Table
from nbdeploy.models.compiled.outcomes import Unsupported
from nbdeploy.models.compiled.transformers import TRANSFORMERS
from nbdeploy.models.predictor import METHODS

__all__ = ["find", "follow", "split_pipeline"]

_Handler = TypeVar("_Handler")

_PIPELINE = "sklearn.pipeline.Pipeline"
_SEARCHES = (
    "sklearn.model_selection.GridSearchCV",
    "sklearn.model_selection.RandomizedSearchCV",
)
_COLUMN_TRANSFORMER = "sklearn.compose.ColumnTransformer"


def find(estimator: Any, handlers: dict[str, _Handler]) -> _Handler:
    """Return the handler of the class of an estimator: the very class, no subclass.

    Raises
    ------
    Unsupported
        There is none, or the object has methods of its own.
    """
    patched = [name for name in METHODS if name in getattr(estimator, "__dict__", {})]
    if patched:
        message = f"{type(estimator).__name__}.{patched[0]} was replaced on this object"
        raise Unsupported(message)
    for name, handler in handlers.items():
        if _is_exactly(estimator, name):
            return handler
    raise Unsupported(_unknown(type(estimator)))


def split_pipeline(model: Any) -> tuple[Sequence[Any], Any]:
    """Return the steps before the last one, and the last one, of a pipeline or of what found it.

    Pipelines in pipelines are taken apart too. A search answers with the best estimator it found.
    """
    for search in _SEARCHES:
        if _is_exactly(model, search):
            find(model, {search: search})
            return split_pipeline(model.best_estimator_)
    if not _is_exactly(model, _PIPELINE):
        return (), model
    find(model, {_PIPELINE: _PIPELINE})
    steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
    if not steps:
        message = "the pipeline has no steps"
        raise Unsupported(message)
    before, last = split_pipeline(steps[-1])
    return (*steps[:-1], *before), last


def follow(transformers: Iterable[Any], table: Table) -> Table:
    """Return what comes out of transformers that stand one after the other.

    Raises
    ------
    Unsupported
        One of them cannot be compiled.
    """
    for transformer in transformers:
        table = _follow_one(transformer, table)
    return table


def _follow_one(transformer: Any, table: Table) -> Table:
    if isinstance(transformer, str) and transformer == "passthrough":
        return table
    if _is_exactly(transformer, _PIPELINE):
        before, last = split_pipeline(transformer)
        return follow((*before, last), table)
    handlers = TRANSFORMERS | {_COLUMN_TRANSFORMER: _column_transformer}
    handler = find(transformer, handlers)
    _refuse_other_containers(transformer)
    return handler(transformer, table)


def _column_transformer(transformer: Any, table: Table) -> Table:
    if transformer.transformer_weights:
        message = "ColumnTransformer(transformer_weights=...) cannot be compiled"
        raise Unsupported(message)
    features: list[Feature] = []
    for name, part, columns in transformer.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        if isinstance(columns, str):
            message = f"transformer {name!r} takes a single column as a series"
            raise Unsupported(message)
        places = transformer._transformer_to_input_indices[name]  # noqa: SLF001 -- the resolved columns
        chosen = Table(tuple(table.features[place] for place in places), sparse=table.sparse)
        if chosen.features:
            features.extend(_follow_one(part, chosen).features)
    return Table(tuple(features), sparse=bool(transformer.sparse_output_))


def _refuse_other_containers(transformer: Any) -> None:
    from sklearn.utils._set_output import (  # noqa: PLC0415 -- heavy import, loaded with the model
        _get_output_config,
    )

    if _get_output_config("transform", transformer)["dense"] != "default":
        message = f"{type(transformer).__name__} was told to give DataFrames (set_output)"
        raise Unsupported(message)


def _is_exactly(estimator: Any, name: str) -> bool:
    """Compare a class with the one of a public name, which is loaded if the object is one."""
    module, _, attribute = name.rpartition(".")
    return type(estimator) is getattr(sys.modules.get(module), attribute, object())


def _unknown(kind: type) -> str:
    known = next(
        (base for base in kind.__mro__[1:] if base.__module__.startswith("sklearn.")), None
    )
    if known is not None and not kind.__module__.startswith("sklearn."):
        return (
            f"{kind.__name__} is a class of its own; only scikit-learn's own classes are compiled"
        )
    return f"{kind.__name__} cannot be compiled"
