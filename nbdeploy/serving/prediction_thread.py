"""A thread that calls models, with the settings that serving wants and nobody else gets."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nbdeploy.exceptions import PredictionError
from nbdeploy.serving.thread_settings import get_ready, serving_thread

__all__ = ["PredictionThread"]

_Work = Callable[[], list[Any]]
_Done = Callable[[list[Any] | None, BaseException | None], None]


class PredictionThread:
    """One thread beside an event loop: health checks answer while a model works.

    Parameters
    ----------
    loop
        Where results are told.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: queue.SimpleQueue[tuple[_Work, _Done] | None] = queue.SimpleQueue()
        self.is_busy = False
        # The context carries the cell that prints belong to.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="nbdeploy-predict", daemon=True
        )
        self._thread.start()

    def run(self, work: _Work, done: _Done) -> None:
        """Do work in the thread; tell the loop when it is done."""
        self.is_busy = True
        self._jobs.put((work, done))

    def close(self) -> None:
        """End after the work that runs."""
        self._jobs.put(None)

    def _work(self) -> None:
        with serving_thread():
            # Not within the first call: that would look dearer than all that follow.
            get_ready()
            self._do_jobs()

    def _do_jobs(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            self._do(*job)
            # An idle thread keeps no model alive.
            del job

    def _do(self, work: _Work, done: _Done) -> None:
        answers: list[Any] | None = None
        error: BaseException | None = None
        try:
            answers = work()
        except Exception as raised:  # noqa: BLE001 -- it goes to whoever asked
            error = raised
        except BaseException as raised:  # noqa: BLE001 -- nothing in a model ends this thread
            error = PredictionError(f"The model raised {type(raised).__name__}.")
            error.__cause__ = raised
        # A loop that was closed meanwhile has nobody left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, done, answers, error)

    def _tell(self, done: _Done, answers: list[Any] | None, error: BaseException | None) -> None:
        self.is_busy = False
        done(answers, error)
