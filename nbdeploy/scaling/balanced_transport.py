"""HTTP requests that go to one of several endpoints, and to another one when that is safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2 as httpx

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.health_checker import HealthChecker
from nbdeploy.scaling.load_balancer import LoadBalancer
from nbdeploy.scaling.retry_budget import RetryBudget

__all__ = ["BalancedTransport"]

_PROBE_PATH = "/health/ready"
_PROBE_SECONDS = 1.0
_FAILED = 500
_UNKNOWN = 404
# Answers that were given before any work was done.
_NOT_DONE = (502, 503)
# Asking twice for a prediction changes nothing; telling the truth twice does.
_ONCE = "/feedback"


class BalancedTransport(httpx.BaseTransport):
    """Send each request to an endpoint that a balancer chose; count what comes of it.

    A request is tried on another endpoint when nobody was reached, when the answer was given
    before any work was done (502, 503), or when the connection broke during a prediction. All
    but the first of these take from a budget. One timeout covers all tries.

    Parameters
    ----------
    balancer
        Over addresses such as ``http://host:port``.
    inner
        What sends a request to one endpoint, and is closed with this.
    strategy, weights
        How the balancer chooses.
    timeout
        Seconds for all tries together.
    budget
        How many second tries there may be.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        balancer: LoadBalancer,
        inner: httpx.BaseTransport,
        *,
        strategy: str = "least_request",
        weights: Mapping[str, float] | None = None,
        timeout: float = 30.0,
        budget: RetryBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._balancer = balancer
        self._inner = inner
        self._strategy = strategy
        self._weights = weights
        self._timeout = timeout
        self._budget = budget or RetryBudget()
        self._clock = clock
        self._checker = HealthChecker(balancer, _Probe(inner))

    def watch(self) -> None:
        """Check the health of the endpoints in the background, until it is closed."""
        self._checker.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; what the last try brought is the answer, be it an error."""
        ends = self._clock() + self._timeout
        self._budget.count_request()
        tried: list[str] = []
        endpoint = self._choose(tried)
        while True:
            tried.append(endpoint)
            outcome = self._try(endpoint, request, ends, may_go_on=len(tried) < self._count())
            following = self._following(request, outcome, tried, ends)
            if following is None:
                break
            endpoint = following
        if isinstance(outcome, httpx.TransportError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close all connections, and check no more."""
        self._checker.stop()
        self._inner.close()

    def _count(self) -> int:
        return len(self._balancer.endpoints)

    def _choose(self, tried: list[str]) -> str:
        return self._balancer.acquire(self._strategy, weights=self._weights, avoid=tried)

    def _try(
        self, endpoint: str, request: httpx.Request, ends: float, *, may_go_on: bool
    ) -> httpx.Response | httpx.TransportError:
        began = self._clock()
        left = max(ends - began, 0.0)
        failed = True
        try:
            response = self._inner.handle_request(
                _sent_to(endpoint, request, left, may_go_on=may_go_on)
            )
            response.read()
            failed = response.status_code >= _FAILED
        except httpx.TransportError as error:
            return error
        else:
            return response
        finally:
            self._balancer.release(endpoint, latency=self._clock() - began, failed=failed)

    def _following(
        self,
        request: httpx.Request,
        outcome: httpx.Response | httpx.TransportError,
        tried: list[str],
        ends: float,
    ) -> str | None:
        """Choose where to try again; ``None`` when that is not safe, not allowed or in vain."""
        is_free = _is_free(request, outcome)
        if not (is_free or _is_safe(request, outcome)) or self._clock() >= ends:
            return None
        try:
            endpoint = self._choose(tried)
        except ScalingError:
            return None
        if not is_free and not self._budget.take():
            self._balancer.withdraw(endpoint)
            return None
        return endpoint


class _Probe:
    """Ask an endpoint whether it is ready."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def __call__(self, endpoint: str) -> bool:
        request = httpx.Request("GET", _joined(endpoint, _PROBE_PATH))
        request.extensions["timeout"] = httpx.Timeout(_PROBE_SECONDS).as_dict()
        response = self._inner.handle_request(request)
        response.read()
        return response.is_success


def _is_free(request: httpx.Request, outcome: httpx.Response | httpx.TransportError) -> bool:
    """Tell whether to ask another one burdens nobody: the first did nothing, and is not ill."""
    if isinstance(outcome, httpx.Response):
        # Only the one that predicted knows the prediction.
        return outcome.status_code == _UNKNOWN and request.url.path.endswith(_ONCE)
    return isinstance(outcome, (httpx.ConnectError, httpx.ConnectTimeout))


def _is_safe(request: httpx.Request, outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _NOT_DONE
    is_broken = isinstance(outcome, (httpx.NetworkError, httpx.RemoteProtocolError))
    return is_broken and not request.url.path.endswith(_ONCE)


def _sent_to(
    endpoint: str, request: httpx.Request, left: float, *, may_go_on: bool
) -> httpx.Request:
    url = _joined(endpoint, request.url.raw_path.decode("ascii"))
    headers = request.headers.copy()
    headers["Host"] = url.netloc.decode("ascii")
    # Who does not even take the call leaves half of the time to the others.
    connect = left / 2 if may_go_on else left
    timeout: dict[str, Any] = httpx.Timeout(left, connect=connect).as_dict()
    return httpx.Request(
        request.method,
        url,
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": timeout},
    )


def _joined(endpoint: str, path: str) -> httpx.URL:
    return httpx.URL(endpoint.rstrip("/") + path)
