"""Run the check of a step on the student's objects, and say what came of it."""

from __future__ import annotations

import contextvars
import inspect
import os
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from nbdeploy.display.cells import show
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import width
from nbdeploy.exceptions import NbdeployError
from nbdeploy.machine import usable_cpus
from nbdeploy.teach.expectations import Mismatch, describe
from nbdeploy.teach.language import translate
from nbdeploy.teach.markup import as_html
from nbdeploy.teach.records import PROGRESS
from nbdeploy.teach.steps import Step, find_step

__all__ = ["CheckFailed", "Verdict", "check", "examine"]

_DEADLINE = 5.0
_LONGEST_DEADLINE = 60.0
_LONGEST_CAUSE = 300


class CheckFailed(NbdeployError, AssertionError):  # noqa: N818 -- what a student did not reach yet is no error
    """A step is not done yet; raised only where ``NBDEPLOY_STRICT=1`` is set."""


@dataclass(frozen=True, repr=False)
class Verdict(ReprMixin):
    """What the check of a step found.

    Parameters
    ----------
    step
        The name of the step.
    passed
        Whether the step is done.
    found
        What went right, or what the student's object is or did instead.
    expected
        What the step asks for; empty when it passed.
    look
        Where to look for the cause.
    has_hints
        Whether the step has a ladder of hints.
    """

    step: str
    passed: bool
    found: str
    expected: str = ""
    look: str = ""
    has_hints: bool = False

    def facts(self) -> list[tuple[str, str]]:
        """Give what there is to say of a step that is not done, as labels and sentences."""
        hint = f'`hint("{self.step}")`' if self.has_hints else ""
        facts = [("Expected", self.expected), ("Came", self.found), ("Look at", self.look)]
        return [(label, text) for label, text in [*facts, ("Stuck?", hint)] if text]

    def __repr__(self) -> str:
        if self.passed:
            return translate(f"Step {self.step} passed: {self.found}.")
        facts = [
            (translate(label) + translate(":"), translate(text)) for label, text in self.facts()
        ]
        widest = max(width(label) for label, _ in facts)
        lines = [f"  {label}{' ' * (widest - width(label))} {text}" for label, text in facts]
        return "\n".join([translate(f"Step {self.step} is not done yet."), *lines])

    def to_html(self) -> str:
        """Write the verdict: one line when it passed, otherwise what to look at."""
        if self.passed:
            passed = element("b", translate(f"Step {self.step} passed:"), " ")
            return fragment(passed, as_html(translate(self.found)), translate("."))
        facts = [
            part
            for label, text in self.facts()
            for part in (element("dt", translate(label)), element("dd", as_html(translate(text))))
        ]
        not_done = translate(f"Step {self.step} is not done yet.")
        return fragment(element("b", not_done), element("dl", *facts))


def check(step: str, /, *objects: Any) -> None:
    """Check a step of a lesson and show what was found.

    Parameters
    ----------
    step
        The name of the step: "01.2".
    objects
        What the step made: the text of the lesson says which.

    Raises
    ------
    UnknownStepError
        If there is no such step.
    CheckFailed
        If the step is not done and the variable ``NBDEPLOY_STRICT`` is 1.
    """
    __tracebackhide__ = True
    found = find_step(step)
    verdict = examine(found, objects, deadline=_patience())
    PROGRESS.record(found, passed=verdict.passed)
    if not verdict.passed and os.environ.get("NBDEPLOY_STRICT") == "1":
        raise CheckFailed(str(verdict))
    if show(verdict) is None:
        print(verdict)  # noqa: T201 -- outside a notebook a check is asked for its words


def examine(step: Step, objects: tuple[Any, ...], *, deadline: float = _DEADLINE) -> Verdict:
    """Find out whether a step is done, in any case before the deadline.

    Parameters
    ----------
    step
        Which step.
    objects
        The student's objects.
    deadline
        Seconds. A check that takes longer is left behind in its daemon thread.

    Returns
    -------
    The verdict. Whatever the student's objects do, nothing is raised.
    """
    try:
        _refuse_stubs_and_wrong_numbers(step, objects)
        found = _call(step, objects, deadline)
    except Mismatch as mismatch:
        return Verdict(
            step.name, False, mismatch.came, mismatch.expected, mismatch.look, bool(step.hints)
        )
    return Verdict(step.name, True, found)


def _patience() -> float:
    """Give a check more time where a class shares the machine: no verdict depends on neighbours."""
    waiting = os.getloadavg()[0] / usable_cpus() if hasattr(os, "getloadavg") else 1.0
    return min(_DEADLINE * max(1.0, waiting), _LONGEST_DEADLINE)


def _refuse_stubs_and_wrong_numbers(step: Step, objects: tuple[Any, ...]) -> None:
    signature = inspect.signature(step.examine)
    call = ", ".join([f'check("{step.name}"', *signature.parameters])
    try:
        bound = signature.bind(*objects)
    except TypeError:
        count = len(signature.parameters)
        raise Mismatch(
            expected="1 object after the step's name"
            if count == 1
            else f"{count} objects after the step's name",
            came=str(len(objects)),
            look=f"the call: `{call})`",
        ) from None
    for name, value in bound.arguments.items():
        if value is Ellipsis:
            raise Mismatch(
                expected=f"your own `{name}`",
                came="the stub `...`",
                look="the cell with `# your code here`: write your code there and run it",
            )


def _call(step: Step, objects: tuple[Any, ...], deadline: float) -> str:
    outcomes: SimpleQueue[str | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put(step.examine(*objects))
        except BaseException as error:  # noqa: BLE001 -- a student's object may raise anything, SystemExit too
            outcomes.put(error)

    # With the context of the cell, what the student's code prints stays with this cell.
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(run,), name=f"check {step.name}", daemon=True
    ).start()
    try:
        outcome = outcomes.get(timeout=deadline)
    except Empty:
        raise Mismatch(
            expected=f"an answer within {deadline:g} seconds",
            came="none: the check still waits for your object",
            look="whether the service is running and the machine is not busy; then check again",
        ) from None
    if isinstance(outcome, Mismatch):
        raise outcome
    if isinstance(outcome, BaseException):
        raise _as_mismatch(step, objects, outcome) from None
    return outcome


def _as_mismatch(step: Step, objects: tuple[Any, ...], error: BaseException) -> Mismatch:
    given = " and ".join(describe(value) for value in objects) or "nothing"
    cause = " ".join(str(error).split())
    if len(cause) > _LONGEST_CAUSE:
        cause = cause[: _LONGEST_CAUSE - 3] + "..."
    return Mismatch(
        expected=step.title[:1].lower() + step.title[1:],
        came=f"{type(error).__name__}{': ' if cause else ''}{cause}",
        look=f"what you gave: {given}",
    )
