"""What a model's input and its predictions looked like when it was made: a baseline for drift."""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.exceptions import ServingError, SignatureError
from nbdeploy.models.columns import Kind, shorten
from nbdeploy.models.distributions import Distribution, learn_distribution
from nbdeploy.models.example import ArrayExample, Example, FrameExample, read_example
from nbdeploy.models.outputs import as_rows
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.signature import Signature

__all__ = [
    "FEWEST_ROWS",
    "Baseline",
    "Sample",
    "draw_sample",
    "learn_predictions",
    "predictions_of",
]

logger = logging.getLogger("nbdeploy")

FEWEST_ROWS = 30
"""Fewer rows say nothing about a distribution, and too much about themselves."""

_FORMAT = 1
_ROWS = 5_000
_CELLS = 200_000
_COLUMNS = 512
_PREDICTED_ROWS = 256
_TRIED_ROWS = 32
_TRIED_SECONDS = 0.5


@dataclass(frozen=True)
class Sample:
    """Some rows of an example, chosen by a generator that is always the same.

    Parameters
    ----------
    rows
        The rows, in one of the forms of an example.
    names
        The names of their columns.
    """

    rows: Example = field(repr=False)
    names: tuple[str, ...]

    def cells(self, place: int, key: Any) -> Any:
        """Return the cells of a column, by its name or else its place."""
        if isinstance(self.rows, FrameExample):
            frame = self.rows.frame
            return frame[key] if key in frame.columns else frame.iloc[:, place]
        if isinstance(self.rows, ArrayExample):
            return self.rows.array[:, place]
        return self.rows.cells

    def few(self) -> Any:
        """Return at most 256 of the rows, a copy, as a model's signature takes them."""
        size = len(self.rows)
        places = np.sort(_drawn(size, min(size, _PREDICTED_ROWS)))
        taken = _taken(self.rows, places)
        if isinstance(taken, FrameExample):
            return taken.frame
        return taken.array if isinstance(taken, ArrayExample) else taken.cells.tolist()


@dataclass(frozen=True, repr=False)
class Baseline:
    """How the columns of a model's input, and its predictions, were distributed.

    It holds counts, quantiles and common values of at most 5,000 rows and 512 columns, and no row.
    A value of text is in it only if several rows had it; texts that hardly repeat are known by
    their length. Being no row, it is kept whatever ``store_example`` says.

    Parameters
    ----------
    columns
        One distribution a column, in the order of the signature.
    predictions
        That of the predictions; ``None`` where they are not known.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": range(100), "kind": ["a", "b", "b", "b"] * 25})
    >>> baseline = Baseline.learn(Signature.learn(example=frame), frame)
    >>> baseline
    Baseline(100 rows, 2 columns)
    >>> baseline.columns[1].categories, baseline.columns[1].counts
    (('b', 'a'), (0, 75, 25, 0))
    """

    columns: tuple[Distribution, ...]
    predictions: Distribution | None = None

    @classmethod
    def learn(
        cls,
        signature: Signature,
        example: Any,
        *,
        predict: Callable[[Any], Sequence[Any]] | None = None,
    ) -> Baseline | None:
        """Learn from an example.

        Parameters
        ----------
        signature
            What the rows look like.
        example
            Rows that the model was fitted on; of many, 5,000 are drawn, always the same ones.
        predict
            Gives one prediction a row, to know how they are distributed; at most 256 are asked.

        Returns
        -------
        Baseline or None
            ``None`` where there are fewer than 30 rows, or the example has other columns.
        """
        sample = draw_sample(signature, example)
        if sample is None:
            return None
        baseline = cls.of_sample(signature, sample)
        if predict is None:
            return baseline
        return baseline.with_predictions(learn_predictions(sample.few(), predict))

    @classmethod
    def of_sample(cls, signature: Signature, sample: Sample) -> Baseline:
        """Learn from rows that were drawn; see `draw_sample`."""
        return cls(
            tuple(
                learn_distribution(column.name, sample.cells(place, column.key), column.kind)
                for place, column in enumerate(signature.columns[:_COLUMNS])
            )
        )

    def with_predictions(self, predictions: Distribution | None) -> Baseline:
        """Return the same with other predictions."""
        return replace(self, predictions=predictions)

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self.columns[0].size

    def fits(self, signature: Signature) -> bool:
        """Tell whether it is one of the columns of a signature."""
        names = signature.names[:_COLUMNS]
        return tuple(column.name for column in self.columns) == names

    def to_dict(self) -> dict[str, Any]:
        """Return the baseline as JSON values."""
        predictions = self.predictions
        return {
            "format": _FORMAT,
            "columns": [column.to_dict() for column in self.columns],
            "predictions": None if predictions is None else predictions.to_dict(),
        }

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Baseline:
        """Return the baseline that ``to_dict`` wrote.

        Raises
        ------
        SignatureError
            A newer nbdeploy wrote it, or it is no baseline.
        """
        try:
            if written["format"] != _FORMAT or not written["columns"]:
                message = f"format {written['format']!r}, expected {_FORMAT}"
                raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
            predictions = written["predictions"]
            return cls(
                tuple(Distribution.from_dict(column) for column in written["columns"]),
                None if predictions is None else Distribution.from_dict(predictions),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            message = (
                f"This is no baseline: {shorten(error)}. Save the model again with example=, or "
                "install the nbdeploy that wrote it."
            )
            raise SignatureError(message) from error

    def __repr__(self) -> str:
        known = "" if self.predictions is None else ", predictions"
        return f"Baseline({self.rows} rows, {len(self.columns)} columns{known})"


def draw_sample(signature: Signature, example: Any) -> Sample | None:
    """Draw the rows that a baseline is learned from, by a seed that is always the same.

    Parameters
    ----------
    signature
        What the rows look like.
    example
        A DataFrame, an array, a list of rows or of texts.

    Returns
    -------
    Sample or None
        ``None`` where there are fewer than 30 rows, or other columns than the signature's.
    """
    try:
        read = read_example(example, names=signature.names)
    except SignatureError:
        return None
    if len(read) < FEWEST_ROWS or _width_of(read) != signature.width:
        return None
    limit = max(FEWEST_ROWS * 10, min(_ROWS, _CELLS // signature.width))
    if len(read) > limit:
        read = _taken(read, np.sort(_drawn(len(read), limit)))
    return Sample(read, signature.names)


def _drawn(size: int, wanted: int) -> npt.NDArray[np.int64]:
    # A seed of its own: the same example gives the same baseline. Not every n-th row, which could
    # fall in with an order of the rows.
    return np.random.default_rng(0).choice(size, wanted, replace=False, shuffle=False)


def _width_of(read: Example) -> int:
    if isinstance(read, FrameExample):
        return read.frame.shape[1]
    return read.array.shape[1] if isinstance(read, ArrayExample) else 1


def _taken(read: Example, places: npt.NDArray[np.int64]) -> Example:
    if isinstance(read, FrameExample):
        return FrameExample(read.frame.take(places))
    if isinstance(read, ArrayExample):
        return ArrayExample(read.array[places])
    return replace(read, cells=read.cells.take(places))


def learn_predictions(
    rows: Any,
    predict: Callable[[Any], Sequence[Any]],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Distribution | None:
    """Learn how predictions are distributed.

    Parameters
    ----------
    rows
        What `Sample.few` gives.
    predict
        Gives one prediction a row.
    clock
        Gives seconds that never go back.

    Returns
    -------
    Distribution or None
        ``None`` where the model cannot predict them, needs more than half a second for 32 rows,
        or predicts neither numbers nor labels.
    """
    try:
        with warnings.catch_warnings():
            # What a model warns of, it warned of when it was fitted.
            warnings.simplefilter("ignore")
            began = clock()
            predict(rows[:_TRIED_ROWS])
            if clock() - began > _TRIED_SECONDS:
                return None
            predictions = list(predict(rows))
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- as the next line says
        # Code of a model may raise anything, and call exit().
        logger.debug("The example was not predicted: %s", error)
        return None
    return _of_predictions(predictions)


def predictions_of(model: Any, signature: Signature) -> Callable[[Any], Sequence[Any]] | None:
    """Return what predicts rows of an example, without a trace that it was asked.

    Parameters
    ----------
    model
        A fitted model, or a function of the rows.
    signature
        What its rows look like.

    Returns
    -------
    function or None
        ``None`` for what does not predict, or asks somebody else over a network.
    """
    try:
        predictor = predictor_for(model)
        parts = model.parts if hasattr(predictor, "member_report") else ()
        if any(map(_is_elsewhere, [predictor, *(part.predictor for part in parts)])):
            return None
        if parts:
            # An ensemble counts what it is asked; its copy counts for itself.
            predictor = predictor_for(copy.copy(model))
    except ServingError:
        return None
    if "predict" not in predictor.methods:
        return None

    def predict(rows: Any) -> Sequence[Any]:
        return as_rows(predictor.call("predict", signature.validate(rows)), rows=len(rows))

    return predict


def _is_elsewhere(predictor: Any) -> bool:
    return bool(getattr(predictor, "is_elsewhere", False))


def _of_predictions(predictions: list[Any]) -> Distribution | None:
    if len(predictions) < FEWEST_ROWS:
        return None
    present = [each for each in predictions if each is not None]
    if not all(isinstance(each, (str, int, float)) for each in present):
        return None
    is_number = bool(present) and all(type(each) is float for each in present)
    kind: Kind = "float" if is_number else "category"
    return learn_distribution("prediction", pd.Series(predictions, dtype=object), kind)
