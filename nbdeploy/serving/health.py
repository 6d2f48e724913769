"""Liveness and readiness: is the process alive, and should it get requests."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["Health"]

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
        self._listeners: list[Callable[[], object]] = []

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

    def remove_check(self, name: str) -> None:
        """Forget a check; one that is not there is no error."""
        self._checks.pop(name, None)

    def fail(self, reason: str) -> None:
        """Be not ready from now on; the reason goes to the log, not to callers."""
        self._failure = reason
        for listener in self._listeners:
            listener()

    def on_failure(self, listener: Callable[[], object]) -> None:
        """Call `listener` when the service has failed for good."""
        self._listeners.append(listener)

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
