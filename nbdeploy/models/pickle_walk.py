"""A walk over the opcodes of a pickle that executes none of them.

It emulates the stack and the memo just enough to know the names behind ``STACK_GLOBAL``. The
rest is what ``pickletools`` says about an opcode: so many values off the stack, so many on it.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import TYPE_CHECKING, Any

from nbdeploy.models.array_payload import Global, Made

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

OPCODE_LIMIT = 20_000_000

_PYTHON_3_NAMES = 3  # older protocols may carry the names of Python 2
_CODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_STOP = b"."
_NAMING = b"ci"  # GLOBAL and INST: two lines follow
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STORES = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_FETCHES = ("GET", "BINGET", "LONG_BINGET")
_FROM_OUTSIDE = ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER")


class IncompleteError(Exception):
    """The walk met something that it cannot follow for certain."""


class _Sign:
    """A value without content."""


MARK = _Sign()
OPAQUE = _Sign()


class PickleWalk:
    """One pass over one pickle stream, as ``pickle.load`` would read it.

    Parameters
    ----------
    file
        Stands at the first opcode; stands behind STOP after the pass.
    names
        The names found so far, to which this pass adds.
    """

    def __init__(self, file: io.BytesIO, names: set[str] | None = None) -> None:
        self.names: set[str] = set() if names is None else names
        self.file = file
        self.stack: list[Any] = []
        self.frame_end = 0
        self._memo: dict[int, Any] = {}
        self._protocol = 0
        self._steps = self._plan()

    def run(self) -> None:
        """Walk up to STOP.

        Raises
        ------
        IncompleteError
            Names could be missing.
        ValueError, IndexError, KeyError
            The bytes are no pickle.
        """
        read, steps, codes = self.file.read, self._steps, _CODES
        for _ in range(OPCODE_LIMIT):
            code = read(1)
            if code == _STOP:
                return
            byte = code[0]
            reader = codes[byte].arg
            # Names are read raw: pickletools would undo escapes that an unpickler leaves alone.
            argument = reader.reader(self.file) if reader and byte not in _NAMING else None
            steps[byte](argument)
        raise IncompleteError

    @property
    def is_inside_frame(self) -> bool:
        """Whether an unpickler would have read further than this walk."""
        return self.file.tell() < self.frame_end

    # What a subclass may see and forbid

    def check_plain(self, values: list[Any]) -> None:
        """Look at values that leave the stack as plain data."""
        if any(value is MARK for value in values):
            raise IncompleteError

    def check_name(self, full: str, name: str) -> None:
        """Look at a name before it is listed."""

    def check_call(self, maker: Global, *, is_instance: bool) -> None:
        """Look at what is called, or made an instance of."""

    def set_state(self, target: Any, state: object) -> None:
        """Set the state of the object on top of the stack."""
        if isinstance(target, Made):
            target.state = state

    # Which step belongs to which opcode

    def _plan(self) -> dict[int, Callable[[Any], None]]:
        steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_FROM_OUTSIDE, self._give_up),
            **dict.fromkeys(_STORES, self._store),
            **dict.fromkeys(_FETCHES, self._fetch),
            **{name: self._pushes(constant) for name, constant in _CONSTANTS.items()},
            **{name: self._groups(size) for name, size in _TUPLES.items()},
        }
        return {
            code: steps.get(opcode.name) or self._step_of(opcode) for code, opcode in _CODES.items()
        }

    def _step_of(self, opcode: pickletools.OpcodeInfo) -> Callable[[Any], None]:
        own = getattr(self, f"_on_{opcode.name.lower()}", None)
        if own is not None:
            return own  # type: ignore[no-any-return]
        return self._swaps(opcode) if opcode.arg is None else self.stack.append

    def _swaps(self, opcode: pickletools.OpcodeInfo) -> Callable[[Any], None]:
        is_marked = pickletools.markobject in opcode.stack_before
        popped = len(opcode.stack_before) - 2 * is_marked
        pushed = [OPAQUE] * len(opcode.stack_after)

        def step(_argument: object) -> None:
            if is_marked:
                self._pop_to_mark()
            self._pop_values(popped)
            self.stack.extend(pushed)

        return step

    def _pushes(self, constant: object) -> Callable[[Any], None]:
        return lambda _argument: self.stack.append(constant)

    def _groups(self, size: int) -> Callable[[Any], None]:
        return lambda _argument: self.stack.append(tuple(self._pop_values(size)))

    def _give_up(self, _argument: object) -> None:
        # The value comes from outside of the stream.
        raise IncompleteError

    # Stack and memo

    def _pop_values(self, count: int) -> list[Any]:
        """Pop what is swallowed as plain data, lowest first."""
        if count == 0:
            return []
        values = self.stack[-count:]
        if len(values) < count:
            raise IncompleteError
        del self.stack[-count:]
        self.check_plain(values)
        return values

    def _pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                self.check_plain(values)
                return values
        raise IncompleteError

    def _store(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._top()

    def _fetch(self, index: int) -> None:
        self.stack.append(self._memo[index])

    def _top(self) -> Any:
        if self.stack[-1] is MARK:
            raise IncompleteError
        return self.stack[-1]

    def _on_mark(self, _argument: object) -> None:
        self.stack.append(MARK)

    def _on_pop(self, _argument: object) -> None:
        self.stack.pop()

    def _on_pop_mark(self, _argument: object) -> None:
        self._pop_to_mark()

    def _on_dup(self, _argument: object) -> None:
        self.check_plain(self.stack[-1:])
        self.stack.append(self.stack[-1])

    # Containers whose content matters: the states of arrays and of dtypes

    def _on_tuple(self, _argument: object) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _on_empty_dict(self, _argument: object) -> None:
        self.stack.append({})

    def _on_dict(self, _argument: object) -> None:
        items = self._pop_to_mark()
        self._on_empty_dict(None)
        self._set_items(items)

    def _on_setitem(self, _argument: object) -> None:
        self._set_items(self._pop_values(2))

    def _on_setitems(self, _argument: object) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if not isinstance(target, dict):
            return
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a crafted key of nested tuples would take for ever; None stands for the rest.
            target[key if isinstance(key, str) else None] = value

    # What imports and what calls

    def _on_proto(self, protocol: int) -> None:
        self._protocol = protocol

    def _on_frame(self, size: int) -> None:
        if self.is_inside_frame:
            raise IncompleteError
        self.frame_end = self.file.tell() + size

    def _on_global(self, _argument: object) -> None:
        self._import(self._read_line(), self._read_line())

    def _on_stack_global(self, _argument: object) -> None:
        module, name = self._pop_values(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise IncompleteError
        self._import(module, name)

    def _on_inst(self, _argument: object) -> None:
        self._import(self._read_line(), self._read_line())
        maker = self.stack.pop()
        self._make(maker, self._pop_to_mark())

    def _on_obj(self, _argument: object) -> None:
        maker, *arguments = self._pop_to_mark()
        self._make(maker, arguments)

    def _on_reduce(self, _argument: object) -> None:
        maker, arguments = self._pop_values(2)
        self._make(maker, arguments)

    def _on_newobj(self, _argument: object) -> None:
        arguments = self._pop_values(1)[0]
        self._make(self.stack.pop(), arguments, is_instance=True)

    def _on_newobj_ex(self, _argument: object) -> None:
        arguments, _keywords = self._pop_values(2)
        self._make(self.stack.pop(), arguments, is_instance=True)

    def _on_build(self, _argument: object) -> None:
        state = self._pop_values(1)[0]
        self.set_state(self._top(), state)

    def _import(self, module: str, name: str) -> None:
        if self._protocol < _PYTHON_3_NAMES:
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[module, name]
            else:
                module = IMPORT_MAPPING.get(module, module)
        full = f"{module}.{name}"
        self.check_name(full, name)
        self.names.add(full)
        self.stack.append(Global(full))

    def _make(self, maker: object, arguments: object, *, is_instance: bool = False) -> None:
        imported = maker
        if isinstance(maker, Made) and _is_of_cloudpickle(maker.of):
            # A class or a function that the stream itself makes.
            imported = maker.of
        if not isinstance(imported, Global):
            raise IncompleteError
        self.check_call(imported, is_instance=is_instance)
        self.stack.append(Made(maker, arguments))

    def _read_line(self) -> str:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise IncompleteError
        return line[:-1].decode("utf-8")


def _is_of_cloudpickle(value: object) -> bool:
    return isinstance(value, Global) and value.name.startswith("cloudpickle.")
