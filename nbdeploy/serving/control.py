"""What a handle asks of a running service, wherever that runs.

In the same process it is a call; to a service in a process of its own the same words go over a
pair of sockets that nobody else has. HTTP carries none of it: its routes only predict and read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.serving.routing import Route

if TYPE_CHECKING:
    from nbdeploy.monitoring.contest import Contest
    from nbdeploy.serving.traffic import Traffic

__all__ = ["Control", "Served"]


class Served(Protocol):
    """What the traffic of a service is changed by."""

    @property
    def route(self) -> Route:
        """The model in force."""
        ...

    @property
    def contest(self) -> Contest | None:
        """What each version did since the traffic was parted, or somebody asked for an id."""
        ...

    @property
    def monitor(self) -> ModelMonitor:
        """What was asked."""
        ...

    def set_traffic(self, traffic: Traffic, contest: Contest | None = None) -> None:
        """Let other versions answer from now on; requests on their way keep the one they had."""
        ...


class Control(Protocol):
    """One running service."""

    def served(self) -> Served:
        """Give what the traffic is changed by."""
        ...

    def bring(self, route: Route) -> object:
        """Bring a model to where it is going to answer, before it takes over."""
        ...

    def scale(self, replicas: int) -> int:
        """Have so many replicas; give their number once they answer."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Summarize what was asked: the keys of `ModelMonitor.get_statistics`."""
        ...

    def monitor(self) -> ModelMonitor:
        """Give the live monitor, or a read-only one of now where that is in another process."""
        ...

    def reset(self) -> None:
        """Forget what was counted, and start the window anew."""
        ...

    def errors(self) -> list[RecordedError]:
        """Return the last failed requests, the oldest first."""
        ...

    def cause_of(self, error_id: str) -> BaseException | None:
        """Give what the model raised in a failed request, where it is known."""
        ...

    def issue_code(self) -> str:
        """Make a code that opens a browser session once."""
        ...

    def close(self) -> None:
        """Let go of whatever is not the server itself; again does nothing."""
        ...
