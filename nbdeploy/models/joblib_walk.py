"""The walk over a file of joblib: a pickle with the bytes of arrays between its opcodes.

A crafted file could make an unpickler take opcodes for the bytes of an array, and this walk not,
or the other way round: then the list of names would lie. So a wrapper may be used in the one way
in which joblib uses it (made, given its state, replaced by its array); anything else ends the walk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdeploy.models.array_payload import DTYPE, WRAPPER, Global, Made, payload_of
from nbdeploy.models.pickle_walk import OPAQUE, IncompleteError, PickleWalk

if TYPE_CHECKING:
    import io


class JoblibWalk(PickleWalk):
    """One pass over an uncompressed stream, as ``joblib.load`` would read it."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._size = file.getbuffer().nbytes
        # The dicts made since a wrapper waits for its state; None when no wrapper waits.
        self._states: list[Any] | None = None

    def check_plain(self, values: list[Any]) -> None:
        """Refuse a wrapper as data: it could come back and swallow bytes unseen."""
        super().check_plain(values)
        if any(_is_wrapper(value) for value in values):
            raise IncompleteError

    def check_name(self, full: str, name: str) -> None:
        """Refuse names that lead to another wrapper, or into the making of a dtype."""
        is_wrapper = "numpy_pickle" in full or full.endswith("ArrayWrapper")
        is_inside = "." in name and any(part.startswith("__") for part in name.split("."))
        if (is_wrapper and full != WRAPPER) or is_inside:
            raise IncompleteError

    def check_call(self, maker: Global, *, is_instance: bool) -> None:
        """Allow nothing between a wrapper and its state that could change either unseen."""
        if maker.name == WRAPPER:
            if not is_instance or self._states is not None:
                raise IncompleteError
            self._states = []
        elif self._states is not None and maker.name != DTYPE:
            raise IncompleteError

    def set_state(self, target: Any, state: object) -> None:
        """Replace a wrapper that got its state by its array."""
        if not _is_wrapper(target):
            super().set_state(target, state)
            return
        if not any(state is fresh for fresh in self._states or ()):
            raise IncompleteError
        self._states = None
        self.stack[-1] = OPAQUE
        self._skip_payload(state)

    def _fetch(self, index: int) -> None:
        super()._fetch(index)
        if isinstance(self.stack[-1], Made):
            # The class comes back for each array; an instance never does.
            self.check_plain(self.stack[-1:])

    def _on_empty_dict(self, argument: object) -> None:
        super()._on_empty_dict(argument)
        if self._states is not None:
            self._states.append(self.stack[-1])

    def _skip_payload(self, state: object) -> None:
        payload = payload_of(state)
        if self.is_inside_frame:
            # The unpickler has read the frame already: it finds the payload behind it.
            raise IncompleteError
        if payload.is_pickle:
            nested = PickleWalk(self.file, self.names)
            nested.run()
            if nested.is_inside_frame:
                raise IncompleteError
            return
        padding = self.file.read(1)[0] if payload.is_padded else 0
        end = self.file.tell() + padding + payload.size
        if end > self._size:
            raise IncompleteError
        self.file.seek(end)


def _is_wrapper(value: object) -> bool:
    """Tell whether a value is joblib's array wrapper, or its class."""
    maker = value.of if isinstance(value, Made) else value
    return isinstance(maker, Global) and maker.name == WRAPPER
