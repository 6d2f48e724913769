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
    import io
    from collections.abc import Callable, Iterable

__all__ = ["NotebookUnpickler", "dump_with_code", "names_of_notebook"]

_NOTEBOOK = "__main__."
_CLOUDPICKLE = "cloudpickle.cloudpickle"
_CLASS_MAKERS = ("_make_skeleton_class", "_make_skeleton_enum")
_CLASS_SETTER = "_class_setstate"


def names_of_notebook(names: Iterable[str]) -> list[str]:
    """Return the imported names that exist only in this session.

    Examples
    --------
    >>> names_of_notebook(["numpy.log1p", "__main__.add_ratios"])
    ['add_ratios']
    """
    return [name.removeprefix(_NOTEBOOK) for name in names if name.startswith(_NOTEBOOK)]


def dump_with_code(model: Any) -> bytes:
    """Save an object together with the code it takes from the notebook.

    The result is a plain pickle: ``pickle.load`` and ``joblib.load`` read it where cloudpickle is
    installed, in the same minor version of Python.
    """
    data: bytes = cloudpickle.dumps(model)
    return data


class NotebookUnpickler(pickle.Unpickler):
    """Read a pickle that may carry code, without touching the code of this session.

    cloudpickle gives a class that is still alive in this process its saved methods back: they
    would no longer see the notebook's globals. Here a living class is used as it is, as pickle
    does.

    Parameters
    ----------
    file
        The stream.
    isolated
        Make copies of the classes, which share nothing with those of this session.
    """

    def __init__(self, file: io.BytesIO, *, isolated: bool = False) -> None:
        super().__init__(file)
        self._isolated = isolated
        self._living: set[type] = set()

    def find_class(self, module: str, name: str) -> Any:
        """Import a name; the makers of classes are put on a lead."""
        found = super().find_class(module, name)
        if module == _CLOUDPICKLE and name in _CLASS_MAKERS:
            return self._maker(found)
        if module == _CLOUDPICKLE and name == _CLASS_SETTER:
            return self._setter(found)
        return found

    def _maker(self, make: Callable[..., type]) -> Callable[..., type]:
        def made(*arguments: Any) -> type:
            *description, identity, extra = arguments
            if self._isolated:
                return make(*description, None, extra)
            living = _living_class(identity)
            if living is None:
                return make(*arguments)
            self._living.add(living)
            return living

        return made

    def _setter(self, set_state: Callable[[type, Any], type]) -> Callable[[type, Any], type]:
        def set_unless_living(made: type, state: Any) -> type:
            return made if made in self._living else set_state(made, state)

        return set_unless_living


def _living_class(identity: str | None) -> type | None:
    """Return the class of this process that was saved under an identity."""
    # Without this table of cloudpickle's, its own behaviour is what remains.
    known = getattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
    living: type | None = known.get(identity)
    return living
