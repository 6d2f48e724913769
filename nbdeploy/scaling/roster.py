"""Who there is: the replicas of a pool, who of them is free, and who must be replaced.

One lock guards it all; nobody talks to a process while holding it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from nbdeploy.exceptions import DeadlineError, ScalingError, StoppedError
from nbdeploy.scaling.replica import Replica, State
from nbdeploy.scaling.restarts import CRASH_LOOP, restart_delay
from nbdeploy.scaling.watch import Watch

__all__ = ["Choose", "Roster"]

logger = logging.getLogger("nbdeploy")

Choose = Callable[[Sequence[Replica]], Replica]
"""Picks one of the replicas that are free, of which there is one at least."""

_OUTLIER_FAILURES = 5
_PATIENCE = 1.0
_LIVING = frozenset({State.READY, State.BUSY})


class Roster:
    """The replicas of a service.

    Parameters
    ----------
    name
        What the service is called.
    choose
        Picks one of the free.
    clock
        Gives seconds that never go back.
    """

    def __init__(self, name: str, choose: Choose, clock: Callable[[], float]) -> None:
        self.name = name
        self.wanted = 0
        self.restarts = 0
        self.watch = Watch()
        """Whoever looks after the replicas waits with it."""
        self._choose = choose
        self._clock = clock
        self._changed = threading.Condition()
        self._all: list[Replica] = []
        self._is_closed = False
        self._crashes = 0
        self._start_after = 0.0
        self._reason = ""

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._is_closed

    def all(self) -> list[Replica]:
        """List all, the oldest first."""
        return list(self._all)

    def living(self) -> list[Replica]:
        """List those that answer, the oldest first."""
        return [replica for replica in self.all() if replica.state in _LIVING]

    def stats(self) -> dict[str, Any]:
        """Tell what is asked for, what is there, and what each replica did."""
        with self._changed:
            return {
                "wanted": self.wanted,
                "ready": len(self.living()),
                "starting": sum(each.state is State.STARTING for each in self._all),
                "restarts": self.restarts,
                "crash_loop": self._reason if self._crashes >= CRASH_LOOP else None,
                "each": [replica.describe() for replica in self._all],
            }

    def describe(self) -> str:
        """Say in a few words what is there."""
        return f"{len(self.living())} of {self.wanted} replicas ready"

    def want(self, replicas: int, deadline: float) -> None:
        """Ask for so many, and wait until they are there.

        Raises
        ------
        ScalingError
            If they do not come up, with the reason of the last that failed.
        """
        with self._changed:
            self._require_open()
            self.wanted = replicas
            self._crashes, self._start_after = 0, 0.0
            self.watch.wake()
            while not self._is_settled():
                self._require_open()
                if self._crashes >= CRASH_LOOP:
                    message = f"{self.name!r} has {self.describe()}. {self._reason}"
                    raise ScalingError(message)
                left = deadline - self._clock()
                if left <= 0:
                    message = (
                        f"{self.name!r} has only {self.describe()} so far. It goes on trying; "
                        "stats()['replicas'] tells how far it is."
                    )
                    raise ScalingError(message)
                self._changed.wait(left)

    def lease(self, deadline: float) -> Replica:
        """Reserve a replica, as soon as one is free.

        Raises
        ------
        DeadlineError
            If none becomes free in time.
        ScalingError
            If there is none, and the last ones did not live.
        StoppedError
            If it is over.
        """
        with self._changed:
            while True:
                self._require_open()
                free = [each for each in self._all if each.state is State.READY]
                if free:
                    replica = self._choose(free)
                    replica.take(self._clock())
                    return replica
                if not self._all and self._start_after - self._clock() > _PATIENCE:
                    message = f"{self.name!r} has no replica. {self._reason}"
                    raise ScalingError(message)
                left = deadline - self._clock()
                if left <= 0:
                    message = f"No replica of {self.name!r} was free in time."
                    raise DeadlineError(message)
                self._changed.wait(left)

    def lease_this(self, replica: Replica, deadline: float) -> bool:
        """Reserve this very replica as soon as it is free; tell whether it was still there."""
        with self._changed:
            while replica.state is State.BUSY:
                if not self._changed.wait(max(0.0, deadline - self._clock())):
                    return False
            if replica.state is not State.READY:
                return False
            replica.take(self._clock())
            return True

    def give_back(self, replica: Replica, *, answered: bool | None) -> None:
        """End a reservation.

        Parameters
        ----------
        replica
            Who was reserved.
        answered
            Whether a question was answered; ``None`` if none was asked.
        """
        with self._changed:
            if replica.state is State.GONE:
                return
            replica.give_back(self._clock(), answered=answered)
            if replica.is_retiring:
                self._remove(replica)
            elif self._is_outlier(replica):
                self._note_loss(
                    replica, f"It failed {_OUTLIER_FAILURES} times in a row, and others did not."
                )
            elif answered is not False:
                # It lives, so whatever ended others is over.
                self._crashes = 0
            if replica.is_gone:
                self.watch.wake()
            self._changed.notify_all()

    def lose(self, replica: Replica, reason: str) -> None:
        """Give a replica up: it is ended, and replaced; one that is gone already is not counted."""
        with self._changed:
            if replica in self._all:
                self._note_loss(replica, reason)
                self.watch.wake()
                self._changed.notify_all()

    def note_failure(self, reason: str) -> None:
        """Count a start that came to nothing."""
        with self._changed:
            self._count_crash(reason)
            self._changed.notify_all()

    def vacancies(self) -> int:
        """Tell how many shall be started now; those too many are told to go."""
        with self._changed:
            staying = [each for each in self._all if not each.is_retiring]
            self._retire(staying, len(staying) - self.wanted)
            if self._clock() < self._start_after:
                return 0
            return max(0, self.wanted - len(staying))

    def next_start(self) -> float | None:
        """Tell when the next may be started, if one is missing."""
        with self._changed:
            is_missing = len(self._all) < self.wanted
            return self._start_after if is_missing else None

    def add(self, replica: Replica) -> None:
        """Take in a process that begins to run."""
        with self._changed:
            self._all.append(replica)
            if self._is_closed:
                self._remove(replica)

    def welcome(self, replica: Replica) -> bool:
        """Let a replica answer from now on; tell whether it is still wanted."""
        with self._changed:
            if replica.state is State.STARTING:
                replica.state = State.READY
                self._changed.notify_all()
            return replica.state is not State.GONE

    def close(self) -> bool:
        """End all now; tell whether that was new."""
        with self._changed:
            if self._is_closed:
                return False
            self._is_closed = True
            self.wanted = 0
            for replica in self.all():
                self._remove(replica)
            self._changed.notify_all()
            self.watch.wake()
            return True

    def _retire(self, staying: list[Replica], extra: int) -> None:
        if extra <= 0:
            return
        order = (State.STARTING, State.READY, State.BUSY)
        for replica in sorted(staying, key=lambda each: order.index(each.state))[:extra]:
            replica.is_retiring = True
            # What it answers just now is finished first.
            if replica.state is not State.BUSY:
                self._remove(replica)
        self._changed.notify_all()

    def _is_outlier(self, replica: Replica) -> bool:
        """Tell whether a replica fails where others answer; never of more than half of them."""
        if replica.failed_in_a_row < _OUTLIER_FAILURES:
            return False
        away = self.wanted - len(self.living())
        if 2 * (away + 1) > self.wanted:
            return False
        return any(
            each.succeeded_at > replica.succeeded_at and each.failed_in_a_row == 0
            for each in self._all
        )

    def _note_loss(self, replica: Replica, reason: str) -> None:
        self._remove(replica)
        if replica.is_retiring:
            return
        self.restarts += 1
        if replica.has_served:
            self._crashes = 0
        self._count_crash(f"The last one, process {replica.pid}, was lost: {reason}")

    def _count_crash(self, reason: str) -> None:
        self._reason = reason
        self._crashes += 1
        delay = restart_delay(self._crashes)
        self._start_after = self._clock() + delay
        is_loop = self._crashes == CRASH_LOOP
        wait = f" in {delay:g} s" if delay else ""
        log = logger.error if is_loop else logger.warning
        log("A replica of %s is replaced%s. %s", self.name, wait, reason)

    def _remove(self, replica: Replica) -> None:
        self._all.remove(replica)
        was_idle = replica.state is State.READY
        replica.end()
        if was_idle:
            # Otherwise whoever talks to it closes it.
            replica.close()

    def _is_settled(self) -> bool:
        return len(self._all) == self.wanted == len(self.living())

    def _require_open(self) -> None:
        if self._is_closed:
            message = f"The replicas of {self.name!r} were stopped."
            raise StoppedError(message)
