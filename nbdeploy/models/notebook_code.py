"""Functions and classes of a notebook: they travel inside of the file of a model.

A pickle names what it needs, and a fresh process finds nothing under ``__main__``. Where a model
uses such code, cloudpickle writes the code itself, together with the globals it reads: one
stream, so that what two functions share is still one object afterwards.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NotebookUnpickler", "dump_with_code", "names_of_notebook", "travelling_modules"]

_NOTEBOOK = "__main__."
_CLOUDPICKLE = "cloudpickle.cloudpickle"
_CLASS_MAKERS = ("_make_skeleton_class", "_make_skeleton_enum")


def names_of_notebook(names: Iterable[str]) -> list[str]:
    """Return the imported names that exist only in this session.

    Examples
    --------
    >>> names_of_notebook(["numpy.log1p", "__main__.add_ratios"])
    ['add_ratios']
    """
    return [name.removeprefix(_NOTEBOOK) for name in names if name.startswith(_NOTEBOOK)]


def travelling_modules() -> set[str]:
    """Name the modules whose code travels: the notebook's, and what the user registered.

    ``cloudpickle.register_pickle_by_value(module)`` is for a file beside the notebook.
    """
    return {_NOTEBOOK.rstrip("."), *cloudpickle.list_registry_pickle_by_value()}


def dump_with_code(model: Any) -> bytes:
    """Save an object together with the code it takes from the notebook.

    The result is a plain pickle: ``pickle.load`` and ``joblib.load`` read it where cloudpickle is
    installed, in the same minor version of Python.
    """
    data: bytes = cloudpickle.dumps(model)
    return data


class NotebookUnpickler(pickle.Unpickler):
    """Read a pickle that may carry code, as it was when it was saved.

    cloudpickle remembers the classes of a process, and loading one again changes the methods of
    the one that is there: those of the notebook itself, or those of another version of the model
    that is being served. Here every load makes classes of its own, so a model predicts as it did
    when it was saved, whatever else was loaded or edited since.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Import a name; what makes classes makes new ones."""
        found = super().find_class(module, name)
        if module == _CLOUDPICKLE and name in _CLASS_MAKERS:
            return _without_identity(found)
        return found


def _without_identity(make: Callable[..., type]) -> Callable[..., type]:
    def made(*arguments: Any) -> type:
        *description, _identity, extra = arguments
        return make(*description, None, extra)

    return made
