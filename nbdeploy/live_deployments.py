"""The deployments that are alive in this process."""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from nbdeploy.serving.token_file import remove_token

if TYPE_CHECKING:
    from nbdeploy.deployment_group import DeploymentGroup
    from nbdeploy.deployment_handle import Deployment

__all__ = ["deployments", "live", "live_groups", "lock", "stop_all"]

live: dict[str, Deployment] = {}
live_groups: dict[str, DeploymentGroup] = {}
lock = threading.RLock()


def deployments() -> list[Deployment | DeploymentGroup]:
    """List what is alive in this process, the oldest first; of several models, what holds them."""
    with lock:
        everything: list[Deployment | DeploymentGroup] = [*live.values(), *live_groups.values()]
        return [deployment for deployment in everything if deployment._server.running]


def stop_all() -> None:
    """Stop every deployment of this process, all at once."""
    alive = deployments()
    with lock:
        live_groups.clear()
    if alive:
        with ThreadPoolExecutor(len(alive)) as threads:
            list(threads.map(lambda each: each.stop(), alive))


def _forget_all() -> None:
    live.clear()
    live_groups.clear()


@atexit.register
def _forget_tokens() -> None:
    for name in [*live, *live_groups]:
        remove_token(name)


if hasattr(os, "register_at_fork"):
    # The servers stay with the parent.
    os.register_at_fork(after_in_child=_forget_all)
