"""Which of several endpoints answers the next request."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction

from nbdeploy.display import units
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import RequestError, ScalingError, SignatureError
from nbdeploy.scaling.balancing_rules import EjectionRules, HealthRules, SlowStart
from nbdeploy.scaling.endpoint import Endpoint, EndpointFacts, EndpointState
from nbdeploy.scaling.strategies import checked_strategy
from nbdeploy.scaling.weights import SmoothWeights, checked_weights

__all__ = ["LoadBalancer"]

_TWO = 2
_STEPS = 100
_NONE = "There is no endpoint. Give LoadBalancer at least one."
_NO_OTHER = "There is no other endpoint left to try."


class LoadBalancer(ReprMixin):
    """Spread requests over endpoints, and leave out those that fail.

    It chooses and counts; who sends the requests is up to you. Every call may come from any
    thread.

    Parameters
    ----------
    endpoints
        Addresses, or any other names.
    health
        How active health checks are read; a `HealthChecker` makes them.
    ejection
        When an endpoint that fails requests is left out.
    slow_start
        How an endpoint that comes back, or is added later, gets its share. It counts where
        weights do: with weights and ``least_request``.
    clock
        Seconds that never go back.
    generator
        Where chance comes from.

    Examples
    --------
    >>> balancer = LoadBalancer(["a", "b", "c"])
    >>> [balancer.round_robin() for _ in range(4)]
    ['a', 'b', 'c', 'a']
    >>> balancer
    <LoadBalancer of 3 endpoints, 3 up>
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        health: HealthRules | None = None,
        ejection: EjectionRules | None = None,
        slow_start: SlowStart | None = None,
        clock: Callable[[], float] = time.monotonic,
        generator: random.Random | None = None,
    ) -> None:
        self.health = health or HealthRules()
        self.ejection = ejection or EjectionRules()
        self.slow_start = slow_start or SlowStart()
        self._clock = clock
        # Choices among servers are no secrets.
        self._generator = generator or random.Random()  # noqa: S311
        self._lock = threading.Lock()
        self._endpoints = {name: Endpoint(name) for name in endpoints}
        self._turn = 0
        self._smooth = SmoothWeights()

    @property
    def endpoints(self) -> list[str]:
        """All endpoints, whether they get requests or not."""
        with self._lock:
            return list(self._endpoints)

    def add(self, endpoint: str) -> None:
        """Take in another endpoint; it starts slowly. One that is there stays as it is."""
        with self._lock:
            self._endpoints.setdefault(endpoint, Endpoint(endpoint, came_up=self._clock()))

    def remove(self, endpoint: str) -> None:
        """Give an endpoint no more requests; those in flight may end. Again does nothing."""
        with self._lock:
            self._endpoints.pop(endpoint, None)

    def round_robin(self) -> str:
        """Pick one after the other."""
        return self._pick("round_robin")

    def random_select(self) -> str:
        """Pick by chance, each as likely as the other."""
        return self._pick("random")

    def weighted_select(self, weights: Mapping[str, float]) -> str:
        """Pick by chance, each as likely as its weight says.

        Parameters
        ----------
        weights
            By endpoint; one that is missing or has zero is never picked.

        Raises
        ------
        ScalingError
            If a weight is negative, an endpoint unknown, or no weight above zero.
        """
        return self._pick("weighted", weights)

    def smooth_weighted(self, weights: Mapping[str, float]) -> str:
        """Pick in turns, each exactly as often as its weight says; see `weighted_select`.

        Examples
        --------
        >>> balancer = LoadBalancer(["a", "b"])
        >>> [balancer.smooth_weighted({"a": 2, "b": 1}) for _ in range(6)]
        ['a', 'b', 'a', 'a', 'b', 'a']
        """
        return self._pick("smooth_weighted", weights)

    def least_request(self) -> str:
        """Pick two by chance, and of the two the one with fewer requests in flight.

        In flight are requests under `lease`; this only picks.
        """
        return self._pick("least_request")

    @contextmanager
    def lease(
        self,
        strategy: str = "least_request",
        *,
        weights: Mapping[str, float] | None = None,
        avoid: Collection[str] = (),
    ) -> Iterator[str]:
        """Pick an endpoint for the time of a ``with`` block, and count what came of it.

        An error that leaves the block counts as a failure of the endpoint, unless it says that
        the request itself was wrong.

        Parameters
        ----------
        strategy
            One of `nbdeploy.scaling.strategies.STRATEGIES`.
        weights
            For the strategies that need them; see `weighted_select`.
        avoid
            Endpoints that were tried already.

        Examples
        --------
        >>> balancer = LoadBalancer(["a"])
        >>> with balancer.lease("least_request") as endpoint:
        ...     endpoint, balancer.facts()[0].in_flight
        ('a', 1)
        """
        endpoint = self.acquire(strategy, weights=weights, avoid=avoid)
        began = self._clock()
        failed = False
        try:
            yield endpoint
        except Exception as error:
            failed = not isinstance(error, (SignatureError, RequestError))
            raise
        finally:
            self.release(endpoint, latency=self._clock() - began, failed=failed)

    def acquire(
        self,
        strategy: str = "least_request",
        *,
        weights: Mapping[str, float] | None = None,
        avoid: Collection[str] = (),
    ) -> str:
        """Pick an endpoint and count a request in flight, until `release`; see `lease`."""
        return self._pick(strategy, weights, avoid, in_flight=1)

    def release(self, endpoint: str, *, latency: float, failed: bool = False) -> None:
        """Count that a request has ended, and eject the endpoint that fails one after the other.

        Parameters
        ----------
        endpoint
            What `acquire` gave.
        latency
            Seconds that it took.
        failed
            Whether the endpoint failed, be it with an error or with silence.
        """
        with self._lock:
            known = self._endpoints.get(endpoint)
            if known is None:
                return
            known.in_flight -= 1
            known.answered(latency, failed=failed)
            now = self._clock()
            states = [each.state(now) for each in self._endpoints.values()]
            if (
                known.failures_in_a_row >= self.ejection.consecutive_failures
                and known.state(now) is EndpointState.UP
                and states.count(EndpointState.EJECTED) < self.ejection.most(len(states))
            ):
                known.eject(now, self.ejection)

    def withdraw(self, endpoint: str) -> None:
        """Undo an `acquire`: nothing was sent."""
        with self._lock:
            known = self._endpoints.get(endpoint)
            if known is not None:
                known.in_flight -= 1

    def report_check(self, endpoint: str, *, is_healthy: bool) -> None:
        """Count one health check of an endpoint; several that fail take it out.

        Parameters
        ----------
        endpoint
            Which one was checked; nothing happens if it was removed meanwhile.
        is_healthy
            What the check found.
        """
        with self._lock:
            known = self._endpoints.get(endpoint)
            if known is not None:
                known.checked(self._clock(), self.health, is_healthy=is_healthy)

    def facts(self) -> list[EndpointFacts]:
        """Tell of each endpoint its state, requests in flight, failures and latency."""
        with self._lock:
            now = self._clock()
            return [endpoint.facts(now) for endpoint in self._endpoints.values()]

    def __repr__(self) -> str:
        states = [fact.state for fact in self.facts()]
        counted = units.counted(len(states), "endpoint")
        return f"<LoadBalancer of {counted}, {states.count(EndpointState.UP)} up>"

    def to_text(self) -> str:
        """Write one line an endpoint."""
        return self._table().to_text()

    def to_html(self) -> str:
        """Write one row an endpoint."""
        return self._table().to_html()

    def _table(self) -> Table:
        columns = ("endpoint", "state", "in flight", "requests", "failures", "latency")
        rows = [
            (
                fact.name,
                fact.state.value,
                units.count(fact.in_flight),
                units.count(fact.requests),
                units.count(fact.failures),
                units.duration(fact.latency),
            )
            for fact in self.facts()
        ]
        return Table(columns, rows, right=columns[2:], noun="endpoint")

    def _pick(
        self,
        strategy: str,
        weights: Mapping[str, float] | None = None,
        avoid: Collection[str] = (),
        *,
        in_flight: int = 0,
    ) -> str:
        checked_strategy(strategy)
        with self._lock:
            now = self._clock()
            candidates = self._candidates(now, avoid)
            if strategy == "round_robin":
                chosen = self._next(candidates)
            elif strategy == "random":
                chosen = self._generator.choice(candidates)
            elif strategy == "least_request":
                chosen = self._less_busy(candidates, now)
            else:
                chosen = self._weighted(strategy, weights, candidates, avoid)
            self._endpoints[chosen].in_flight += in_flight
            return chosen

    def _candidates(self, now: float, avoid: Collection[str]) -> list[str]:
        everything = list(self._endpoints)
        usable = [
            name
            for name, endpoint in self._endpoints.items()
            if endpoint.state(now) is EndpointState.UP
        ]
        if self.ejection.is_panic(len(usable), len(everything)):
            usable = everything
        candidates = [name for name in usable if name not in avoid]
        if not candidates:
            raise ScalingError(_NO_OTHER if everything else _NONE)
        return candidates

    def _next(self, candidates: Sequence[str]) -> str:
        order = list(self._endpoints)
        turns = (order[(self._turn + step) % len(order)] for step in range(len(order)))
        chosen = next(name for name in turns if name in candidates)
        self._turn = (order.index(chosen) + 1) % len(order)
        return chosen

    def _less_busy(self, candidates: Sequence[str], now: float) -> str:
        drawn = self._generator.sample(candidates, min(_TWO, len(candidates)))
        return min(drawn, key=lambda name: self._busyness(self._endpoints[name], now))

    def _busyness(self, endpoint: Endpoint, now: float) -> float:
        return (endpoint.in_flight + 1) / endpoint.share(now, self.slow_start)

    def _weighted(
        self,
        strategy: str,
        weights: Mapping[str, float] | None,
        candidates: Sequence[str],
        avoid: Collection[str],
    ) -> str:
        if weights is None:
            message = f"{strategy!r} needs weights: {{endpoint: weight, ...}}."
            raise ScalingError(message)
        wanted = checked_weights(weights, self._endpoints)
        able = [name for name in candidates if name in wanted]
        # When none that has a weight is up, those with a weight are tried all the same.
        able = able or [name for name in wanted if name not in avoid]
        if not able:
            raise ScalingError(_NO_OTHER)
        now = self._clock()
        # In steps, so that the sums of smooth weights stay short fractions.
        shares = {
            name: Fraction(
                round(self._endpoints[name].share(now, self.slow_start) * _STEPS), _STEPS
            )
            for name in able
        }
        if strategy == "smooth_weighted":
            return self._smooth.pick(wanted, able, shares)
        chances = [float(wanted[name] * shares[name]) for name in able]
        return self._generator.choices(able, chances)[0]
