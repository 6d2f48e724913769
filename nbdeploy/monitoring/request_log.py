"""A log of requests that never stands in the way of an answer.

Whoever answers leaves a note in a bounded queue; a thread of its own writes. What does not fit into
the queue, and what cannot be written, is lost and counted.
"""

from __future__ import annotations

import contextvars
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Self

from nbdeploy.display.units import counted
from nbdeploy.exceptions import ServingError
from nbdeploy.models.misfit import near_miss
from nbdeploy.monitoring.log_files import LogFiles
from nbdeploy.monitoring.request_lines import Noted, line_of

__all__ = ["RequestLog", "RequestWriter", "folder_of", "require_columns"]

logger = logging.getLogger("nbdeploy")

MAX_WAITING = 4096
"""Requests that wait to be written."""

MAX_WAITING_CELLS = 1_000_000
"""Cells that wait to be written; eight letters of a text count as one."""

_LEAST_BYTES = 1_000
_GATHER_SECONDS = 0.1
_IDLE_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_AT_ONCE = 256
_YIELD_AFTER = 16
# A disk with room for a line now and then shall not be told of at every line.
_SETTLED_SECONDS = 10.0
_UNSAFE = re.compile(r"[^\w.\- ]|^\.+")


@dataclass(frozen=True)
class RequestLog:
    """How requests are recorded: what ``deploy(model, request_log=...)`` takes.

    Parameters
    ----------
    folder
        Where to. Each service writes into a folder of its name in it; only their owner reads the
        files.
    sample
        The share of the requests that is recorded.
    redact
        Names of columns whose cells are not written.
    max_bytes
        Of a file.
    max_files
        Files of a service; when there would be more, the oldest goes.
    max_rows
        Of a request that has more rows, only the first are recorded.

    Raises
    ------
    ValueError
        If a value makes no sense.

    Notes
    -----
    A line is a JSON object: ``time`` (UTC), ``id``, ``endpoint``, ``version``, ``status``,
    ``latency`` (seconds), ``columns`` and ``rows`` (as the model was asked, after validation),
    ``size`` (rows of the request), ``answer`` (one for each of the rows); ``redacted`` names the
    columns that were left out, ``error`` the class of an error, whose text could hold cells. A
    request that did not fit has no ``rows``: nobody knows which of its cells to leave out. One
    that could not even be read has no line.

    Whoever kills the process loses the last tenth of a second; a line is whole or, as the last of
    a file, torn.

    Examples
    --------
    >>> RequestLog("logs", sample=0.1, redact=["name"]).redact
    ('name',)
    """

    folder: Path
    sample: float = field(default=1.0, kw_only=True)
    redact: tuple[str, ...] = field(default=(), kw_only=True)
    max_bytes: int = field(default=10_000_000, kw_only=True)
    max_files: int = field(default=10, kw_only=True)
    max_rows: int = field(default=1_000, kw_only=True)

    def __post_init__(self) -> None:
        # Wherever the notebook goes afterwards, the log stays where it is.
        object.__setattr__(self, "folder", Path(self.folder).expanduser().absolute())
        redact = (self.redact,) if isinstance(self.redact, (str, int)) else self.redact
        object.__setattr__(self, "redact", tuple(map(str, redact)))
        if not (isinstance(self.sample, Real) and 0 < self.sample <= 1):
            message = (
                f"sample is {self.sample!r}. Expected a share of the requests above 0 and at most "
                "1, such as 0.1; to record none, leave request_log= out."
            )
            raise ValueError(message)
        for name, least in (("max_bytes", _LEAST_BYTES), ("max_files", 1), ("max_rows", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                message = f"{name} is {value!r}. Expected a whole number from {least:,} on."
                raise ValueError(message)

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """Take what a user may give: a folder, an object like this, what `to_dict` gave, or none.

        Raises
        ------
        ValueError
            If it is something else.
        """
        if value is None or isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls(**value)
        if isinstance(value, (str, os.PathLike)) and os.fspath(value):
            return cls(Path(value))
        message = (
            f"request_log is {value!r}. Expected a folder such as 'logs', or "
            "nbdeploy.monitoring.RequestLog('logs', sample=0.1, redact=['name'])."
        )
        raise ValueError(message)

    def to_dict(self) -> dict[str, Any]:
        """Write it as JSON values."""
        return {**asdict(self), "folder": str(self.folder), "redact": list(self.redact)}

    def prepare(self) -> None:
        """Make the folder; told now is better than lost later.

        Raises
        ------
        ServingError
            If nothing can be written there.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"request_log={str(self.folder)!r} cannot be made: {error.strerror or error}. "
                "Expected a folder, or a path where one can be made."
            )
            raise ServingError(message) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            message = f"request_log={str(self.folder)!r}: this user may not write into that folder."
            raise ServingError(message)


def folder_of(folder: Path, service: str) -> Path:
    """Give the folder of a service in that of a log.

    Examples
    --------
    >>> folder_of(Path("logs"), "penguins/../x").name
    'penguins_.._x'
    """
    return folder / (_UNSAFE.sub("_", service) or "_")


def require_columns(redact: Collection[str], known: Collection[str]) -> None:
    """Refuse to leave out columns that there are not: a typo would let the cells through.

    Raises
    ------
    ServingError
        If a name is none of a column.
    """
    for name in redact:
        if name not in known:
            near = near_miss(name, known)
            hint = f" Did you mean {near!r}?" if near else ""
            columns = ", ".join(map(repr, known))
            message = f"redact names {name!r}, which is no column.{hint} Expected of: {columns}."
            raise ServingError(message)


class RequestWriter:
    """Write what is noted, in a thread that ends when there is nothing to write.

    Parameters
    ----------
    log
        How to.
    service
        Whose requests.
    files
        Where they are written to; made when ``None``.
    gather
        Seconds that notes gather before they are written.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        log: RequestLog,
        service: str,
        *,
        files: LogFiles | None = None,
        gather: float = _GATHER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._service = service
        self._files = files or LogFiles(
            folder_of(log.folder, service), max_bytes=log.max_bytes, max_files=log.max_files
        )
        self._gather = gather
        self._clock = clock
        self._failed_at = 0.0
        self._redact = frozenset(log.redact)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Noted, int]] = deque()
        self._cells = 0
        self._is_writing = False
        self._thread: threading.Thread | None = None
        self._has_work = threading.Event()
        self._is_closing = threading.Event()
        self._number = self._written = self._dropped = self._failed = 0
        # What is lost until it goes well again: for one warning an incident.
        self._lost_to_queue = self._lost_to_disk = 0

    def offer(self, noted: Noted, cells: int) -> None:
        """Take a note, or drop it where too much waits; any thread may call.

        Parameters
        ----------
        noted
            The request.
        cells
            How much memory it holds, as a number of cells.
        """
        with self._lock:
            is_taken = len(self._waiting) < MAX_WAITING and self._cells + cells <= MAX_WAITING_CELLS
            if is_taken:
                self._waiting.append((noted, cells))
                self._cells += cells
                if self._thread is None:
                    self._start()
            else:
                self._dropped += 1
                self._lost_to_queue += 1
            is_news = self._lost_to_queue == 1 and not is_taken
        if is_taken and not self._has_work.is_set():
            self._has_work.set()
        if is_news:
            logger.warning(
                "The request log of %r falls behind: lines are dropped, and counted in stats(). "
                "RequestLog(folder, sample=0.1) would record fewer requests.",
                self._service,
            )

    def fail(self) -> None:
        """Count a request that could not even be noted."""
        with self._lock:
            self._failed += 1

    def stats(self) -> dict[str, int]:
        """Tell how many lines were written and lost, and how many wait."""
        with self._lock:
            return {
                "written": self._written,
                "dropped": self._dropped,
                "failed": self._failed,
                "waiting": len(self._waiting) + self._is_writing,
            }

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Write what waits; a disk that hangs is not waited for."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            self._is_closing.set()
            self._has_work.set()
            thread.join(timeout)

    def _start(self) -> None:
        self._is_closing.clear()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="nbdeploy-request-log", daemon=True
        )
        self._thread.start()

    def _work(self) -> None:
        while True:
            has_work = self._has_work.wait(_IDLE_SECONDS)
            if has_work:
                self._is_closing.wait(self._gather)
                self._has_work.clear()
                self.catch_up()
            with self._lock:
                # Who leaves a note after this starts another thread.
                if not self._waiting and (self._is_closing.is_set() or not has_work):
                    self._thread = None
                    return

    def catch_up(self) -> None:
        """Write all that waits now; what comes meanwhile gathers for the next time."""
        with self._lock:
            waiting = len(self._waiting)
        for _ in range(0, waiting, _AT_ONCE):
            self._write(self._take())

    def _take(self) -> list[Noted]:
        with self._lock:
            group = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            self._cells -= sum(cells for _, cells in group)
            self._is_writing = bool(group)
        return [noted for noted, _ in group]

    def _write(self, group: list[Noted]) -> None:
        lines = []
        for place, noted in enumerate(group, start=1):
            line = self._line(noted)
            if line is not None:
                lines.append(line)
            if place % _YIELD_AFTER == 0:
                # Whoever answers goes first.
                time.sleep(0)
        written, error = self._files.append(lines)
        with self._lock:
            self._written += written
            self._is_writing = False
        if error is not None:
            self._lose(len(lines) - written, error)
        elif written:
            self._recover()

    def _line(self, noted: Noted) -> bytes | None:
        self._number += 1
        try:
            line = line_of(noted, id=f"{self._files.writer}-{self._number}", redact=self._redact)
        except Exception as error:  # noqa: BLE001 -- nothing in a row ends this thread
            self._lose(1, error)
            return None
        if len(line) <= self._log.max_bytes:
            return line
        with self._lock:
            self._dropped += 1
        return None

    def _lose(self, lines: int, error: Exception) -> None:
        with self._lock:
            self._failed += lines
        if not self._lost_to_disk:
            # Its text names a path, which is nobody's business in a log that is shared.
            reason = getattr(error, "strerror", None) or type(error).__name__
            logger.warning(
                "The request log of %r cannot be written: %s. Requests are answered as before; "
                "their lines are lost, and counted in stats().",
                self._service,
                reason,
            )
        self._lost_to_disk += lines
        self._failed_at = self._clock()

    def _recover(self) -> None:
        if self._lost_to_disk and self._clock() - self._failed_at < _SETTLED_SECONDS:
            return
        lost, self._lost_to_disk = self._lost_to_disk, 0
        with self._lock:
            if not self._waiting:
                lost += self._lost_to_queue
                self._lost_to_queue = 0
        if lost:
            logger.warning(
                "The request log of %r is written again; lost: %s.",
                self._service,
                counted(lost, "line"),
            )
