"""Versions in a folder of this machine, or of a network drive.

A folder is written under a name that nobody lists, and renamed when it is whole. The rename of a
folder onto one that has something in it fails, on every file system: of many savers one wins, and
the others are told. There is no index that two could overwrite and no lock that a network drive
could lose.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from nbdeploy.exceptions import ModelFileError
from nbdeploy.registry.storage import Stamp, last_part

__all__ = ["LEFTOVER_AGE", "LocalStorage"]

LEFTOVER_AGE = 3600.0  # seconds; no saver is that slow between two files

_DRAFT = ".nbdeploy-{}.tmp"
_DRAFTS = _DRAFT.format("*")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


class LocalStorage:
    """A folder.

    Parameters
    ----------
    location
        Where it is; made by the first save.
    clock
        Seconds since the epoch, to tell the age of what killed savers left.
    """

    def __init__(self, location: str, *, clock: Callable[[], float] = time.time) -> None:
        self.location = location
        # Resolved once: the notebook may change its folder later.
        self._root = Path(os.path.realpath(Path(location).expanduser()))
        self._clock = clock

    @property
    def name(self) -> str:
        """The last part of the location."""
        return last_part(str(self._root))

    def part(self) -> str:
        """Return nothing: a rename makes all files of a folder seen at once."""
        return ""

    def folders(self, kind: str, last: str = "") -> dict[str, Stamp]:  # noqa: ARG002 -- a rename finishes them
        """Return the folders of a kind; links are none."""
        found: dict[str, Stamp] = {}
        # Of a kind that is a link, what it holds would be found outside.
        for folder in _entries(self._inside(f"{kind}/folder").parent, folders=True):
            # It may go away between the look at its name and at its age.
            with suppress(FileNotFoundError):
                about = folder.stat(follow_symlinks=False)
                found[folder.name] = (about.st_ino, about.st_mtime_ns)
        return found

    def files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; links are none."""
        path = self._inside(folder)
        return [] if path.is_symlink() else [one.name for one in _entries(path, folders=False)]

    def read(self, path: str) -> bytes:
        """Return a whole file."""
        file = self._inside(path)
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, "it is not there", path) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            message = f"{file} cannot be read: {error.strerror or error}."
            raise ModelFileError(message) from error
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                message = f"{file} is no file."
                raise ModelFileError(message)
            return opened.read()

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes | Exception]:
        """Return many files, or why each cannot be read."""
        found: dict[str, bytes | Exception] = {}
        for path in paths:
            try:
                found[path] = self.read(path)
            except (FileNotFoundError, ModelFileError) as error:
                found[path] = error
        return found

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:  # noqa: ARG002 -- the rename is what comes last here
        """Write the files, then rename their folder."""
        target = self._inside(folder)
        self._make(target.parent)
        try:
            self._sweep()
            with self._draft() as draft:
                draft.mkdir()
                for name, data in files.items():
                    _write(draft / name, data)
                _sync_folder(draft)
                draft.rename(target)
            _sync_folder(target.parent)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise ModelFileError(self._why_not(error)) from error
        return True

    def create(self, path: str, data: bytes) -> bool:
        """Write a file, then link it to its name."""
        target = self._inside(path)
        self._make(target.parent)
        try:
            with self._draft() as draft:
                _write(draft, data)
                # A link, unlike a rename, never takes the place of a file that is there already.
                _link(draft, target)
            _sync_folder(target.parent)
        except FileExistsError:
            return False
        except OSError as error:
            raise ModelFileError(self._why_not(error)) from error
        return True

    def discard(self, folder: str, last: str) -> None:  # noqa: ARG002 -- as in publish
        """Rename a folder to a name that nobody lists, then remove it."""
        target = self._inside(folder)
        try:
            with self._draft() as draft, suppress(FileNotFoundError):
                target.rename(draft)
                _sync_folder(target.parent)
        except OSError as error:
            raise ModelFileError(self._why_not(error)) from error

    def locate(self, path: str) -> str:
        """Return the whole path of a file."""
        return str(self._root / path)

    def __repr__(self) -> str:
        return f"LocalStorage({self.location!r})"

    def _inside(self, path: str) -> Path:
        """Return where a path leads, if that is inside of this folder."""
        found = self._root / path
        if not Path(os.path.realpath(found.parent)).is_relative_to(self._root):
            message = (
                f"{found} leads out of {self._root}. Nothing was read or written there. Remove the "
                "link, and copy what it led to if it belongs here."
            )
            raise ModelFileError(message)
        return found

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelFileError(self._why_not(error)) from error

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Give a name that nobody lists, and remove what is there afterwards."""
        path = self._root / _DRAFT.format(secrets.token_hex(8))
        try:
            yield path
        finally:
            _remove(path)

    def _sweep(self) -> None:
        """Remove what killed savers left long ago."""
        oldest = self._clock() - LEFTOVER_AGE
        for leftover in self._root.glob(_DRAFTS):
            # Another saver may sweep at the same moment.
            with suppress(OSError):
                if leftover.lstat().st_mtime < oldest:
                    _remove(leftover)

    def _why_not(self, error: OSError) -> str:
        full = error.errno in _FULL
        advice = "Free some space" if full else "Choose a folder that you may write to"
        return (
            f"{self._root} cannot be written to: {error.strerror or error}. Nothing in it has "
            f"changed. {advice}, or pass another folder to ModelVersionControl()."
        )


def _entries(folder: Path, *, folders: bool) -> list[os.DirEntry[str]]:
    """Return the files or folders in a folder; no links, and none when it is not there."""
    try:
        with os.scandir(folder) as found:
            return [
                entry
                for entry in found
                if (entry.is_dir if folders else entry.is_file)(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        message = f"{folder} cannot be listed: {error.strerror or error}."
        raise ModelFileError(message) from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(draft: Path, target: Path) -> None:
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        # Drives without links: a killed writer leaves a file that is empty, and read as none.
        _write(target, draft.read_bytes())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make what was renamed survive a power cut, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
