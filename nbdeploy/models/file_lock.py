"""One saver at a time: a lock for each path, over threads and processes of one user."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # pragma: no cover -- Windows: threads only
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked"]

logger = logging.getLogger("nbdeploy")
_threads = threading.Lock()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a path.

    The lock file lies in the temporary folder of the machine and not beside the model: locks on
    network folders are what fails on shared hubs. Without such a folder only the threads of this
    process wait for each other.

    Parameters
    ----------
    path
        What is about to be written; resolved, so that all names of a file share a lock.
    """
    descriptor = _lock_file(path)
    if descriptor is None:
        with _threads:
            yield
        return
    try:
        yield
    finally:
        # Closing is not enough: a process forked meanwhile holds a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock_file(path: Path) -> int | None:
    """Return the descriptor of a lock that is held; ``None`` where there are no such locks."""
    if fcntl is None:  # pragma: no cover -- Windows
        return None
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    try:
        file = _own_folder() / f"{name}.lock"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        logger.debug("Savers of %s in other processes are not waited for: %s", path, error)
        return None
    return descriptor


def _own_folder() -> Path:
    """Return the folder for lock files, which nobody else can write to."""
    folder = Path(tempfile.gettempdir()) / f"nbdeploy-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_private = not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or not is_private:
        message = f"{folder} belongs to somebody else"
        raise PermissionError(message)
    return folder
