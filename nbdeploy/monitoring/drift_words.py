"""What changed in a column, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from nbdeploy.models.distributions import Counts, Distribution

__all__ = ["change_in_words", "coarse", "unseen_share"]

_PLACES = 10
_EXACT = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def coarse(baseline: Distribution, counts: Counts) -> Counts:
    """Join the bins of numbers to at most ten, as the stability index is usually taken.

    Parameters
    ----------
    baseline
        Whose places the counts are of.
    counts
        One number a place.
    """
    if not baseline.is_ordered:
        return counts
    starts = np.arange(2, len(counts) - 1, _width(baseline))
    inner = np.add.reduceat(counts[2:-1], starts - 2)
    return np.concatenate([counts[:2], inner, counts[-1:]])


def _width(baseline: Distribution) -> int:
    """Return how many bins are joined to one place."""
    return -(-(len(baseline.edges) + 1) // _PLACES)


def unseen_share(baseline: Distribution, counts: Counts) -> float | None:
    """Return the share of values that the baseline never saw.

    Parameters
    ----------
    baseline
        How it was.
    counts
        One number a place.

    Returns
    -------
    float or None
        Outside of the range, or of the categories; ``None`` where not all of them are known.
    """
    size = int(counts.sum())
    if not size:
        return 0.0
    if baseline.is_ordered:
        return float(counts[1] + counts[-1]) / size
    return float(counts[-1]) / size if baseline.is_complete else None


def change_in_words(baseline: Distribution, now: Counts, *, median: float | None = None) -> str:
    """Say where a column changed most.

    Parameters
    ----------
    baseline
        How it was.
    now
        Counts of the same places.
    median
        Of the numbers now.

    Examples
    --------
    >>> from nbdeploy.models.distributions import learn_distribution
    >>> island = learn_distribution("island", ["Biscoe"] * 85 + ["Torgersen"] * 15, "category")
    >>> change_in_words(island, np.array([0, 59, 41, 0]))
    'island: Torgersen 15 % -> 41 %'
    """
    before, after = coarse(baseline, np.array(baseline.counts)), coarse(baseline, now)
    grown = after / max(1, after.sum()) - before / max(1, before.sum())
    # Of two places that changed as much, the one that gained tells more.
    place = int(np.lexsort((grown, np.abs(grown).round(12)))[-1])
    if not grown[place]:
        return f"{baseline.name}: no change"
    # Where the middle of the numbers moved, that says it best.
    if place > 0 and median is not None and _has_moved(baseline, median):
        what = "median length" if baseline.kind == "text" else "median"
        words = f"{what} {_figure(baseline, baseline.median)} -> {_figure(baseline, median)}"
    else:
        shares = [_share(counts[place], counts.sum()) for counts in (before, after)]
        words = f"{_label(baseline, place)} {shares[0]} -> {shares[1]}"
    return f"{baseline.name}: {words}"


def _has_moved(baseline: Distribution, median: float) -> bool:
    """Tell whether a median is beyond the places beside that where it was, or out of the range."""
    if baseline.low is None or baseline.high is None or baseline.median is None:
        return False
    before, now = (
        int(np.searchsorted(baseline.edges, each)) // _width(baseline)
        for each in (baseline.median, median)
    )
    return abs(now - before) > 1 or not baseline.low <= median <= baseline.high


def _label(baseline: Distribution, place: int) -> str:
    if place == 0 or (baseline.is_ordered and baseline.low is None):
        return "missing" if place == 0 else "present"
    if not baseline.is_ordered:
        if place <= len(baseline.categories):
            return baseline.categories[place - 1]
        return "unseen values" if baseline.is_complete else "other values"
    low, high = baseline.low, baseline.high
    ends = [low, *baseline.edges[_width(baseline) - 1 :: _width(baseline)], high]
    unit = "length " if baseline.kind == "text" else ""
    if place == 1:
        return f"{unit}below {_figure(baseline, low)}"
    if place > len(ends):
        return f"{unit}above {_figure(baseline, high)}"
    return f"{unit}{_figure(baseline, ends[place - 2])} to {_figure(baseline, ends[place - 1])}"


def _share(count: float, size: float) -> str:
    share = 100 * count / size if size else 0.0
    if 0 < share < 1:
        return "< 1 %"
    return f"{share:.0f} %" if share <= 99 or share == 100 else "> 99 %"  # noqa: PLR2004 -- percent


def _figure(baseline: Distribution, number: float | None) -> str:
    if number is None:
        return "-"
    if baseline.kind == "date":
        try:
            return (_EPOCH + timedelta(seconds=number)).date().isoformat()
        except OverflowError:
            return f"{number:.4g}"
    rounded = float(f"{number:.4g}")
    if rounded.is_integer() and abs(rounded) >= _EXACT:
        return f"{int(rounded):,}" if abs(rounded) < 1e12 else f"{rounded:.4g}"  # noqa: PLR2004
    return f"{rounded:g}"
