"""What a model imports when it is loaded and asked, found by looking at it.

Three places tell: the names in the stream of the pickle, the modules that code of the notebook
holds on to, and the ``import`` statements inside that code. While looking, what commonly breaks
elsewhere shows too: a path of this machine, a dataset that a function carries along.
"""

from __future__ import annotations

import dis
import io
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from nbdeploy.models.native_formats import globals_in
from nbdeploy.models.notebook_code import NotebookUnpickler

__all__ = ["ModelImports", "imports_of"]

_CLOUDPICKLE = "cloudpickle.cloudpickle"
_LARGE = 1_000_000  # bytes; coefficients that a function reads are smaller, datasets are larger
_ABSOLUTE = re.compile(r"(?:/|[A-Za-z]:[\\/])[^\0\n]{2,300}")


@dataclass
class ModelImports:
    """What was found.

    Parameters
    ----------
    modules
        Names of modules, without those of the standard library.
    paths
        Paths that code of the notebook names and that exist on this machine.
    datasets
        What code of the notebook carries along and is large: its name, and its size in bytes.
    is_complete
        Whether the stream could be followed to its end.
    """

    modules: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    datasets: dict[str, int] = field(default_factory=dict)
    is_complete: bool = True


def imports_of(data: bytes, format_name: str, model: Any) -> ModelImports:
    """Look at a model and at the bytes that it was saved to.

    Parameters
    ----------
    data
        The bytes; this process wrote them, or they were trusted when they were loaded.
    format_name
        How they were written.
    model
        The model itself.
    """
    found = ModelImports()
    names = globals_in(data, format_name)
    found.is_complete = names is not None
    modules = {_module_of(name) for name in names or ()} | {type(model).__module__}
    if format_name == "skops":
        modules.add("skops")
    if any(module.startswith("nbdeploy.client") for module in modules):
        # A member of an ensemble that is asked over HTTP.
        modules.add("httpx2")
    if _CLOUDPICKLE in modules or (names is None and b"cloudpickle" in data):
        modules |= _look_into_code(data, found)
    found.modules = {module for module in modules if _is_foreign(module)}
    return found


def _module_of(name: str) -> str:
    """Give the longest start of ``module.name`` that is a module here."""
    module = name.rpartition(".")[0]
    while module and module not in sys.modules and "." in module:
        module = module.rpartition(".")[0]
    return module


def _is_foreign(module: str) -> bool:
    top = module.partition(".")[0]
    return bool(top) and top not in sys.stdlib_module_names and top not in ("__main__", "nbdeploy")


def _look_into_code(data: bytes, found: ModelImports) -> set[str]:
    looking = _Looking(io.BytesIO(data))
    looking.load()
    modules = set(looking.modules)
    for code in looking.codes:
        modules |= set(_imported_by(code))
        found.paths |= {text for text in _texts_of(code) if _is_here(text)}
    for states in looking.states:
        for name, value in _values_in(*states):
            if isinstance(value, str) and _is_here(value):
                found.paths.add(value)
            size = _size_of(value)
            if size > _LARGE:
                found.datasets[name] = max(size, found.datasets.get(name, 0))
    return modules


class _Looking(NotebookUnpickler):
    """Load a model once more, and remember the code that is made on the way."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()
        self.codes: list[CodeType] = []
        self.states: list[Any] = []

    def find_class(self, module: str, name: str) -> Any:
        """Import a name; what makes code and finds modules is watched."""
        found = super().find_class(module, name)
        if module != _CLOUDPICKLE:
            self.modules.add(module)
        elif name == "_make_function":
            return self._watched_function(found)
        elif name == "_function_setstate":
            return self._watched_state(found)
        elif name == "subimport":
            return self._watched_import(found)
        return found

    def _watched_function(self, make: Any) -> Any:
        def made(code: CodeType, *rest: Any) -> Any:
            self.codes.append(code)
            return make(code, *rest)

        return made

    def _watched_state(self, set_state: Any) -> Any:
        def watched(function: Any, state: Any) -> Any:
            _, slots = state
            # What sets the state takes it apart.
            self.states.append((dict(slots), function))
            return set_state(function, state)

        return watched

    def _watched_import(self, subimport: Any) -> Any:
        def imported(name: str) -> Any:
            self.modules.add(name)
            return subimport(name)

        return imported


def _imported_by(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and instruction.argval:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported_by(constant)


def _texts_of(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _texts_of(constant)
        elif isinstance(constant, str):
            yield constant


def _values_in(slots: dict[str, Any], function: Any) -> Iterable[tuple[str, Any]]:
    """Give what a function reads from around it: globals of the notebook, and its closure."""
    yield from slots.get("__globals__", {}).items()
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=False):
        yield name, _content(cell)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except (AttributeError, ValueError):
        return None


def _size_of(value: Any) -> int:
    if hasattr(value, "memory_usage"):
        usage = value.memory_usage(deep=True)
        return int(usage if isinstance(usage, int) else getattr(usage, "sum", lambda: 0)())
    size = getattr(value, "nbytes", 0)
    return size if isinstance(size, int) else 0


def _is_here(text: str) -> bool:
    if _ABSOLUTE.fullmatch(text) is None:
        return False
    try:
        # What every Linux has is in the image too.
        return Path(text).exists() and not text.startswith(("/dev/", "/proc/"))
    except OSError:
        return False
