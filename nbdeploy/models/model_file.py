"""A model file and its manifest on disk: read as one, replaced as one.

Replacing takes three renames: a manifest that lists the old and the new bytes, the model, a
manifest that lists only the new bytes. A process killed between any two of them leaves a file
that its manifest lists.
"""

from __future__ import annotations

import difflib
import errno
import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nbdeploy.display.html import visible
from nbdeploy.exceptions import CorruptedModelError, ModelFileError, ModelFileNotFoundError
from nbdeploy.models.file_lock import locked
from nbdeploy.models.manifest import SUFFIX, Entry, Manifest, digest_of
from nbdeploy.models.native_formats import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ModelFile", "format_by_name"]

FORMATS_BY_SUFFIX = {ending: name for name, ending in ENDINGS.items()} | {".pickle": "pickle"}
LEFTOVER_AGE = 3600.0  # seconds; no saver is that slow between two writes

_LEFTOVERS = ".nbdeploy-*.tmp"
_NEW_FILE_MODE = 0o666  # what open() asks for; the umask takes away
_READ_ATTEMPTS = 100
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def format_by_name(path: Path) -> str | None:
    """Return the format that the extension of a file stands for.

    Examples
    --------
    >>> format_by_name(Path("churn.pkl"))
    'pickle'
    """
    return FORMATS_BY_SUFFIX.get(path.suffix.lower())


class ModelFile:
    """A model file with its manifest.

    Parameters
    ----------
    path
        Where the model is, or will be. A symbolic link means the file it leads to.
    clock
        Seconds since the epoch, to tell the age of what killed savers left.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(os.path.realpath(os.fsdecode(path)))
        self.manifest_path = self.path.with_name(self.path.name + SUFFIX)
        self._clock = clock

    @property
    def shown_name(self) -> str:
        """The name of the file, which may come from anywhere, as a message may show it."""
        return visible(self.path.name)

    @property
    def shown_path(self) -> str:
        """The path of the file as a message may show it."""
        return visible(self.path)

    def read(self) -> tuple[bytes, Entry | None]:
        """Read the file once, with what the manifest says about exactly these bytes.

        Returns
        -------
        tuple
            The bytes and their entry; ``None`` for the entry when there is no manifest.

        Raises
        ------
        ModelFileNotFoundError
            There is no file.
        CorruptedModelError
            The manifest does not list these bytes, or cannot be read.
        ModelFileError
            The file cannot be read.
        """
        before = self.manifest()
        for _ in range(_READ_ATTEMPTS):
            data = self._read_model()
            after = self.manifest()
            digest = digest_of(data)
            for manifest in (after, before):
                entry = manifest.entry_for(digest) if manifest else None
                if entry is not None and entry.size == len(data):
                    return data, entry
            if before == after:
                break
            # Somebody saves just now: the file read lay between two manifests.
            before = after
        if after is None:
            return data, None
        raise CorruptedModelError(self._mismatch(digest, after))

    def manifest(self) -> Manifest | None:
        """Read the manifest; ``None`` when there is none."""
        try:
            text = self.manifest_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            message = f"{self.shown_name} cannot be used: its manifest cannot be read ({error})."
            raise ModelFileError(message) from error
        try:
            return Manifest.from_json(text)
        except CorruptedModelError as error:
            message = f"{self.shown_name} is corrupted: {error}"
            raise CorruptedModelError(message) from error

    def replace(self, data: bytes, entry: Entry) -> None:
        """Put a model in place of what was there, or leave everything as it was.

        Parameters
        ----------
        data
            The bytes of the file.
        entry
            What the manifest shall say about them.

        Raises
        ------
        ModelFileError
            The folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            with locked(self.path):
                self._replace(data, entry)
        except OSError as error:
            raise ModelFileError(self._why_not(error)) from error

    def _replace(self, data: bytes, entry: Entry) -> None:
        self._sweep()
        # All three are written before anything is renamed: a full disk changes nothing.
        mode = _mode_of(self.path)
        with (
            self._temporary(self._listed_now().with_first(entry).to_json(), mode) as both,
            self._temporary(data, mode) as model,
            self._temporary(Manifest((entry,)).to_json(), mode) as only_new,
        ):
            both.replace(self.manifest_path)
            self._sync_folder()
            model.replace(self.path)
            self._sync_folder()
            only_new.replace(self.manifest_path)
            self._sync_folder()

    def _listed_now(self) -> Manifest:
        """Return a manifest that lists what is on disk, as far as it is of use to anybody."""
        try:
            manifest = self.manifest()
        except CorruptedModelError:
            return Manifest(())
        if manifest is not None or not self.path.exists():
            return manifest or Manifest(())
        # A file from elsewhere stays one, should this process be killed before the rename.
        data = self._read_model()
        guess = format_by_name(self.path) or "joblib"
        return Manifest((Entry(digest_of(data).removeprefix("sha256:"), len(data), guess),))

    @contextmanager
    def _temporary(self, data: bytes, mode: int | None) -> Iterator[Path]:
        """Write a file beside the model that is gone afterwards, unless it was renamed."""
        path = self.path.with_name(_LEFTOVERS.replace("*", secrets.token_hex(8)))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, _NEW_FILE_MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if mode is not None:
                    path.chmod(mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what killed savers left long ago."""
        oldest = self._clock() - LEFTOVER_AGE
        for leftover in self.path.parent.glob(_LEFTOVERS):
            # Another saver may sweep at the same moment.
            with suppress(OSError):
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()

    def _sync_folder(self) -> None:
        """Make the renames so far survive a power cut, where the file system can."""
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read_model(self) -> bytes:
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                message = f"{self.shown_path} is no file. Give the path of a saved model."
                raise ModelFileError(message)
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelFileNotFoundError(self._missing()) from error
        except OSError as error:
            message = f"{self.shown_path} cannot be read: {error.strerror or error}."
            raise ModelFileError(message) from error

    def _missing(self) -> str:
        names = []
        with suppress(OSError):
            names = [found.name for found in self.path.parent.iterdir()]
        models = [name for name in names if not name.endswith(SUFFIX)]
        near = difflib.get_close_matches(self.path.name, models, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else " Save one there with save_model()."
        return f"There is no model at {self.shown_path}.{hint}"

    def _mismatch(self, digest: str, manifest: Manifest) -> str:
        listed = ", ".join(entry.digest for entry in manifest.entries) or "nothing"
        return (
            f"{self.shown_name} is corrupted, or was replaced without its manifest: its digest is "
            f"{digest}, and {self.shown_name}{SUFFIX} lists {listed}. Nothing was loaded. Take "
            "both files from a backup, or save the model again."
        )

    def _why_not(self, error: OSError) -> str:
        if error.errno in _FULL:
            advice = "Free some space, or choose another disk."
        elif self.path.is_dir():
            advice = "Give the path of a file, such as 'models/churn.joblib'."
        else:
            advice = "Choose a folder that you may write to."
        return (
            f"The model was not saved to {self.shown_path}: {error.strerror or error}. What was "
            f"there before is unchanged. {advice}"
        )


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file to replace: a private model stays private."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
