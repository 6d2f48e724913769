"""A new version answers what the live one answers, before anybody depends on it."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from nbdeploy.exceptions import NbdeployError, RehearsalError
from nbdeploy.models.equality import is_equal
from nbdeploy.serving.routing import Route

__all__ = ["REHEARSAL_ROWS", "Rehearsal", "few_of", "rehearse"]

REHEARSAL_ROWS = 32
"""Rows of the example that are kept for it, and no more."""

_REHEARSED = ("predict", "predict_proba")


@dataclass(frozen=True)
class Rehearsal:
    """How the first method of both went.

    Parameters
    ----------
    rows
        Rows that both answered.
    agreed
        Rows with equal answers.
    """

    rows: int
    agreed: int

    def __str__(self) -> str:
        """Say it in words; nothing if there was nothing to compare."""
        if not self.rows:
            return ""
        return f"it agreed with the version before on {self.agreed} of {self.rows} example rows"


def few_of(example: Any) -> Any:
    """Give a few rows from all over an example, apart from the rest; ``None`` if there are none.

    The first rows of a sorted table would all be of one kind.

    Examples
    --------
    >>> few_of(list(range(100)))[:4]
    [0, 4, 8, 12]
    """
    if not hasattr(example, "__getitem__") or not hasattr(example, "__len__"):
        return None
    if isinstance(example, dict) or not len(example):
        return None
    few = example[:: math.ceil(len(example) / REHEARSAL_ROWS)]
    # A view would keep all rows in memory, and show what is changed in them later.
    return few.copy() if hasattr(few, "copy") else few


def rehearse(
    new: Route, old: Route, example: Any = None, *, used: Collection[str] = ()
) -> Rehearsal:
    """Ask both versions the same rows, and refuse a new one that callers would notice.

    Parameters
    ----------
    new
        The version that shall answer.
    old
        The version that answers now.
    example
        Rows like those that come; the row that the signature makes up when ``None``.
    used
        Methods that were asked so far.

    Raises
    ------
    RehearsalError
        If the new version lacks a method that callers use, takes other rows, fails, or gives
        answers of another kind. The live version stays.
    """
    first = old.predictor.methods[0]
    for method in old.predictor.methods:
        if method not in new.predictor.methods and (method == first or method in used):
            raise _refused(new, old, f"it has no {method}(), which callers use")
    rows = [old.signature.example_row()] if example is None else example
    rehearsal = _compare(first, new, old, rows)
    for method in _REHEARSED:
        if method != first and method in old.predictor.methods and method in new.predictor.methods:
            _compare(method, new, old, rows)
    return rehearsal


def _compare(method: str, new: Route, old: Route, rows: Any) -> Rehearsal:
    try:
        before = old.answer(method, old.signature.validate(rows))
    except NbdeployError:
        # A made-up row may be one that the live version cannot take: it proves nothing.
        return Rehearsal(0, 0)
    try:
        after = new.answer(method, new.signature.validate(rows))
    except NbdeployError as error:
        why = f"{method}() of rows that the live version answers failed: {error}"
        raise _refused(new, old, why) from error
    for row, (ours, theirs) in enumerate(zip(after, before, strict=True)):
        if _kind(ours) != _kind(theirs):
            why = (
                f"{method}() of example row {row} is {_kind(ours)}, {str(ours)[:60]!r}, and was "
                f"{_kind(theirs)}, {str(theirs)[:60]!r}"
            )
            raise _refused(new, old, why)
    agreed = sum(is_equal(ours, theirs) for ours, theirs in zip(after, before, strict=True))
    return Rehearsal(len(before), agreed)


def _refused(new: Route, old: Route, why: str) -> RehearsalError:
    message = (
        f"{new.version!r} does not take traffic, {old.version!r} stays: {why.rstrip('.')}. "
        "To replace a model by one of another kind, call deploy() again under the same name."
    )
    return RehearsalError(message)


def _kind(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    if isinstance(value, (bool, int, float)):
        return "a number"
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
