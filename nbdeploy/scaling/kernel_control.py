"""The control of a service that runs in this process: plain calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.scaling.service_replicas import ServiceReplicas
from nbdeploy.serving.routing import Route
from nbdeploy.serving.service import ModelService

__all__ = ["KernelControl"]


class KernelControl:
    """Control a service here; see `Control`.

    Parameters
    ----------
    service
        The service.
    timeout
        Seconds that a call of the model may take in a replica.
    adopt
        Called in every thread that is started, so that its log lines find their place.
    """

    def __init__(
        self, service: ModelService, *, timeout: float, adopt: Callable[[], object]
    ) -> None:
        self._service = service
        self.replicas = ServiceReplicas(service, timeout=timeout, adopt=adopt)

    def served(self) -> ModelService:
        """Give the service: it is here."""
        return self._service

    def bring(self, route: Route) -> None:
        """Let replicas load the model."""
        self.replicas.prepare(route)

    def scale(self, replicas: int) -> int:
        """Start or end replicas."""
        return self.replicas.scale(replicas)

    def statistics(self) -> dict[str, Any]:
        """Summarize what was asked."""
        return self._service.monitor.get_statistics()

    def monitor(self) -> ModelMonitor:
        """Give the live monitor."""
        return self._service.monitor

    def reset(self) -> None:
        """Forget what was counted."""
        self._service.monitor.reset()

    def errors(self) -> list[RecordedError]:
        """Return the last failed requests."""
        return self._service.monitor.errors()

    def cause_of(self, error_id: str) -> BaseException | None:
        """Give what the model raised: the server's error is the twin of the caller's."""
        recorded = self._service.monitor.find_error(error_id)
        return recorded.exception.__cause__ if recorded and recorded.exception else None

    def issue_code(self) -> str:
        """Make a code that opens a browser session once."""
        return self._service.codes.issue()

    def close(self) -> None:
        """End the replicas."""
        self.replicas.close()
