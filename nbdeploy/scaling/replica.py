"""One replica as its owner sees it."""

from __future__ import annotations

import enum
import itertools
from contextlib import suppress
from typing import Any

from nbdeploy import exceptions
from nbdeploy.exceptions import NbdeployError, PredictionError
from nbdeploy.scaling.artifacts import Artifact
from nbdeploy.serving.frames import Channel
from nbdeploy.serving.life_line import LifeLine

__all__ = ["Replica", "ReplicaError", "State", "error_of"]

_numbers = itertools.count(1)


class State(enum.Enum):
    """Where a replica is in its life."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    GONE = "gone"


class ReplicaError(Exception):
    """What the model raised in another process, with the traceback from there.

    Examples
    --------
    >>> print(ReplicaError("Traceback (most recent call last): ..." + chr(10) + "KeyError: 1"))
    KeyError: 1
    <BLANKLINE>
    Traceback (most recent call last): ...
    KeyError: 1
    """

    def __str__(self) -> str:
        text = str(self.args[0]).rstrip()
        return f"{text.splitlines()[-1]}\n\n{text}" if text else ""


class Replica:
    """A worker process.

    Parameters
    ----------
    channel
        What it is talked to by.
    line
        What it ends with.
    """

    def __init__(self, channel: Channel, line: LifeLine) -> None:
        self.number = next(_numbers)
        self.state = State.STARTING
        self.is_retiring = False
        self.pid: int | None = None
        self.in_flight = 0
        self.answered = 0
        self.failed = 0
        self.failed_in_a_row = 0
        self.has_served = False
        """Whether it did anything at all after it had started."""
        self.used_at = 0.0
        """When it was last given something to do."""
        self.succeeded_at = 0.0
        self._channel = channel
        self._line = line
        self._loaded: set[str] = set()
        self._unneeded: set[str] = set()

    def __repr__(self) -> str:
        return f"<Replica {self.number}, {self.state.value}>"

    def fileno(self) -> int:
        """Give the descriptor that `select.poll` finds an error on once the process is gone."""
        return self._line.fileno()

    @property
    def is_gone(self) -> bool:
        """Whether it was given up."""
        return self.state is State.GONE

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._line.is_held

    def describe(self) -> dict[str, Any]:
        """Tell how it does, in values that JSON can hold."""
        return {
            "number": self.number,
            "pid": self.pid,
            "state": "retiring" if self.is_retiring else self.state.value,
            "answered": self.answered,
            "failed": self.failed,
        }

    def take(self, now: float) -> None:
        """Reserve it for one thread."""
        self.state = State.BUSY
        self.in_flight += 1
        self.used_at = now

    def give_back(self, now: float, *, answered: bool | None) -> None:
        """End the reservation.

        Parameters
        ----------
        now
            The time.
        answered
            Whether a question was answered; ``None`` if none was asked.
        """
        self.state = State.READY
        self.in_flight -= 1
        if answered is False:
            self.failed += 1
            self.failed_in_a_row += 1
            return
        self.has_served = True
        if answered:
            self.answered += 1
            self.failed_in_a_row = 0
            self.succeeded_at = now

    def greet(self, timeout: float) -> None:
        """Wait until the process runs.

        Raises
        ------
        ChannelClosedError, TimeoutError
            If it does not.
        """
        self.pid = int(self._channel.receive(timeout).document["pid"])

    def load(self, artifact: Artifact, timeout: float) -> None:
        """Let it load a model, unless it has it.

        Raises
        ------
        NbdeployError
            If it cannot.
        ChannelClosedError, TimeoutError
            If it does not answer.
        """
        if artifact.key in self._loaded:
            return
        self._channel.send(artifact.order(), files=[artifact.file.fileno()], timeout=timeout)
        self._reply(timeout)
        self._loaded.add(artifact.key)

    def ask(
        self, document: dict[str, Any], payload: bytes | memoryview, timeout: float
    ) -> list[Any]:
        """Put a question to a model that it has.

        Raises
        ------
        NbdeployError
            What the model's answer to it was.
        ChannelClosedError, TimeoutError
            If it does not answer.
        """
        self._channel.send(document, payload, timeout=timeout)
        answer: list[Any] = self._reply(timeout)["answer"]
        return answer

    def check(self, timeout: float) -> None:
        """Ask whether it is there, and let it drop what nobody needs.

        Raises
        ------
        ChannelClosedError, TimeoutError
            If it does not answer.
        """
        while self._unneeded:
            key = self._unneeded.pop()
            if key in self._loaded:
                self._channel.send({"do": "unload", "key": key}, timeout=timeout)
                self._reply(timeout)
                self._loaded.discard(key)
        self._channel.send({"do": "ping"}, timeout=timeout)
        self._reply(timeout)

    def drop(self, key: str) -> None:
        """Let it forget a model when it has time."""
        self._unneeded.add(key)

    def end(self) -> None:
        """End the process, whatever it does; whoever waits for its answer hears of it."""
        self.state = State.GONE
        self._line.cut()
        self._channel.hang_up()

    def close(self) -> None:
        """End it, and close what is left; nobody may talk to it any more."""
        self.end()
        with suppress(OSError):
            self._channel.close()

    def _reply(self, timeout: float) -> dict[str, Any]:
        document: dict[str, Any] = self._channel.receive(timeout).document
        if "error" in document:
            raise error_of(document)
        return document


def error_of(document: dict[str, Any]) -> NbdeployError:
    """Make the error that another process described.

    Examples
    --------
    >>> error_of({"error": "PredictionError", "message": "It raised.", "cause": None})
    PredictionError('It raised.')
    """
    kind = getattr(exceptions, str(document["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, NbdeployError)):
        kind = PredictionError
    error: NbdeployError = kind(document["message"])
    if document.get("cause"):
        error.__cause__ = ReplicaError(document["cause"])
    return error
