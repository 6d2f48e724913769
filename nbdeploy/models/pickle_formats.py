"""Models as joblib files and as plain pickles, in memory."""

from __future__ import annotations

import io
import pickle
from typing import Any

import joblib

from nbdeploy.exceptions import ModelFileError
from nbdeploy.models.array_payload import WRAPPER
from nbdeploy.models.notebook_code import NotebookUnpickler, dump_with_code, travelling_modules
from nbdeploy.models.pickle_globals import pickle_globals
from nbdeploy.models.unpicklable import find_unpicklable

__all__ = ["dump_joblib", "dump_pickle", "load_joblib", "load_pickle"]

_PROTOCOL_MARK = b"\x80"
_WRAPPER_NAME = WRAPPER.rpartition(".")[2].encode()


def dump_joblib(model: Any) -> bytes:
    """Return what ``joblib.dump`` would write, or a pickle with the code of the notebook."""

    def dump() -> bytes:
        buffer = io.BytesIO()
        joblib.dump(model, buffer)
        return buffer.getvalue()

    return _dump(model, dump, is_joblib=True)


def dump_pickle(model: Any) -> bytes:
    """Return what ``pickle.dump`` would write, with the code of the notebook if needed."""
    return _dump(model, lambda: pickle.dumps(model), is_joblib=False)


def load_joblib(data: bytes) -> Any:
    """Load what `dump_joblib` or ``joblib.dump`` wrote. This executes what is in it."""
    if data.startswith(_PROTOCOL_MARK) and _WRAPPER_NAME not in data:
        return load_pickle(data)
    return joblib.load(io.BytesIO(data))


def load_pickle(data: bytes) -> Any:
    """Load a plain pickle. This executes what is in it."""
    return NotebookUnpickler(io.BytesIO(data)).load()


def _dump(model: Any, dump: Any, *, is_joblib: bool) -> bytes:
    try:
        data: bytes = dump()
    except Exception:  # noqa: BLE001 -- a lambda, say: cloudpickle decides whether it is an error
        return _dump_with_code(model)
    return _dump_with_code(model) if _needs_code(data, is_joblib=is_joblib) else data


def _needs_code(data: bytes, *, is_joblib: bool) -> bool:
    modules = travelling_modules()
    if not any(module.encode() in data for module in modules):
        return False
    names = pickle_globals(data, is_joblib=is_joblib)
    starts = tuple(f"{module}." for module in modules)
    return names is None or any(name.startswith(starts) for name in names)


def _dump_with_code(model: Any) -> bytes:
    try:
        return dump_with_code(model)
    except Exception as error:
        path, part = find_unpicklable(model, dump_with_code)
        kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
        message = (
            f"The model cannot be saved: {path} is a {kind}, which exists only in this process "
            f"({type(error).__name__}: {error}). Remove it before saving, or leave it out in "
            "__getstate__ and make it again in __setstate__."
        )
        raise ModelFileError(message) from error
