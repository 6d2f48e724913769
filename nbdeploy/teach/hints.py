"""Hints that come one at a time."""

from __future__ import annotations

from dataclasses import dataclass

from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.teach.language import translate
from nbdeploy.teach.markup import as_html
from nbdeploy.teach.records import PROGRESS
from nbdeploy.teach.steps import find_step

__all__ = ["Hint", "hint"]


@dataclass(frozen=True, repr=False)
class Hint(ReprMixin):
    """The rungs of a step's ladder up to the one that was asked for.

    Parameters
    ----------
    step
        The name of the step.
    rungs
        The hints so far, the newest last.
    total
        How many there are.
    """

    step: str
    rungs: tuple[str, ...]
    total: int

    def _label(self, number: int) -> str:
        return translate(f"Hint {number} of {self.total} for step {self.step}")

    def __repr__(self) -> str:
        if not self.rungs:
            return translate(f"There is no hint for step {self.step}.")
        number, rung = len(self.rungs), self.rungs[-1]
        return translate(f"Hint {number} of {self.total} for step {self.step}: {rung}")

    def to_html(self) -> str:
        """Write the hints, each folded behind its number."""
        if not self.rungs:
            return fragment(repr(self))
        folded = (
            element("details", element("summary", self._label(number)), as_html(translate(rung)))
            for number, rung in enumerate(self.rungs, 1)
        )
        return fragment(*folded)


def hint(step: str) -> Hint:
    """Give the next hint of a step: each call one more, the last one again at the end.

    Parameters
    ----------
    step
        The name of the step: "01.2".

    Returns
    -------
    The hints so far; in a notebook they are folded, open one with a click.

    Raises
    ------
    UnknownStepError
        If there is no such step.
    """
    found = find_step(step)
    return Hint(found.name, found.hints[: PROGRESS.climb(found)], len(found.hints))
