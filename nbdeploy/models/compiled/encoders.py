"""Encoders, tabulated: the fitted encoder itself is asked about every category it knows.

So whatever an encoder was told to do (drop a category, gather the rare ones, tolerate the unknown)
comes out as scikit-learn does it, in every version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.models.compiled.features import (
    Code,
    Domain,
    Feature,
    Number,
    Opaque,
    Table,
    Text,
)
from nbdeploy.models.compiled.outcomes import Unsupported

__all__ = ["one_hot_encoder", "ordinal_encoder"]

_MOST_CATEGORIES = 20_000
_UNKNOWN_TEXT = "\x00no category of any column\x00"


def one_hot_encoder(encoder: Any, table: Table) -> Table:
    """Follow a OneHotEncoder."""
    domains = _domains(encoder, table)
    widths = encoder._n_features_outs  # noqa: SLF001 -- no public name tells it
    owners = [domain for domain, width in zip(domains, widths, strict=True) for _ in range(width)]
    entries: list[dict[int, float]] = [{} for _ in owners]
    encoded = encoder.transform(_probes(encoder))
    encoded = encoded.tocoo() if encoder.sparse_output else _as_coordinates(encoded)
    for probe, place, value in zip(encoded.row, encoded.col, encoded.data, strict=True):
        if probe < owners[place].size:
            entries[place][int(probe)] = float(value)
    features = [Code(domain, 0.0, hot) for domain, hot in zip(owners, entries, strict=True)]
    return Table(tuple(features), sparse=encoder.sparse_output)


def ordinal_encoder(encoder: Any, table: Table) -> Table:
    """Follow an OrdinalEncoder."""
    domains = _domains(encoder, table)
    encoded = encoder.transform(_probes(encoder))
    features = [
        Code(domain, 0.0, dict(enumerate(encoded[: domain.size, place].tolist())))
        for place, domain in enumerate(domains)
    ]
    return Table(tuple(features))


def _as_coordinates(matrix: npt.NDArray[Any]) -> Any:
    from scipy.sparse import coo_matrix  # noqa: PLC0415 -- heavy import, loaded by scikit-learn

    return coo_matrix(matrix)


def _domains(encoder: Any, table: Table) -> list[Domain]:
    if table.sparse:
        message = f"{type(encoder).__name__} comes after a sparse matrix"
        raise Unsupported(message)
    if np.dtype(encoder.dtype) not in {np.dtype("float64"), np.dtype("int64")}:
        message = f"{type(encoder).__name__} answers in {np.dtype(encoder.dtype)}"
        raise Unsupported(message)
    known = [categories.tolist() for categories in encoder.categories_]
    if sum(map(len, known)) > _MOST_CATEGORIES:
        message = f"{type(encoder).__name__} knows more than {_MOST_CATEGORIES:,} categories"
        raise Unsupported(message)
    tolerant = encoder.handle_unknown != "error"
    return [
        _domain(feature, categories, tolerant=tolerant)
        for feature, categories in zip(table.features, known, strict=True)
    ]


def _domain(feature: Feature, categories: Sequence[Any], *, tolerant: bool) -> Domain:
    unknown = len(categories) if tolerant else None
    missing = _place_of(_missing_in(feature), categories)
    keys = {value: place for place, value in enumerate(categories) if not _is_missing(value)}
    assert isinstance(feature, (Number, Text))
    return Domain(
        place=feature.place,
        size=len(categories) + tolerant,
        keys=keys,
        missing=unknown if missing is None else missing,
        unknown=unknown,
        is_float=isinstance(feature, Number) and feature.is_float,
    )


def _missing_in(feature: Feature) -> object:
    """Return what the encoder finds where a cell is missing."""
    if isinstance(feature, Text):
        return feature.missing
    if isinstance(feature, Opaque):
        raise Unsupported(feature.reason)
    if isinstance(feature, Code) or any(step.operation != "fill" for step in feature.steps):
        message = "an encoder comes after a scaler or another encoder"
        raise Unsupported(message)
    return feature.steps[0].operand if feature.steps else math.nan


def _place_of(value: object, categories: Sequence[Any]) -> int | None:
    for place, category in enumerate(categories):
        if category is value or category == value or (_is_nan(category) and _is_nan(value)):
            return place
    return None


def _probes(encoder: Any) -> npt.NDArray[Any]:
    """Return rows that show every category of every column, and one that is unknown to each."""
    known = [categories.tolist() for categories in encoder.categories_]
    tolerant = encoder.handle_unknown != "error"
    probes = np.empty((max(map(len, known)) + tolerant, len(known)), dtype=object)
    for place, categories in enumerate(known):
        probes[:, place] = [categories[0]] * len(probes)
        probes[: len(categories), place] = categories
        if tolerant:
            probes[len(categories), place] = _stranger(categories)
    return probes


def _stranger(categories: Sequence[Any]) -> Any:
    if any(isinstance(category, str) for category in categories):
        return _UNKNOWN_TEXT
    numbers = [category for category in categories if not _is_missing(category)]
    return float(max(numbers, default=0.0)) + 1.0


def _is_missing(value: object) -> bool:
    return value is None or _is_nan(value)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
