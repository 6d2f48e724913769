"""Processes that end with the one they work for, whatever ends it.

The owner holds the writing end of a pipe, the worker its reading end. When the owner is gone, by
whatever signal, the system closes its end and kills the worker: also one that is stopped, or that
computes in C and never comes back to Python. The same pipe tells the owner when a worker is gone.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading
import weakref
from contextlib import suppress

__all__ = ["LifeLine", "end_with"]

# Darwin lets no program choose the signal.
_SET_SIGNAL: int | None = getattr(fcntl, "F_SETSIG", None)
_lines: weakref.WeakSet[LifeLine] = weakref.WeakSet()


class LifeLine:
    """The owner's end.

    Examples
    --------
    >>> line = LifeLine()
    >>> line.is_held
    True
    >>> os.close(line.take_other_end())
    >>> line.is_held
    False
    >>> line.cut()
    """

    def __init__(self) -> None:
        self._other_end, self._end = os.pipe()
        self._cut = threading.Lock()
        _lines.add(self)
        self._close = weakref.finalize(self, _close_both, self._end, self._other_end)

    def fileno(self) -> int:
        """Give the descriptor; `select.poll` tells an error of it once the worker is gone."""
        return self._end

    def take_other_end(self) -> int:
        """Give the end for the worker, once; who takes it closes it here afterwards."""
        taken, self._other_end = self._other_end, -1
        self._close.detach()
        self._close = weakref.finalize(self, _close_both, self._end, -1)
        return taken

    @property
    def is_held(self) -> bool:
        """Whether somebody at the other end lives."""
        with self._cut:
            if not self._close.alive:
                return False
            poll = select.poll()
            poll.register(self._end, 0)
            return not poll.poll(0)

    def cut(self) -> None:
        """End the worker now; again does nothing."""
        with self._cut:
            self._close()

    def forget(self) -> None:
        """Let go in a forked child: its copy would keep the workers of the parent alive."""
        self._close()


def _close_both(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def end_with(descriptor: int, *, watch: bool = True) -> None:
    """End this process when the other end of a life line goes.

    Parameters
    ----------
    descriptor
        The end that `LifeLine.take_other_end` gave.
    watch
        Whether a thread looks too: for systems that send no signal, and for an owner that was gone
        before.
    """
    if _SET_SIGNAL is not None:
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, _SET_SIGNAL, signal.SIGKILL)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    held = [descriptor]

    def let_go() -> None:
        if held:
            os.close(held.pop())

    # While a process that this one starts had it, the owner would take this one for alive.
    os.register_at_fork(after_in_child=let_go)
    if watch:
        threading.Thread(
            target=_watch, args=(descriptor,), name="nbdeploy-life-line", daemon=True
        ).start()


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(1)


def _forget_all() -> None:
    for line in list(_lines):
        line.forget()


os.register_at_fork(after_in_child=_forget_all)
