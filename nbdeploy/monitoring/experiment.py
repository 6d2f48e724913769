"""The statistics of an experiment: is one version better than another, and how sure is that.

Two answers are given side by side. The *fixed-sample* interval is right when the number of rows
was chosen before (see `sample_size`) and the result is looked at once. The *always-valid* interval
may be looked at after every row, and the experiment stopped when it pleases: the chance that it is
*ever* wrong is at most alpha.

References
----------
The always-valid interval is a normal mixture over the size of the difference:

H. Robbins, "Statistical methods related to the law of the iterated logarithm", The Annals of
Mathematical Statistics 41 (1970), 1397-1409; as the mixture sequential probability ratio test of
A/B tests: R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous
monitoring of A/B tests", Operations Research 70 (2022), 1806-1821; with variances that are
estimated from the data: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", The Annals of Statistics
52 (2024), 2613-2640.

The fixed-sample intervals are those of Wilson (one share), Newcombe's tenth method (the difference
of two shares), Student and Welch (means).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from nbdeploy.monitoring.scores import Scores

__all__ = ["LEAST_ROWS", "Difference", "Interval", "compare_scores", "interval_of", "sample_size"]

LEAST_ROWS = 50
"""Below so many rows of a version the always-valid interval says nothing: it is asymptotic."""

_LEAST_SPREAD = 10.0
"""Of shares also while ``n p (1 - p)`` is less: of rare mistakes the first few say little."""

_TUNED_FOR = 500
"""The effective rows at which the always-valid interval is tightest: 1000 of each version."""

_NORMAL = NormalDist()


class Interval(NamedTuple):
    """Where a value lies, with the confidence that was asked for."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether all of it is on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """How much higher the mean score of one version is than that of another.

    Parameters
    ----------
    estimate
        The difference of the means.
    fixed
        The interval for who looks once, at a number of rows that was chosen before.
    fixed_p
        The two-sided p-value that goes with it.
    always
        The interval for who looks as often as they like; ``None`` below `LEAST_ROWS`.
    always_p
        The p-value that goes with it.
    """

    estimate: float
    fixed: Interval | None
    fixed_p: float
    always: Interval | None
    always_p: float


def sample_size(
    baseline: float,
    effect: float,
    power: float = 0.8,
    *,
    alpha: float = 0.05,
    deviation: float | None = None,
) -> int:
    """Tell how many rows each version needs before a difference can be seen.

    Parameters
    ----------
    baseline
        The share that the present version gets right, between 0 and 1. With `deviation`, the
        mean of its metric (which does not matter then).
    effect
        The smallest difference that is worth finding: 0.02 is two percentage points.
    power
        The chance to find it if it is there.
    alpha
        The chance to find one that is not there.
    deviation
        The standard deviation of the metric, where it is no share.

    Raises
    ------
    ValueError
        If a share, or a chance, is none.

    Examples
    --------
    >>> sample_size(0.90, 0.02)
    3213
    >>> sample_size(0.90, 0.02, power=0.95)
    5319
    """
    _check_shares(power=power, alpha=alpha)
    if effect == 0 or not math.isfinite(effect):
        message = f"effect is {effect!r}: no number of rows shows that. Give the least that counts."
        raise ValueError(message)
    z_alpha, z_power = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    if deviation is not None:
        return math.ceil(2 * ((z_alpha + z_power) * deviation / effect) ** 2)
    better = baseline + effect
    if not 0 < better < 1:
        better = baseline - effect
    _check_shares(baseline=baseline, **{"baseline with the effect": better})
    middle = (baseline + better) / 2
    both = baseline * (1 - baseline) + better * (1 - better)
    spread = z_alpha * math.sqrt(2 * middle * (1 - middle)) + z_power * math.sqrt(both)
    return math.ceil((spread / effect) ** 2)


def interval_of(scores: Scores, *, is_share: bool, alpha: float = 0.05) -> Interval | None:
    """Give the fixed-sample interval of a mean score; ``None`` when there are too few rows.

    Examples
    --------
    >>> low, high = interval_of(Scores.of_share(90, 100), is_share=True)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
    """
    if scores.count < (1 if is_share else 2):
        return None
    if is_share:
        return _wilson(scores, _NORMAL.inv_cdf(1 - alpha / 2))
    reach = _student(1 - alpha / 2, scores.count - 1) * math.sqrt(scores.variance / scores.count)
    return Interval(scores.mean - reach, scores.mean + reach)


def compare_scores(
    new: Scores, old: Scores, *, is_share: bool, alpha: float = 0.05
) -> Difference | None:
    """Compare the mean scores of two versions; ``None`` while one has no rows.

    Rows count as independent of each other.

    Parameters
    ----------
    new, old
        The difference is new minus old.
    is_share
        Whether every score is 0 or 1.
    alpha
        The chance of an interval that misses the true difference.
    """
    if not new.count or not old.count:
        return None
    fixed, fixed_p = (_newcombe if is_share else _welch)(new, old, alpha)
    always, always_p = _mixture(new, old, is_share=is_share, alpha=alpha)
    return Difference(new.mean - old.mean, fixed, fixed_p, always, always_p)


def _mixture(
    new: Scores, old: Scores, *, is_share: bool, alpha: float
) -> tuple[Interval | None, float]:
    """Mix over the size of the difference: normal, and as wide as what 1000 rows each can show.

    The difference of two running means, divided by its variance, is a Brownian motion in
    "information", one by that variance, however the rows fall to the versions.
    """
    if not _is_enough(new, old, is_share):
        return None, 1.0
    squares = _variance(new, is_share) / new.count + _variance(old, is_share) / old.count
    rows = 1 / (1 / new.count + 1 / old.count)
    scale = math.sqrt(squares * rows)
    estimate = new.mean - old.mean
    if scale == 0:
        return Interval(estimate, estimate), 1.0 if estimate == 0 else 0.0
    width = -2 * math.log(alpha)
    spread = (width + math.log(width + 1)) / _TUNED_FOR
    growth = 1 + rows * spread
    reach = scale * math.sqrt(
        2 * growth / (rows**2 * spread) * (math.log(growth) / 2 - math.log(alpha))
    )
    evidence = (rows * estimate / scale) ** 2 * spread / (2 * growth) - math.log(growth) / 2
    return Interval(estimate - reach, estimate + reach), math.exp(-max(0.0, evidence))


def _is_enough(new: Scores, old: Scores, is_share: bool) -> bool:
    least = min(new.count, old.count)
    if least < LEAST_ROWS or not is_share:
        return least >= LEAST_ROWS
    share = (new.mean * new.count + old.mean * old.count) / (new.count + old.count)
    # Where nothing ever differs there is nothing to wait for.
    return share in (0, 1) or least * share * (1 - share) >= _LEAST_SPREAD


def _variance(scores: Scores, is_share: bool) -> float:
    if not is_share:
        return scores.variance
    # Two rows more, one right and one wrong: fifty right answers prove no certainty.
    share = (scores.mean * scores.count + 1) / (scores.count + 2)
    return share * (1 - share)


def _wilson(scores: Scores, z: float) -> Interval:
    count, share = scores.count, scores.mean
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    reach /= 1 + z * z / count
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach))


def _newcombe(new: Scores, old: Scores, alpha: float) -> tuple[Interval, float]:
    z = _NORMAL.inv_cdf(1 - alpha / 2)
    estimate = new.mean - old.mean
    one, other = _wilson(new, z), _wilson(old, z)
    low = estimate - math.hypot(new.mean - one.low, other.high - old.mean)
    high = estimate + math.hypot(one.high - new.mean, old.mean - other.low)
    pooled = (new.mean * new.count + old.mean * old.count) / (new.count + old.count)
    error = math.sqrt(pooled * (1 - pooled) * (1 / new.count + 1 / old.count))
    p = math.erfc(abs(estimate) / error / math.sqrt(2)) if error else 1.0
    return Interval(low, high), p


def _welch(new: Scores, old: Scores, alpha: float) -> tuple[Interval | None, float]:
    if min(new.count, old.count) < 2:  # noqa: PLR2004 -- one row has no spread
        return None, 1.0
    parts = [new.variance / new.count, old.variance / old.count]
    estimate, error = new.mean - old.mean, math.sqrt(sum(parts))
    if error == 0:
        return Interval(estimate, estimate), 1.0 if estimate == 0 else 0.0
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (new.count - 1) + parts[1] ** 2 / (old.count - 1))
    from scipy.special import stdtr  # noqa: PLC0415 -- heavy import

    reach = error * _student(1 - alpha / 2, freedom)
    p = float(2 * stdtr(freedom, -abs(estimate) / error))
    return Interval(estimate - reach, estimate + reach), p


def _student(quantile: float, freedom: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 -- heavy import

    return float(stdtrit(freedom, quantile))


def _check_shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            message = f"{name} is {value!r}. Expected a share between 0 and 1, such as 0.9."
            raise ValueError(message)
