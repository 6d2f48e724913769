"""How good the predictions of every version are, as far as the truth about them has come."""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nbdeploy.display.table import Table
from nbdeploy.display.units import MISSING, count, percent

__all__ = [
    "QUALITY_ROWS",
    "QualityLog",
    "area_under_curve",
    "calibration_error",
    "f1_of",
    "quality_table",
]

QUALITY_ROWS = 2_000
"""Rows with a known truth that count for a version: the latest."""

_VERSIONS = 32
_SHOWN = {
    "accuracy": "accuracy",
    "f1": "F1",
    "auc": "AUC",
    "calibration_error": "calibration error",
    "rmse": "RMSE",
}
_BINS = 10


class _Judged(NamedTuple):
    prediction: Any
    truth: Any
    probabilities: Sequence[float] | None


class _Rows:
    """The latest judged rows of one version."""

    def __init__(self, classes: Sequence[Any] | None, *, are_amounts: bool) -> None:
        self.classes = classes
        self.are_amounts = are_amounts
        self.truths = 0
        self.right = 0
        self.latest: deque[_Judged] = deque(maxlen=QUALITY_ROWS)
        self.known: dict[str, Any] | None = None


class QualityLog:
    """Joins predictions and truths of every version, and tells how good the latest 2,000 are.

    Memory is bounded: 32 versions, those that were judged longest ago give way. Any thread may tell
    it.

    Examples
    --------
    >>> log = QualityLog()
    >>> log.add("1.0", ["a", "b", "b", "b"], ["a", "b", "a", None])
    >>> log.report()["1.0"]["truths"], round(log.report()["1.0"]["accuracy"], 2)
    (3, 0.67)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: OrderedDict[str, _Rows] = OrderedDict()

    def add(
        self,
        version: str,
        predictions: Sequence[Any],
        truth: Sequence[Any],
        *,
        probabilities: Sequence[Sequence[float]] | None = None,
        classes: Sequence[Any] | None = None,
        are_amounts: bool = False,
    ) -> None:
        """Add predictions whose truth became known.

        Parameters
        ----------
        version
            Which version predicted.
        predictions
            One a row: labels, or numbers.
        truth
            One a row; ``None`` where it is not known.
        probabilities
            Shape ``[rows, classes]``, where they were asked for.
        classes
            What the columns of the probabilities are of.
        are_amounts
            Whether the predictions are numbers that are near or far, not labels.
        """
        chances = [None] * len(predictions) if probabilities is None else probabilities
        judged = [
            _Judged(_hashable(prediction), _hashable(true), row)
            for prediction, true, row in zip(predictions, truth, chances, strict=True)
            if true is not None
        ]
        if not judged:
            return
        with self._lock:
            rows = self._versions.get(version)
            if rows is None or rows.are_amounts != are_amounts:
                rows = self._versions[version] = _Rows(classes, are_amounts=are_amounts)
            self._versions.move_to_end(version)
            if len(self._versions) > _VERSIONS:
                self._versions.popitem(last=False)
            rows.classes = classes or rows.classes
            rows.truths += len(judged)
            rows.right += sum(row.prediction == row.truth for row in judged)
            rows.latest.extend(judged)
            rows.known = None

    def report(self) -> dict[str, dict[str, Any]] | None:
        """Tell how good each version is; ``None`` while no truth has come.

        Returns
        -------
        dict or None
            By version: ``truths`` (rows since the start), ``rows`` (the latest, which the rest is
            over), then of labels ``right`` (rows since the start), ``accuracy``, ``f1`` (the mean
            over the classes), ``auc`` and ``calibration_error``, of numbers ``rmse``. ``auc`` and
            ``calibration_error`` are ``None`` unless ``predict_proba`` was asked, and ``auc``
            until there are two classes.
        """
        with self._lock:
            return {name: dict(_known(rows)) for name, rows in self._versions.items()} or None

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._versions.clear()


def quality_table(report: Mapping[str, Mapping[str, Any]]) -> Table:
    """Show what :meth:`QualityLog.report` tells, one version a row.

    Parameters
    ----------
    report
        At least one version.
    """
    names = [
        name for name in _SHOWN if any(facts.get(name) is not None for facts in report.values())
    ]
    columns = ("version", "truths", *(_SHOWN[name] for name in names))
    rows = [
        (version, count(facts["truths"]), *(_figure(name, facts.get(name)) for name in names))
        for version, facts in report.items()
    ]
    return Table(columns, rows, right=columns[1:], noun="version")


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return MISSING
    return percent(value) if name == "accuracy" else f"{value:.3g}"


def _hashable(label: Any) -> Any:
    # The label of a model of several outputs is a list.
    return tuple(map(_hashable, label)) if isinstance(label, list) else label


def _known(rows: _Rows) -> dict[str, Any]:
    """Compute it once for the same rows: a dashboard asks again and again."""
    if rows.known is None:
        latest = list(rows.latest)
        counts = {"truths": rows.truths, "rows": len(latest)}
        if not rows.are_amounts:
            counts["right"] = rows.right
        measure = _of_numbers if rows.are_amounts else _of_labels
        rows.known = {**counts, **measure(latest, rows.classes)}
    return rows.known


def _of_numbers(rows: list[_Judged], _: Sequence[Any] | None) -> dict[str, float | None]:
    squares = [
        (float(row.prediction) - float(row.truth)) ** 2
        for row in rows
        if row.prediction is not None
    ]
    return {"rmse": math.sqrt(math.fsum(squares) / len(squares)) if squares else None}


def _of_labels(rows: list[_Judged], classes: Sequence[Any] | None) -> dict[str, float | None]:
    predictions, truth = [row.prediction for row in rows], [row.truth for row in rows]
    right = [prediction == true for prediction, true in zip(predictions, truth, strict=True)]
    found: dict[str, float | None] = {
        "accuracy": sum(right) / len(right),
        "f1": f1_of(predictions, truth),
        "auc": None,
        "calibration_error": None,
    }
    known = [row for row in rows if row.probabilities is not None]
    if known and classes is not None:
        chances = np.array([row.probabilities for row in known], dtype=np.float64)
        found["auc"] = area_under_curve(chances, [row.truth for row in known], classes)
        hits = [row.prediction == row.truth for row in known]
        found["calibration_error"] = calibration_error(chances.max(axis=1), hits)
    return found


def f1_of(predictions: Sequence[Any], truth: Sequence[Any]) -> float:
    """Return the mean F1 over the classes that were predicted or true: scikit-learn's "macro".

    Parameters
    ----------
    predictions, truth
        Labels, one a row.

    Examples
    --------
    >>> round(f1_of(["a", "b", "b"], ["a", "b", "a"]), 3)
    0.667
    """
    pairs = zip(predictions, truth, strict=True)
    hits = Counter(true for prediction, true in pairs if prediction == true)
    either = Counter(predictions) + Counter(truth)
    return math.fsum(2 * hits[label] / count for label, count in either.items()) / len(either)


def area_under_curve(
    probabilities: npt.NDArray[np.float64], truth: Sequence[Any], classes: Sequence[Any]
) -> float | None:
    """Return the area under the ROC curve; of more than two classes the mean of each against all.

    Parameters
    ----------
    probabilities
        Shape ``[rows, classes]``.
    truth
        Labels, one a row.
    classes
        What the columns are of.

    Returns
    -------
    float or None
        ``None`` where only one class was true. Classes that never were true are left out.

    Examples
    --------
    >>> area_under_curve(np.array([[0.9, 0.1], [0.2, 0.8]]), ["no", "yes"], ["no", "yes"])
    1.0
    """
    areas = []
    for place, label in enumerate(classes):
        is_true = np.array([each == label for each in truth])
        positive = int(is_true.sum())
        if positive and positive < len(is_true):
            ranks = _ranks(probabilities[:, place])[is_true].sum() - positive * (positive + 1) / 2
            areas.append(ranks / (positive * (len(is_true) - positive)))
    return float(np.mean(areas)) if areas else None


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rank from 1; equal values share the mean of their ranks (Mann and Whitney)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return ranks[inverse]


def calibration_error(confidence: npt.NDArray[np.float64], is_right: Sequence[bool]) -> float:
    """Return how far the probability of the predicted class is from the share that is right.

    It is the expected calibration error over ten bins of equal width: M. P. Naeini, G. Cooper,
    M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Parameters
    ----------
    confidence
        The probability of the predicted class, one a row.
    is_right
        Whether it was the true one.

    Examples
    --------
    >>> round(calibration_error(np.array([0.9, 0.9, 0.9, 0.9]), [True, True, True, False]), 2)
    0.15
    """
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    promised = np.bincount(places, weights=confidence, minlength=_BINS)
    kept = np.bincount(places, weights=np.array(is_right, dtype=float), minlength=_BINS)
    return float(np.abs(promised - kept).sum() / len(confidence))
