"""Every format of a saved model, by its name: how to write it, how to read it, what it holds."""

from __future__ import annotations

from typing import Any

from nbdeploy.exceptions import ModelFileError
from nbdeploy.models import pickle_formats, skops_format
from nbdeploy.models.adapters.libraries import LIBRARIES, format_of, library_of_format
from nbdeploy.models.pickle_globals import pickle_globals

__all__ = [
    "DEFAULT",
    "ENDINGS",
    "FORMATS",
    "chosen_format",
    "dump",
    "globals_in",
    "load",
    "runs_code",
    "said_of",
]

DEFAULT = "joblib"
"""What is asked for when nobody asks: joblib, or the own format of the model's library."""

FORMATS = (DEFAULT, "pickle", "skops")
"""What can be asked for."""

ENDINGS = {
    DEFAULT: ".joblib",
    "pickle": ".pkl",
    "skops": ".skops",
    **{library.format: library.ending for library in LIBRARIES},
}
"""How a file of each format is named."""


def chosen_format(model: Any, asked: str) -> str:
    """Name the format that a model is saved in.

    Examples
    --------
    >>> chosen_format({"any": "object"}, "joblib")
    'joblib'
    """
    return (format_of(model) or DEFAULT) if asked == DEFAULT else asked


def dump(model: Any, name: str) -> bytes:
    """Write a model in a format.

    Raises
    ------
    ModelFileError
        It cannot be written in it.
    """
    library = library_of_format(name)
    if library is not None:
        return library.load_adapter().dump(model)
    if name == "skops":
        return skops_format.dump_skops(model)
    is_joblib = name == DEFAULT
    return (pickle_formats.dump_joblib if is_joblib else pickle_formats.dump_pickle)(model)


def load(data: bytes, name: str) -> Any:
    """Read a model that is trusted: most formats run what is in them.

    Raises
    ------
    ModelFileError
        The library of the format is not installed; the message names the extra.
    """
    library = library_of_format(name)
    if library is not None:
        return library.load_adapter().load(data)
    if name == "skops":
        return skops_format.load_skops(data, skops_format.types_needing_trust(data) or ())
    is_joblib = name == DEFAULT
    return (pickle_formats.load_joblib if is_joblib else pickle_formats.load_pickle)(data)


def globals_in(data: bytes, name: str) -> tuple[str, ...] | None:
    """List what loading would import, ``None`` when the list cannot be complete."""
    library = library_of_format(name)
    if library is None:
        if name == "skops":
            return skops_format.types_needing_trust(data)
        return pickle_globals(data, is_joblib=name == DEFAULT)
    try:
        return library.load_adapter().globals_of(data)
    except (ModuleNotFoundError, ModelFileError):
        return None


def runs_code(name: str) -> bool:
    """Tell whether loading a file of this format can run what is in it."""
    library = library_of_format(name)
    return library is None or library.holds_code


def said_of(name: str) -> str | None:
    """Say what a file is whose format holds no code; ``None`` for the others."""
    library = library_of_format(name)
    if library is None or library.holds_code:
        return None
    return (
        f"It holds no code of Python. {library.title} reads it with code that trusts its input: a "
        "crafted file could crash this process."
    )
