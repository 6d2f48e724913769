"""What containers have counted, as a monitor in the notebook."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from nbdeploy.client import Client
from nbdeploy.exceptions import ContainerError, RequestError
from nbdeploy.monitoring.drift import Drift
from nbdeploy.monitoring.monitor import ModelMonitor

__all__ = ["remote_monitor"]

_COUNTS = "/stats/counts"
_DRIFT = "/stats/drift"
_OLDER = (
    "What runs there tells no counts: the nbdeploy in its image is older than this one, and knows "
    "stats() only. Write the bundle again and build it."
)


def remote_monitor(clients: Sequence[Client]) -> ModelMonitor:
    """Give a read-only monitor with the counts of now: those of several services add up.

    Parameters
    ----------
    clients
        One of each service, and not one that balances between several.

    Raises
    ------
    NbdeployError
        If one does not answer.
    """
    try:
        parts = [ModelMonitor.from_dict(_ask(client, _COUNTS)) for client in clients]
    except ValueError as error:
        raise ContainerError(_OLDER) from error
    except RequestError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise ContainerError(_OLDER) from error
    monitor = ModelMonitor.merged(parts)
    if len(clients) == 1:
        # The rows stay where they are seen.
        monitor.ask_drift(lambda: Drift.from_dict(_ask(clients[0], _DRIFT)))
    return monitor


def _ask(client: Client, path: str) -> Any:
    return json.loads(client.page(path))
