"""Files that lines are appended to: bounded, of whole lines, and for the eyes of their owner."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["LogFiles", "log_files"]

_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}-\d{6}\.jsonl")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def log_files(folder: Path) -> list[Path]:
    """Give the files of a folder that `LogFiles` wrote, the oldest first."""
    with os.scandir(folder) as found:
        names = [each.name for each in found if _NAME.fullmatch(each.name)]
    return [folder / name for name in sorted(names)]


class LogFiles:
    """Append lines to files in a folder, and remove the oldest.

    A file is open only while lines are written to it: a folder that is taken away is noticed, and
    nothing has to be closed. Several writers may share a folder, each with files of its own; the
    bound on their number counts all of them.

    Parameters
    ----------
    folder
        Where the files are. It is made when it is missing; the folder around it is not, because
        that may be a disk which is not there now.
    max_bytes
        Of a file.
    max_files
        In the folder.
    wall_clock
        Gives seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_files: int,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.writer = secrets.token_hex(4)
        """Names this writer among those who share the folder."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._wall_clock = wall_clock
        self._path: Path | None = None
        self._number = 0

    def append(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write lines, each whole or not at all.

        Parameters
        ----------
        lines
            Each with its newline, and no longer than a file may be.

        Returns
        -------
        written, error
            How many were written, and what kept the others from it.
        """
        written = 0
        try:
            while written < len(lines):
                written += self._append_to_one(lines[written:])
        except OSError as error:
            return written, error
        return written, None

    def _append_to_one(self, lines: Sequence[bytes]) -> int:
        """Write what the current file has room for; none where it is full."""
        file = self._open()
        try:
            before = size = os.fstat(file).st_size
            fitting = 0
            for line in lines:
                if size + len(line) > self._max_bytes:
                    break
                size += len(line)
                fitting += 1
            if fitting:
                self._write(file, b"".join(lines[:fitting]), before)
            else:
                self._path = None
        finally:
            os.close(file)
        return fitting

    def _write(self, file: int, data: bytes, before: int) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            # Half a line would spoil the one that is written after it.
            try:
                os.ftruncate(file, before)
            except OSError:
                self._path = None
            raise

    def _open(self) -> int:
        if self._path is not None:
            with suppress(FileNotFoundError):
                return os.open(self._path, _FLAGS)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for old in log_files(self._folder)[: -self._max_files + 1 or None]:
            old.unlink(missing_ok=True)
        self._number += 1
        began = datetime.fromtimestamp(self._wall_clock(), UTC)
        name = f"{began:%Y%m%dT%H%M%S}-{self.writer}-{self._number:06}.jsonl"
        file = os.open(self._folder / name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        self._path = self._folder / name
        return file
