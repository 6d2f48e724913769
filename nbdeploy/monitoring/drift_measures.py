"""How far apart two distributions are, and whether chance explains it: on counts of places.

Both sides are counted in the same places. scipy is imported where a p value is asked for.

References
----------
The population stability index as a rule of thumb for scorecards: N. Siddiqi, "Credit Risk
Scorecards", Wiley 2006, below 0.10 no significant change, above 0.25 a shift. It is the sum of both
Kullback-Leibler divergences (Jeffreys 1946).

The Jensen-Shannon divergence: J. Lin, "Divergence measures based on the Shannon entropy", IEEE
Transactions on Information Theory 37 (1991), 145-151; that its root is a distance: D. M. Endres,
J. E. Schindelin, IEEE Transactions on Information Theory 49 (2003), 1858-1860.

Expected counts of at least five: W. G. Cochran, "Some methods for strengthening the common
chi-squared tests", Biometrics 10 (1954), 417-451. Many tests at once: S. Holm, "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nbdeploy.models.distributions import Counts

__all__ = [
    "chi_square",
    "holm",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "stability_index",
]

_LEAST_EXPECTED = 5.0
_HALF_A_ROW = 0.5
_TWO = 2


def stability_index(baseline: Counts, now: Counts) -> float:
    """Return the population stability index: 0 for equal shares, larger for a larger change.

    Parameters
    ----------
    baseline, now
        Counts of the same places; 0.0 when a side is empty.

    Examples
    --------
    >>> stability_index(np.array([50, 50]), np.array([5, 5]))
    0.0
    >>> round(stability_index(np.array([50, 50]), np.array([70, 30])), 3)
    0.169
    """
    if not baseline.sum() or not now.sum():
        return 0.0
    # An empty place counts as half a row, or the logarithm were infinite.
    before = np.maximum(baseline, _HALF_A_ROW) / baseline.sum()
    after = np.maximum(now, _HALF_A_ROW) / now.sum()
    terms = (after - before) * np.log(after / before)
    return float(terms[(baseline > 0) | (now > 0)].sum())


def jensen_shannon(one: Counts, other: Counts) -> float:
    """Return the Jensen-Shannon distance, the root of the divergence in bits: from 0 to 1.

    Parameters
    ----------
    one, other
        Counts of the same places; 0.0 when a side is empty.

    Examples
    --------
    >>> jensen_shannon(np.array([9, 0]), np.array([0, 4]))
    1.0
    """
    if not one.sum() or not other.sum():
        return 0.0
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return min(1.0, math.sqrt(max(0.0, divergence)))


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> float:
    is_there = p > 0
    return float(np.sum(p[is_there] * np.log2(p[is_there] / q[is_there])))


def kolmogorov_smirnov(baseline: Counts, now: Counts) -> float:
    """Return the p value of the two-sample Kolmogorov-Smirnov test.

    The distance is taken at the edges of the places only, which makes it smaller than that of the
    single values, if anything: the p value is never too small.

    Parameters
    ----------
    baseline, now
        Counts of the same places, in order; 1.0 when a side is empty.
    """
    one, other = int(baseline.sum()), int(now.sum())
    if not one or not other:
        return 1.0
    from scipy.special import kolmogorov  # noqa: PLC0415 -- heavy import

    distance = float(np.abs(np.cumsum(baseline) / one - np.cumsum(now) / other).max())
    return float(kolmogorov(math.sqrt(one * other / (one + other)) * distance))


def chi_square(baseline: Counts, now: Counts) -> float:
    """Return the p value of the chi-square test of homogeneity.

    Rare places are joined until each expects five rows on either side. Where the rarest of all
    expect fewer even together, Fisher's exact test tells whether there are more or less of them,
    the chi-square test is of the other places, and the smaller p value is doubled (Bonferroni).

    Parameters
    ----------
    baseline, now
        Counts of the same places; 1.0 when a side is empty.
    """
    if not baseline.sum() or not now.sum():
        return 1.0
    frequent, rare = _joined(np.array([baseline, now], dtype=np.int64))
    if not rare.sum() or not frequent.size:
        return _homogeneity(frequent)
    from scipy.stats import fisher_exact  # noqa: PLC0415 -- heavy import

    exact = float(fisher_exact(np.column_stack([rare, frequent.sum(axis=1)]))[1])
    if frequent.shape[1] < _TWO:
        return exact
    return min(1.0, _TWO * min(exact, _homogeneity(frequent)))


def _homogeneity(table: npt.NDArray[np.int64]) -> float:
    rows = table.sum(axis=1)
    if table.shape[1] < _TWO or not rows.all():
        return 1.0
    from scipy.special import chdtrc  # noqa: PLC0415 -- heavy import

    expected = np.outer(rows, table.sum(axis=0)) / table.sum()
    return float(chdtrc(table.shape[1] - 1, np.sum((table - expected) ** 2 / expected)))


def _joined(
    table: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return columns that expect enough, and what is left together.

    They are joined by their totals alone: where the rows fell must not decide.
    """
    totals = table.sum(axis=0)
    smaller = table.sum(axis=1).min() / table.sum()
    groups: list[npt.NDArray[np.int64]] = []
    rest = np.zeros(2, dtype=np.int64)
    for place in np.argsort(-totals, kind="stable"):
        rest = rest + table[:, place]
        if rest.sum() * smaller >= _LEAST_EXPECTED:
            groups.append(rest)
            rest = np.zeros(2, dtype=np.int64)
    return np.array(groups, dtype=np.int64).reshape(-1, 2).T, rest


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number, by Holm's method.

    The chance that any of them falls below alpha where nothing changed is at most alpha, however
    the columns depend on each other. (That of Benjamini and Hochberg bounds the share of false
    alarms among the alarms, and holds only for some dependences.)

    Parameters
    ----------
    p_values
        One a test, in any order.

    Examples
    --------
    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected
