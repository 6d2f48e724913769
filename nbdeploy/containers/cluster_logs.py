"""What the pods of one Deployment logged, in one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbdeploy.containers.cluster_connection import ClusterConnection
from nbdeploy.containers.cluster_objects import NamespaceReader
from nbdeploy.display.html import visible
from nbdeploy.exceptions import ClusterError

__all__ = ["logs_of"]

_NOT_STARTED = 400
_GONE = 404


def logs_of(
    cluster: ClusterConnection, reader: NamespaceReader, name: str, lines: int
) -> list[str]:
    """Read the log of each pod, and sort the lines by their time."""
    found: list[tuple[str, int, str]] = []
    for pod in reader.pods(name):
        found += _of_pod(cluster, reader, pod, lines)
    return [text for _, _, text in sorted(found, key=lambda each: each[0])]


def _of_pod(
    cluster: ClusterConnection, reader: NamespaceReader, pod: dict[str, Any], lines: int
) -> Iterator[tuple[str, int, str]]:
    name = pod["metadata"]["name"]
    for container in pod.get("status", {}).get("containerStatuses", []):
        which = str(container.get("name", ""))
        has_ended = "terminated" in container.get("lastState", {})
        for previous in (True, False) if has_ended else (False,):
            text = _text(cluster, reader, name, which, lines, previous=previous)
            for number, line in enumerate(text.splitlines()):
                time, _, told = line.partition(" ")
                yield time, number, visible(f"{name}: {told}", keep="\t")


def _text(
    cluster: ClusterConnection,
    reader: NamespaceReader,
    pod: str,
    container: str,
    lines: int,
    *,
    previous: bool,
) -> str:
    query = [("tailLines", str(lines)), ("timestamps", "true")]
    if container:
        query.append(("container", container))
    if previous:
        query.append(("previous", "true"))
    path = f"{reader.path('v1', 'Pod', pod)}/log"
    try:
        return cluster.text(path, f"read the log of Pod/{pod}", query)
    except ClusterError as error:
        if error.status == _NOT_STARTED and not previous:
            # Sorted behind everything that was logged.
            return "9999 (has not logged yet: see rollout_status())"
        if error.status in (_NOT_STARTED, _GONE):
            return ""  # it ended meanwhile
        raise
