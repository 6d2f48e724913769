"""What compiling a model, or asking a compiled one, can end in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Declined", "Unanswerable", "Unsupported"]


@dataclass(frozen=True)
class Declined:
    """A model that stays as it is.

    Parameters
    ----------
    reason
        Why, in words for people: "KNeighborsClassifier cannot be compiled".
    """

    reason: str


class Unsupported(Exception):  # noqa: N818 -- control flow of this package, no caller sees it
    """A part of a model that cannot be compiled; the message is the reason."""


class Unanswerable(Exception):  # noqa: N818 -- control flow of this package, no caller sees it
    """Rows that the plain model must decide about, because it may well refuse them."""
