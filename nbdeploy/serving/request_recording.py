"""Where a request log looks at the path of a prediction."""

from __future__ import annotations

import random
import time
from asyncio import CancelledError
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import pandas as pd

from nbdeploy.models.cell_columns import CellColumns
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.monitoring.request_lines import Noted
from nbdeploy.monitoring.request_log import RequestLog, RequestWriter, require_columns
from nbdeploy.serving.errors import answer_of
from nbdeploy.serving.question import Question
from nbdeploy.serving.routing import Route

__all__ = ["RequestRecorder", "record_requests"]

_CELLS = 100_000
_LETTERS_OF_A_CELL = 8
_TEXTS = frozenset({"string", "category", "any"})
_ROWS = frozenset({list, tuple})


def record_requests(
    request_log: Any, service: str, monitor: ModelMonitor
) -> RequestRecorder | None:
    """Make the recorder of a service, and let its monitor tell of it.

    Parameters
    ----------
    request_log
        What a user gave: a folder, a `RequestLog`, or ``None``.
    service
        The name of the service.
    monitor
        Its monitor.

    Raises
    ------
    ServingError
        If nothing can be written into the folder.
    ValueError
        If it is neither.
    """
    log = RequestLog.of(request_log)
    if log is None:
        return None
    log.prepare()
    recorder = RequestRecorder(log, RequestWriter(log, service), clock=monitor.clock)
    monitor.attach("request_log", recorder.stats)
    return recorder


class RequestRecorder:
    """Note what was asked and answered.

    Parameters
    ----------
    log
        Which requests, and what of them.
    writer
        Writes what is noted.
    clock
        The clock of the monitor.
    wall_clock
        Gives seconds since 1970.
    draw
        Gives a number from 0 to below 1: a request is recorded if it is below the share.
    """

    def __init__(
        self,
        log: RequestLog,
        writer: RequestWriter,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._log = log
        self._writer = writer
        self._clock = clock
        self._wall_clock = wall_clock
        self._draw = draw
        self.stats = writer.stats
        self.close = writer.close

    def require_columns(self, known: Collection[str]) -> None:
        """Refuse to redact what is no column.

        Raises
        ------
        ServingError
            If a name is none of those.
        """
        require_columns(self._log.redact, known)

    async def follow(
        self, answering: Coroutine[Any, Any, list[Any]], question: Question, started: float
    ) -> list[Any]:
        """Wait for an answer, and note it with its question.

        Parameters
        ----------
        answering
            Gives the answer.
        question
            What was asked.
        started
            What the monitor's clock said when the request began.
        """
        if not self._is_drawn():
            return await answering
        try:
            # Before the model gets them: it may write into a table.
            kept = self._kept(question)
        except Exception:  # noqa: BLE001 -- as in _note
            self._writer.fail()
            return await answering
        try:
            output = await answering
        except BaseException as error:
            self._note(question.route, question.method, started, kept, question, error=error)
            raise
        self._note(question.route, question.method, started, kept, question, output)
        return output

    def refused(self, route: Route, method: str, started: float, error: BaseException) -> None:
        """Note a request whose rows do not fit: without them, for nobody knows what they are."""
        if self._is_drawn():
            self._note(route, method, started, None, None, error=error)

    def _is_drawn(self) -> bool:
        share = self._log.sample
        return share >= 1 or self._draw() < share

    def _kept(self, question: Question) -> Any:
        rows = question.rows
        width = max(1, question.route.signature.width)
        most = max(1, min(self._log.max_rows, _CELLS // width))
        if isinstance(rows, (list, CellColumns)):
            return rows if len(rows) <= most else rows[:most]
        if len(rows) > most:
            is_table = isinstance(rows, (pd.DataFrame, pd.Series))
            rows = rows.iloc[:most] if is_table else rows[:most]
        return rows.copy()

    def _note(
        self,
        route: Route,
        method: str,
        started: float,
        kept: Any,
        question: Question | None,
        output: list[Any] | None = None,
        *,
        error: BaseException | None = None,
    ) -> None:
        ended = self._clock()
        try:
            answer = None if output is None or kept is None else output[: len(kept)]
            noted = Noted(
                time=self._wall_clock(),
                endpoint=method,
                version=route.version,
                status=_status(error),
                latency=max(0.0, ended - started),
                names=route.signature.names,
                rows=kept,
                size=0 if question is None else question.size,
                answer=answer,
                error=None if error is None else _name(error),
            )
            self._writer.offer(noted, _weight(route, kept, answer))
        except Exception:  # noqa: BLE001 -- whatever is wrong with a note, the answer goes out
            self._writer.fail()


def _status(error: BaseException | None) -> int | None:
    if error is None:
        return 200
    return answer_of(error).status if isinstance(error, Exception) else None


def _name(error: BaseException) -> str:
    # Its message could hold cells that are redacted.
    gone = isinstance(error, (CancelledError, GeneratorExit))
    return "cancelled" if gone else type(error).__name__


def _weight(route: Route, kept: Any, answer: list[Any] | None) -> int:
    """Tell what a note holds, as a number of cells."""
    if kept is None:
        return 1
    signature = route.signature
    weight = len(kept) * signature.width
    if answer:
        weight += len(answer) * (len(answer[0]) if isinstance(answer[0], list) else 1)
    if any(column.kind in _TEXTS for column in signature.columns):
        weight += _letters(kept) // _LETTERS_OF_A_CELL
    return weight


def _letters(kept: Any) -> int:
    if isinstance(kept, pd.DataFrame):
        return sum(
            _letters(kept.iloc[:, place].tolist())
            for place in range(kept.shape[1])
            if kept.dtypes.iloc[place].kind not in "biufcmM"
        )
    if isinstance(kept, CellColumns):
        return sum(_letters(cells) for cells in kept.columns if type(cells) in _ROWS)
    cells = kept if type(kept) in _ROWS else kept.tolist()
    return sum(
        len(cell) if isinstance(cell, str) else _letters(cell) if type(cell) in _ROWS else 0
        for cell in cells
    )
