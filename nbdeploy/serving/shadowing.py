"""A version in the shadow: asked after the caller has the answer, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from nbdeploy.monitoring.shadow import ShadowLog
from nbdeploy.serving.question import Question
from nbdeploy.serving.routing import Route

if TYPE_CHECKING:
    from nbdeploy.serving.inference import InferenceRequest

__all__ = ["ShadowThread"]

MAX_WAITING = 1024
"""Requests that wait for the shadow; one that is too slow misses the rest."""

MAX_ROWS = 256
"""Rows of one call of the shadow."""

_GATHER_SECONDS = 0.05


class _Copy(NamedTuple):
    request: InferenceRequest
    live: list[Any]
    prediction_id: str | None


class ShadowThread:
    """Ask a version what was asked of another, and compare.

    Requests gather for a moment and share calls of the model, because every call takes time from
    the threads that answer callers. The first of them is asked alone: its seconds are those that
    a caller would have waited.

    Parameters
    ----------
    route
        The version.
    log
        Where the comparison is kept.
    gather
        Seconds that requests gather.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        route: Route,
        log: ShadowLog,
        *,
        gather: float = _GATHER_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._route = route
        self._log = log
        self._gather = gather
        self._clock = clock
        self._waiting: deque[_Copy] = deque()
        self._has_work = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def serves(self, route: Route, log: ShadowLog) -> bool:
        """Tell whether it already asks that version for that log."""
        return self._route is route and self._log is log

    def follow(self, request: InferenceRequest, live: list[Any], prediction_id: str | None) -> None:
        """Take a copy of a request that was answered; called on the event loop."""
        if len(self._waiting) >= MAX_WAITING:
            self._log.drop()
            return
        self._waiting.append(_Copy(request, live, prediction_id))
        if self._thread is None:
            self._start()
        # After this turn of the loop, in which the answer is sent.
        if not self._has_work.is_set():
            asyncio.get_running_loop().call_soon(self._has_work.set)

    def _start(self) -> None:
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="nbdeploy-shadow", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End after the call that runs; what waits is forgotten."""
        self._stopping.set()
        self._has_work.set()

    def _work(self) -> None:
        while True:
            self._has_work.wait()
            if self._stopping.wait(self._gather):
                return
            self._has_work.clear()
            self.catch_up()

    def catch_up(self) -> None:
        """Ask everything that waits: the first request alone, the others together."""
        most_rows = 1
        while self._waiting and not self._stopping.is_set():
            began = self._clock()
            group = self._take(most_rows)
            if group:
                self._ask(group, began)
            most_rows = MAX_ROWS

    def _take(self, most_rows: int) -> list[tuple[_Copy, Question]]:
        """Take copies that can share a call, the oldest first."""
        group: list[tuple[_Copy, Question]] = []
        rows = 0
        while self._waiting and rows < most_rows:
            copy = self._waiting[0]
            try:
                question = self._route.question(copy.request.method, copy.request.rows)
            except Exception as error:  # noqa: BLE001 -- nothing in a model ends this thread
                self._log.fail(error)
                self._waiting.popleft()
                continue
            if group and not (question.can_join and question.key == group[0][1].key):
                break
            self._waiting.popleft()
            group.append((copy, question))
            rows += question.size
            if not question.can_join:
                break
        return group

    def _ask(self, group: list[tuple[_Copy, Question]], began: float) -> None:
        first, *others = (question for _, question in group)
        try:
            answers = (first.joined(others) if others else first).run()
        except Exception as error:  # noqa: BLE001 -- as above
            if not others:
                self._log.fail(error)
                return
            for one in group:
                if not self._stopping.is_set():
                    self._ask([one], self._clock())
            return
        if not others:
            self._log.time(self._clock() - began)
        place = 0
        for copy, question in group:
            ours = answers[place : place + question.size]
            place += question.size
            self._log.compare(copy.live, ours, prediction_id=copy.prediction_id)
