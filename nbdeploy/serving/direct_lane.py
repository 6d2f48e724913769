"""The direct lane: what comes in the same turn of the event loop is answered together.

An ASGI cycle (a task, an event, two messages) costs more than most answers, and so does a call of
a model for each row alone. A server protocol that knows this lane hands it requests whose bytes
are complete. They pass the same gate and the same path of a prediction as all others; only what
cannot be answered before the turn ends goes on by way of ASGI, from where it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from nbdeploy.serving.access_control import AccessControl
from nbdeploy.serving.asgi import Reply, Scope
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.eager import Started, start
from nbdeploy.serving.lane import PredictionLane
from nbdeploy.serving.protocols.native import Formats, formats_of
from nbdeploy.serving.security import AccessPolicy

__all__ = ["Admitted", "Connection", "DirectLane"]


class Admitted(NamedTuple):
    """What the head of a request asks for, and the policy that let it in."""

    method: str
    formats: Formats
    policy: AccessPolicy


class Connection(Protocol):
    """Where a request came from."""

    def tell(self, answer: Reply | Started[Reply]) -> None:
        """Take the answer, or what there is of it."""
        ...


class DirectLane:
    """Answer requests for predictions where their bytes arrive.

    Parameters
    ----------
    lane
        The path of a prediction from bytes to bytes.
    gate
        Decides who may call.
    batcher
        Where predictions run.
    is_open
        Tells whether requests may take this lane at all.
    """

    def __init__(
        self,
        lane: PredictionLane,
        *,
        gate: AccessControl,
        batcher: MicroBatcher,
        is_open: Callable[[], bool],
    ) -> None:
        self._lane = lane
        self._gate = gate
        self._batcher = batcher
        self._is_open = is_open
        self._turn: list[tuple[Connection, Coroutine[Any, Any, Reply]]] = []

    def admit(self, scope: Scope) -> Admitted | None:
        """Let a request in, or leave it to the gate and to the application behind it."""
        if not self._is_open() or self._gate.refusal(scope) is not None:
            return None
        return Admitted(scope["path"][1:], formats_of(scope["headers"]), self._gate.policy())

    def still_admits(self, admitted: Admitted) -> bool:
        """Tell whether the same head on the same connection would be let in again."""
        return admitted.policy is self._gate.policy() and self._is_open()

    def answer(self, admitted: Admitted, body: bytes) -> Reply | Started[Reply]:
        """Answer now, or begin to."""
        return start(self._lane.respond(admitted.method, admitted.formats, body))

    def join(self, connection: Connection, admitted: Admitted, body: bytes) -> None:
        """Answer with all that comes before the event loop turns again."""
        if not self._turn:
            asyncio.get_running_loop().call_soon(self.run)
        answer = self._lane.respond(admitted.method, admitted.formats, body)
        self._turn.append((connection, answer))

    def run(self) -> None:
        """Answer what has come in this turn."""
        turn, self._turn = self._turn, []
        answers: list[tuple[Connection, Reply | Started[Reply]]] = []
        gathered: list[tuple[Connection, Coroutine[Any, Any, Reply], Any]] = []
        self._batcher.is_gathering = True
        try:
            for connection, coroutine in turn:
                begun = start(coroutine)
                if isinstance(begun, Started):
                    gathered.append((connection, coroutine, begun.awaited))
                else:
                    answers.append((connection, begun))
        finally:
            self._batcher.is_gathering = False
        if gathered:
            outcomes = self._batcher.answer_together(
                [work for _, _, work in gathered], self._lane.inference.count_together
            )
            for (connection, coroutine, _), outcome in zip(gathered, outcomes, strict=True):
                answers.append((connection, _resume(coroutine, outcome)))
        # All are written at the end: a client that is woken up takes time from the next answer.
        for connection, answer in answers:
            connection.tell(answer)


def _resume(
    coroutine: Coroutine[Any, Any, Reply], outcome: list[Any] | BaseException | None
) -> Reply | Started[Reply]:
    try:
        if isinstance(outcome, BaseException):
            awaited = coroutine.throw(outcome)
        else:
            awaited = coroutine.send(outcome)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    return Started(coroutine, awaited)
