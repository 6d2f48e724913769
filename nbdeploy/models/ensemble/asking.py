"""Asking members: side by side, one after the other, and not longer than the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdeploy.exceptions import DeadlineError, PredictionError
from nbdeploy.models.ensemble.member import Member
from nbdeploy.models.ensemble.member_log import MemberOutcome
from nbdeploy.models.ensemble.member_threads import BusyError

__all__ = ["Answer", "Ask", "Clock", "ask_all", "ask_one", "failure_of", "rows_at"]

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


class Clock:
    """Parts of a deadline."""

    def __init__(self, deadline: float | None) -> None:
        self._until = None if deadline is None else time.monotonic() + deadline

    def share(self, members_left: int) -> float | None:
        """Give what one of the members that are left may take; 0 stands for all of the rest."""
        if self._until is None:
            return None
        return max(0.0, self._until - time.monotonic()) / max(1, members_left)


def rows_at(batch: Any, places: Any) -> Any:
    """Give some rows of a batch, in its form."""
    if len(places) == len(batch):
        return batch
    if hasattr(batch, "iloc"):
        return batch.iloc[places]
    return batch[places] if isinstance(batch, np.ndarray) else [batch[place] for place in places]


def failure_of(bad: Sequence[Answer], *, is_alone: bool) -> Exception:
    """Make the error of members that did not answer."""
    said = "; ".join(
        f"{each.member!r} was late"
        if each.outcome == "late"
        else f"{each.member!r} raised {type(each.error).__name__}"
        for each in bad
    )
    end = "no member answered." if is_alone else "on_failure='raise' leaves no member out."
    message = f"{said}; {end}"
    if all(each.outcome == "late" for each in bad):
        return DeadlineError(message)
    error = PredictionError(message)
    error.__cause__ = next(each.error for each in bad if each.outcome == "error")
    return error
