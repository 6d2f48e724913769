"""Which part of an object cannot be saved: a lock, an open file, a generator, and where it is."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["find_unpicklable"]

_DEEPEST = 24
_MOST_TRIALS = 2_000

Dump = Callable[[Any], object]


def find_unpicklable(value: Any, dump: Dump, *, name: str = "model") -> tuple[str, Any]:
    """Return the path to the innermost part that cannot be saved, and the part itself.

    Parameters
    ----------
    value
        What could not be saved as a whole.
    dump
        Saves an object, or raises.
    name
        What to call `value` in the path.

    Examples
    --------
    >>> import pickle
    >>> path, part = find_unpicklable({"steps": [1, (n for n in range(3))]}, pickle.dumps)
    >>> path, type(part).__name__
    ("model['steps'][1]", 'generator')
    """
    trials = _MOST_TRIALS
    seen = {id(value)}
    for _ in range(_DEEPEST):
        for label, part in _parts(value):
            if id(part) in seen or trials == 0:
                continue
            trials -= 1
            if not _can_dump(part, dump):
                seen.add(id(part))
                name, value = name + label, part
                break
        else:
            break
    return name, value


def _can_dump(part: Any, dump: Dump) -> bool:
    try:
        dump(part)
    except Exception:  # noqa: BLE001 -- a part's own __reduce__ may raise anything
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, each with its step in the path."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", part) for key, part in list(value.items()))
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{{{type(part).__name__}}}", part) for part in value)
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield from ((".__self__", value.__self__), (".__func__", value.__func__))
    elif isinstance(value, type):
        if value.__module__ == "__main__":
            yield from _attributes(vars(value))
    else:
        yield from _attributes(getattr(value, "__dict__", {}))
        yield from _slots(value)
        if type(value).__module__ == "__main__":
            # Saved with the object, unlike a class that is only named.
            yield ".__class__", type(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name in code.co_names:
        if name in function.__globals__:
            yield f" (global {name!r})", function.__globals__[name]
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f" (variable {name!r})", cell.cell_contents
        except ValueError:  # the variable is not bound yet
            continue
    for index, default in enumerate(function.__defaults__ or ()):
        yield f" (default {index})", default


def _attributes(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in list(attributes.items()):
        if name not in {"__dict__", "__weakref__"}:
            yield f".{name}", part


def _slots(value: Any) -> Iterator[tuple[str, Any]]:
    for owner in type(value).__mro__:
        slots = owner.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)
