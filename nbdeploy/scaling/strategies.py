"""The ways to choose one of several endpoints, by name."""

from __future__ import annotations

from difflib import get_close_matches

from nbdeploy.exceptions import ScalingError

__all__ = ["STRATEGIES", "checked_strategy"]

#: What `LoadBalancer.lease` and ``Client(strategy=...)`` take.
STRATEGIES = ("round_robin", "random", "weighted", "smooth_weighted", "least_request")


def checked_strategy(strategy: str) -> str:
    """Return the name of a strategy, or say which one was probably meant.

    Raises
    ------
    ScalingError
        If there is no such strategy.
    """
    if strategy in STRATEGIES:
        return strategy
    near = get_close_matches(strategy, STRATEGIES, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    message = f"There is no strategy {strategy!r}. Expected one of {list(STRATEGIES)}.{meant}"
    raise ScalingError(message)
