"""Ask endpoints whether they are well, again and again."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from nbdeploy.scaling.load_balancer import LoadBalancer
from nbdeploy.with_blocks import StopsOnExit

__all__ = ["HealthChecker"]

_MOST_AT_ONCE = 8


class HealthChecker(StopsOnExit):
    """Check every endpoint of a `LoadBalancer` in the background, from ``start`` to ``stop``.

    It ends by itself when nobody holds the balancer any more, and with the process.

    Parameters
    ----------
    balancer
        Whom to tell; its `health` says how often.
    probe
        Tells whether an endpoint is well; an exception says no.

    Examples
    --------
    >>> balancer = LoadBalancer(["a", "b"])
    >>> checker = HealthChecker(balancer, lambda endpoint: endpoint == "a")
    >>> for _ in range(3):
    ...     checker.check()
    >>> [(fact.name, fact.state.value) for fact in balancer.facts()]
    [('a', 'up'), ('b', 'down')]
    """

    def __init__(self, balancer: LoadBalancer, probe: Callable[[str], bool]) -> None:
        self._balancer = weakref.ref(balancer)
        self._probe = probe
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Check all endpoints once, several at a time."""
        balancer = self._balancer()
        if balancer is None:
            self._ended.set()
            return
        endpoints = balancer.endpoints
        if not endpoints:
            return
        with ThreadPoolExecutor(min(len(endpoints), _MOST_AT_ONCE)) as threads:
            found = list(threads.map(self._is_healthy, endpoints))
        for endpoint, is_healthy in zip(endpoints, found, strict=True):
            balancer.report_check(endpoint, is_healthy=is_healthy)

    def start(self) -> Self:
        """Check in the background; again does nothing."""
        if self._thread is None:
            balancer = self._balancer()
            interval = balancer.health.interval if balancer is not None else 0.0
            self._thread = threading.Thread(
                target=self._run, args=(interval,), name="health checks", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """Check no more; again does nothing."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def _run(self, interval: float) -> None:
        while not self._ended.wait(interval):
            self.check()

    def _is_healthy(self, endpoint: str) -> bool:
        try:
            return self._probe(endpoint)
        except Exception:  # noqa: BLE001 -- whatever a probe raises, the endpoint is not well
            return False
