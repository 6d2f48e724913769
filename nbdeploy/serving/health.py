"""Liveness and readiness: is the process alive, and should it get requests."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

__all__ = ["Health", "add_health_routes"]

logger = logging.getLogger("nbdeploy")


class Health:
    """What decides whether a service is ready.

    Parameters
    ----------
    state
        A call that gives ``"ready"``, or a word for why not.
    """

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state
        self._checks: dict[str, Callable[[], object]] = {}
        self._failure: str | None = None

    def add_check(self, name: str, check: Callable[[], object]) -> None:
        """Make readiness depend on a check of the user's own.

        Parameters
        ----------
        name
            What the answer calls it.
        check
            Ready unless it raises or returns ``False``. It is called at every question, on the
            event loop: it must be quick.
        """
        self._checks[name] = check

    def fail(self, reason: str) -> None:
        """Be not ready from now on; the reason goes to the log, not to callers."""
        self._failure = reason

    @property
    def has_failed(self) -> bool:
        """Whether the model could not be loaded."""
        return self._failure is not None

    def readiness(self) -> tuple[bool, str]:
        """Tell whether requests should come, with a word for the state."""
        if self._failure is not None:
            return False, "failed to load"
        state = self._state()
        if state != "ready":
            return False, state
        for name, check in self._checks.items():
            try:
                passed = check() is not False
            except Exception:
                logger.exception("The health check %r raised", name)
                passed = False
            if not passed:
                return False, f"health check {name!r} failed"
        return True, "ready"


def add_health_routes(app: FastAPI, health: Health) -> None:
    """Add the health routes, under every name that probes of the field use."""

    async def live() -> Response:
        return JSONResponse({"live": True})

    async def ready() -> Response:
        is_ready, state = health.readiness()
        return _answer({"ready": is_ready, "status": state}, is_ready)

    async def ping() -> Response:
        is_ready, state = health.readiness()
        return _answer({"ping": "pong" if is_ready else state}, is_ready)

    not_ready: dict[int | str, dict[str, object]] = {
        503: {"description": "Not ready for requests."}
    }
    for path in ("/health/live", "/livez", "/healthz", "/v2/health/live"):
        app.add_api_route(path, live, summary="Is the process alive?")
    for path in ("/health", "/health/ready", "/readyz", "/v2/health/ready"):
        app.add_api_route(path, ready, summary="Should requests come?", responses=not_ready)
    app.add_api_route("/ping", ping, summary="Should requests come?", responses=not_ready)


def _answer(body: dict[str, object], is_ready: bool) -> Response:
    headers = {} if is_ready else {"Retry-After": "1"}
    return JSONResponse(body, 200 if is_ready else 503, headers)
