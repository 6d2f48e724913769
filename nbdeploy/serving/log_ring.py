"""The last log lines of one server, kept in memory instead of printed into cells."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["LogRing", "LogTap"]

_SIZE = 1000
_TRACEBACK = "Traceback (most recent call last)"

_current: ContextVar[LogRing | None] = ContextVar("nbdeploy_log_ring", default=None)


@dataclass(frozen=True)
class _Entry:
    line: str
    traceback: str


class LogRing:
    """A bounded list of log lines, the oldest dropped first.

    Parameters
    ----------
    size
        Number of lines to keep.

    Examples
    --------
    >>> ring = LogRing()
    >>> record = logging.makeLogRecord({"levelname": "INFO", "msg": "Up", "created": 0.0})
    >>> ring.append(record)
    >>> ring.lines()[0][-7:]
    'INFO Up'
    """

    def __init__(self, size: int = _SIZE) -> None:
        self._entries: deque[_Entry] = deque(maxlen=size)
        self._formatter = logging.Formatter()

    def adopt_thread(self) -> None:
        """Collect from now on what the calling thread logs, and what copies its context."""
        _current.set(self)

    @property
    def is_current(self) -> bool:
        """Whether the calling thread or task logs into this ring."""
        return _current.get() is self

    def append(self, record: logging.LogRecord) -> None:
        """Keep one record: a line, and its traceback apart."""
        message, _, traceback = record.getMessage().strip().partition(_TRACEBACK)
        if record.exc_info:
            traceback = self._formatter.formatException(record.exc_info)
        reason = traceback.strip().rsplit("\n", 1)[-1]
        text = ": ".join(part.strip() for part in (message, reason) if part.strip())
        time = self._formatter.formatTime(record)
        line = f"{time} {record.levelname} {text}"
        self._entries.append(_Entry(line, traceback.strip()))

    def lines(self, *, tracebacks: bool = False) -> list[str]:
        """Return the lines kept, the oldest first.

        Parameters
        ----------
        tracebacks
            Whether an error brings its traceback along; otherwise it ends with the last line of it.
        """
        if not tracebacks:
            return [entry.line for entry in list(self._entries)]
        return [f"{entry.line}\n{entry.traceback}".rstrip() for entry in list(self._entries)]


class LogTap(logging.Filter):
    """Leads the records of one logger into the ring of the thread or task that logs.

    The records of everybody else go where they went before, at the level they had before.

    Parameters
    ----------
    logger
        Name of the logger.
    passes
        Whether what went into a ring also goes to the logger's own handlers.
    """

    def __init__(self, logger: str, *, passes: bool = False) -> None:
        super().__init__()
        self._logger = logging.getLogger(logger)
        self._passes = passes
        self._own_level = logging.NOTSET
        self._users = 0
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Lead records into rings until the block ends."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the logger shall go on with the record."""
        ring = _current.get()
        if ring is not None:
            ring.append(record)
            if not self._passes:
                return False
        return record.levelno >= self._former_level()

    def _former_level(self) -> int:
        if self._own_level != logging.NOTSET or self._logger.parent is None:
            return self._own_level
        return self._logger.parent.getEffectiveLevel()

    def _enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._own_level = self._logger.level
            if self._logger.getEffectiveLevel() > logging.INFO:
                self._logger.setLevel(logging.INFO)
            self._logger.addFilter(self)

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._logger.removeFilter(self)
                self._logger.setLevel(self._own_level)
