"""Where predictions run: threads beside the event loop, with a bounded queue in front."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nbdeploy.exceptions import DeadlineError, OverloadedError

__all__ = ["PredictionThreads"]

_Result = TypeVar("_Result")


class PredictionThreads:
    """Run predictions off the event loop, so that health checks answer while a model works.

    Parameters
    ----------
    max_concurrency
        How many predictions run at once.
    max_queue
        How many more may wait; the next one is refused at once.
    timeout
        Seconds from the arrival of a request to its answer. A prediction that already runs cannot
        be stopped: it finishes unheard.
    """

    def __init__(self, *, max_concurrency: int, max_queue: int, timeout: float) -> None:
        self._max_concurrency = max_concurrency
        self._max_queue = max_queue
        self._timeout = timeout
        self._waiting = 0
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run `work` in a thread and wait for it.

        Raises
        ------
        OverloadedError
            If `max_queue` others wait already.
        DeadlineError
            If there is no result within `timeout`.
        """
        if self._waiting >= self._max_concurrency + self._max_queue:
            message = f"{self._max_queue} requests wait already; try again in a moment."
            raise OverloadedError(message)
        # The context carries the cell that prints belong to.
        context = contextvars.copy_context()
        future = self._threads().submit(context.run, work)
        self._waiting += 1
        future.add_done_callback(self._left)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._timeout)
        except TimeoutError:
            if future.done() and not future.cancelled():
                # The model's own TimeoutError is the model's, not our deadline.
                return future.result()
            message = f"No answer within {self._timeout:g} s; the request was given up."
            raise DeadlineError(message) from None

    def close(self) -> None:
        """End the threads; running predictions finish, waiting ones are cancelled."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _left(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(
                    self._max_concurrency, thread_name_prefix="nbdeploy-predict"
                )
            return self._executor
