"""Models as skops files, in memory: types and arrays, and never a pickle.

skops is imported where it is used: it takes half a second.
"""

from __future__ import annotations

import io
import pkgutil
import zipfile
from typing import TYPE_CHECKING, Any

from nbdeploy.exceptions import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["dump_skops", "is_zip", "load_skops", "types_needing_trust"]

UNPACKED_LIMIT = 2 * 2**30  # bytes; a crafted file may claim more than any memory

_ZIP_MARK = b"PK\x03\x04"


def is_zip(data: bytes) -> bool:
    """Tell whether the bytes can be a skops file."""
    return data.startswith(_ZIP_MARK)


def dump_skops(model: Any) -> bytes:
    """Return what ``skops.io.dump`` would write.

    Raises
    ------
    ModelFileError
        The model holds something that skops cannot write, or code of the notebook.
    """
    import skops.io  # noqa: PLC0415 -- heavy import

    try:
        data: bytes = skops.io.dumps(model)
    except Exception as error:
        message = (
            f"skops cannot save this {type(model).__name__}: {error}. Use format='joblib', which "
            "takes any model."
        )
        raise ModelFileError(message) from error
    homeless = [name for name in types_needing_trust(data) or () if not _can_be_found(name)]
    if homeless:
        message = (
            f"skops holds no code, and this {type(model).__name__} uses {', '.join(homeless)} "
            "of this session, which no other process could find. Use format='joblib', which takes "
            "the code along, or move it into a module that is installed where the model is loaded."
        )
        raise ModelFileError(message)
    return data


def types_needing_trust(data: bytes) -> tuple[str, ...] | None:
    """Return the types in a file that skops does not trust by itself, without making any.

    Returns
    -------
    tuple of str, or None
        ``None`` when the file is too large to look into, or no skops file.
    """
    import skops.io  # noqa: PLC0415 -- heavy import

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > UNPACKED_LIMIT:
                return None
        return tuple(skops.io.get_untrusted_types(data=data))
    except Exception:  # noqa: BLE001 -- a crafted file may make skops raise anything
        return None


def load_skops(data: bytes, types: Sequence[str]) -> Any:
    """Load a file, with the types that were found in it."""
    import skops.io  # noqa: PLC0415 -- heavy import

    return skops.io.loads(data, trusted=list(types))


def _can_be_found(name: str) -> bool:
    """Tell whether another process could import a name."""
    if name.startswith("__main__."):
        return False
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True
