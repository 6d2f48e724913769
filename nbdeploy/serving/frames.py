"""Frames between the processes of one service: a JSON document, bytes, and open files.

Nothing in a frame can be executed: numbers and text travel as JSON, arrays as their plain memory.
The sockets are pairs without a name, so nobody else can connect, and no file of them is left.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import orjson

_Received = TypeVar("_Received", bytes, int)

__all__ = ["Channel", "ChannelClosedError", "Frame", "array_of", "describe_array"]

_HEAD = struct.Struct(">IQI")
_MOST_FILES = 4
_PLAIN_KINDS = "fiub"
_MANY_DIGITS = re.compile(rb"\d{19}")


class ChannelClosedError(ConnectionError):
    """The process at the other end is gone."""


class Frame(NamedTuple):
    """What was received."""

    document: Any
    payload: memoryview
    files: list[int]


class Channel:
    """One end of a pair of sockets; used by one thread at a time.

    Parameters
    ----------
    connection
        A connected stream socket of this machine; the channel owns it from now on.

    Examples
    --------
    >>> here, there = Channel.pair()
    >>> here.send({"ask": "predict", "rows": [[1.5, None]]})
    >>> there.receive().document
    {'ask': 'predict', 'rows': [[1.5, None]]}
    >>> here.close()
    >>> there.receive()
    Traceback (most recent call last):
        ...
    nbdeploy.serving.frames.ChannelClosedError: The process at the other end is gone.
    >>> there.close()
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Make both ends; neither is inherited by programs that this process starts."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(here), cls(there)

    def fileno(self) -> int:
        """Give the descriptor, -1 when it is closed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up; again does nothing."""
        self._socket.close()

    def hang_up(self) -> None:
        """End the conversation, also for a thread that waits for an answer just now."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other end did so before, or it is closed

    def send(
        self,
        document: Any,
        payload: bytes | memoryview = b"",
        files: Sequence[int] = (),
        *,
        timeout: float | None = None,
    ) -> None:
        """Send a frame.

        Parameters
        ----------
        document
            JSON values; NaN, infinity and integers of any size are kept.
        payload
            Bytes that go beside it.
        files
            Descriptors that the other process shall have too.
        timeout
            Seconds; ``None`` waits.

        Raises
        ------
        ChannelClosedError
            If nobody is there any more.
        TimeoutError
            If the other process does not read.
        """
        text = _dump(document)
        head = _HEAD.pack(len(text), len(payload), len(files))
        try:
            self._socket.settimeout(timeout)
            # The files go with the first bytes.
            socket.send_fds(self._socket, [head], list(files))
            self._socket.sendall(text)
            if payload:
                self._socket.sendall(payload)
        except TimeoutError:
            raise
        except OSError as error:
            raise _closed() from error

    def receive(self, timeout: float | None = None) -> Frame:
        """Wait for a frame.

        Raises
        ------
        ChannelClosedError
            If nobody is there any more.
        TimeoutError
            If nothing, or not all of it, comes in time.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        files: list[int] = []
        try:
            head = b""
            while len(head) < _HEAD.size:
                self._wait_until(deadline)
                part, received, _, _ = socket.recv_fds(
                    self._socket, _HEAD.size - len(head), _MOST_FILES
                )
                files += received
                for file in received:
                    # recv_fds() of some Pythons does not pass on the flag that would do it.
                    os.set_inheritable(file, False)
                head += _something(part)
            text_length, payload_length, _ = _HEAD.unpack(head)
            text = self._exactly(text_length, deadline)
            payload = self._exactly(payload_length, deadline)
        except BaseException as error:
            for file in files:
                os.close(file)
            if isinstance(error, OSError) and not isinstance(
                error, (TimeoutError, ChannelClosedError)
            ):
                raise _closed() from error
            raise
        return Frame(_load(text), memoryview(payload), files)

    def _exactly(self, length: int, deadline: float | None) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            self._wait_until(deadline)
            view = view[_something(self._socket.recv_into(view)) :]
        return data

    def _wait_until(self, deadline: float | None) -> None:
        # Zero would mean not to wait at all, and be told in another way.
        left = None if deadline is None else max(1e-6, deadline - time.monotonic())
        self._socket.settimeout(left)


def _something(received: _Received) -> _Received:
    """Pass on what was received: nothing at all means that nobody is there."""
    if not received:
        raise _closed()
    return received


def _closed() -> ChannelClosedError:
    return ChannelClosedError("The process at the other end is gone.")


def _dump(document: Any) -> bytes:
    # orjson would write null for NaN, and refuses integers above 64 bits.
    return json.dumps(document, default=_plain, separators=(",", ":")).encode()


def _load(text: bytearray) -> Any:
    # orjson would read an integer above 64 bits as a float.
    if _MANY_DIGITS.search(text):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def describe_array(array: np.ndarray[Any, Any]) -> tuple[dict[str, Any], memoryview] | None:
    """Write an array of plain numbers as what it is and its memory.

    Returns
    -------
    tuple
        A JSON value and the bytes, for `array_of`; ``None`` for an array of anything else.

    Examples
    --------
    >>> described, data = describe_array(np.array([[1.0, 2.0]]))
    >>> described
    {'dtype': '<f8', 'shape': [1, 2], 'order': 'C'}
    >>> array_of(described, data)
    array([[1., 2.]])
    """
    if array.dtype.kind not in _PLAIN_KINDS:
        return None
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    plain = np.asarray(array, order="F" if order == "F" else "C")
    described = {"dtype": plain.dtype.str, "shape": list(plain.shape), "order": order}
    return described, memoryview(plain.tobytes(order="A"))


def array_of(described: dict[str, Any], payload: memoryview) -> np.ndarray[Any, Any]:
    """Read what `describe_array` wrote.

    Raises
    ------
    ValueError
        If it is no array of plain numbers.
    """
    dtype = np.dtype(str(described["dtype"]))
    if dtype.kind not in _PLAIN_KINDS:
        message = f"A frame holds an array of {dtype}; expected plain numbers."
        raise ValueError(message)
    flat = np.frombuffer(payload, dtype=dtype)
    return flat.reshape(described["shape"], order="F" if described["order"] == "F" else "C")
