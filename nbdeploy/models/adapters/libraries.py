"""The libraries whose models have a format of their own; none is imported until one is used."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from nbdeploy.exceptions import ModelFileError, NbdeployError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbdeploy.models.predictor import Predictor

__all__ = [
    "LIBRARIES",
    "Adapter",
    "Input",
    "Library",
    "adapter_of",
    "format_of",
    "library_of_format",
    "require",
]


@dataclass(frozen=True)
class Library:
    """A library and what nbdeploy calls its models.

    Parameters
    ----------
    modules
        Where classes of its models live; the first is the one that predicts.
    title
        What people call it.
    extra
        The extra of nbdeploy that installs it.
    format
        What a manifest calls its files.
    ending
        How such a file is named.
    adapter
        The module that knows it.
    holds_code
        Whether a file can run code when it is loaded.
    """

    modules: tuple[str, ...]
    title: str
    extra: str
    format: str
    ending: str
    adapter: str
    holds_code: bool = False

    def load_adapter(self) -> Adapter:
        """Import the module that knows the library, which may import the library."""
        return cast("Adapter", importlib.import_module(f"nbdeploy.models.adapters.{self.adapter}"))


@dataclass(frozen=True)
class Input:
    """What a fitted model tells about its input.

    Parameters
    ----------
    names
        The columns that it was fitted on, if it saw names.
    width
        How many features it takes, if it tells.
    takes_text
        Whether a cell may be something else than a number.
    takes_missing
        Whether a cell may be missing.
    parts
        For a model made of others: those that see the column at a place, each with the place that
        it has there.
    """

    names: tuple[str, ...] | None = None
    width: int | None = None
    takes_text: bool = False
    takes_missing: bool = False
    parts: Callable[[int], list[tuple[Any, int]]] | None = None


class Adapter(Protocol):
    """What the module of a library has."""

    def takes(self, model: Any) -> bool:
        """Tell whether an object of the library is a model."""
        ...

    def predictor(self, model: Any) -> Predictor:
        """Give what predicts with a model."""
        ...

    def input_of(self, model: Any) -> Input:
        """Tell what a model takes."""
        ...

    def can_save(self, model: Any) -> bool:
        """Tell whether the library's own format holds all that this model needs to predict."""
        ...

    def dump(self, model: Any) -> bytes:
        """Write a model in the library's own format."""
        ...

    def load(self, data: bytes) -> Any:
        """Read a model that `dump` or the library itself wrote."""
        ...

    def globals_of(self, data: bytes) -> tuple[str, ...] | None:
        """List what loading imports, as ``module.name``; ``None`` when that is not known."""
        ...


LIBRARIES = (
    Library(("xgboost",), "XGBoost", "xgboost", "xgboost", ".ubj", "xgboost_models"),
    Library(("lightgbm",), "LightGBM", "lightgbm", "lightgbm", ".lgbm", "lightgbm_models"),
    Library(("torch",), "PyTorch", "torch", "torch", ".pt", "torch_models", holds_code=True),
    Library(("onnxruntime", "onnx"), "ONNX Runtime", "onnxruntime", "onnx", ".onnx", "onnx_models"),
    # Made of others, each in its own format.
    Library(
        ("nbdeploy",), "nbdeploy", "", "ensemble", ".ensemble", "ensemble_models", holds_code=True
    ),
)
"""All of them, and what nbdeploy itself makes of them."""

_BY_MODULE = {module: library for library in LIBRARIES for module in library.modules}
_BY_FORMAT = {library.format: library for library in LIBRARIES}


def adapter_of(model: Any) -> Adapter | None:
    """Give the adapter of a model; ``None`` if no library here makes such models.

    Whoever has an object of a library has imported the library.
    """
    library = _library_of(model)
    if library is None:
        return None
    adapter = library.load_adapter()
    return adapter if adapter.takes(model) else None


def format_of(model: Any) -> str | None:
    """Name the format of the library that a model is of, if it can be saved in it."""
    adapter = adapter_of(model)
    library = _library_of(model)
    if adapter is None or library is None or not adapter.can_save(model):
        return None
    return library.format


def library_of_format(name: str) -> Library | None:
    """Give the library that reads and writes a format."""
    return _BY_FORMAT.get(name)


def require(module: str, *, error: type[NbdeployError] = ModelFileError) -> Any:
    """Import a library.

    Raises
    ------
    NbdeployError
        It is not installed; the message says which extra brings it.
    """
    library = _BY_MODULE[module]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        message = (
            f"This model needs {library.title}, which is not installed here. Install it with "
            f"pip install 'nbdeploy[{library.extra}]'."
        )
        raise error(message) from None


def _library_of(model: Any) -> Library | None:
    for ancestor in type(model).__mro__:
        library = _BY_MODULE.get(ancestor.__module__.partition(".")[0])
        # A class of the same name in a folder of the user is no class of the library.
        if library is not None and ancestor.__module__ in sys.modules:
            return library
    return None
