"""Replicas behind the batcher of a service: processes that answer, and are replaced when they die.

Requests come as they come to a model in this process: validated, counted, joined where they wait.
A request whose replica dies is answered by another.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nbdeploy.exceptions import DeadlineError, NbdeployError, ScalingError
from nbdeploy.scaling.artifacts import Artifacts
from nbdeploy.scaling.forkserver import Forkserver
from nbdeploy.scaling.question_frames import frame_of
from nbdeploy.scaling.replica import Replica
from nbdeploy.scaling.restarts import RetryBudget
from nbdeploy.scaling.roster import Choose, Roster
from nbdeploy.scaling.supervisor import START_SECONDS, Supervisor
from nbdeploy.serving.frames import ChannelClosedError
from nbdeploy.serving.question import Question
from nbdeploy.serving.routing import Route

__all__ = ["ReplicaPool", "least_busy"]

_MOST_TRIES = 3

_Result = TypeVar("_Result")
_forkserver = Forkserver()
_pools: weakref.WeakSet[ReplicaPool] = weakref.WeakSet()


def least_busy(free: Sequence[Replica]) -> Replica:
    """Choose the replica with the fewest requests, of several the one that rested longest."""
    return min(free, key=lambda replica: (replica.in_flight, replica.used_at))


class ReplicaPool:
    """Worker processes for the models of one service.

    Parameters
    ----------
    name
        What the service is called, for messages.
    timeout
        Seconds that a call of the model may take; a replica that takes longer is replaced.
    choose
        Picks one of the replicas that are free.
    forkserver
        Where processes come from; by default all pools of this process share one.
    adopt
        Called in every thread that is started here, so that its log lines find their place.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float = 30.0,
        choose: Choose = least_busy,
        forkserver: Forkserver | None = None,
        adopt: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._forkserver = forkserver or _forkserver
        self._forkserver.join()
        self._artifacts = Artifacts(self._forget)
        self._budget = RetryBudget()
        self._roster = Roster(name, choose, clock)
        self._supervisor = Supervisor(self._roster, self._forkserver, self._artifacts, adopt, clock)
        self._supervisor.start()
        _pools.add(self)

    def __repr__(self) -> str:
        return f"<ReplicaPool {self._roster.name!r}: {self._roster.describe()}>"

    @property
    def concurrency(self) -> int:
        """Calls that can be made at once: one for each replica."""
        return max(1, self._roster.wanted)

    @property
    def replicas(self) -> int:
        """How many there shall be."""
        return self._roster.wanted

    @property
    def is_ready(self) -> bool:
        """Whether there is a replica that answers."""
        return bool(self._roster.living())

    @property
    def process_ids(self) -> list[int]:
        """The processes that answer, the oldest first."""
        return [each.pid for each in self._roster.living() if each.pid is not None]

    def stats(self) -> dict[str, Any]:
        """Tell what is asked for, what is there, and what each replica did."""
        return self._roster.stats()

    def publish(self, route: Route) -> None:
        """Let every replica load a model now, so that its first request is quick.

        Raises
        ------
        NbdeployError
            If the model cannot be saved, or a replica cannot load it.
        """
        artifact = self._artifacts.of(route)
        deadline = self._clock() + START_SECONDS
        for replica in self._roster.living():
            if self._roster.lease_this(replica, deadline):
                try:
                    self._use(
                        replica,
                        lambda one: one.load(artifact, self._left(deadline)),
                        is_question=False,
                    )
                except (ChannelClosedError, DeadlineError):
                    # Whoever takes its place loads everything that is published.
                    continue

    def resize(self, replicas: int, timeout: float = START_SECONDS) -> None:
        """Have so many replicas, and wait until they are there; those too many finish first.

        Parameters
        ----------
        replicas
            How many; 0 ends all.
        timeout
            Seconds to wait.

        Raises
        ------
        ScalingError
            If they do not come up, with the reason of the last that failed.
        """
        self._roster.want(replicas, self._clock() + timeout)

    def answer(self, work: Question) -> list[Any]:
        """Let a replica answer; another one, if that one dies.

        Raises
        ------
        PredictionError
            If the model raises; the cause holds the traceback from the replica.
        DeadlineError
            If there is no answer in time. The replica is replaced.
        ScalingError
            If there is no replica, or those that were asked died.
        """
        deadline = self._clock() + self._timeout
        artifact = self._artifacts.of(work.route)
        form, payload = frame_of(work.rows)
        document = {"do": "ask", "key": artifact.key, "method": work.method, "rows": form}

        def ask(replica: Replica) -> list[Any]:
            replica.load(artifact, self._left(deadline))
            return replica.ask(document, payload, self._left(deadline))

        self._budget.count_request()
        died = 0
        while True:
            replica = self._roster.lease(deadline)
            try:
                return self._use(replica, ask)
            except ChannelClosedError:
                died += 1
                if died == _MOST_TRIES or not self._budget.may_retry():
                    break
        message = (
            f"{died} replicas of {self._roster.name!r} that were asked died before they had "
            "answered. If that happens again with the same rows, the model ends its process."
        )
        raise ScalingError(message)

    def close(self) -> None:
        """End all replicas now; again does nothing."""
        if self._roster.close():
            self._supervisor.join()
            self._artifacts.close()
            self._forkserver.leave()

    def _use(
        self, replica: Replica, do: Callable[[Replica], _Result], *, is_question: bool = True
    ) -> _Result:
        """Talk to a replica that was leased, and give it back, or up."""
        try:
            result = do(replica)
        except NbdeployError:
            # It answers: that the model refused is another matter.
            self._roster.give_back(replica, answered=False if is_question else None)
            raise
        except ChannelClosedError:
            self._roster.lose(replica, "It died while it answered.")
            raise
        except TimeoutError as error:
            self._roster.lose(replica, f"It gave no answer within {self._timeout:g} s.")
            message = f"No answer within {self._timeout:g} s; the replica is replaced."
            raise DeadlineError(message) from error
        except BaseException as error:
            # Half a frame may be on its way.
            self._roster.lose(replica, f"Talking to it failed: {type(error).__name__}: {error}.")
            raise
        else:
            self._roster.give_back(replica, answered=True if is_question else None)
            return result
        finally:
            if replica.is_gone:
                replica.close()

    def _forget(self, key: str) -> None:
        # Called in the middle of anything: it takes no lock, and talks to nobody.
        for replica in self._roster.all():
            replica.drop(key)

    def _left(self, deadline: float) -> float:
        return max(0.001, deadline - self._clock())


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


def _forget_all() -> None:
    # A forked child has no thread that watches, and the processes are not its own.
    global _forkserver  # noqa: PLW0603 -- the child begins anew
    _pools.clear()
    _forkserver = Forkserver()


os.register_at_fork(after_in_child=_forget_all)
