"""A folder that is written whole or not at all, and that replaces nothing but its own kind."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.exceptions import ContainerError

__all__ = ["FACTS", "note_fact", "read_facts", "write_folder"]

#: Says that a folder is a bundle, and which files of it nbdeploy wrote.
FACTS = "bundle.json"
_VERSION = 1
_SHOWN = 5
_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h
_HERE = -100  # AT_FDCWD of fcntl.h


def write_folder(
    folder: Path,
    files: Mapping[str, bytes],
    facts: Mapping[str, Any],
    *,
    private: Collection[str] = (),
    replace: bool = False,
) -> None:
    """Write all files, or leave everything as it was.

    Parameters
    ----------
    folder
        Where to. A bundle that is there is replaced, unless somebody changed it.
    files
        The content of each file, by its path inside.
    facts
        What `read_facts` shall tell.
    private
        Paths of the files that nobody else may read.
    replace
        Replace a bundle with files that somebody changed or added.

    Raises
    ------
    ContainerError
        If there is something that nbdeploy did not write, or the disk refuses.
    """
    folder = Path(os.path.realpath(folder))
    if not replace:
        _check_own(folder)
    elif folder.exists() and not (folder / FACTS).is_file() and any(folder.iterdir()):
        raise ContainerError(_foreign(folder, ["no bundle.json in it"]))
    new = folder.with_name(f".nbdeploy-{secrets.token_hex(8)}.tmp")
    try:
        new.mkdir(parents=True)
        digests = {name: _digest(content) for name, content in files.items()}
        document = {"bundle": _VERSION, **facts, "files": digests}
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        for name, content in {**files, FACTS: text.encode()}.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            _set_modes(path, new, is_private=name in private)
        _put_in_place(new, folder)
    except OSError as error:
        message = (
            f"The bundle was not written to {visible(folder)}: {error.strerror or error}. What was "
            "there before is unchanged. Choose a folder that you may write to."
        )
        raise ContainerError(message) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_facts(folder: Path) -> dict[str, Any]:
    """Read what a bundle says about itself.

    Raises
    ------
    ContainerError
        If the folder is no bundle.
    """
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        if facts["bundle"] != _VERSION or not isinstance(facts["files"], dict):
            message = f"it is of version {facts['bundle']!r}"
            raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = (
            f"{visible(folder)} is no bundle ({type(error).__name__}: {visible(error)}). Expected "
            "a folder that service.bundle(folder) or Bundle.create(model, folder) wrote."
        )
        raise ContainerError(message) from error
    return dict(facts)


def note_fact(folder: Path, key: str, value: Any) -> None:
    """Add to what a bundle says about itself; where the folder cannot be written, nothing is."""
    facts = {**read_facts(folder), key: value}
    draft = folder.with_name(f".nbdeploy-{secrets.token_hex(8)}.tmp")
    with suppress(OSError):
        try:
            draft.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
            draft.chmod(0o644)
            draft.replace(folder / FACTS)
        finally:
            draft.unlink(missing_ok=True)


def _check_own(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        message = f"{visible(folder)} is a file. Give the path of a folder for the bundle."
        raise ContainerError(message)
    if not (folder / FACTS).is_file():
        raise ContainerError(_foreign(folder, ["no bundle.json in it"]))
    known = read_facts(folder)["files"]
    strange = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        if name != FACTS and name not in known:
            strange.append(f"{name} is new")
        elif name != FACTS and (path.is_symlink() or _digest(path.read_bytes()) != known[name]):
            strange.append(f"{name} was changed")
    if strange:
        raise ContainerError(_foreign(folder, strange))


def _foreign(folder: Path, what: list[str]) -> str:
    more = " and more" if len(what) > _SHOWN else ""
    shown = ", ".join(map(visible, what[:_SHOWN])) + more
    return (
        f"{visible(folder)} holds what nbdeploy did not write: {shown}. Nothing was changed. "
        "Choose another folder, move these files away, or, for a bundle that you changed, pass "
        "replace=True to lose the changes."
    )


def _set_modes(path: Path, top: Path, *, is_private: bool) -> None:
    # The process in the container is another user, and an image keeps the modes of the files.
    path.chmod(0o600 if is_private else 0o644)
    if path.parent != top:
        path.parent.chmod(0o755)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _put_in_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    if not any(folder.iterdir()):
        folder.rmdir()
        new.rename(folder)
    elif not _exchange(new, folder):
        old = folder.with_name(f".nbdeploy-{secrets.token_hex(8)}.tmp")
        folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step, where the system can (Linux)."""
    with suppress(OSError, AttributeError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        names = os.fsencode(one), os.fsencode(other)
        return int(rename(_HERE, names[0], _HERE, names[1], _EXCHANGE)) == 0
    return False
