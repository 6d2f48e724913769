"""What was predicted, counted: labels each by itself, numbers in logarithmic buckets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nbdeploy.monitoring.bounded_names import MOST_NAMES, NAME_LENGTH, OTHER

__all__ = ["PredictionCounts", "bounds_of"]

Value: TypeAlias = str | float | bool

# Four buckets to a doubling, between 2 ** -20 and 2 ** 44 on both sides of zero.
_PER_DOUBLING = 4
_LEAST = -20 * _PER_DOUBLING
_MOST = 44 * _PER_DOUBLING
_TINY = 2.0**-20


class PredictionCounts:
    """Predictions of one version: shares of its labels, or a histogram of its numbers.

    Up to 32 different values are counted each by itself. If there are more, and all are numbers,
    they are counted in buckets whose bounds differ by the factor 2 ** (1 / 4) = 1.19; other labels
    beyond the 32 are counted together as ``"other"``. Two of them add up.

    Examples
    --------
    >>> counts = PredictionCounts()
    >>> counts.add_all(["yes", "no", "yes", "yes"])
    >>> counts.report()
    {'rows': 4, 'shares': {'yes': 0.75, 'no': 0.25}}
    """

    __slots__ = ("buckets", "labels", "maximum", "minimum", "rows", "total")

    def __init__(self) -> None:
        self.rows = 0
        self.labels: dict[Value, int] = {}
        self.buckets: dict[int, int] | None = None
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PredictionCounts):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def add_all(self, values: Sequence[Any]) -> None:
        """Count predictions, one plain value a row; tables and objects are not counted."""
        if self._are_many_numbers(values):
            self._add_array(np.array(values))
            return
        try:
            counted = Counter(values)
        except TypeError:
            counted = Counter(each for each in values if not isinstance(each, (list, dict)))
        self._add(counted)

    def _are_many_numbers(self, values: Sequence[Any]) -> bool:
        return (
            len(values) > MOST_NAMES
            and type(values[0]) is float
            and set(map(type, values)) == {float}
            and len(set(values)) > MOST_NAMES
            and all(map(_is_number, self.labels))
        )

    def _add_array(self, values: npt.NDArray[np.float64]) -> None:
        """Count many different numbers: one by one they would take as long as their prediction."""
        self.rows += len(values)
        self.count_as_numbers()
        assert self.buckets is not None
        finite = values[np.isfinite(values)]
        if not len(finite):
            return
        places, counts = np.unique(_buckets_of(finite), return_counts=True)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.total += float(finite.sum())
        self.minimum = min(self.minimum, float(finite.min()))
        self.maximum = max(self.maximum, float(finite.max()))

    def _add(self, counted: Mapping[Any, int]) -> None:
        self.rows += sum(counted.values())
        if self.buckets is None and self._fits(counted):
            for value, count in counted.items():
                self.labels[value] = self.labels.get(value, 0) + count
        elif all(map(_is_number, chain(self.labels, counted))):
            self.count_as_numbers()
            self._fill(counted)
        else:
            self._add_bounded(counted)

    def _fits(self, counted: Mapping[Any, int]) -> bool:
        if (
            len(self.labels) + len(counted) > MOST_NAMES
            and len({*self.labels, *counted}) > MOST_NAMES
        ):
            return False
        return not any(type(each) is str and len(each) > NAME_LENGTH for each in counted)

    def _add_bounded(self, counted: Mapping[Any, int]) -> None:
        for value, count in counted.items():
            label = value[:NAME_LENGTH] if isinstance(value, str) else value
            if label not in self.labels and len(self.labels) >= MOST_NAMES:
                label = OTHER
            self.labels[label] = self.labels.get(label, 0) + count

    def count_as_numbers(self) -> None:
        """Put what are labels until now into buckets; all of them must be numbers."""
        if self.buckets is None:
            self.buckets = {}
            labels, self.labels = self.labels, {}
            self._fill(labels)

    def _fill(self, counted: Mapping[Any, int]) -> None:
        assert self.buckets is not None
        finite = {value: count for value, count in counted.items() if math.isfinite(value)}
        if finite:
            places = _buckets_of(np.array([float(value) for value in finite])).tolist()
            for place, count in zip(places, finite.values(), strict=True):
                self.buckets[place] = self.buckets.get(place, 0) + count
            self.total += math.fsum(value * count for value, count in finite.items())
            self.minimum = min(self.minimum, *finite)
            self.maximum = max(self.maximum, *finite)

    def merge(self, other: PredictionCounts) -> None:
        """Add everything that another one holds."""
        if other.buckets is None:
            self._add(other.labels)
            return
        self.rows += other.rows
        self.count_as_numbers()
        assert self.buckets is not None
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    @classmethod
    def merged(cls, parts: Iterable[PredictionCounts]) -> PredictionCounts:
        """Add several up to a new one."""
        total = cls()
        for part in parts:
            total.merge(part)
        return total

    def shares(self) -> dict[str, float]:
        """Return the share of each label, the commonest first; none of numbers in buckets."""
        ordered = sorted(self.labels.items(), key=lambda item: -item[1])
        shares: dict[str, float] = {}
        for label, count in ordered:
            shares[str(label)] = shares.get(str(label), 0.0) + count / self.rows
        return shares

    def histogram(self) -> list[tuple[float, float, int]]:
        """Return the lower and the upper bound of each bucket that is not empty, and its count."""
        return [(*bounds_of(place), count) for place, count in sorted((self.buckets or {}).items())]

    @property
    def is_numeric(self) -> bool:
        """Whether they are numbers rather than labels: many, or some with a fraction."""
        return self.buckets is not None or (
            all(map(_is_number, self.labels))
            and any(type(each) is float and not each.is_integer() for each in self.labels)
        )

    def as_numbers(self) -> PredictionCounts:
        """Return the same with all numbers in buckets."""
        numbers = PredictionCounts.merged([self])
        numbers.count_as_numbers()
        return numbers

    @property
    def mean(self) -> float | None:
        """The average of numbers in buckets; ``None`` where there are none."""
        return self.total / self.finite if self.finite else None

    def report(self) -> dict[str, Any]:
        """Tell it in values that JSON can hold: ``rows``, and ``shares`` or a histogram."""
        if not self.is_numeric:
            return {"rows": self.rows, "shares": self.shares()}
        numbers = self.as_numbers()
        return {
            "rows": self.rows,
            "mean": numbers.mean,
            **numbers.ends,
            "histogram": [list(each) for each in numbers.histogram()],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        ordered = sorted(self.labels.items(), key=lambda item: (str(type(item[0])), str(item[0])))
        values: dict[str, Any] = {"labels": [list(each) for each in ordered]}
        if self.buckets is not None:
            values |= {
                "rows": self.rows,
                "buckets": [list(each) for each in sorted(self.buckets.items())],
                "sum": self.total,
                **self.ends,
            }
        return values

    @property
    def finite(self) -> int:
        """Numbers in buckets: those that are finite."""
        return sum((self.buckets or {}).values())

    @property
    def ends(self) -> dict[str, float | None]:
        """The smallest and the largest of the numbers in buckets."""
        has = self.finite > 0
        return {"min": self.minimum if has else None, "max": self.maximum if has else None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PredictionCounts:
        """Read what :meth:`to_dict` wrote."""
        counts = cls()
        counts.labels = {label: int(count) for label, count in values["labels"]}
        counts.rows = sum(counts.labels.values())
        if "buckets" in values:
            counts.buckets = {int(place): int(count) for place, count in values["buckets"]}
            counts.rows = int(values["rows"])
            counts.total = float(values["sum"])
            if counts.buckets:
                counts.minimum = float(values["min"])
                counts.maximum = float(values["max"])
        return counts


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _buckets_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return 0 for what is next to nothing, and a number of the sign of the value for the rest."""
    sizes = np.maximum(np.abs(values), _TINY / 2)
    steps = np.floor(_PER_DOUBLING * np.log2(sizes)).astype(np.int64)
    places = np.minimum(_MOST, steps) - _LEAST + 1
    return np.where(sizes < _TINY, 0, np.where(values > 0, places, -places))


def bounds_of(place: int) -> tuple[float, float]:
    """Return the bounds of a bucket; what is below a millionth counts as 0."""
    if place == 0:
        return 0.0, 0.0
    low = float(2.0 ** ((abs(place) - 1 + _LEAST) / _PER_DOUBLING))
    high = float(2.0 ** ((abs(place) + _LEAST) / _PER_DOUBLING))
    return (low, high) if place > 0 else (-high, -low)
