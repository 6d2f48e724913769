"""What a comparison says, in words."""

from __future__ import annotations

import math

from nbdeploy.monitoring.experiment import Difference, Interval
from nbdeploy.monitoring.scores import Metric

__all__ = ["amount", "between", "unit_of", "verdict_of"]


def verdict_of(
    new: str,
    old: str,
    *,
    metric: Metric,
    difference: Difference | None,
    errors: Difference | None,
    confidence: float,
) -> str:
    """Say who is better, and how surely.

    Errors come first: a version that fails more is no better, whatever it predicts. Only the
    always-valid interval decides, because a verdict is read whenever somebody looks.

    Parameters
    ----------
    new, old
        The names of the versions.
    metric
        What the scores mean.
    difference
        Of the scores; ``None`` while one version has none.
    errors
        Of the shares of failed requests.
    confidence
        Of the intervals.
    """
    if errors is not None and errors.always is not None and errors.always.excludes_zero:
        more, fewer = (new, old) if errors.estimate > 0 else (old, new)
        return (
            f"{more} fails more requests than {fewer}, by {amount(abs(errors.estimate), 'share')} "
            f"({_surely(confidence)} {between(errors.always, 'share')})."
        )
    if difference is None:
        return (
            "Not decided: the truth is not known for rows of both versions. "
            "Send it with client.feedback(id, truth)."
        )
    unit = unit_of(metric)
    if difference.always is None:
        return "Not decided: too few rows with a known truth yet."
    if difference.always.excludes_zero:
        is_better = (difference.estimate > 0) is metric.higher_is_better
        winner, loser = (new, old) if is_better else (old, new)
        word = "higher" if metric.higher_is_better else "lower"
        return (
            f"{winner} is better than {loser}: its {metric.name} is {word} by "
            f"{amount(abs(difference.estimate), unit)} ({_surely(confidence)} "
            f"{between(_sizes(difference.always), unit)})."
        )
    return (
        f"Not decided: the {metric.name} of {new} may be lower by "
        f"{amount(-difference.always.low, unit)} or higher by "
        f"{amount(difference.always.high, unit)}. More truth will tell; "
        "you may look as often as you like."
    )


def unit_of(metric: Metric) -> str:
    """Name the unit of a difference of metrics for `amount`."""
    return "points" if metric.is_share else "number"


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """Write a value of a metric, or a difference of two.

    Parameters
    ----------
    value
        The value.
    unit
        ``"share"`` is written as percent, ``"points"``, the difference of two shares, as
        percentage points, ``"number"`` with three digits.
    signed
        Write a plus too.

    Examples
    --------
    bad, "points"), amount(-1234.5, "number")
    ('3.1 %', '3.1 points', '-1.23e+03')
    """
    sign = "+" if signed and value > 0 else ""
    if not math.isfinite(value):
        return "-"
    if unit == "number":
        return f"{sign}{value:.3g}"
    return f"{sign}{value * 100:.1f} {'%' if unit == 'share' else unit}"


def between(interval: Interval, unit: str, *, signed: bool = False) -> str:
    """Write an interval."""
    low, high = (amount(each, unit, signed=signed) for each in interval)
    return f"{low.removesuffix(' points')} to {high}"


def _sizes(interval: Interval) -> Interval:
    low, high = sorted((abs(interval.low), abs(interval.high)))
    return Interval(low, high)


def _surely(confidence: float) -> str:
    return f"{confidence:.0%} sure, whenever you look:".replace("%", " %")
