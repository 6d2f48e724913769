"""Bring together what is asked for and what is there: start, check and replace replicas."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nbdeploy.exceptions import NbdeployError, ScalingError
from nbdeploy.scaling.artifacts import Artifacts
from nbdeploy.scaling.forkserver import Forkserver
from nbdeploy.scaling.replica import Replica
from nbdeploy.scaling.roster import Roster

__all__ = ["START_SECONDS", "Supervisor"]

START_SECONDS = 60.0
"""What a replica may take to start and to load its models."""

_CHECK_EVERY = 2.0
_CHECK_SECONDS = 1.0


class Supervisor:
    """One thread that looks after the replicas of a pool.

    Parameters
    ----------
    roster
        Who there is, and who shall be.
    forkserver
        Where processes come from.
    artifacts
        What they load.
    adopt
        Called in every thread that is started here, so that its log lines find their place.
    clock
        Gives seconds that never go back.
    """

    def __init__(
        self,
        roster: Roster,
        forkserver: Forkserver,
        artifacts: Artifacts,
        adopt: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._forkserver = forkserver
        self._artifacts = artifacts
        self._adopt = adopt
        self._clock = clock
        self._thread = threading.Thread(
            target=self._run, name=f"nbdeploy-replicas-{roster.name}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread, after the roster was closed."""
        if threading.current_thread() is not self._thread:
            self._thread.join(_CHECK_EVERY + _CHECK_SECONDS)

    def _run(self) -> None:
        next_check = self._clock() + _CHECK_EVERY
        while not self._roster.is_closed:
            # Again and again: the service may have moved to another server.
            self._adopt()
            self._fill()
            start = self._roster.next_start()
            wake_at = next_check if start is None else min(start, next_check)
            for replica in self._roster.watch.wait(
                self._roster.all(), max(0.0, wake_at - self._clock())
            ):
                self._roster.lose(replica, "The process ended.")
            if self._clock() >= next_check:
                self._check_idle()
                next_check = self._clock() + _CHECK_EVERY
        self._roster.watch.close()

    def _fill(self) -> None:
        for _ in range(self._roster.vacancies()):
            try:
                replica = Replica(*self._forkserver.fork())
            except ScalingError as error:
                self._roster.note_failure(str(error))
                return
            self._roster.add(replica)
            threading.Thread(
                target=self._bring_up, args=(replica,), name="nbdeploy-replica-start", daemon=True
            ).start()

    def _bring_up(self, replica: Replica) -> None:
        self._adopt()
        try:
            replica.greet(START_SECONDS)
            for artifact in self._artifacts.all():
                replica.load(artifact, START_SECONDS)
        except (NbdeployError, OSError) as error:
            self._roster.lose(replica, f"It did not start: {_said(error)}")
        if not self._roster.welcome(replica):
            replica.close()

    def _check_idle(self) -> None:
        """Ask those that had nothing to do lately whether they are there."""
        try:
            self._forkserver.keep_alive()
        except ScalingError as error:
            self._roster.note_failure(str(error))
        now = self._clock()
        for replica in self._roster.living():
            if replica.used_at + _CHECK_EVERY > now:
                continue
            if not self._roster.lease_this(replica, deadline=0.0):
                continue
            try:
                replica.check(_CHECK_SECONDS)
            except (NbdeployError, OSError) as error:
                self._roster.lose(replica, f"It does not answer: {_said(error)}")
            else:
                self._roster.give_back(replica, answered=None)
            if replica.is_gone:
                replica.close()


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if text.endswith(".") else f"{text}."
