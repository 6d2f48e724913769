"""Asking members: side by side, one after the other, and not longer than the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nbdeploy.models.ensemble.member import Member
from nbdeploy.models.ensemble.member_log import MemberOutcome
from nbdeploy.models.ensemble.member_threads import BusyError

__all__ = ["Answer", "Ask", "ask_all", "ask_one"]

Ask = Callable[[Member], Any]


@dataclass(frozen=True)
class Answer:
    """What one member answered, or why it did not.

    Parameters
    ----------
    member
        Its name.
    seconds
        How long it took, or was waited for.
    outcome
        ``"ok"``, ``"error"`` or ``"late"``.
    value
        The answer.
    error
        Why there is none.
    """

    member: str
    seconds: float
    outcome: MemberOutcome
    value: Any = None
    error: BaseException | None = None


def ask_all(members: Sequence[Member], ask: Ask, deadline: float | None) -> list[Answer]:
    """Ask members side by side, each in a thread of its own.

    Parameters
    ----------
    members
        Who is asked.
    ask
        What each is asked.
    deadline
        Seconds that they have, all together; without one, this thread asks the first itself.
    """
    if deadline is None:
        first, *others = members
        started = [_start(member, ask, may_wait=True) for member in others]
        return [_timed(first, ask), *(future.result() for future in started)]
    until = time.monotonic() + deadline
    started = [_start(member, ask, may_wait=False) for member in members]
    return [
        _waited(member, future, until, deadline)
        for member, future in zip(members, started, strict=True)
    ]


def ask_one(member: Member, ask: Ask, deadline: float | None) -> Answer:
    """Ask one member."""
    if deadline is None:
        return _timed(member, ask)
    until = time.monotonic() + deadline
    return _waited(member, _start(member, ask, may_wait=False), until, deadline)


def _start(member: Member, ask: Ask, *, may_wait: bool) -> Future[Answer]:
    return member.threads.submit(lambda: _timed(member, ask), may_wait=may_wait)


def _timed(member: Member, ask: Ask) -> Answer:
    started = time.perf_counter()
    try:
        value = ask(member)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- whatever a member raises is its failure
        return Answer(member.name, time.perf_counter() - started, "error", error=error)
    return Answer(member.name, time.perf_counter() - started, "ok", value)


def _waited(member: Member, future: Future[Answer], until: float, deadline: float) -> Answer:
    try:
        return future.result(timeout=max(0.0, until - time.monotonic()))
    except TimeoutError as error:
        return Answer(member.name, deadline, "late", error=error)
    except BusyError as error:
        # It answers, if ever, after the deadline: its earlier calls have not ended.
        return Answer(member.name, 0.0, "late", error=error)
