"""How the cells of one column are distributed, as counts of a bounded number of places."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.columns import Kind, shorten

__all__ = ["Counts", "Distribution", "DistributionKind", "as_numbers", "learn_distribution"]

DistributionKind = Literal["number", "date", "text", "category"]
"""What is counted: the size of a number, a moment, the length of a text, or which value it is."""

Counts: TypeAlias = npt.NDArray[np.int64]
"""One number a place; see `Distribution`."""

_BINS = 20
_FEWEST_IN_BIN = 5
_CATEGORIES = 30
_LONGEST_CATEGORY = 80
_DIGITS = 8
_LEAST_COVERED = 0.2
_SIGNIFICANT = 4
_KINDS = ("number", "date", "text", "category")
_OF_COLUMN: dict[Kind, DistributionKind] = {"float": "number", "int": "number", "datetime": "date"}


@dataclass(frozen=True)
class Distribution:
    """Counts of the cells of one column, without the cells.

    Of numbers, dates (seconds since 1970) and the lengths of texts the places are: missing, below
    all that was seen, the bins between the edges, above all that was seen. Of categories: missing,
    each category, and all others together.

    Parameters
    ----------
    name
        The name of the column.
    kind
        What is counted.
    counts
        How many cells were in each place.
    edges
        Between the bins: each lies midway between two values, and is none itself.
    low, high
        The range that was seen.
    median
        With four digits; ``None`` without a number.
    categories
        The commonest values; of text only such as were seen at least twice.
    is_complete
        Whether no value was seen but the categories: all others are then unseen ones.
    """

    name: str
    kind: DistributionKind
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    median: float | None = None
    categories: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def size(self) -> int:
        """How many cells there were, missing ones included."""
        return sum(self.counts)

    @property
    def is_ordered(self) -> bool:
        """Whether the places have an order."""
        return self.kind != "category"

    def count(self, cells: Any) -> Counts:
        """Count other cells in the same places.

        Parameters
        ----------
        cells
            A sequence, an array or a Series of cells.
        """
        if not self.is_ordered:
            return self._count_categories(cells)
        numbers = as_numbers(cells, self.kind)
        present = numbers[~np.isnan(numbers)]
        places = np.searchsorted(np.array(self.edges), present, side="left") + 2
        places[present < (-math.inf if self.low is None else self.low)] = 1
        places[present > (math.inf if self.high is None else self.high)] = len(self.counts) - 1
        counts = np.bincount(places, minlength=len(self.counts))
        counts[0] = len(numbers) - len(present)
        return counts

    @cached_property
    def _places(self) -> dict[str, int]:
        return {category: place for place, category in enumerate(self.categories, start=1)}

    def _count_categories(self, cells: Any) -> Counts:
        counts = np.zeros(len(self.counts), dtype=np.int64)
        for category, count in _counter(cells).items():
            place = 0 if category is None else self._places.get(category, len(counts) - 1)
            counts[place] += count
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution as JSON values, without what is at its default."""
        written: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                written[field.name] = list(value) if isinstance(value, tuple) else value
        return written

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Distribution:
        """Return the distribution that ``to_dict`` wrote.

        Raises
        ------
        SignatureError
            The mapping is no distribution.
        """
        known = {field.name for field in fields(cls)}
        if not {"name", "kind", "counts"} <= written.keys() <= known:
            raise _no_distribution(written)
        values = dict(written)
        for name in ("counts", "edges", "categories"):
            values[name] = tuple(values.get(name, ()))
        read = cls(**values)
        places = len(read.edges) + 4 if read.is_ordered else len(read.categories) + 2
        if read.kind not in _KINDS or len(read.counts) != places:
            raise _no_distribution(written)
        if not all(type(count) is int and count >= 0 for count in read.counts):
            raise _no_distribution(written)
        numbers = [read.low, *read.edges, read.high]
        if read.is_ordered and read.edges and not _is_ascending(numbers):
            raise _no_distribution(written)
        return read


def _is_ascending(numbers: Sequence[Any]) -> bool:
    are_numbers = all(type(each) is float and math.isfinite(each) for each in numbers)
    return are_numbers and all(low <= high for low, high in itertools.pairwise(numbers))


def _no_distribution(written: Mapping[str, Any]) -> SignatureError:
    message = f"This is no distribution of a baseline: {shorten(dict(written))}."
    return SignatureError(message)


def learn_distribution(name: str, cells: Any, kind: Kind) -> Distribution:
    """Learn how cells are distributed.

    Parameters
    ----------
    name
        The name of the column.
    cells
        A sequence, an array or a Series of cells.
    kind
        What the signature says of the column.
    """
    counted = _OF_COLUMN.get(kind, "category")
    if counted == "category":
        counter = _counter(cells)
        if kind != "string" or not _is_free_text(counter):
            return _of_categories(name, counter, keep_rare=kind in {"category", "bool"})
        counted = "text"
    return _of_numbers(name, as_numbers(cells, counted), counted)


def _is_free_text(counter: Counter[str | None]) -> bool:
    """Tell whether values repeat too little to be told apart by their names."""
    counts = [count for value, count in counter.most_common() if value is not None]
    return len(counts) > sum(counts) / 2 or sum(counts[:_CATEGORIES]) < sum(counts) * _LEAST_COVERED


def _of_numbers(name: str, numbers: npt.NDArray[Any], kind: DistributionKind) -> Distribution:
    present = np.sort(numbers[~np.isnan(numbers)])
    size = len(present)
    missing = len(numbers) - size
    if not size:
        return Distribution(name, kind, (missing, 0, 0, 0))
    bins = max(1, min(_BINS, size // _FEWEST_IN_BIN))
    # Where a bin would end, and the next greater value: ties stay together.
    ends = present[np.arange(1, bins) * size // bins - 1]
    above = np.searchsorted(present, ends, side="right")
    ends, above = ends[above < size], above[above < size]
    edges = np.unique(ends / 2 + present[above] / 2)
    # Neighbouring floats have nothing between them.
    edges = edges[(edges < present[-1]) & (edges >= present[0])]
    inner = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    return Distribution(
        name,
        kind,
        counts=(missing, 0, *inner.tolist(), 0),
        edges=tuple(edges.tolist()),
        low=float(present[0]),
        high=float(present[-1]),
        median=_rounded(float(np.median(present)), kind),
    )


def _rounded(median: float, kind: DistributionKind) -> float:
    return median if kind == "date" else float(f"{median:.{_SIGNIFICANT}g}")


def _of_categories(name: str, counter: Counter[str | None], *, keep_rare: bool) -> Distribution:
    missing = counter.pop(None, 0)
    # By name where they are equally common: the order of the rows shall not matter.
    common = sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))
    kept = [
        (str(category), count) for category, count in common[:_CATEGORIES] if keep_rare or count > 1
    ]
    others = sum(counter.values()) - sum(count for _, count in kept)
    return Distribution(
        name,
        "category",
        counts=(missing, *(count for _, count in kept), others),
        categories=tuple(category for category, _ in kept),
        is_complete=others == 0,
    )


def _counter(cells: Any) -> Counter[str | None]:
    counted = Counter(cells.tolist() if hasattr(cells, "tolist") else cells)
    found: Counter[str | None] = Counter()
    for value, count in counted.items():
        found[_category(value)] += count
    return found


def _category(value: Any) -> str | None:
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 -- NaN
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if len(text) <= _LONGEST_CATEGORY:
        return text
    # Two long texts that begin alike are two.
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGITS]
    return f"{text[: _LONGEST_CATEGORY - _DIGITS - 1]}…{digest}"


def as_numbers(cells: Any, kind: DistributionKind) -> npt.NDArray[np.float64]:
    """Return cells as floats; missing ones, and infinite ones, are NaN.

    Parameters
    ----------
    cells
        A sequence, an array or a Series of cells.
    kind
        ``"date"`` gives seconds since 1970, ``"text"`` the length in characters.
    """
    if kind == "number":
        if isinstance(cells, pd.Series):
            numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        elif isinstance(cells, np.ndarray):
            numbers = cells.astype(np.float64)
        else:
            numbers = np.array([math.nan if cell is pd.NA else cell for cell in cells], dtype=float)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    if kind == "date":
        moments = pd.to_datetime(pd.Series(cells), utc=True)
        seconds = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        return np.asarray(seconds, dtype=np.float64)
    texts: Sequence[Any] = cells.tolist() if hasattr(cells, "tolist") else cells
    lengths = [math.nan if _category(text) is None else len(str(text)) for text in texts]
    return np.array(lengths, dtype=np.float64)
