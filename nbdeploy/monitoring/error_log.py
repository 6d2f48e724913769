"""The last failures, with what is needed to explain them."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from traceback import TracebackException
from typing import Any

__all__ = ["ErrorLog", "RecordedError"]

_MESSAGE_LENGTH = 2_000
_TRACEBACK_LENGTH = 20_000
_SERVER_ERROR = 500


@dataclass(frozen=True)
class RecordedError:
    """One failure.

    Parameters
    ----------
    id
        What :meth:`ModelMonitor.find_error` finds it by.
    time
        When, in seconds since 1970.
    endpoint
        The method that was called.
    type
        The name of the exception's class; ``None`` when only a text was logged.
    message
        What the exception says, at most 2000 characters.
    traceback
        The traceback as Python prints it. When the request was at fault (a status below 500)
        only its last line: the frames of nbdeploy would explain nothing.
    status
        The HTTP status of the answer, where there was one.
    exception
        The exception itself, for ``raise ... from``. Only the latest few failures keep theirs:
        its frames hold the rows of the request.
    """

    id: str = field(repr=False)
    time: float = field(repr=False)
    endpoint: str
    type: str | None
    message: str
    traceback: str = field(repr=False)
    status: int | None = None
    exception: BaseException | None = field(default=None, repr=False, compare=False)


class ErrorLog:
    """A bounded list of failures.

    Parameters
    ----------
    limit
        How many failures are kept.
    held
        How many of them keep their exception, and with it the rows in its frames.
    wall_clock
        Returns seconds since 1970.
    """

    def __init__(self, limit: int = 100, *, held: int = 5, wall_clock: Callable[[], float]) -> None:
        self._errors: deque[RecordedError] = deque(maxlen=limit)
        self._held = held
        self._wall_clock = wall_clock
        self._lock = Lock()

    def add(
        self, error: BaseException | str, *, endpoint: str, status: int | None
    ) -> RecordedError:
        """Keep a failure and return its record.

        Parameters
        ----------
        error
            The exception, or a text where there is none.
        endpoint
            The method that was called.
        status
            The HTTP status of the answer, where there was one.
        """
        recorded = RecordedError(
            id=secrets.token_hex(6),
            time=self._wall_clock(),
            endpoint=endpoint,
            status=status,
            **_explain(error, with_frames=status is None or status >= _SERVER_ERROR),
        )
        with self._lock:
            self._errors.append(recorded)
            if len(self._errors) > self._held:
                older = self._errors[-self._held - 1]
                self._errors[-self._held - 1] = replace(older, exception=None)
        return recorded

    def all(self) -> list[RecordedError]:
        """Return the failures, the oldest first."""
        with self._lock:
            return list(self._errors)

    def find(self, error_id: str) -> RecordedError | None:
        """Return the failure with this id, or ``None`` when it is not kept any more."""
        return next((error for error in self.all() if error.id == error_id), None)

    def id_of(self, error: BaseException) -> str | None:
        """Return the id of a held exception, or ``None`` when it is not held."""
        return next((kept.id for kept in reversed(self.all()) if kept.exception is error), None)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._errors.clear()


def _explain(error: BaseException | str, *, with_frames: bool) -> dict[str, Any]:
    if isinstance(error, str):
        return {"type": None, "message": _shortened(error, _MESSAGE_LENGTH), "traceback": ""}
    # Keeps names and lines of the frames, but not the frames: no local variable lives on.
    summary = TracebackException(
        type(error), error, error.__traceback__ if with_frames else None, compact=True
    )
    lines = summary.format() if with_frames else summary.format_exception_only()
    return {
        "type": type(error).__name__,
        "message": _shortened(str(summary), _MESSAGE_LENGTH),
        "traceback": _shortened("".join(lines), _TRACEBACK_LENGTH),
        "exception": error,
    }


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    # The last lines say what happened, the first ones where it began.
    half = length // 2
    return f"{text[:half]} ... {text[-half:]}"
