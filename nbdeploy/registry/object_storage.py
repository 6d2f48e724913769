"""Versions beyond one machine: whatever fsspec reaches, such as ``s3://`` and ``gs://``.

Such stores have no folders to rename. The files of a version are written first, under a name of
their own; the file that lists them is written last, and only if there is none: that is one request
that the store itself decides, so of many savers one wins. Where a store cannot decide it, users
are told.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from nbdeploy.exceptions import ModelFileError
from nbdeploy.models.notices import notify
from nbdeploy.registry.storage import Stamp, last_part

__all__ = ["LEFTOVER_AGE", "ModelStorageWarning", "ObjectStorage"]

LEFTOVER_AGE = 86_400.0  # seconds; the upload of a giant over a slow line takes hours

logger = logging.getLogger("nbdeploy")

# Their pipe_file(mode="create") is one conditional request; others look first and write then.
_DECIDING = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})
_STAMPS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created", "size")
_TIMES = ("LastModified", "updated", "mtime", "created")
# fsspec's memory store looks and writes in two steps; other stores do not mind the order.
_one_at_a_time = threading.Lock()


class ModelStorageWarning(UserWarning):
    """A store cannot promise what a registry promises elsewhere."""


class ObjectStorage:
    """A place that fsspec reaches.

    Parameters
    ----------
    location
        Its address. Keys and endpoints come from where fsspec takes them: the environment and
        its configuration files, never from nbdeploy.
    clock
        Seconds since the epoch, to tell the age of what killed savers left.

    Raises
    ------
    ModelFileError
        No installed package knows such addresses.
    """

    def __init__(self, location: str, *, clock: Callable[[], float] = time.time) -> None:
        from fsspec.core import url_to_fs  # noqa: PLC0415 -- heavy import

        self.location = location
        self._clock = clock
        try:
            self._files, root = url_to_fs(location)
        except (ImportError, ValueError) as error:
            message = (
                f"{location!r} cannot be reached: {error}. For s3:// install nbdeploy[s3], for "
                "gs:// nbdeploy[gcs], for others what fsspec names."
            )
            raise ModelFileError(message) from error
        self._root = root.rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the location."""
        return last_part(self._root)

    def part(self) -> str:
        """Return a fresh name: files of savers that meet do not overwrite each other."""
        return secrets.token_hex(8)

    def folders(self, kind: str, last: str = "") -> dict[str, Stamp]:
        """Return the folders of a kind that the file that comes last says are finished."""
        found: dict[str, Stamp] = {}
        for path, about in self._found(kind).items():
            folder, _, file = path.partition("/")
            if file == last or (file and not last):
                found[folder] = tuple(str(about[key]) for key in _STAMPS if key in about)
        return found

    def files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        kind, _, name = folder.partition("/")
        names = (path.removeprefix(f"{name}/") for path in self._found(kind, name))
        return [name for name in names if "/" not in name]

    def read(self, path: str) -> bytes:
        """Return a whole file."""
        with self._told("read"):
            data: bytes = self._files.cat_file(self._whole(path))
        return data

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes | Exception]:
        """Return many files, asked for at once where the store can."""
        if not paths:
            return {}
        whole = {self._whole(path): path for path in paths}
        with self._told("read"):
            found = self._files.cat(list(whole), on_error="return")
        return {path: _as_told(found[key], self.location) for key, path in whole.items()}

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Write the files, then the one that lists them, if there is none."""
        others = {f"{folder}/{name}": data for name, data in files.items() if name != last}
        is_made = False
        try:
            with self._told("written to"):
                self._sweep(folder.partition("/")[0], last)
                for path, data in others.items():
                    self._files.pipe_file(self._whole(path), data)
            is_made = self.create(f"{folder}/{last}", files[last])
        finally:
            if not is_made:
                self._remove(others)
        return is_made

    def create(self, path: str, data: bytes) -> bool:
        """Write a file if there is none."""
        self._warn_if_undecided()
        with self._told("written to"):
            return self._create(self._whole(path), data)

    def discard(self, folder: str, last: str) -> None:
        """Remove the file that lists a folder, then the others."""
        with self._told("written to"):
            with suppress(FileNotFoundError):
                self._files.rm_file(self._whole(f"{folder}/{last}"))
            kind, _, name = folder.partition("/")
            self._remove([f"{kind}/{path}" for path in self._found(kind, name)])

    def locate(self, path: str) -> str:
        """Return the address of a file."""
        return f"{self.location.rstrip('/')}/{path}"

    def __repr__(self) -> str:
        return f"ObjectStorage({self.location!r})"

    @cached_property
    def _decides(self) -> bool:
        """Whether the store lets one of two writers win; tried once, where it says so."""
        protocols = self._files.protocol
        names = {protocols} if isinstance(protocols, str) else set(protocols)
        if not names & _DECIDING:
            return False
        trial = self._whole(f".nbdeploy-{secrets.token_hex(8)}")
        try:
            with self._told("written to"):
                return self._create(trial, b"1") and not self._create(trial, b"2")
        finally:
            with suppress(Exception):
                self._files.rm_file(trial)

    def _warn_if_undecided(self) -> None:
        if not self._decides:
            notify(
                f"{self.location} has no way to let one of two writers win. Save from one process "
                "at a time: of two that save the same version or move the same alias at the same "
                "moment, one may be lost without a word.",
                ModelStorageWarning,
            )

    def _create(self, whole: str, data: bytes) -> bool:
        try:
            with _one_at_a_time:
                self._files.pipe_file(whole, data, mode="create")
        except FileExistsError:
            # A request that was sent again after a lost answer meets what it wrote itself.
            return bool(self._files.cat_file(whole) == data)
        except OSError:
            # Not every server says which condition failed.
            if not self._files.exists(whole):
                raise
            return bool(self._files.cat_file(whole) == data)
        return True

    def _found(self, kind: str, folder: str = "") -> dict[str, dict[str, Any]]:
        """Return all files below a kind with what the store tells about them."""
        top = self._whole(kind)
        with self._told("listed"):
            # Other machines write too: what was listed before is of no use.
            self._files.invalidate_cache()
            try:
                found = self._files.find(f"{top}/{folder}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        return {path.removeprefix(f"{top}/"): about for path, about in found.items()}

    def _sweep(self, kind: str, last: str) -> None:
        """Remove files of killed savers: old, and listed by nothing."""
        found = self._found(kind)
        finished = {path.rpartition("/")[0] for path in found if path.endswith(f"/{last}")}
        oldest = self._clock() - LEFTOVER_AGE
        self._remove(
            [
                f"{kind}/{path}"
                for path, about in found.items()
                if path.partition("/")[0] not in finished and _written_at(about) < oldest
            ]
        )

    def _remove(self, paths: Mapping[str, bytes] | Sequence[str]) -> None:
        for path in paths:
            try:
                self._files.rm_file(self._whole(path))
            except Exception as error:  # noqa: BLE001 -- stores raise errors of their own kinds
                # Nobody lists it: the next saver sweeps it.
                logger.debug("%s stays in %s: %s", path, self.location, error)

    def _whole(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Turn errors of the store's library into ours."""
        try:
            yield
        except (FileNotFoundError, ModelFileError) as error:
            if verb == "written to":
                raise ModelFileError(self._why_not(verb, error)) from error
            raise
        except Exception as error:
            raise ModelFileError(self._why_not(verb, error)) from error

    def _why_not(self, verb: str, error: Exception) -> str:
        reason = str(error) or type(error).__name__
        return (
            f"{self.location} cannot be {verb}: {reason.rstrip('.')}. Check the address, and the "
            "keys in the environment."
        )


def _as_told(found: Any, location: str) -> bytes | Exception:
    if isinstance(found, (bytes, FileNotFoundError)):
        return found
    return ModelFileError(f"{location} cannot be read: {found}.")


def _written_at(about: Mapping[str, Any]) -> float:
    """Return when a file was written, in seconds since the epoch; far ahead if nobody knows."""
    for key in _TIMES:
        value = about.get(key)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return float("inf")
