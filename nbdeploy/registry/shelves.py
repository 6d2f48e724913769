"""Several places read as one: a version that the first has hides one of that name further back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from nbdeploy.exceptions import CorruptedModelError, ModelFileError, VersionError
from nbdeploy.registry.aliases import Aliases
from nbdeploy.registry.names import LATEST, is_name, near_miss, next_number
from nbdeploy.registry.saving import Draft
from nbdeploy.registry.shelf import Kept, Shelf
from nbdeploy.registry.storage import Storage

__all__ = ["Place", "Shelves"]

Place = tuple[Shelf, Kept]
"""A version, and the shelf where it is."""

_HOW_TO_SAVE = "Save one with save_model_version(model, '1.0')."
_PATIENCE = 50  # times that a name is refused without anything to be seen there
_PAUSE = 0.01  # seconds


class Shelves:
    """Places with versions and aliases; only the first is written to.

    Parameters
    ----------
    storages
        The places.
    clock
        The time, in UTC.
    """

    def __init__(self, storages: Sequence[Storage], *, clock: Callable[[], datetime]) -> None:
        self.all = [Shelf(storage, clock=clock) for storage in storages]
        self.all_aliases = [Aliases(storage, clock=clock) for storage in storages]

    @property
    def own(self) -> Shelf:
        """The one that is written to."""
        return self.all[0]

    @property
    def own_aliases(self) -> Aliases:
        """The aliases that can be moved."""
        return self.all_aliases[0]

    def find(self, name: object) -> Place | None:
        """Return the version that a name or an alias means; ``None`` when it means none.

        Raises
        ------
        CorruptedModelError
            There is one, and it cannot be read.
        VersionError
            It is an alias, and the version it points to is gone.
        """
        if name == LATEST:
            places, _ = self.look()
            return places[-1] if places else None
        if not isinstance(name, str) or not is_name(name):
            return None
        found = self.version(name)
        if found is not None:
            return found
        target = self.target(name)
        if target is None:
            return None
        found = self.version(target)
        if found is None:
            message = (
                f"The alias {name!r} points to version {target!r}, which was deleted. Point it to "
                f"another one: set_alias({name!r}, version), or rollback({name!r})."
            )
            raise VersionError(message)
        return found

    def version(self, name: str) -> Place | None:
        """Return the version of exactly this name."""
        for shelf in self.all:
            kept = shelf.find(name)
            if kept is not None:
                return shelf, kept
        return None

    def look(self) -> tuple[list[Place], dict[str, str]]:
        """Return all versions, the oldest first, and why others cannot be read."""
        found: dict[str, Place] = {}
        unreadable: dict[str, str] = {}
        for shelf in self.all:
            try:
                kept, problems = shelf.all()
            except ModelFileError as error:
                if shelf is self.own:
                    raise
                # A teacher's folder that is away does not hide the student's own.
                unreadable[shelf.storage.location] = str(error)
                continue
            hidden = {*found, *unreadable}
            unreadable |= {name: why for name, why in problems.items() if name not in hidden}
            found |= {name: (shelf, one) for name, one in kept.items() if name not in hidden}
        places = sorted(found.values(), key=lambda place: place[1].record.created_at)
        return places, unreadable

    def names(self) -> set[str]:
        """Return the names of all versions that there are or were."""
        return {name for shelf in self.all for name in shelf.numbers()}

    def target(self, alias: str) -> str | None:
        """Return where an alias points; ``None`` when it is none.

        Raises
        ------
        CorruptedModelError
            Its last move cannot be read.
        """
        found = (aliases.target(alias) for aliases in self.all_aliases)
        return next((version for version in found if version is not None), None)

    def targets(self) -> dict[str, str]:
        """Return where each alias points."""
        found: dict[str, str] = {}
        for aliases in reversed(self.all_aliases):
            try:
                found |= aliases.current()
            except ModelFileError:
                if aliases is self.own_aliases:
                    raise
        return dict(sorted(found.items()))

    def save(self, draft: Draft, version: str | None, *, replace: bool) -> Place:
        """Save a draft, or find that it is saved already.

        Parameters
        ----------
        draft
            What to save.
        version
            The name; the next whole number when ``None``.
        replace
            Whether other content may take the place of what has that name.

        Raises
        ------
        VersionError
            The name is taken by other content.
        ModelFileError
            It cannot be written.
        """
        name, before, refusals = version or "", None, 0
        while refusals < _PATIENCE:
            # Looked at before what is there is judged: who saves in between takes the number.
            numbers = self.own.numbers()
            if version is None:
                same, name = self._same(draft), next_number({*numbers, *self.names()})
            else:
                same = self._same_under(draft, version, replace=replace)
            if same is not None:
                return same
            taken = numbers.get(name, [0])
            kept = draft.put(self.own, name, taken[-1] + 1)
            if kept is not None:
                return self.own, kept
            # Somebody else was first: what they saved decides what happens now. A network drive
            # may show it late; what never shows is no version.
            refusals = refusals + 1 if before == (name, taken) else 0
            before = (name, taken)
            time.sleep(_PAUSE)
        message = (
            f"Nothing was saved: something that is no version stands in the place of {name!r} in "
            f"{self.own.storage.location}. Remove it, or save under another name."
        )
        raise VersionError(message)

    def delete(self, version: object, why: str) -> None:
        """Delete a version of the first place.

        Raises
        ------
        VersionError
            There is no such version there, or an alias points to it.
        """
        if not isinstance(version, str) or not is_name(version):
            raise VersionError(self.unknown(version))
        if not self.own.has(version):
            raise VersionError(self._why_not_deleted(version))
        pointing = [alias for alias, target in self.targets().items() if target == version]
        if pointing:
            message = (
                f"Version {version!r} was not deleted: {', '.join(map(repr, pointing))} points to "
                f"it. Move it first: set_alias({pointing[0]!r}, another version)."
            )
            raise VersionError(message)
        self.own.delete(version, why)

    def unknown(self, name: object) -> str:
        """Say that there is no such version, and which was probably meant."""
        shown = f"{name!r:.80}"
        where = self.own.storage.location
        known = [kept.record.version for _, kept in self.look()[0]]
        if not known:
            return f"There is no version {shown}: there are none in {where} yet. {_HOW_TO_SAVE}"
        hint = near_miss(name, [*known, *self.targets()]) if isinstance(name, str) else ""
        shown_names = ", ".join(known[-8:])
        more = len(known) - 8
        others = f" and {more} older" if more > 0 else ""
        return f"There is no version {shown} in {where}.{hint} There are: {shown_names}{others}."

    def _same(self, draft: Draft) -> Place | None:
        """Return a version with the same content under whatever name."""
        places, _ = self.look()
        for number, (shelf, kept) in enumerate(reversed(places)):
            entry = kept.record.entry
            is_alike = entry is not None and entry.digest == draft.packed.entry.digest
            # Only the last one is loaded to be compared: a re-run cell saved that one.
            if (is_alike or number == 0) and not draft.differences(shelf, kept):
                return shelf, kept
        return None

    def _same_under(self, draft: Draft, version: str, *, replace: bool) -> Place | None:
        alike = [
            name
            for name in self.names()
            if name != version and name.casefold() == version.casefold()
        ]
        if alike:
            message = (
                f"Version {version!r} differs from {alike[0]!r} only in capital letters, which "
                "some file systems take for the same. Choose another name."
            )
            raise VersionError(message)
        try:
            found = self.version(version)
        except CorruptedModelError:
            if replace:
                return None
            raise
        if found is None:
            return None
        differences = draft.differences(*found)
        if not differences:
            return found
        if replace:
            return None
        what = " and ".join([", ".join(differences[:-1]), differences[-1]]).removeprefix(" and ")
        message = (
            f"Version {version!r} is taken: it was saved with another {what}. Save this one under "
            "a new name, or pass replace=True to put it in its place; the old one stays in "
            f"history({version!r}) and revisions({version!r})."
        )
        raise VersionError(message)

    def _why_not_deleted(self, version: str) -> str:
        if any(shelf.has(version) for shelf in self.all):
            return (
                f"Version {version!r} is in a folder that is only read here. Delete it with a "
                "ModelVersionControl of that folder."
            )
        if version in self.targets():
            return f"{version!r} is an alias and no version. Use remove_alias({version!r})."
        return self.unknown(version)
