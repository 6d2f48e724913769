"""Weights of endpoints: checked, and spread as evenly as they can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from nbdeploy.exceptions import ScalingError

__all__ = ["SmoothWeights", "checked_weights"]


def checked_weights(weights: Mapping[str, float], endpoints: Iterable[str]) -> dict[str, Fraction]:
    """Return the weights above zero, exact.

    Parameters
    ----------
    weights
        By endpoint; one that is missing or has zero is never picked.
    endpoints
        All that there are.

    Raises
    ------
    ScalingError
        If a weight is negative or no number, an endpoint is unknown, or nothing is left.

    Examples
    --------
    >>> {name: str(weight) for name, weight in checked_weights({"a": 0.1, "b": 0}, "ab").items()}
    {'a': '1/10'}
    """
    known = list(endpoints)
    for name, weight in weights.items():
        if name not in known:
            message = f"{name!r} has a weight but is no endpoint. The endpoints are {known}."
            raise ScalingError(message)
        if not math.isfinite(weight) or weight < 0:
            message = f"The weight of {name!r} is {weight!r}. Expected a number from 0 on."
            raise ScalingError(message)
    # The decimal that was written, not its nearest binary: 0.1 and 0.2 are 1 : 2 exactly.
    exact = {name: Fraction(str(weight)) for name, weight in weights.items() if weight > 0}
    if not exact:
        message = f"No weight is above 0 in {dict(weights)}. Give one endpoint a weight."
        raise ScalingError(message)
    return exact


class SmoothWeights:
    """Smooth weighted round robin: exact in every cycle, and as evenly spread as possible.

    Each turn every endpoint gains its weight; the one that has most is picked, and pays the sum.

    Examples
    --------
    >>> smooth, weights = SmoothWeights(), checked_weights({"a": 5, "b": 1, "c": 1}, "abc")
    >>> "".join(smooth.pick(weights, "abc") for _ in range(7))
    'aabacaa'
    """

    def __init__(self) -> None:
        self._weights: dict[str, Fraction] = {}
        self._gained: dict[str, Fraction] = {}

    def pick(
        self,
        weights: Mapping[str, Fraction],
        candidates: Sequence[str],
        shares: Mapping[str, Fraction] | None = None,
    ) -> str:
        """Pick the next of the candidates; other weights than the last time begin anew.

        Parameters
        ----------
        weights
            Above zero, by endpoint.
        candidates
            Those that may be picked now; each has a weight.
        shares
            Which part of its weight a candidate has now; the whole when it is not there.
        """
        if weights != self._weights:
            self._weights, self._gained = dict(weights), {}
        gains = {name: weights[name] * (shares or {}).get(name, 1) for name in candidates}
        for name, gain in gains.items():
            self._gained[name] = self._gained.get(name, Fraction()) + gain
        chosen = max(candidates, key=self._gained.__getitem__)
        self._gained[chosen] -= sum(gains.values(), Fraction())
        return chosen
