"""How many bytes joblib put behind a pickled array: what a reader of the pickle must skip.

joblib replaces an array in the stream by a small wrapper and writes the raw bytes right behind
it. The sizes here follow ``joblib.numpy_pickle.NumpyArrayWrapper.read_array`` and the state that
numpy gives a pickled dtype. Whatever is unusual is an error: a wrong size would hide a part of
the stream.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeGuard

DTYPE = "numpy.dtype"
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"

_REQUIRED = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_OPTIONAL = {"numpy_array_alignment_bytes"}
_TYPE_CODE = re.compile(r"([biufcmMSUVO])(\d{1,9})")
_SIZED_BY_STATE = "SUV"
_HAS_OBJECTS = 1
_STATE_LENGTHS = (8, 9)  # the ninth is the unit of a date
_MOST_DTYPES = 500  # a bound on the recursion, far above what numpy users write


class UnknownPayloadError(ValueError):
    """The size cannot be told for certain."""


@dataclass(slots=True)
class Made:
    """An object that a pickle would make: from what, with what, and its state if it was set."""

    of: object
    arguments: object = None
    state: object = None


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle would import."""

    name: str


@dataclass(frozen=True, slots=True)
class Payload:
    """What stands behind a wrapper: padded raw bytes, or a nested pickle of objects."""

    size: int
    is_padded: bool
    is_pickle: bool


def payload_of(state: object) -> Payload:
    """Return what stands behind a wrapper with this state.

    Raises
    ------
    UnknownPayloadError
        The state is none that joblib writes.
    """
    # No other attribute: an attribute named like a method would take its place.
    if not isinstance(state, dict) or not _REQUIRED <= state.keys() <= _REQUIRED | _OPTIONAL:
        raise UnknownPayloadError
    itemsize, has_objects = _item(state["dtype"], {})
    shape = state["shape"]
    if not isinstance(shape, tuple) or not all(map(_is_count, shape)) or itemsize == 0:
        raise UnknownPayloadError
    alignment = state.get("numpy_array_alignment_bytes")
    return Payload(
        size=0 if has_objects else math.prod(shape) * itemsize,
        is_padded=alignment is not None and not has_objects,
        is_pickle=has_objects,
    )


def _item(dtype: object, known: dict[int, tuple[int, bool]]) -> tuple[int, bool]:
    """Return the bytes of one item, and whether it holds Python objects."""
    if not isinstance(dtype, Made) or dtype.of != Global(DTYPE):
        raise UnknownPayloadError
    if id(dtype) not in known:
        if len(known) == _MOST_DTYPES:
            raise UnknownPayloadError
        # A dtype that contains itself is refused when it is met again.
        known[id(dtype)] = (0, True)
        known[id(dtype)] = _new_item(dtype, known)
    return known[id(dtype)]


def _new_item(dtype: Made, known: dict[int, tuple[int, bool]]) -> tuple[int, bool]:
    kind, number = _type_code(dtype.arguments)
    state = dtype.state
    if not isinstance(state, tuple) or len(state) not in _STATE_LENGTHS:
        raise UnknownPayloadError
    size = state[5] if kind in _SIZED_BY_STATE else number
    flags = state[7]
    if not _is_count(size) or not _is_count(flags):
        raise UnknownPayloadError
    has_objects = bool(flags & _HAS_OBJECTS)
    if has_objects != (kind == "O" or _any_objects(kind, state, known)):
        raise UnknownPayloadError
    return size, has_objects


def _any_objects(kind: str, state: tuple[object, ...], known: dict[int, tuple[int, bool]]) -> bool:
    """Tell whether a field, or the items of a sub-array, are Python objects."""
    subarray, fields = state[2], state[4]
    if subarray is None and fields is None:
        return False
    if kind != "V":
        raise UnknownPayloadError
    inner = [subarray] if subarray is not None else _values(fields)
    return any(_item(_first(field), known)[1] for field in inner)


def _values(fields: object) -> list[object]:
    if not isinstance(fields, dict) or None in fields:
        raise UnknownPayloadError
    return list(fields.values())


def _first(field: object) -> object:
    if not isinstance(field, tuple) or not field:
        raise UnknownPayloadError
    return field[0]


def _type_code(arguments: object) -> tuple[str, int]:
    match arguments:
        case (str(code), False | 0, True | 1):
            found = _TYPE_CODE.fullmatch(code)
            if found:
                return found[1], int(found[2])
    raise UnknownPayloadError


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
