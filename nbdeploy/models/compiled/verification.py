"""Proof that a compiled model answers as the plain one, before it is used."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.compiled.model import CompiledModel
from nbdeploy.models.compiled.readers import known_cells
from nbdeploy.models.compiled.trial_rows import generate_rows
from nbdeploy.models.equality import explain_difference
from nbdeploy.models.signature import Signature

__all__ = ["verify"]

_ROWS = 200
_MOST_WALKS = 20_000
_FEWEST_ROWS = 20


def verify(
    compiled: CompiledModel,
    model: Any,
    signature: Signature,
    example: Any = None,
    *,
    rows: int | None = None,
    seed: int = 0,
) -> str | None:
    """Compare a compiled model with the plain one, method by method.

    Parameters
    ----------
    compiled, model
        Both.
    signature
        What rows look like.
    example
        Rows as the model was fitted on; some are tried as they are, others changed a little.
    rows
        How many rows are tried; by default 200, fewer of large ensembles: well under 0.1 s.
    seed
        Of the generated rows.

    Returns
    -------
    str or None
        ``None`` if all answers are equal, each row alone and all in one batch; otherwise a sentence
        about the first difference.
    """
    few = max(_FEWEST_ROWS, _MOST_WALKS // max(compiled.head.walks, 1))
    count = min(_ROWS, few) if rows is None else rows
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        trial = generate_rows(
            signature,
            count=count,
            draw=np.random.default_rng(seed),
            example=example,
            known=known_cells(compiled.reader),
        )
        trial = _accepted(trial, signature)
        for method in compiled.methods:
            difference = _compare(compiled, model, signature, method, trial)
            if difference is not None:
                return f"{method}() of the compiled model differs: {difference}."
    return None


def _accepted(rows: list[Any], signature: Signature) -> list[Any]:
    try:
        signature.validate(rows)
    except SignatureError:
        return [row for row in rows if _is_accepted(row, signature)]
    return rows


def _is_accepted(row: Any, signature: Signature) -> bool:
    try:
        signature.validate([row])
    except SignatureError:
        return False
    return True


def _compare(
    compiled: CompiledModel, model: Any, signature: Signature, method: str, trial: list[Any]
) -> str | None:
    given = _given(signature, trial)
    alone = [compiled.call(method, given[place : place + 1]) for place in range(len(trial))]
    answers = [answer for answer in alone if answer is not None]
    answered = [row for row, answer in zip(trial, alone, strict=True) if answer is not None]
    if not answered:
        return f"it leaves all of {len(trial)} rows to the model"
    try:
        expected = getattr(model, method)(signature.validate(answered))
    except Exception as error:  # noqa: BLE001 -- a model may refuse rows with any error
        return f"the model refuses a row that it answers ({error!r:.200})"
    difference = _explain(np.concatenate(answers), expected, "row by row")
    for count in _batch_sizes(len(answered), compiled.turn):
        times = count // len(answered) + 1
        together = compiled.call(method, _given(signature, (answered * times)[:count]))
        if difference is None and together is not None:
            wanted = np.concatenate([expected] * times)[:count]
            difference = _explain(together, wanted, "in one batch")
    return difference


def _batch_sizes(rows: int, turn: int) -> set[int]:
    """Tell how many rows are tried at once, below a turn and above it."""
    return {min(rows, turn or rows), max(rows, turn + 1)}


def _given(signature: Signature, rows: list[Any]) -> Any:
    """Return rows as a compiled model takes them."""
    if signature.kind == "frame":
        return rows
    return np.asarray(signature.validate(rows), dtype=np.float64)


def _explain(actual: npt.NDArray[Any], expected: Any, how: str) -> str | None:
    if not isinstance(expected, np.ndarray) or actual.dtype != expected.dtype:
        return f"{actual.dtype} is not {getattr(expected, 'dtype', type(expected).__name__)}"
    difference = explain_difference(actual, expected)
    return None if difference is None else f"{how}, {difference}"
