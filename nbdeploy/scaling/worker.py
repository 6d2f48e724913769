"""What a replica runs: it loads models by their digest and answers, one question at a time."""

from __future__ import annotations

import hmac
import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nbdeploy.exceptions import CorruptedModelError, NbdeployError
from nbdeploy.models.baseline import Baseline
from nbdeploy.models.manifest import digest_of
from nbdeploy.models.pickle_formats import load_joblib
from nbdeploy.models.signature import Signature
from nbdeploy.scaling.question_frames import rows_of
from nbdeploy.serving.frames import Channel, ChannelClosedError, Frame
from nbdeploy.serving.routing import Route, route_from_model
from nbdeploy.serving.thread_settings import serving_thread

__all__ = ["Worker", "describe_failure", "route_of", "work"]


class Worker:
    """Answer frames: ``load``, ``unload``, ``ask`` and ``ping``.

    Parameters
    ----------
    channel
        Who asks.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._routes: dict[str, Route] = {}
        self._does: dict[str, Callable[[Frame], dict[str, Any]]] = {
            "load": self._load,
            "unload": self._unload,
            "ask": self._ask,
            "ping": lambda _: {"pong": os.getpid()},
        }

    def serve(self) -> None:
        """Answer until the other end hangs up."""
        self._channel.send({"pid": os.getpid()})
        while True:
            frame = self._channel.receive()
            try:
                answer = self._does[frame.document["do"]](frame)
            except Exception as error:  # noqa: BLE001 -- told to whoever asked
                answer = describe_failure(error)
            finally:
                for file in frame.files:
                    os.close(file)
            self._channel.send(answer)

    def _load(self, frame: Frame) -> dict[str, Any]:
        key = frame.document["key"]
        self._routes[key] = route_of(frame)
        return {"loaded": key}

    def _unload(self, frame: Frame) -> dict[str, Any]:
        self._routes.pop(frame.document["key"], None)
        return {"unloaded": frame.document["key"]}

    def _ask(self, frame: Frame) -> dict[str, Any]:
        question = frame.document
        route = self._routes[question["key"]]
        rows = rows_of(question["rows"], frame.payload, route.signature)
        return {"answer": route.answer(question["method"], rows)}


def route_of(frame: Frame) -> Route:
    """Make the route of a model that came with what is known about it.

    Parameters
    ----------
    frame
        What `Artifact.order` wrote, with the file.

    Raises
    ------
    CorruptedModelError
        If the file is another one.
    """
    wanted = frame.document
    # Modules of the user are found where the owner finds them.
    sys.path[:] = wanted["path"]
    data = _read_all(frame.files[0])
    if not hmac.compare_digest(digest_of(data), wanted["digest"]):
        message = f"The saved model is not {wanted['digest']}: nothing was loaded."
        raise CorruptedModelError(message)
    baseline = wanted["baseline"]
    route = route_from_model(
        load_joblib(data),
        signature=Signature.from_dict(wanted["signature"]),
        digest=wanted["digest"],
        compile=wanted["compile"],
        baseline=baseline and Baseline.from_dict(baseline),
        transform_output=wanted["transform_output"],
    )
    return replace(route, version=wanted["version"], digest=wanted["named"])


def work(descriptor: int) -> None:
    """Serve the owner of a socket, then end.

    Parameters
    ----------
    descriptor
        The socket.
    """
    channel = Channel(socket.socket(fileno=descriptor))
    # While a process that a model starts had the socket, the owner would take this one for alive.
    os.register_at_fork(after_in_child=channel.close)
    with serving_thread():
        try:
            Worker(channel).serve()
        except ChannelClosedError:
            return


def _read_all(file: int) -> bytes:
    """Read a file from its start; its position is shared with other workers."""
    size = os.fstat(file).st_size
    parts: list[bytes] = []
    place = 0
    while part := os.pread(file, size - place, place):
        parts.append(part)
        place += len(part)
    return b"".join(parts)


def describe_failure(error: Exception) -> dict[str, Any]:
    """Describe an error in text; the owner makes one of the same kind."""
    is_known = isinstance(error, NbdeployError)
    message = str(error) if is_known else f"A replica failed with {type(error).__name__}."
    cause = error.__cause__ if is_known else error
    return {
        "error": type(error).__name__ if is_known else "PredictionError",
        "message": message,
        "cause": "".join(traceback.format_exception(cause)).rstrip() if cause else None,
    }
