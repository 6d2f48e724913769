"""Where versions are kept: what every store has to promise, and which store a location means."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Protocol

from nbdeploy.exceptions import ModelFileError

__all__ = ["Location", "Stamp", "Storage", "folders_of", "last_part", "open_storage"]

Location = str | os.PathLike[str]

Stamp = tuple[object, ...]
"""What changes when a folder is another one; empty where a store does not tell."""

# fsspec chains protocols: simplecache::s3://bucket.
_URL = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*::)*[A-Za-z][A-Za-z0-9+.-]+)://")
# On POSIX the colon separates folders and is in addresses: s3://bucket/models.
_SEPARATOR = re.compile(rf"{re.escape(os.pathsep)}(?!//)")


class Storage(Protocol):
    """A place for folders of files that are finished when they can be seen.

    Paths are relative, of the form ``kind/folder/file``, with ``/`` between their parts.
    """

    location: str

    @property
    def name(self) -> str:
        """The last part of the location."""
        ...

    def part(self) -> str:
        """Return what goes before the names of the files of one `publish`, or nothing."""
        ...

    def folders(self, kind: str, last: str = "") -> dict[str, Stamp]:
        """Return the finished folders of a kind with their stamps.

        Parameters
        ----------
        kind
            What they hold.
        last
            The file whose presence says that a folder is finished, if there is one.
        """
        ...

    def files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        ...

    def read(self, path: str) -> bytes:
        """Return a whole file.

        Raises
        ------
        FileNotFoundError
            There is none, any more or yet.
        ModelFileError
            It cannot be read, or leads out of this place.
        """
        ...

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes | Exception]:
        """Return many files, or why each cannot be read."""
        ...

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Make a folder with these files, as one step.

        Parameters
        ----------
        folder
            As ``kind/folder``.
        files
            Names and contents.
        last
            The file whose presence says that the folder is finished.

        Returns
        -------
        bool
            Whether it was made: ``False`` when somebody else's folder is there already.

        Raises
        ------
        ModelFileError
            It cannot be written. Then nothing of it is listed.
        """
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Make a file that is whole from its first moment; ``False`` when there is one."""
        ...

    def discard(self, folder: str, last: str) -> None:
        """Remove a finished folder: at one moment for who lists, then file by file."""
        ...

    def locate(self, path: str) -> str:
        """Return where a file is, as a user can open it."""
        ...


def open_storage(location: Location) -> Storage:
    """Return the store that a location means.

    Parameters
    ----------
    location
        A folder, or an address that fsspec knows, such as ``s3://bucket/models/churn``.

    Raises
    ------
    ModelFileError
        The location is empty, or no installed package can reach it.
    """
    from nbdeploy.registry.local_storage import LocalStorage  # noqa: PLC0415 -- one of two is used

    text = os.fspath(location)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        message = (
            f"{location!r} is no place for versions. Give a folder such as 'models/churn', or an "
            "address such as 's3://bucket/models/churn'."
        )
        raise ModelFileError(message)
    address = _URL.match(text)
    if address is None:
        return LocalStorage(text)
    if address[1].lower() in {"file", "local"}:
        return LocalStorage(text[address.end() :])

    from nbdeploy.registry.object_storage import ObjectStorage  # noqa: PLC0415 -- imports fsspec

    return ObjectStorage(text)


def folders_of(location: Location | Sequence[Location] | None, variable: str) -> list[Location]:
    """Return the places that a registry reads, the one that it writes to first.

    Parameters
    ----------
    location
        What a user gave; ``None`` for what the environment says.
    variable
        The name of the environment variable with a list like that of ``PATH``.

    Raises
    ------
    ModelFileError
        There is no place at all.
    """
    if isinstance(location, (str, os.PathLike)):
        return [location]
    if location is not None:
        places = list(location)
        wanted = "at least one folder"
    else:
        parts = _SEPARATOR.split(os.environ.get(variable, ""))
        places = [part for part in parts if part.strip()]
        wanted = f"a folder, or set {variable} to one or several"
    if not places:
        message = f"No place for versions was given. Pass {wanted}: ModelVersionControl('models')."
        raise ModelFileError(message)
    return places


def last_part(location: str) -> str:
    """Return the name of a folder or address.

    Examples
    --------
    >>> last_part("models/churn/"), last_part("s3://bucket/churn")
    ('churn', 'churn')
    """
    return PurePath(location.rstrip("/")).name
