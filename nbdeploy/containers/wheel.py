"""A wheel of a package that no index has, packed from what is installed: editable installs too."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

from nbdeploy.exceptions import ContainerError

__all__ = ["pack_wheel"]

_UNWANTED = {"__pycache__", ".ipynb_checkpoints"}
_COMPILED = {".so", ".pyd", ".dylib"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files are the same wheel, whenever it is made
_KEPT_METADATA = ("entry_points.txt", "top_level.txt")


def pack_wheel(name: str) -> tuple[str, bytes]:
    """Pack an installed package.

    Parameters
    ----------
    name
        The name of its distribution.

    Returns
    -------
    tuple
        The name of the file, and its bytes.

    Raises
    ------
    ContainerError
        If it is not installed, or holds code that was compiled for this machine.

    Examples
    --------
    >>> pack_wheel("nbdeploy")[0].startswith("nbdeploy-")
    True
    """
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        message = f"{name} is not installed here, so it cannot be packed. Install it first."
        raise ContainerError(message) from error
    stem = f"{name.replace('-', '_').replace('.', '_')}-{distribution.version}"
    files = dict(_code_of(name, distribution))
    files |= _metadata_of(distribution, f"{stem}.dist-info")
    return f"{stem}-py3-none-any.whl", _zipped(files, f"{stem}.dist-info/RECORD")


def _code_of(name: str, distribution: Distribution) -> Iterator[tuple[str, bytes]]:
    for top in _top_levels(name, distribution):
        spec = find_spec(top)
        if spec is None:
            continue
        folders = list(spec.submodule_search_locations or ())
        if not folders and spec.origin:
            yield Path(spec.origin).name, Path(spec.origin).read_bytes()
        for folder in map(Path, folders):
            for file in sorted(folder.rglob("*")):
                inside = file.relative_to(folder)
                if not file.is_file() or _UNWANTED & set(inside.parts):
                    continue
                if file.suffix in _COMPILED:
                    message = (
                        f"{name} was installed from a folder and holds {file.name}, which is "
                        "compiled for this machine. Build a wheel of it for Linux, and install "
                        "that here."
                    )
                    raise ContainerError(message)
                if file.suffix != ".pyc":
                    yield f"{top}/{inside.as_posix()}", file.read_bytes()


def _top_levels(name: str, distribution: Distribution) -> list[str]:
    told = distribution.read_text("top_level.txt")
    if told:
        return told.split()
    plain = name.replace("-", "_").replace(".", "_")
    found = {
        file.parts[0].removesuffix(".py")
        for file in distribution.files or ()
        if file.suffix == ".py" and not file.parts[0].startswith(("__editable__", "_"))
    }
    return sorted(found) or [plain]


def _metadata_of(distribution: Distribution, folder: str) -> dict[str, bytes]:
    # An egg-info folder, which an editable install may leave, has the same text under this name.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    wheel = "Wheel-Version: 1.0\nGenerator: nbdeploy\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {f"{folder}/METADATA": text.encode(), f"{folder}/WHEEL": wheel.encode()}
    for name in _KEPT_METADATA:
        kept = distribution.read_text(name)
        if kept:
            files[f"{folder}/{name}"] = kept.encode()
    return files


def _zipped(files: dict[str, bytes], record: str) -> bytes:
    lines = []
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            lines.append(f"{name},sha256={digest.decode()},{len(content)}")
            archive.writestr(_entry(name), content)
        lines.append(f"{record},,")
        archive.writestr(_entry(record), "\n".join(lines) + "\n")
    return packed.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
