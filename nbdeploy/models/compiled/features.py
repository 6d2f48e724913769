"""What a transformer makes of a row, traced back to the cells: each feature is of one cell.

Scalers, imputers and encoders look at each column alone. So whatever stands before the last step
of a pipeline comes down to one small function a feature, of one cell: arithmetic of a number, or a
table of all that a category can become. Nothing is computed here; ``readers`` does that.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.models.columns import Column
from nbdeploy.models.compiled.outcomes import Unsupported

__all__ = [
    "Code",
    "Domain",
    "Feature",
    "Number",
    "Opaque",
    "Step",
    "Table",
    "Text",
    "add_step",
    "as_number",
    "feature_of",
]

Operation = Literal["subtract", "divide", "multiply", "add", "at_least", "at_most", "fill", "flag"]

_SINGLE = {"float16", "float32", "Float32", "longdouble", "float128"}
# scikit-learn itself turns these into floats with NaN.
_MASKED = {f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)} | {"Float64"}


@dataclass(frozen=True)
class Step:
    """One operation of a number, in the order and with the rounding of scikit-learn.

    Parameters
    ----------
    operation
        ``"fill"`` puts the operand in the place of NaN, ``"flag"`` is 1 for NaN and 0 otherwise.
    operand
        The second number.
    """

    operation: Operation
    operand: float = 0.0

    @property
    def scalar(self) -> Callable[[float, float], float]:
        """The operation of two numbers."""
        return _SCALARS[self.operation]

    @property
    def vector(self) -> Callable[[npt.NDArray[np.float64], Any], npt.NDArray[np.float64]]:
        """The operation of two arrays."""
        return _VECTORS[self.operation]


@dataclass(frozen=True)
class Number:
    """A numeric cell and what is done to it, one step after the other.

    Parameters
    ----------
    place
        Index of the cell in the row.
    steps
        What is done to it.
    is_float
        The model sees floats, even where a cell is a whole number.
    """

    place: int
    steps: tuple[Step, ...] = ()
    is_float: bool = False


@dataclass(frozen=True)
class Text:
    """A cell that only an imputer or an encoder can take.

    Parameters
    ----------
    place
        Index of the cell in the row.
    missing
        What a missing cell is by now: NaN, ``None``, or what an imputer put there.
    may_be_number
        Nobody knows whether it is text: the signature was learned without an example.
    """

    place: int
    missing: object = math.nan
    may_be_number: bool = False


@dataclass(frozen=True, eq=False)
class Domain:
    """All that an encoder tells apart in one cell.

    Parameters
    ----------
    place
        Index of the cell in the row.
    size
        How many things it tells apart.
    keys
        The number of each category.
    missing, unknown
        The number of a missing cell, and of one that is no category; ``None`` if the model would
        refuse it.
    is_float
        Categories are floats, and so is every cell.
    """

    place: int
    size: int
    keys: Mapping[Any, int]
    missing: int | None
    unknown: int | None
    is_float: bool = False


@dataclass(frozen=True, eq=False)
class Code:
    """A number that stands for what an encoder found in a cell.

    Parameters
    ----------
    domain
        What it may find.
    default
        The number of most of it.
    exceptions
        The numbers of the rest: of a one-hot feature there is one, whatever the categories.
    """

    domain: Domain
    default: float
    exceptions: Mapping[int, float]


@dataclass(frozen=True)
class Opaque:
    """A cell that a compiled model can only ignore; the reason tells why."""

    reason: str


Feature: TypeAlias = Number | Text | Code | Opaque


@dataclass(frozen=True)
class Table:
    """What stands between two steps of a pipeline.

    Parameters
    ----------
    features
        One for each column.
    sparse
        scikit-learn would hold it as a sparse matrix, which is scaled and multiplied differently.
    """

    features: tuple[Feature, ...]
    sparse: bool = False


def feature_of(column: Column, place: int) -> Feature:
    """Return what a step finds in a column of the signature."""
    if column.kind == "datetime":
        return Opaque(f"column {column.name!r} holds dates")
    if column.dtype in _SINGLE:
        return Opaque(f"column {column.name!r} holds {column.dtype}")
    if column.kind in {"float", "int", "bool"} or column.dtype == "number":
        if column.nullable and column.missing != "nan" and column.dtype not in _MASKED:
            return Opaque(_marked(column))
        return Number(place, is_float=column.kind == "float")
    if column.nullable and column.missing not in {"nan", "none"}:
        return Opaque(_marked(column))
    missing = None if column.missing == "none" else math.nan
    return Text(place, missing, may_be_number=column.kind == "any" and not column.dtype)


def _marked(column: Column) -> str:
    return f"column {column.name!r} marks missing values with {column.missing}"


def add_step(feature: Feature, step: Step) -> Feature:
    """Return a feature with one more step.

    Raises
    ------
    Unsupported
        The feature is no number.
    """
    number = as_number(feature)
    if isinstance(number, Number):
        return replace(number, steps=(*number.steps, step))
    return Code(
        number.domain,
        step.scalar(number.default, step.operand),
        {key: step.scalar(value, step.operand) for key, value in number.exceptions.items()},
    )


def as_number(feature: Feature) -> Number | Code:
    """Return a feature that arithmetic can take.

    Raises
    ------
    Unsupported
        There is none.
    """
    if isinstance(feature, (Number, Code)):
        return feature
    if isinstance(feature, Opaque):
        raise Unsupported(feature.reason)
    missing = feature.missing
    if not feature.may_be_number or not isinstance(missing, (int, float)):
        message = f"text in column {feature.place} goes where numbers are expected"
        raise Unsupported(message)
    # Text in such a cell cannot be computed with, and so is left to the model.
    filled = () if math.isnan(missing) else (Step("fill", float(missing)),)
    return Number(feature.place, filled)


def _at_least(value: float, bound: float) -> float:
    return max(value, bound)


def _at_most(value: float, bound: float) -> float:
    return min(value, bound)


def _fill(value: float, filling: float) -> float:
    return filling if value != value else value  # noqa: PLR0124 -- only NaN is not itself


def _flag(value: float, _: float) -> float:
    return 1.0 if value != value else 0.0  # noqa: PLR0124 -- only NaN is not itself


def _fill_all(values: npt.NDArray[np.float64], filling: Any) -> npt.NDArray[np.float64]:
    return np.where(np.isnan(values), filling, values)


def _flag_all(values: npt.NDArray[np.float64], _: object) -> npt.NDArray[np.float64]:
    return np.isnan(values).astype(np.float64)


_SCALARS: dict[Operation, Callable[[float, float], float]] = {
    "subtract": operator.sub,
    "divide": operator.truediv,
    "multiply": operator.mul,
    "add": operator.add,
    "at_least": _at_least,
    "at_most": _at_most,
    "fill": _fill,
    "flag": _flag,
}
_VECTORS: dict[Operation, Callable[..., Any]] = {
    "subtract": np.subtract,
    "divide": np.divide,
    "multiply": np.multiply,
    "add": np.add,
    "at_least": np.maximum,
    "at_most": np.minimum,
    "fill": _fill_all,
    "flag": _flag_all,
}
