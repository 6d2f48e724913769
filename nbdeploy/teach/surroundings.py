"""What the ready check looks at around Python: folders, clock, text, limits, neighbours."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from nbdeploy.teach.finding import Finding

__all__ = [
    "clock_finding",
    "encoding_finding",
    "kernel_finding",
    "neighbour_finding",
    "open_files_finding",
    "registry_findings",
    "settings_finding",
    "write_once",
]

_SIZE = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_BUILT = datetime(2026, 1, 1, tzinfo=UTC)
_MOST_SECONDS = 60.0
_FEWEST_FILES = 256


def write_once(folder: Path) -> tuple[float, str]:
    """Write a file of 1 MiB, rename it and delete it.

    Parameters
    ----------
    folder
        Where; it is there already.

    Returns
    -------
    modified, cure
        The time that the folder's file system gave the file, in seconds since 1970; and "".
        If it cannot be written, 0 and what to do about it.

    Raises
    ------
    OSError
        If it cannot be written for another reason than its size.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ready") as inside:
        part = Path(inside, "part")
        try:
            part.write_bytes(bytes(_SIZE))
        except OSError as error:
            if error.errno in _FULL:
                return 0.0, "Delete what you no longer need, or ask for more space."
            raise
        return part.replace(Path(inside, "whole")).stat().st_mtime, ""


def settings_finding(folder: Path) -> Finding:
    """Look whether the user's key and tokens can be kept, and kept from others.

    Parameters
    ----------
    folder
        Where they are kept; made if it is not there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".ready") as file:
            Path(file.name).chmod(0o600)
            mode = Path(file.name).stat().st_mode
    except OSError as error:
        cure = "Set the environment variable `NBDEPLOY_CONFIG_DIR` to a folder of yours."
        found = f"your key cannot be kept in your home folder: {error.strerror}"
        return Finding("Settings", found, "problem", cure)
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        cure = "Set `NBDEPLOY_CONFIG_DIR` to a folder on a disk of this machine."
        found = "others can read your key and tokens: this disk knows no permissions"
        return Finding("Settings", found, "warning", cure)
    return Finding("Settings", "your key and tokens can be kept, and only you can read them")


def registry_findings(value: str) -> Iterable[Finding]:
    """Look at the first folder of NBDEPLOY_REGISTRY; nothing to say if it is not set.

    Parameters
    ----------
    value
        The variable: folders or addresses, as in PATH.
    """
    first = value if "://" in value else value.split(os.pathsep, maxsplit=1)[0]
    if not first:
        return
    if "://" in first:
        yield Finding("Registry", "versions are kept in a bucket, which was not asked")
        return
    folder = Path(first).expanduser()
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        _, cure = write_once(there)
    except OSError as error:
        cure = "Name a folder of yours first in `NBDEPLOY_REGISTRY`; others behind it may be read."
        found = f"versions cannot be saved in the first folder: {error.strerror}"
        yield Finding("Registry", found, "warning", cure)
        return
    if cure:
        yield Finding("Registry", "the disk of the first folder is full", "warning", cure)
        return
    yield Finding("Registry", "versions can be saved")


def clock_finding(now: float, written: float) -> Finding:
    """Compare the clock with the calendar, and with that of the disk.

    Parameters
    ----------
    now
        Seconds since 1970 by this machine.
    written
        When the file system says that a file was written just now; 0 if it was not.
    """
    cure = "Set the clock, or ask who runs this machine."
    if now < _BUILT.timestamp():
        year = datetime.fromtimestamp(now, UTC).year
        found = f"it is {year} here: versions get wrong dates, and certificates are refused"
        return Finding("Clock", found, "warning", cure)
    apart = abs(now - written)
    if written and apart > _MOST_SECONDS:
        found = f"the disk's clock is {apart:.0f} seconds away: files seem to be changed or not"
        return Finding("Clock", found, "warning", cure)
    return Finding("Clock", "it agrees with the disk")


def encoding_finding(encoding: str) -> Finding:
    """Judge the encoding of files that are opened without naming one."""
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        return Finding("Text", "UTF-8")
    cure = "Set the environment variable `PYTHONUTF8=1` before Jupyter starts."
    found = f"{encoding}: files with other letters than English ones are read wrongly"
    return Finding("Text", found, "warning", cure)


def open_files_finding(most: int | None) -> Iterable[Finding]:
    """Judge how many files and connections this process may have open; nothing if unknown."""
    if most is None:
        return
    if most < _FEWEST_FILES:
        cure = f"Run `ulimit -n {4 * _FEWEST_FILES}` in the terminal before Jupyter starts."
        found = f"at most {most} at once: a service with callers needs more"
        yield Finding("Open files", found, "warning", cure)
        return
    yield Finding("Open files", f"at least {_FEWEST_FILES} at once")


def neighbour_finding(*, is_shared: bool) -> Finding:
    """Tell who else can call a service of this kernel."""
    if is_shared:
        return Finding(
            "Neighbours", "others work here too: each service asks for a token by itself"
        )
    return Finding("Neighbours", "nobody else: services ask for no token")


def kernel_finding(command: str, running: str) -> Finding:
    """Look whether the kernel "Python 3" is the Python that this check runs in.

    Parameters
    ----------
    command
        What starts the kernel.
    running
        The Python that runs now.
    """
    here = Path(running).parent.resolve()
    # A kernel that says just "python" is started by the Python that runs Jupyter.
    if not Path(command).is_absolute() or Path(command).parent.resolve() == here:
        return Finding("Kernel", "notebooks run in this Python")
    cure = (
        "Run `jupyter kernelspec remove python3`, then `python -m ipykernel install --sys-prefix`."
    )
    found = "notebooks start another Python than this one, which may lack nbdeploy"
    return Finding("Kernel", found, "warning", cure)
