"""Threads in which one member of an ensemble answers, while the others do so in theirs."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import threadpoolctl

__all__ = ["BusyError", "MemberThreads"]

_LINGER = 30.0  # seconds that a thread waits for more work

_Work = tuple["Future[Any]", Callable[[], Any]]


class BusyError(Exception):
    """All threads of a member are still at earlier calls."""


class MemberThreads:
    """A few daemon threads, started when they are needed: no stuck member keeps a process alive.

    Parameters
    ----------
    name
        Of the member.
    limit
        How many there are at most; a member that hangs takes no more.
    """

    def __init__(self, name: str, limit: int = 4) -> None:
        self._name = name
        self._limit = limit
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._process = os.getpid()
        self._work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._threads = 0
        self._open = 0

    def submit(self, task: Callable[[], Any], *, may_wait: bool) -> Future[Any]:
        """Run a task in a thread.

        Parameters
        ----------
        task
            What to do.
        may_wait
            Whether it may stand in line; otherwise its future fails when all threads are busy.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._process != os.getpid():
                # A fork copies no thread.
                self._forget()
            if self._open >= self._limit and not may_wait:
                future.set_exception(BusyError(f"{self._limit} earlier calls are still running"))
                return future
            self._open += 1
            needs_thread = self._threads < min(self._open, self._limit)
            self._threads += needs_thread
        self._work.put((future, task))
        if needs_thread:
            threading.Thread(
                target=self._run, args=(self._work,), name=f"member {self._name}", daemon=True
            ).start()
        return future

    def _run(self, work: queue.SimpleQueue[_Work]) -> None:
        _take_one_core()
        while True:
            try:
                future, task = work.get(timeout=_LINGER)
            except queue.Empty:
                with self._lock:
                    if not work.empty():
                        continue
                    self._threads -= 1
                return
            self._answer(future, task)

    def _answer(self, future: Future[Any], task: Callable[[], Any]) -> None:
        try:
            result = task()
        except BaseException as error:  # noqa: BLE001 -- exit() in a member shall end no thread
            self._close()
            future.set_exception(error)
        else:
            self._close()
            future.set_result(result)

    def _close(self) -> None:
        with self._lock:
            self._open -= 1


def _take_one_core() -> None:
    """Let OpenMP use one core in this thread: the members are side by side already."""
    threadpoolctl.threadpool_limits(1, user_api="openmp")
