"""A cell that does not fit its column, and the words for it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nbdeploy.models.columns import shorten

__all__ = ["Misfit", "Problem", "near_miss"]

_LONGEST = 60
_MOST_CANDIDATES = 200


class Misfit(ValueError):  # noqa: N818 -- control flow of this package, no caller sees it
    """A cell that its column does not take.

    Parameters
    ----------
    message
        What was expected and what came.
    suggestion
        What was probably meant.
    candidates
        Texts among which a near miss may be found. It is looked for only in the one problem that
        is reported, because a search for each bad cell would be a way to keep a server busy.
    kind
        What is wrong in one word, see `SignatureError`.
    """

    def __init__(
        self,
        message: str,
        *,
        suggestion: str | None = None,
        candidates: Sequence[str] = (),
        kind: str = "type",
    ) -> None:
        super().__init__(message)
        self.suggestion = suggestion
        self.candidates = candidates
        self.kind = kind


@dataclass(frozen=True)
class Problem:
    """The first cell that a column does not take, and how many there are."""

    row: int
    value: Any
    misfit: Misfit
    count: int

    def explain(self) -> tuple[str, str | None]:
        """Return the message, and what was probably meant."""
        message, suggestion = str(self.misfit), self.misfit.suggestion
        near = near_miss(self.value, self.misfit.candidates)
        return (
            (f"{message}; did you mean {shorten(near)}?", near) if near else (message, suggestion)
        )


def near_miss(value: object, candidates: Iterable[str]) -> str | None:
    """Return the candidate that is spelled most like the value, if one is close.

    Examples
    --------
    >>> near_miss("petal_widht", ["sepal_width", "petal_width"])
    'petal_width'
    """
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        return None
    likely = [text for text in candidates if len(text) <= _LONGEST and _share_an_end(value, text)]
    near = difflib.get_close_matches(value, likely[:_MOST_CANDIDATES], n=1)
    return near[0] if near else None


def _share_an_end(one: str, other: str) -> bool:
    # A comparison of spellings takes up to a millisecond: only few of thousands get one.
    return one[:1].casefold() == other[:1].casefold() or one[-1:] == other[-1:]
