"""What the pods of one Deployment counted, asked one by one and added up."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nbdeploy.client import Client
from nbdeploy.containers.cluster_rollout import RolloutStatus
from nbdeploy.containers.kubernetes import KubernetesDeployer
from nbdeploy.containers.remote_monitor import remote_monitor
from nbdeploy.exceptions import ClusterError, NbdeployError, UnreachableError
from nbdeploy.monitoring.dashboard_page import DashboardFacts, dashboard
from nbdeploy.monitoring.monitor import ModelMonitor

__all__ = ["merged_monitor", "panel", "statistics_of"]

_AT_ONCE = 8


def merged_monitor(deployer: KubernetesDeployer, name: str, token: str) -> ModelMonitor:
    """Ask each pod that answers, and add up.

    Raises
    ------
    ClusterError
        If none does, or they run an nbdeploy that cannot tell.
    """
    pods = [pod["metadata"]["name"] for pod in deployer.ready_pods(name)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="nbdeploy-stats") as threads:
        told = list(threads.map(lambda pod: _ask(deployer, name, pod, token), pods))
    counted = [each for each in told if each is not None]
    if not counted:
        message = f"No pod of {name!r} tells what it counted; they ended meanwhile. Ask again."
        raise ClusterError(message)
    return counted[0] if len(counted) == 1 else ModelMonitor.merged(counted)


def statistics_of(monitor: ModelMonitor, status: RolloutStatus) -> dict[str, Any]:
    """Summarize what all pods counted, and how many there are."""
    pods = {"ready": status.available, "wanted": status.wanted}
    return monitor.get_statistics() | {"replicas": pods}


def panel(name: str, status: RolloutStatus, monitor: ModelMonitor) -> str:
    """Draw the dashboard of all pods together."""
    facts = DashboardFacts(
        name=name,
        state="ready" if status.done else status.counts,
        statistics=statistics_of(monitor, status),
        moments=monitor.timeline(),
        now=time.time(),
    )
    return dashboard(facts)


def _ask(deployer: KubernetesDeployer, name: str, pod: str, token: str) -> ModelMonitor | None:
    try:
        with (
            deployer.port_forward(name, pod=pod) as forward,
            Client(forward.url, token=token) as one,
        ):
            return ModelMonitor.merged([remote_monitor([one])])
    except (UnreachableError, ClusterError):
        return None  # it ended since it was listed
    except NbdeployError as error:
        message = f"Pod {pod!r} does not tell what it counted: {error}"
        raise ClusterError(message) from error
