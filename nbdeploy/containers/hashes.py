"""The digests of the locked packages: with them pip installs these files and no others."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nbdeploy.containers.requirements import Lock
from nbdeploy.exceptions import ContainerError

__all__ = ["read_pip_report", "read_uv_lock", "with_hashes"]

logger = logging.getLogger("nbdeploy")

_PATIENCE = 600.0
_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def with_hashes(lock: Lock, *, wanted: bool | None) -> Lock:
    """Add the digests to a lock.

    Parameters
    ----------
    lock
        The packages.
    wanted
        ``None`` adds them where ``uv`` is installed, which knows those of every platform in
        seconds; ``True`` asks pip otherwise, which knows those of the files for this platform.

    Raises
    ------
    ContainerError
        If they are wanted and cannot be had.
    """
    uv = shutil.which("uv")
    if wanted is False or (wanted is None and uv is None):
        return lock
    try:
        found = _by_uv(uv, lock) if uv else _by_pip(lock)
        missing = [name for name in lock.versions if name not in found and name not in lock.local]
        if missing:
            message = f"there are none for {', '.join(missing)}"
            raise ValueError(message)  # noqa: TRY301 -- one place turns errors into ours
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", "") or error).strip()
        if wanted is None:
            logger.info("The lock has no hashes: %s", told)
            return lock
        message = (
            f"The digests of the packages cannot be had: {told[-500:]}. Pass hashes=False, or "
            "install uv and see that an index can be reached."
        )
        raise ContainerError(message) from error
    return replace(lock, hashes=found)


def read_uv_lock(text: str) -> dict[str, tuple[str, ...]]:
    r"""Read what ``uv pip compile --generate-hashes`` writes.

    Examples
    --------
    >>> read_uv_lock("six==1.17.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")["six"][0][:10]
    'sha256:000'
    """
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in text.splitlines():
        start = _LINE.match(line)
        name = start[1] if start else name
        digests = _HASH.findall(line)
        if name and digests:
            found[name] = (*found.get(name, ()), *digests)
    return found


def read_pip_report(text: str) -> dict[str, tuple[str, ...]]:
    """Read what ``pip install --report`` writes."""
    found: dict[str, tuple[str, ...]] = {}
    for item in json.loads(text)["install"]:
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        found[name] = (f"sha256:{digest}",)
    return found


def _by_uv(uv: str, lock: Lock) -> Mapping[str, tuple[str, ...]]:
    options = ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    done = _run([uv, "pip", "compile", *options, "-"], lock.to_text())
    return read_uv_lock(done)


def _by_pip(lock: Lock) -> Mapping[str, tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder, "requirements.txt"), Path(folder, "report.json")
        requirements.write_text(lock.to_text())
        options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report"]
        command = [sys.executable, "-m", "pip", "install", *options, str(report)]
        _run([*command, "--requirement", str(requirements)], "")
        return read_pip_report(report.read_text())


def _run(command: list[str], text: str) -> str:
    done = subprocess.run(  # noqa: S603 -- our own arguments, no shell
        command, input=text, capture_output=True, text=True, timeout=_PATIENCE, check=True
    )
    return done.stdout
