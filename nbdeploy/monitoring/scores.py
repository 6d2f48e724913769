"""How good predictions were, once the truth about them is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from nbdeploy.exceptions import SignatureError

__all__ = [
    "ABSOLUTE_ERROR",
    "ACCURACY",
    "METRICS",
    "Metric",
    "Scores",
    "metric_for",
    "scored",
]


@dataclass(frozen=True)
class Metric:
    """What the score of a row means.

    Parameters
    ----------
    name
        What people call its mean.
    higher_is_better
        Which way is good.
    of_row
        Scores a prediction by the truth.
    """

    name: str
    higher_is_better: bool
    of_row: Callable[[Any, Any], float]

    @property
    def is_share(self) -> bool:
        """Whether a row is right or wrong and nothing between."""
        return self is ACCURACY


def _is_right(prediction: Any, truth: Any) -> float:
    return float(prediction == truth)


def _distance(prediction: Any, truth: Any) -> float:
    return abs(float(prediction) - float(truth))


ACCURACY = Metric("accuracy", higher_is_better=True, of_row=_is_right)
ABSOLUTE_ERROR = Metric("absolute error", higher_is_better=False, of_row=_distance)
METRICS = (ACCURACY, ABSOLUTE_ERROR)


def metric_for(predictions: Sequence[Any], *, has_classes: bool) -> Metric:
    """Choose what predictions are judged by: labels are right or wrong, numbers are near or far.

    Parameters
    ----------
    predictions
        Some of the model, as plain values.
    has_classes
        Whether the model knows a fixed set of labels.

    Examples
    --------
    >>> metric_for(["Adelie"], has_classes=True).name, metric_for([3.5], has_classes=False).name
    ('accuracy', 'absolute error')
    """
    are_numbers = bool(predictions) and all(type(each) is float for each in predictions)
    return ABSOLUTE_ERROR if are_numbers and not has_classes else ACCURACY


class Scores:
    """Scores of rows as sums: count, mean and spread, without the rows.

    Examples
    --------
    >>> scores = Scores()
    >>> for score in (1.0, 1.0, 0.0, 1.0):
    ...     scores.add(score)
    >>> scores.count, scores.mean, scores.variance
    (4, 0.75, 0.25)
    """

    __slots__ = ("_squares", "count", "mean")

    def __init__(self, count: int = 0, mean: float = 0.0, variance: float = 0.0) -> None:
        self.count = count
        self.mean = mean
        self._squares = variance * max(0, count - 1)

    @classmethod
    def of_share(cls, successes: int, count: int) -> Scores:
        """Make the scores of so many rows, each right (1) or wrong (0).

        Examples
        --------
        >>> Scores.of_share(3, 4).mean
        0.75
        """
        share = successes / count if count else 0.0
        variance = count * share * (1 - share) / (count - 1) if count > 1 else 0.0
        return cls(count, share, variance)

    @property
    def variance(self) -> float:
        """Of the single scores, as estimated from these."""
        return self._squares / (self.count - 1) if self.count > 1 else 0.0

    def add(self, score: float) -> None:
        """Count one row."""
        self.count += 1
        # Welford: sums of squares would cancel for scores that are large and near each other.
        step = score - self.mean
        self.mean += step / self.count
        self._squares += step * (score - self.mean)

    def copy(self) -> Scores:
        """Give the scores as they are now."""
        return Scores(self.count, self.mean, self.variance)

    def to_list(self) -> list[float]:
        """Write count, mean and variance, for ``Scores(*...)`` in another process."""
        return [self.count, self.mean, self.variance]


def scored(predictions: Sequence[Any], truth: Sequence[Any], metric: Metric) -> list[float]:
    """Score predictions by the truth; rows whose truth is ``None`` are left out.

    Raises
    ------
    SignatureError
        If there is not one truth a row, or one is of a kind that no prediction can equal.

    Examples
    --------
    >>> scored(["a", "b", "b"], ["a", "a", None], ACCURACY)
    [1.0, 0.0]
    """
    if len(truth) != len(predictions):
        message = (
            f"There are {len(truth)} truths for {len(predictions)} predicted rows. "
            "Send one for each row, in the same order; null where it is not known."
        )
        raise SignatureError(message)
    pairs = [
        (prediction, _checked(row, prediction, value, metric))
        for row, (prediction, value) in enumerate(zip(predictions, truth, strict=True))
        if value is not None
    ]
    return [metric.of_row(prediction, value) for prediction, value in pairs]


def _checked(row: int, prediction: Any, value: Any, metric: Metric) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        found, wanted = str(value), "a finite number, or null where it is not known"
    elif metric is ABSOLUTE_ERROR and _kind(value) != "a number":
        found, wanted = _kind(value), "a number"
    elif prediction is not None and _kind(value) != _kind(prediction):
        # It would count as wrong for ever, and the accuracy would be a silent zero.
        found, wanted = _kind(value), f"{_kind(prediction)}, as the predictions are"
    else:
        return value
    message = f"The truth of row {row} is {found}: {str(value)[:60]!r}. Expected {wanted}."
    raise SignatureError(message, row=row, value=str(value)[:60], expected=wanted)


def _kind(value: Any) -> str:
    if isinstance(value, Real):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, (list, tuple)) else f"a {type(value).__name__}"
