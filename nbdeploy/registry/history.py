"""Who did what, and when: the moves of aliases and what became of versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.registry.aliases import AliasMove
from nbdeploy.registry.metrics import moment
from nbdeploy.registry.shelf import Kept

__all__ = ["Change", "History", "changes_of"]

_NOTHING = "-"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that somebody did.

    Parameters
    ----------
    when
        The time.
    who
        The user.
    name
        The alias or the version.
    action
        ``"set"``, ``"rollback"``, ``"roll forward"`` or ``"remove"`` of an alias; ``"save"``,
        ``"replace"`` or ``"delete"`` of a version.
    before
        Where the alias pointed to, or the digest that was replaced; ``None`` at the first.
    after
        Where it points to since, or the digest that was saved; ``None`` at the last.
    why
        What the user said about it.
    """

    when: datetime
    who: str
    name: str
    action: str
    before: str | None
    after: str | None
    why: str

    @classmethod
    def of_alias(cls, move: AliasMove) -> Change:
        """Tell the move of an alias."""
        return cls(
            when=datetime.fromisoformat(move.when),
            who=move.who,
            name=move.alias,
            action=move.action,
            before=move.before,
            after=move.after,
            why=move.why,
        )


def changes_of(revisions: Iterable[Kept]) -> list[Change]:
    """Tell what became of a version, from all that was kept under its name."""
    found: list[Change] = []
    before: str | None = None
    for kept in revisions:
        record = kept.record
        after = record.entry.digest if record.entry else None
        action = "delete" if after is None else "save" if before is None else "replace"
        if after is None:
            # What was deleted is gone; only its digest was noted.
            before = record.data.get("digest")
        found.append(
            Change(
                when=datetime.fromisoformat(record.created_at),
                who=record.created_by,
                name=record.version,
                action=action,
                before=before,
                after=after,
                why=record.description,
            )
        )
        before = after
    return found


class History(Sequence[Change], ReprMixin):
    """Changes in the order of their time, shown as a table.

    Parameters
    ----------
    changes
        In any order.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = tuple(sorted(changes, key=lambda change: change.when))

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        return self._changes[index]

    def __len__(self) -> int:
        return len(self._changes)

    def __repr__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """Write the changes without their times and users, so that notebooks can be compared."""
        rows = [_row(change) for change in self]
        return Table(("what", "action", "from", "to", "why"), rows, noun="change").to_text()

    def to_html(self) -> str:
        """Write the changes."""
        columns = ("when", "who", "what", "action", "from", "to", "why")
        rows = [(moment(change.when), change.who, *_row(change)) for change in self]
        return Table(columns, rows, noun="change").to_html()


def _row(change: Change) -> tuple[str, str, str, str, str]:
    before, after = _short(change.before), _short(change.after)
    return change.name, change.action, before, after, change.why


def _short(name: str | None) -> str:
    """Write a version, or as much of a digest as tells it from others."""
    if name is None:
        return _NOTHING
    return name.removeprefix("sha256:")[:12] if name.startswith("sha256:") else name
