"""What a pickle would import, found without executing it.

A list that might lack a name is worse than none: whatever the walk over the opcodes does not
fully understand makes the answer ``None``, "unknown".
"""

from __future__ import annotations

import io
import struct

from nbdeploy.models.array_payload import UnknownPayloadError
from nbdeploy.models.compression import decompressed
from nbdeploy.models.joblib_walk import JoblibWalk
from nbdeploy.models.pickle_walk import IncompleteError, PickleWalk

UNPACKED_LIMIT = 512 * 2**20


def pickle_globals(data: bytes, *, is_joblib: bool = True) -> tuple[str, ...] | None:
    """Return every ``module.name`` that unpickling `data` would import.

    Nothing is imported or executed. What the called functions import themselves is not in the
    stream, so it is not in the list either.

    Parameters
    ----------
    data
        The bytes of a file.
    is_joblib
        Whether ``joblib.load`` reads the file: arrays stand between the opcodes, and the whole
        may be compressed.

    Returns
    -------
    tuple of str, or None
        Sorted, without repetition. ``None`` when the list could lack a name.

    Examples
    --------
    >>> import pickle, shutil
    >>> class Surprise:
    ...     def __reduce__(self):
    ...         return shutil.rmtree, ("/home",)
    >>> pickle_globals(pickle.dumps(Surprise()))
    ('shutil.rmtree',)
    >>> pickle_globals(b"no pickle") is None
    True
    """
    stream = decompressed(data, UNPACKED_LIMIT) if is_joblib else data
    if stream is None:
        return None
    walk = (JoblibWalk if is_joblib else PickleWalk)(io.BytesIO(stream))
    try:
        walk.run()
    except (IncompleteError, UnknownPayloadError):
        return None
    # What a reader of opcodes raises on bytes that are no pickle.
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, struct.error):
        return None
    return tuple(sorted(walk.names))
