"""What each transformer of scikit-learn does to the features that come in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from nbdeploy.models.compiled.encoders import one_hot_encoder, ordinal_encoder
from nbdeploy.models.compiled.features import (
    Feature,
    Number,
    Step,
    Table,
    Text,
    add_step,
)
from nbdeploy.models.compiled.outcomes import Unsupported

__all__ = ["TRANSFORMERS", "Trace"]

Trace: TypeAlias = Callable[[Any, Table], Table]


def standard_scaler(scaler: Any, table: Table) -> Table:
    """Follow a StandardScaler."""
    center = scaler.mean_ if scaler.with_mean and not table.sparse else None
    return _scale(table, center, scaler.scale_ if scaler.with_std else None)


def robust_scaler(scaler: Any, table: Table) -> Table:
    """Follow a RobustScaler."""
    center = scaler.center_ if scaler.with_centering and not table.sparse else None
    return _scale(table, center, scaler.scale_ if scaler.with_scaling else None)


def max_abs_scaler(scaler: Any, table: Table) -> Table:
    """Follow a MaxAbsScaler."""
    table = _scale(table, None, scaler.scale_)
    return _clip(table, -1.0, 1.0) if getattr(scaler, "clip", False) else table


def min_max_scaler(scaler: Any, table: Table) -> Table:
    """Follow a MinMaxScaler."""
    _refuse_sparse(scaler, table)
    table = _step_each(table, "multiply", scaler.scale_)
    table = _step_each(table, "add", scaler.min_)
    return _clip(table, *map(float, scaler.feature_range)) if scaler.clip else table


def simple_imputer(imputer: Any, table: Table) -> Table:
    """Follow a SimpleImputer."""
    _refuse_sparse(imputer, table)
    if not _is_nan(imputer.missing_values):
        message = f"SimpleImputer(missing_values={imputer.missing_values!r}) cannot be compiled"
        raise Unsupported(message)
    statistics = imputer.statistics_.tolist()
    if any(map(_is_nan, statistics)) and not imputer.keep_empty_features:
        message = "SimpleImputer drops a column that had no value at all"
        raise Unsupported(message)
    filled = [_fill(*pair) for pair in zip(table.features, statistics, strict=True)]
    return Table((*filled, *_flags(imputer, table)))


def function_transformer(transformer: Any, table: Table) -> Table:
    """Follow what "passthrough" becomes in a fitted ColumnTransformer."""
    function = transformer.func
    # The second is how histogram gradient boosting hands on its numeric columns.
    is_identity = function is None or getattr(function, "func", None) is _check_array()
    if transformer.validate or not is_identity:
        message = "FunctionTransformer calls a function of its own"
        raise Unsupported(message)
    return table


def _check_array() -> object:
    from sklearn.utils.validation import check_array  # noqa: PLC0415 -- heavy import, loaded by then

    return check_array


def _scale(table: Table, center: Any, scale: Any) -> Table:
    if center is not None:
        table = _step_each(table, "subtract", center)
    if scale is None:
        return table
    if table.sparse:
        return _step_each(table, "multiply", 1.0 / scale)
    return _step_each(table, "divide", scale)


def _clip(table: Table, low: float, high: float) -> Table:
    width = len(table.features)
    return _step_each(_step_each(table, "at_least", [low] * width), "at_most", [high] * width)


def _step_each(table: Table, operation: Any, operands: Iterable[float]) -> Table:
    features = tuple(
        add_step(feature, Step(operation, float(operand)))
        for feature, operand in zip(table.features, operands, strict=True)
    )
    return replace(table, features=features)


def _fill(feature: Feature, value: Any) -> Feature:
    if isinstance(feature, Text):
        return replace(feature, missing=value) if _is_nan(feature.missing) else feature
    if isinstance(feature, Number) and isinstance(value, str):
        raise Unsupported("SimpleImputer puts text into a column of numbers")  # noqa: EM101, TRY003 -- a reason
    return add_step(feature, Step("fill", float(value)))


def _flags(imputer: Any, table: Table) -> Sequence[Feature]:
    if not imputer.add_indicator:
        return ()
    flagged = [table.features[place] for place in imputer.indicator_.features_]
    return [add_step(feature, Step("flag")) for feature in flagged]


def _refuse_sparse(transformer: Any, table: Table) -> None:
    if table.sparse:
        message = f"{type(transformer).__name__} comes after a sparse matrix"
        raise Unsupported(message)


def _is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and math.isnan(value)


TRANSFORMERS: dict[str, Trace] = {
    "sklearn.preprocessing.StandardScaler": standard_scaler,
    "sklearn.preprocessing.RobustScaler": robust_scaler,
    "sklearn.preprocessing.MaxAbsScaler": max_abs_scaler,
    "sklearn.preprocessing.MinMaxScaler": min_max_scaler,
    "sklearn.preprocessing.OneHotEncoder": one_hot_encoder,
    "sklearn.preprocessing.OrdinalEncoder": ordinal_encoder,
    "sklearn.preprocessing.FunctionTransformer": function_transformer,
    "sklearn.impute.SimpleImputer": simple_imputer,
}
"""How to follow each transformer, by its public name."""
