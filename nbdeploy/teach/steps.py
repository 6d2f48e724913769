"""The steps of the lessons: what can be checked, and where each check is found.

A lesson is a module in ``nbdeploy/teach/lessons``: ``lesson_01`` holds the steps "01.1", "01.2"
and so on, ``ex2`` those of exercise 2. A module is imported when one of its steps is asked for.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TypeVar

from nbdeploy.exceptions import NbdeployError
from nbdeploy.teach.language import translate

__all__ = [
    "Step",
    "UnknownStepError",
    "find_step",
    "lesson_of",
    "lesson_title",
    "lessons_in_order",
    "step",
    "steps_of",
]

_Examine = TypeVar("_Examine", bound="Callable[..., str]")

_PACKAGE = "nbdeploy.teach.lessons"
_NUMBERED = "lesson_"
_QUICKSTART = "quickstart"
_STEPS: dict[str, Step] = {}


class UnknownStepError(NbdeployError, LookupError):
    """No lesson has a step of that name."""


@dataclass(frozen=True, slots=True)
class Step:
    """One task of a lesson.

    Parameters
    ----------
    name
        The lesson and a number: "01.2".
    title
        What the student does, as a short imperative.
    hints
        The ladder: each says more than the one before. Text between backticks is code.
    examine
        Takes the student's objects. Returns one sentence about what went right, or raises
        `Mismatch` through `expect`.
    """

    name: str
    title: str
    hints: tuple[str, ...]
    examine: Callable[..., str]


def step(name: str, *, title: str, hints: tuple[str, ...] = ()) -> Callable[[_Examine], _Examine]:
    """Register a function as the check of a step.

    Parameters
    ----------
    name
        The lesson and a number: "01.2".
    title
        What the student does, as a short imperative.
    hints
        From a nudge to almost the answer.

    Raises
    ------
    ValueError
        If the name has no lesson, or another function already has it.

    Examples
    --------
    >>> from nbdeploy.teach import check, expect, step
    >>> @step("demo.1", title="Give an even number")
    ... def is_even(number: int) -> str:
    ...     expect(number % 2 == 0, expected="an even number", came=f"{number}")
    ...     return f"{number} is even"
    >>> check("demo.1", 4)
    Step demo.1 passed: 4 is even.
    """

    def register(examine: _Examine) -> _Examine:
        if not lesson_of(name):
            message = f"A step is named lesson.number, like '01.2'; {name!r} has no lesson."
            raise ValueError(message)
        taken = _STEPS.get(name)
        if taken is not None and _home(taken.examine) != _home(examine):
            message = f"Step {name!r} already has a check, {taken.examine.__qualname__}."
            raise ValueError(message)
        _STEPS[name] = Step(name, title, hints, examine)
        return examine

    return register


def lesson_of(name: str) -> str:
    """Give the lesson of a step: "01" of "01.2"; empty if the name has none."""
    return name.rpartition(".")[0]


def find_step(name: str) -> Step:
    """Find a step by its name.

    Raises
    ------
    UnknownStepError
        If there is none; the message has a near miss and the names there are.
    """
    known = steps_of(lesson_of(str(name)))
    for found in known:
        if found.name == name:
            return found
    if known:
        listed = ", ".join(f"{found.name} ({translate(found.title)})" for found in known)
        near = _near(name, [found.name for found in known])
        message = f"There is no step {name!r}.{near} This lesson has: {listed}."
    else:
        lessons = _lessons()
        near, listed = _near(lesson_of(str(name)), lessons), ", ".join(lessons)
        message = (
            f"There is no lesson for step {name!r}.{near} Lessons with steps: {listed}; "
            "a step is named like '01.2'."
        )
    raise UnknownStepError(translate(message))


def steps_of(lesson: str) -> list[Step]:
    """List the steps of a lesson in their order; none if there is no such lesson."""
    if lesson in _lessons_in_package():
        import_module(_module_of(lesson))
    names = [name for name in _STEPS if lesson_of(name) == lesson]
    return [_STEPS[name] for name in sorted(names, key=lambda name: (len(name), name))]


def lessons_in_order() -> list[str]:
    """List the lessons of the course as they are read: the ready check, the quickstart, 01 ..."""
    found = sorted(_lessons_in_package(), key=lambda name: (not name[:1].isdigit(), name))
    if _QUICKSTART in found:
        found.remove(_QUICKSTART)
        found.insert(1, _QUICKSTART)
    return found


def lesson_title(lesson: str) -> str:
    """Say what a lesson is about: "keep every version of a model"."""
    doc = import_module(_module_of(lesson)).__doc__ or lesson
    return doc.partition(": ")[2].partition("\n")[0].rstrip(".")


def _module_of(lesson: str) -> str:
    prefix = _NUMBERED if lesson[:1].isdigit() else ""
    return f"{_PACKAGE}.{prefix}{lesson}"


def _lessons() -> list[str]:
    return sorted({*_lessons_in_package(), *map(lesson_of, _STEPS)})


def _lessons_in_package() -> list[str]:
    package = import_module(_PACKAGE)
    return [found.name.removeprefix(_NUMBERED) for found in pkgutil.iter_modules(package.__path__)]


def _near(name: str, names: list[str]) -> str:
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def _home(function: Callable[..., object]) -> tuple[str, str]:
    return function.__module__, function.__qualname__
