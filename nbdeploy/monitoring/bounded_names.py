"""Names that callers can choose, bounded in number and length."""

from __future__ import annotations

__all__ = ["MOST_NAMES", "NAME_LENGTH", "OTHER", "BoundedNames"]

OTHER = "other"
"""Names beyond the limit are counted under this one."""

MOST_NAMES = 32
NAME_LENGTH = 100


class BoundedNames:
    """The first 32 names that came, cut to 100 characters; whoever asks holds a lock.

    Examples
    --------
    >>> names = BoundedNames()
    >>> [names.known(f"column {number}") for number in range(34)][-3:]
    ['column 31', 'other', 'other']
    """

    def __init__(self) -> None:
        self._names: set[str] = set()

    def known(self, name: str) -> str:
        """Return the name that this one is counted under."""
        name = name[:NAME_LENGTH]
        if name in self._names:
            return name
        if len(self._names) < MOST_NAMES:
            self._names.add(name)
            return name
        return OTHER
