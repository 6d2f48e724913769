"""Who answers in a service of another process: what its owner changes, and learns of it.

The owner decides: it has all versions loaded, rehearses them and keeps the history. The process is
told which of them answer which share, and is asked now and then what came of it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from nbdeploy.exceptions import StoppedError
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.routing import Route
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.traffic import Traffic

if TYPE_CHECKING:
    from nbdeploy.monitoring.shadow import ShadowLog

__all__ = ["Process", "ProcessTraffic"]

_LOOK_SECONDS = 0.2


class Process(Protocol):
    """A process that serves."""

    @property
    def running(self) -> bool:
        """Whether it is there, and was not told to end."""
        ...

    def bring(self, route: Route) -> str:
        """Let it load a model; give what it is called there."""
        ...

    def ask(self, document: dict[str, Any]) -> Any:
        """Ask it for something."""
        ...

    def monitor(self) -> ModelMonitor:
        """Give what it counted."""
        ...


class ProcessTraffic:
    """The service as its desk sees it; see `Served`.

    Parameters
    ----------
    service
        The owner's own copy of the application, which serves nobody.
    process
        What serves.
    """

    def __init__(self, service: ModelService, process: Process) -> None:
        self._service = service
        self._process = process
        self._contest: Contest | None = None
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None

    @property
    def route(self) -> Route:
        """The model in force."""
        return self._service.route

    @property
    def monitor(self) -> ModelMonitor:
        """What the process counted until now."""
        return self._process.monitor()

    @property
    def contest(self) -> Contest | None:
        """What each version did until now."""
        try:
            values = self._process.ask({"do": "contest"})
        except StoppedError:
            # What was known last is known still.
            return self._contest
        if values is None:
            return None
        if self._contest is None:
            return Contest.from_dict(values)
        self._contest.take(values)
        return self._contest

    def set_traffic(self, traffic: Traffic, contest: Contest | None = None) -> None:
        """Let other versions answer from now on."""
        if traffic.is_plain:
            contest = None
        shadow = traffic.shadow
        log: ShadowLog | None = None if contest is None else contest.shadow
        self._process.ask(
            {
                "do": "traffic",
                "routes": [self._process.bring(route) for route in traffic.routes],
                "weights": list(traffic.weights),
                "shadow": None if shadow is None else self._process.bring(shadow),
                "key": traffic.key,
                "contest": None if contest is None else contest.number,
                "log": None if log is None else log.number,
            }
        )
        self._contest = contest
        # What callers of this process see of the model, such as the card, is that of the new one.
        self._service.swap(traffic.primary)
        if contest is not None and contest.is_watched:
            self._look_after(contest)

    def _look_after(self, contest: Contest) -> None:
        """Tell whoever watches what came of it, as long as somebody watches."""
        with self._lock:
            if self._looking is not None and self._looking.is_alive():
                return
            self._looking = threading.Thread(
                target=self._look, name="nbdeploy-rollout", daemon=True, args=(contest,)
            )
            self._looking.start()

    def _look(self, contest: Contest) -> None:
        while contest.is_watched and self._contest is not None and self._process.running:
            time.sleep(_LOOK_SECONDS)
            # Another rollout may have begun, with a contest of its own.
            contest = self.contest or contest
