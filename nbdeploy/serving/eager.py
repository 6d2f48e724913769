"""Run a coroutine as far as it goes without waiting: most predictions never wait."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

__all__ = ["Started", "finish", "gathered", "start"]

_Result = TypeVar("_Result")


class Started(Generic[_Result]):
    """A coroutine that began and now waits for something."""

    __slots__ = ("awaited", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, _Result], awaited: Any) -> None:
        self.coroutine = coroutine
        self.awaited = awaited


def start(coroutine: Coroutine[Any, Any, _Result]) -> _Result | Started[_Result]:
    """Run a coroutine until it ends or waits.

    Returns
    -------
    result
        Its result if it ended; otherwise what `finish` continues, in a task of the same loop and
        before the loop turns.

    Examples
    --------
    >>> async def add(a, b):
    ...     return a + b
    >>> start(add(1, 2))
    3
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        result: _Result = end.value
        return result
    return Started(coroutine, awaited)


@types.coroutine
def finish(started: Started[_Result]) -> Generator[Any, Any, _Result]:
    """Continue a coroutine where `start` left it, and wait for its result."""
    coroutine, awaited = started.coroutine, started.awaited
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 -- a cancellation above all: it goes in
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(sent)
        except StopIteration as end:
            result: _Result = end.value
            return result


@types.coroutine
def gathered(work: Any) -> Generator[Any, list[Any] | None, list[Any] | None]:
    """Hand work to whoever gathers that of several coroutines, and wait for its answers.

    Only a driver that knows of it may run the coroutine: an event loop would not know what to do
    with the work. ``None`` comes back for work that shall be done in another way.
    """
    return (yield work)
