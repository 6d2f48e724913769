"""The versions of one place: found, opened, put there and taken away.

A version is a folder that never changes. Replacing ``1.0`` puts ``1.0~2`` beside it, deleting it
puts a ``1.0~3`` there that says so; the highest number is in force. So at every moment there is one
version of that name or none, whenever somebody is killed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nbdeploy.exceptions import CorruptedModelError, ModelFileError, VersionError
from nbdeploy.models.manifest import SUFFIX, Entry, Manifest, digest_of
from nbdeploy.models.native_formats import ENDINGS
from nbdeploy.models.opened_file import OpenedFile, check_saved_format
from nbdeploy.registry.names import is_name
from nbdeploy.registry.origins import user_name
from nbdeploy.registry.record import RECORD_FILE, Record
from nbdeploy.registry.storage import Stamp, Storage

__all__ = ["EXAMPLE_FILE", "Kept", "Shelf", "files_of"]

EXAMPLE_FILE = "example.json"

logger = logging.getLogger("nbdeploy")

_KIND = "versions"
_FOLDER = re.compile(r"([^/~]+)(?:~([1-9]\d{0,8}))?")
_ATTEMPTS = 20


@dataclass(frozen=True)
class Kept:
    """A version as it is kept.

    Parameters
    ----------
    record
        What is known about it.
    number
        Which of the versions of this name it is, from 1.
    """

    record: Record
    number: int

    @property
    def folder(self) -> str:
        """Where its files are."""
        return _folder(self.record.version, self.number)


class Shelf:
    """The versions of one place.

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
        self.storage = storage
        self._clock = clock
        # Folders never change: what was read once is read again only where the stamp is another.
        self._known: dict[str, tuple[Stamp, Record]] = {}

    def numbers(self) -> dict[str, list[int]]:
        """Return the numbers of every name there is or was."""
        found: dict[str, list[int]] = {}
        for folder in self.storage.folders(_KIND, RECORD_FILE):
            _collect(folder, found)
        return {name: sorted(numbers) for name, numbers in found.items()}

    def all(self) -> tuple[dict[str, Kept], dict[str, str]]:
        """Return the versions in force by their names, and why others cannot be read."""
        before: dict[str, str] = {}
        for _ in range(_ATTEMPTS):
            stamps = self.storage.folders(_KIND, RECORD_FILE)
            found: dict[str, list[int]] = {}
            for folder in stamps:
                _collect(folder, found)
            heads = {_entry(name, max(numbers)): name for name, numbers in found.items()}
            kept, problems = self._read(heads, stamps)
            if len(kept) + len(problems) == len(heads) or heads == before:
                break
            # One was deleted between the look at the names and at what they are, or has no record.
            before = heads
        in_force = {name: one for name, one in kept.items() if not one.record.is_deleted}
        return in_force, problems

    def find(self, name: str) -> Kept | None:
        """Return the version in force; ``None`` when there is none.

        Raises
        ------
        CorruptedModelError
            There is one, and it cannot be read.
        """
        before: list[int] = []
        for _ in range(_ATTEMPTS):
            numbers = self.numbers().get(name, [])
            kept = self._kept(name, numbers[-1]) if numbers else None
            if kept is not None:
                return None if kept.record.is_deleted else kept
            if numbers == before:
                break
            before = numbers
        return None

    def has(self, name: str) -> bool:
        """Tell whether there is a version of that name, readable or not."""
        try:
            return self.find(name) is not None
        except CorruptedModelError:
            # What cannot be read can be deleted.
            return True

    def revisions(self, name: str) -> list[Kept]:
        """Return all that was ever saved under a name and is still there, and its deletions."""
        found = (self._kept(name, number) for number in self.numbers().get(name, []))
        return [kept for kept in found if kept is not None]

    def put(self, number: int, record: Record, files: Mapping[str, bytes]) -> Kept | None:
        """Put a version there, as one step.

        Parameters
        ----------
        number
            The one after the highest of its name.
        record
            What is known about it.
        files
            Its files, by their names in the record.

        Returns
        -------
        Kept or None
            ``None`` when somebody else took the number.

        Raises
        ------
        ModelFileError
            It cannot be written. Then nothing of it is listed.
        """
        part = self.storage.part()
        record = replace(
            record, part=part, files={name: digest_of(data) for name, data in files.items()}
        )
        written = {record.file(name): data for name, data in files.items()}
        written[RECORD_FILE] = record.to_bytes()
        kept = Kept(record, number)
        return kept if self.storage.publish(kept.folder, written, RECORD_FILE) else None

    def delete(self, name: str, why: str) -> None:
        """Take a version away with all that was saved under its name before.

        Raises
        ------
        VersionError
            There is no such version.
        """
        while True:
            numbers = self.numbers().get(name, [])
            if not numbers or not self.has(name):
                message = f"The version {name!r} is not there any more."
                raise VersionError(message)
            record = Record(
                version=name,
                created_at=self._clock().isoformat(),
                created_by=user_name(),
                description=why,
                data={"digest": self._digest(name)},
            )
            if self.put(numbers[-1] + 1, record, {}) is not None:
                break
        for number in numbers:
            try:
                self.storage.discard(_folder(name, number), RECORD_FILE)
            except ModelFileError as error:
                # It is deleted; only its files still take space.
                logger.warning("Version %s is deleted, its files are not: %s", name, error)

    def open(self, kept: Kept) -> OpenedFile:
        """Read the model's file, and verify it.

        Raises
        ------
        CorruptedModelError
            Its bytes are not those that were saved, or are those of another version.
        ModelFileError
            It cannot be read.
        """
        record = kept.record
        entry = record.entry
        assert entry is not None, "a deleted version is never given out"
        name = record.model_file
        if name is None or entry.version != record.version:
            message = (
                f"Version {record.version!r} is corrupted: its model was saved as version "
                f"{entry.version!r}. Take it from a backup, or save it again."
            )
            raise CorruptedModelError(message)
        path = f"{kept.folder}/{record.file(name)}"
        data = self._file(kept, name)
        found = digest_of(data)
        if found != entry.digest or len(data) != entry.size:
            message = (
                f"Version {record.version!r} is corrupted: the digest of its model is {found}, and "
                f"{entry.digest} was saved. Nothing was loaded. Take it from a backup, or save it "
                "again."
            )
            raise CorruptedModelError(message)
        check_saved_format(entry.format)
        return OpenedFile(Path(self.storage.locate(path)), data, entry, entry.format)

    def example(self, kept: Kept) -> bytes | None:
        """Return the rows that were kept with a version; ``None`` when there are none."""
        if EXAMPLE_FILE not in kept.record.files:
            return None
        data = self._file(kept, EXAMPLE_FILE)
        problem = _problem(kept.record, EXAMPLE_FILE, data)
        if problem is not None:
            raise CorruptedModelError(problem)
        return data

    def problems(self, kept: Kept) -> list[str]:
        """Return what is wrong with the files of a version; none of them is run."""
        found: list[str] = []
        for name in kept.record.files:
            try:
                data = self._file(kept, name)
            except ModelFileError as error:
                found.append(str(error))
                continue
            problem = _problem(kept.record, name, data)
            if problem is not None:
                found.append(problem)
        if not found:
            try:
                self.open(kept)
            except ModelFileError as error:
                found.append(str(error))
        return found

    def locate(self, kept: Kept) -> str:
        """Return where the model's file is."""
        name = kept.record.model_file or ""
        return self.storage.locate(f"{kept.folder}/{kept.record.file(name)}")

    def _digest(self, name: str) -> str | None:
        try:
            kept = self.find(name)
        except CorruptedModelError:
            return None
        return kept.record.entry.digest if kept and kept.record.entry else None

    def _file(self, kept: Kept, name: str) -> bytes:
        try:
            return self.storage.read(f"{kept.folder}/{kept.record.file(name)}")
        except FileNotFoundError as error:
            message = (
                f"Version {kept.record.version!r} has no {name} any more: it was deleted, or "
                "somebody took the file away."
            )
            raise CorruptedModelError(message) from error

    def _kept(self, name: str, number: int) -> Kept | None:
        path = f"{_folder(name, number)}/{RECORD_FILE}"
        try:
            record = _record(self.storage.read(path), name)
        except FileNotFoundError:
            return None
        return Kept(record, number)

    def _read(
        self, heads: Mapping[str, str], stamps: Mapping[str, Stamp]
    ) -> tuple[dict[str, Kept], dict[str, str]]:
        known = {
            folder: self._known[folder][1]
            for folder in heads
            if stamps[folder] and self._known.get(folder, ((), None))[0] == stamps[folder]
        }
        kept: dict[str, Kept] = {}
        problems: dict[str, str] = {}
        paths = {folder: f"{_KIND}/{folder}/{RECORD_FILE}" for folder in heads}
        read = self.storage.read_all([path for one, path in paths.items() if one not in known])
        for folder, name in heads.items():
            record = known.get(folder)
            if record is None:
                data = read[paths[folder]]
                if isinstance(data, FileNotFoundError):
                    continue
                try:
                    if isinstance(data, Exception):
                        raise data
                    record = _record(data, name)
                except ModelFileError as error:
                    problems[name] = str(error)
                    continue
                self._known[folder] = (stamps[folder], record)
            kept[name] = Kept(record, _number(folder))
        return kept, problems


def files_of(data: bytes, entry: Entry, example: bytes | None) -> dict[str, bytes]:
    """Return the files of a version: the model, its manifest, and some rows."""
    model = f"model{ENDINGS[entry.format]}"
    files = {model: data, f"{model}{SUFFIX}": Manifest((entry,)).to_json()}
    if example is not None:
        files[EXAMPLE_FILE] = example
    return files


def _problem(record: Record, name: str, data: bytes) -> str | None:
    if digest_of(data) == record.files[name]:
        return None
    return (
        f"Version {record.version!r} is corrupted: the bytes of its {name} are not those that were "
        "saved. Take it from a backup, or save it again."
    )


def _record(data: bytes, name: str) -> Record:
    try:
        record = Record.from_bytes(data)
    except CorruptedModelError as error:
        message = f"Version {name!r} is corrupted: {error} Take it from a backup, or save it again."
        raise CorruptedModelError(message) from error
    if record.version != name:
        message = (
            f"Version {name!r} is corrupted: its folder holds version {record.version!r}. A copy "
            "under another name is no version: load it, and save it under that name."
        )
        raise CorruptedModelError(message)
    return record


def _collect(folder: str, found: dict[str, list[int]]) -> None:
    """Note the name and the number of a folder."""
    parts = _FOLDER.fullmatch(folder)
    if parts and is_name(parts[1]) and parts[2] != "1":
        found.setdefault(parts[1], []).append(int(parts[2] or 1))


def _number(folder: str) -> int:
    parts = _FOLDER.fullmatch(folder)
    return int(parts[2] or 1) if parts else 0


def _entry(name: str, number: int) -> str:
    return name if number == 1 else f"{name}~{number}"


def _folder(name: str, number: int) -> str:
    return f"{_KIND}/{_entry(name, number)}"
