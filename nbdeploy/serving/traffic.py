"""Which version answers: the shares of the versions as one frozen value, and the choice by key."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Self

from nbdeploy.display.units import percent
from nbdeploy.exceptions import ServingError
from nbdeploy.serving.routing import Route

__all__ = ["ROUTING_KEY", "Traffic", "checked_weights", "place_of"]

ROUTING_KEY = "X-Routing-Key"
"""The header that keeps a caller with one version, unless another is named."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """Who answers which share of the requests.

    The shares lie side by side on a line from 0 to 1, in their order. A key has a fixed place on
    it: when the share of the last version grows, its keys stay with it and others join them.

    Parameters
    ----------
    routes
        The versions, at least one.
    weights
        Their shares, which add up to 1.
    shadow
        A version that answers nobody and sees everything.
    key
        The header, or the field, that keeps a caller with one version.
    """

    routes: tuple[Route, ...]
    weights: tuple[float, ...] = (1.0,)
    shadow: Route | None = None
    key: str = ROUTING_KEY

    @classmethod
    def to(cls, route: Route, *, shadow: Route | None = None) -> Self:
        """Send everything to one version."""
        return cls((route,), shadow=shadow)

    @classmethod
    def parted(
        cls, shares: Mapping[str, float], routes: Mapping[str, Route], *, key: str = ROUTING_KEY
    ) -> Self:
        """Part the traffic.

        Parameters
        ----------
        shares
            Positive numbers by version; what they add up to does not matter.
        routes
            The routes of these versions.
        key
            See `Traffic`.

        Raises
        ------
        ServingError
            If a share is none.
        """
        weights = checked_weights(shares)
        return cls(tuple(routes[name] for name in weights), tuple(weights.values()), key=key)

    @cached_property
    def _bounds(self) -> list[float]:
        # Without the last: whatever rounding makes of the sum, the last version has the rest.
        return list(accumulate(self.weights))[:-1]

    @property
    def primary(self) -> Route:
        """The version that stands for the service where one must: the first of the largest."""
        return self.routes[self.weights.index(max(self.weights))]

    @property
    def is_plain(self) -> bool:
        """Whether one version answers everything and nobody watches."""
        return len(self.routes) == 1 and self.shadow is None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each version."""
        return {
            route.version: weight for route, weight in zip(self.routes, self.weights, strict=True)
        }

    def all_routes(self) -> tuple[Route, ...]:
        """Give every version in it, the shadow last."""
        return self.routes if self.shadow is None else (*self.routes, self.shadow)

    def at(self, place: float) -> Route:
        """Give the version at a place from 0 to 1."""
        return self.routes[bisect_right(self._bounds, place)] if self._bounds else self.routes[0]

    def with_shadow(self, shadow: Route | None) -> Traffic:
        """Give the same shares with another shadow; a version that answers is none."""
        if shadow is not None and shadow.version in self.shares:
            shadow = None
        return replace(self, shadow=shadow)

    def describe(self) -> str:
        """Say who answers which share, by which key, and who is in the shadow."""
        shares = ", ".join(f"{name} {percent(share)}" for name, share in self.shares.items())
        by = f", by {self.key}" if len(self.routes) > 1 else ""
        behind = f", shadow {self.shadow.version}" if self.shadow is not None else ""
        return f"{shares}{by}{behind}"

    def __repr__(self) -> str:
        return f"<Traffic: {self.describe()}>"


def checked_weights(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares so that they add up to 1.

    Raises
    ------
    ServingError
        If one is negative or not finite, or none is positive.

    Examples
    --------
    >>> checked_weights({"1.0": 9, "1.1": 1})
    {'1.0': 0.9, '1.1': 0.1}
    """
    for name, share in shares.items():
        is_number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not is_number or not math.isfinite(share) or share < 0:
            message = f"The share of {name!r} is {share!r}. Expected a number from 0 on, as 0.1."
            raise ServingError(message)
    total = math.fsum(shares.values())
    if not total > 0:
        message = "No version has a share of the traffic. Give at least one more than 0."
        raise ServingError(message)
    return {name: share / total for name, share in shares.items()}


def place_of(key: str, *, salt: str) -> float:
    """Give the place of a key: from 0 to below 1, the same on every machine and for ever.

    It is made of the first 8 bytes of SHA-256 of salt, a zero byte and key, as UTF-8.

    Parameters
    ----------
    key
        Names a caller.
    salt
        Names the service: a caller's luck in one experiment shall not be that in the next.

    Examples
    --------
    >>> place_of("ana", salt="churn")
    0.21398180195692107
    """
    text = f"{salt}\0{key}".encode("utf-8", "surrogatepass")
    whole = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    # 53 bits: a float of 64 could be rounded up to 1.
    return (whole >> 11) / 2.0**53
