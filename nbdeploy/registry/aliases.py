"""Names that move from version to version, such as ``production``, with all their moves.

Each move is a file of its own, numbered from 1, made only if nobody made that number: a mover who
comes second looks again. The last one says where the alias points, so it is the old version or
the new one at every moment, and the moves are their own history.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from nbdeploy.exceptions import CorruptedModelError, VersionError
from nbdeploy.registry.names import is_name
from nbdeploy.registry.origins import user_name
from nbdeploy.registry.record import sealed, unsealed
from nbdeploy.registry.storage import Storage

__all__ = ["AliasMove", "Aliases", "Timeline", "timeline_of"]

Action = Literal["set", "rollback", "roll forward", "remove"]
Step = tuple[Action, str | None, int]
"""What is done, where the alias points then, and the place of that on its timeline."""

_KIND = "aliases"
_FILE = re.compile(r"(\d{8})\.json")
_ATTEMPTS = 1000


@dataclass(frozen=True, kw_only=True)
class AliasMove:
    """One move of an alias.

    Parameters
    ----------
    alias
        The name that moved.
    action
        What was done: ``"set"``, ``"rollback"``, ``"roll forward"`` or ``"remove"``.
    before
        The version that it pointed to; ``None`` at the first move.
    after
        The version that it points to since; ``None`` when it was removed.
    position
        Its place among the versions it was set to, from 0.
    when
        ISO 8601, in UTC.
    who
        The user.
    why
        What the user said about it.
    """

    alias: str
    action: Action
    before: str | None
    after: str | None
    position: int
    when: str
    who: str
    why: str = ""


@dataclass(frozen=True)
class Timeline:
    """The versions that an alias was set to, and the one where it is.

    Parameters
    ----------
    versions
        In the order in which it was set to them; what a later ``set`` cut off is left out.
    position
        The place of the current one; -1 when there is none.
    """

    versions: tuple[str, ...] = ()
    position: int = -1

    @property
    def current(self) -> str | None:
        """The version that the alias points to."""
        return self.versions[self.position] if self.position >= 0 else None

    def back(self, existing: Collection[str]) -> int | None:
        """Return the next position before this one whose version is another that exists."""
        return self._next(range(self.position - 1, -1, -1), existing)

    def forward(self, existing: Collection[str]) -> int | None:
        """Return the next position behind this one whose version is another that exists."""
        return self._next(range(self.position + 1, len(self.versions)), existing)

    def _next(self, positions: Iterable[int], existing: Collection[str]) -> int | None:
        return next(
            (
                position
                for position in positions
                if self.versions[position] in existing and self.versions[position] != self.current
            ),
            None,
        )


def timeline_of(moves: Iterable[AliasMove]) -> Timeline:
    """Follow the moves of one alias.

    Examples
    --------
    >>> def move(action, after, position):
    ...     return AliasMove(alias="a", action=action, before=None, after=after,
    ...                      position=position, when="", who="")
    >>> moves = [move("set", "1", 0), move("set", "2", 1), move("rollback", "1", 0)]
    >>> timeline_of(moves)
    Timeline(versions=('1', '2'), position=0)
    >>> timeline_of([*moves, move("set", "3", 1)])
    Timeline(versions=('1', '3'), position=1)
    """
    line = Timeline()
    for move in moves:
        if move.after is None:
            line = Timeline()
        elif move.action == "set":
            line = Timeline((*line.versions[: move.position], move.after), move.position)
        else:
            line = Timeline(line.versions, move.position)
    return line


class Aliases:
    """The aliases of one place.

    Parameters
    ----------
    storage
        The place.
    clock
        The time, in UTC.
    """

    def __init__(
        self, storage: Storage, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._storage = storage
        self._clock = clock

    def current(self) -> dict[str, str]:
        """Return where each alias points; what cannot be read is left out, see `problems`."""
        return self._look_at_all()[0]

    def problems(self) -> dict[str, str]:
        """Return why an alias cannot be read."""
        return self._look_at_all()[1]

    def moves(self, alias: str | None = None) -> list[AliasMove]:
        """Return all moves, of one alias or of all, in the order of their time."""
        names = self._names() if alias is None else [alias] if is_name(alias) else []
        found = [move for name in names for move in self._moves(name, self._numbers(name))]
        return sorted(found, key=lambda move: move.when)

    def target(self, alias: str) -> str | None:
        """Return where one alias points; ``None`` when it is none.

        Raises
        ------
        CorruptedModelError
            Its last move cannot be read.
        """
        last = self._last(alias, self._numbers(alias)) if is_name(alias) else None
        return last.after if last else None

    def timeline(self, alias: str) -> Timeline:
        """Return where an alias was and is."""
        return timeline_of(self._moves(alias, self._numbers(alias)))

    def set(self, alias: str, version: str, why: str = "") -> None:
        """Point an alias to a version; nothing happens when it points there."""

        def decide(last: AliasMove | None, _: Sequence[int]) -> Step | None:
            if last is not None and last.after == version:
                return None
            return "set", version, last.position + 1 if last else 0

        self._apply(alias, decide, why)

    def step(
        self, alias: str, existing: Callable[[], Collection[str]], *, back: bool, why: str = ""
    ) -> None:
        """Move an alias one place along the versions it was set to.

        Parameters
        ----------
        alias
            The alias.
        existing
            Gives the versions that there are: others are passed over.
        back
            The direction.
        why
            What the history shall say.

        Raises
        ------
        VersionError
            There is no other version in that direction.
        """

        def decide(_: AliasMove | None, numbers: Sequence[int]) -> Step:
            line, known = timeline_of(self._moves(alias, numbers)), existing()
            position = line.back(known) if back else line.forward(known)
            if position is None:
                raise VersionError(_nowhere(alias, line, back=back))
            return "rollback" if back else "roll forward", line.versions[position], position

        self._apply(alias, decide, why)

    def remove(self, alias: str, why: str = "") -> None:
        """Let an alias point nowhere; its history stays."""

        def decide(last: AliasMove | None, _: Sequence[int]) -> Step | None:
            is_there = last is not None and last.after is not None
            return ("remove", None, -1) if is_there else None

        self._apply(alias, decide, why)

    def _apply(
        self,
        alias: str,
        decide: Callable[[AliasMove | None, Sequence[int]], Step | None],
        why: str,
    ) -> None:
        for _ in range(_ATTEMPTS):
            numbers = self._numbers(alias)
            last = self._last(alias, numbers)
            decided = decide(last, numbers)
            if decided is None:
                return
            action, after, position = decided
            move = AliasMove(
                alias=alias,
                action=action,
                before=last.after if last else None,
                after=after,
                position=position,
                when=self._clock().isoformat(),
                who=user_name(),
                why=why,
            )
            path = _path(alias, max(numbers, default=0) + 1)
            if self._storage.create(path, sealed(asdict(move))):
                return
            # Somebody else moved it meanwhile: from where it is now, the step may be another.
        message = (
            f"The alias {alias!r} was not moved: others moved it at the same moment, "
            f"{_ATTEMPTS} times. Try again."
        )
        raise VersionError(message)

    def _look_at_all(self) -> tuple[dict[str, str], dict[str, str]]:
        found: dict[str, str] = {}
        problems: dict[str, str] = {}
        for alias in sorted(self._names()):
            try:
                target = self.target(alias)
            except CorruptedModelError as error:
                problems[alias] = str(error)
            else:
                if target is not None:
                    found[alias] = target
        return found, problems

    def _names(self) -> list[str]:
        return [name for name in self._storage.folders(_KIND) if is_name(name)]

    def _numbers(self, alias: str) -> list[int]:
        names = self._storage.files(f"{_KIND}/{alias}")
        return sorted(int(parts[1]) for name in names if (parts := _FILE.fullmatch(name)))

    def _moves(self, alias: str, numbers: Sequence[int]) -> list[AliasMove]:
        found = (self._move(alias, number) for number in numbers)
        return [move for move in found if move is not None]

    def _last(self, alias: str, numbers: Sequence[int]) -> AliasMove | None:
        # A mover who is killed on a drive without links leaves an empty file: the one before holds.
        moves = (self._move(alias, number) for number in reversed(numbers))
        return next((move for move in moves if move is not None), None)

    def _move(self, alias: str, number: int) -> AliasMove | None:
        path = _path(alias, number)
        data = self._storage.read(path)
        if not data.strip():
            return None
        try:
            facts: dict[str, Any] = unsealed(data)
            move = AliasMove(**facts)
            if move.alias != alias or not (move.after is None or is_name(move.after)):
                message = f"it is about {move.alias!r} and {move.after!r}"
                raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
            datetime.fromisoformat(move.when)
        except (ValueError, TypeError) as error:
            message = (
                f"The alias {alias!r} cannot be read: {self._storage.locate(path)} is corrupted "
                f"({str(error)[:200]}). Take it from a backup, or remove the file to go back to "
                "the move before."
            )
            raise CorruptedModelError(message) from error
        return move


def _path(alias: str, number: int) -> str:
    return f"{_KIND}/{alias}/{number:08d}.json"


def _nowhere(alias: str, line: Timeline, *, back: bool) -> str:
    if line.current is None:
        return f"There is no alias {alias!r}. Set it with set_alias({alias!r}, version)."
    direction, verb = ("before", "back") if back else ("after", "forward")
    return (
        f"{alias!r} cannot go {verb}: it points to {line.current!r}, and no other version that "
        f"still exists came {direction} it. Point it to one with set_alias({alias!r}, version)."
    )
