"""A virtual environment that has the packages of a lock, and nothing else."""

from __future__ import annotations

import csv
import io
import os
import stat
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from nbdeploy.containers.installed_modules import owners_of_modules
from nbdeploy.exceptions import ContainerError

__all__ = ["folder_size", "install_packages", "lend_packages", "locked_versions"]

_TOLD = 1500


def install_packages(environment: Path, bundle: Path, *, timeout: float) -> Path:
    """Make an environment as the Dockerfile does, and return its Python.

    Raises
    ------
    ContainerError
        If a package cannot be installed, with what pip said.
    """
    has_pip = find_spec("pip") is not None
    python = _make(environment, with_pip=not has_pip)
    pip = [sys.executable, "-m", "pip", "--python", str(python)] if has_pip else []
    pip = [*(pip or [str(python), "-m", "pip"]), "install", "--quiet", "--no-deps"]
    _run([*pip, "--requirement", str(bundle / "requirements.txt")], timeout)
    wheels = sorted(map(str, (bundle / "wheels").glob("*.whl")))
    _run([*pip, "--no-index", *wheels], timeout)
    return python


def lend_packages(environment: Path, bundle: Path) -> Path:
    """Make an environment of links to the files that are installed here, and return its Python.

    Raises
    ------
    ContainerError
        If a package is not here in the version of the lock.
    """
    python = _make(environment, with_pip=False)
    site = next(environment.glob("lib*/python*/site-packages"), environment / "Lib/site-packages")
    owners = owners_of_modules()
    for name, version in locked_versions(bundle).items():
        linked: set[str] = set()
        for inside, source in _files_of(name, version):
            # A folder of one package is one link; of a namespace, each file is.
            top, _, below = inside.partition("/")
            is_whole = len(owners.get(top, ())) <= 1
            lent = top if is_whole else inside
            if lent in linked or not source.is_file():
                continue
            linked.add(lent)
            target = site / lent
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                up = below.count("/") + 1 if is_whole and below else 0
                target.symlink_to([source, *source.parents][up])
    for wheel in sorted((bundle / "wheels").glob("*.whl")):
        _install(wheel, site.resolve())
    return python


def _install(wheel: Path, site: Path) -> None:
    """Write the files of a wheel of pure Python where Python finds them."""
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
        for name in archive.namelist():
            target = (site / name).resolve()
            if not target.is_relative_to(site):
                message = (
                    f"{wheel.name} holds {name!r}, which leads out of its folder. Nothing more of "
                    "it was written: write the bundle again."
                )
                raise ContainerError(message)
            if name.endswith("/"):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


def locked_versions(bundle: Path) -> dict[str, str]:
    """Read the versions off the lock of a bundle."""
    lines = (bundle / "requirements.txt").read_text().splitlines()
    pinned = (line.split()[0].partition("==") for line in lines if "==" in line)
    return {name: version for name, _, version in pinned if not name.startswith("#")}


def folder_size(folder: Path) -> int:
    """Add up the sizes of all files, in bytes; a link counts as what it leads to."""
    total, seen = 0, set()
    for place, folders, names in os.walk(folder, followlinks=True):
        # Some environments have lib64 as another name of lib.
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        total += sum(_size_of(f"{place}/{name}") for name in names)
    return total


def _size_of(file: str) -> int:
    try:
        facts = os.stat(file)  # noqa: PTH116 -- tens of thousands are asked
    except OSError:  # a link that leads nowhere
        return 0
    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0


def _make(environment: Path, *, with_pip: bool) -> Path:
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=with_pip).create(environment)
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _files_of(name: str, version: str) -> Iterator[tuple[str, Path]]:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        here = "it is not installed here"
    else:
        files = _listed(distribution)
        if distribution.version == version and files is not None:
            for inside in files:
                if ".." not in inside.split("/"):
                    yield inside, Path(str(distribution.locate_file(inside)))
            return
        here = f"{distribution.version} is installed here"
    message = (
        f"The lock has {name} {version}, and {here}. Write the bundle again, or rehearse it with "
        "quick=False, which installs the lock."
    )
    raise ContainerError(message)


def _listed(distribution: metadata.Distribution) -> list[str] | None:
    record = distribution.read_text("RECORD")
    if record is not None:
        # As texts: a path object for each of tens of thousands takes a second.
        return [line[0] for line in csv.reader(record.splitlines()) if line]
    listed = distribution.files
    return None if listed is None else [file.as_posix() for file in listed]


def _run(command: list[str], timeout: float) -> None:
    try:
        done = subprocess.run(  # noqa: S603 -- our own arguments, no shell
            command, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"Installing the lock took longer than {timeout:g} s. Pass a larger timeout=."
        raise ContainerError(message) from error
    if done.returncode != 0:
        message = f"The lock cannot be installed: {done.stderr.strip()[-_TOLD:]}"
        raise ContainerError(message)
