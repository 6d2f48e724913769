"""What each category of a cell becomes: one look into a dict."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Generic, TypeAlias, TypeVar

from nbdeploy.models.compiled.features import Code, Domain, Table
from nbdeploy.models.compiled.outcomes import Unanswerable

__all__ = ["Lookup", "Pairs", "lookups_of", "numbered"]

Pairs: TypeAlias = tuple[tuple[int, float], ...]
"""The features of one category that are not at their default: places and values."""

_Entry = TypeVar("_Entry")


class Lookup(dict[Any, _Entry], Generic[_Entry]):
    """What each category of a cell becomes; a hit costs no more than a dict's.

    Parameters
    ----------
    known
        What the categories become.
    missing, unknown
        What a missing cell becomes, and one that is no category; ``None`` if the model would
        refuse it.
    is_float
        Categories are floats, and so is every cell.
    """

    def __init__(
        self,
        known: Mapping[Any, _Entry],
        *,
        missing: _Entry | None,
        unknown: _Entry | None,
        is_float: bool,
    ) -> None:
        super().__init__(known)
        self.missing = missing
        self.unknown = unknown
        self.is_float = is_float

    def __missing__(self, cell: Any) -> _Entry:
        found = self.unknown
        if cell is None or cell != cell:  # noqa: PLR0124 -- only NaN is not itself
            found = self.missing
        elif self.is_float and type(cell) is int:
            found = self.get(float(cell), self.unknown)
        if found is None:
            raise Unanswerable
        return found


def lookups_of(table: Table) -> list[tuple[int, Lookup[Pairs]]]:
    """Return the lookups of a table, each with the place of its cell in the row."""
    coded = [(slot, code) for slot, code in enumerate(table.features) if isinstance(code, Code)]
    return [
        (domain.place, _lookup(domain, list(group)))
        for domain, group in groupby(coded, key=lambda slotted: slotted[1].domain)
    ]


def _lookup(domain: Domain, coded: list[tuple[int, Code]]) -> Lookup[Pairs]:
    entries: dict[int, list[tuple[int, float]]] = {}
    for slot, code in coded:
        for key, value in code.exceptions.items():
            entries.setdefault(key, []).append((slot, value))
    pairs = {key: tuple(values) for key, values in entries.items()}

    def other(key: int | None) -> Pairs | None:
        return None if key is None else pairs.get(key, ())

    return Lookup(
        {value: pairs.get(key, ()) for value, key in domain.keys.items()},
        missing=other(domain.missing),
        unknown=other(domain.unknown),
        is_float=domain.is_float,
    )


def numbered(lookup: Lookup[_Entry]) -> tuple[Lookup[int], list[_Entry]]:
    """Return the same lookup with a number in the place of each entry, and the entries.

    Examples
    --------
    >>> lookup = Lookup({"a": ((0, 1.0),), "b": ()}, missing=None, unknown=(), is_float=False)
    >>> numbers, entries = numbered(lookup)
    >>> [entries[numbers[cell]] for cell in ("a", "b", "c")]
    [((0, 1.0),), (), ()]
    """
    entries: list[_Entry] = []
    # By identity: 0.0 and -0.0 are equal, and not the same.
    numbers: dict[int, int] = {}

    def number_of(entry: _Entry) -> int:
        if id(entry) not in numbers:
            numbers[id(entry)] = len(entries)
            entries.append(entry)
        return numbers[id(entry)]

    others = [
        None if entry is None else number_of(entry) for entry in (lookup.missing, lookup.unknown)
    ]
    known = {cell: number_of(entry) for cell, entry in lookup.items()}
    missing, unknown = others
    return Lookup(known, missing=missing, unknown=unknown, is_float=lookup.is_float), entries
