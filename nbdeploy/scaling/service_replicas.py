"""The replicas of one service: none until they are asked for, then a pool behind its batcher."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdeploy.exceptions import ScalingError
from nbdeploy.serving.service import ModelService

if TYPE_CHECKING:
    from nbdeploy.scaling.replica_pool import ReplicaPool

__all__ = ["ServiceReplicas"]

_MOST = 64


class ServiceReplicas:
    """Start and end the replicas of a service.

    Parameters
    ----------
    service
        The service.
    timeout
        Seconds that a call of the model may take.
    adopt
        Called in every thread that is started here, so that its log lines find their place.
    """

    def __init__(
        self, service: ModelService, *, timeout: float, adopt: Callable[[], object]
    ) -> None:
        self._service = service
        self._adopt = adopt
        self._timeout = timeout
        self._lock = threading.Lock()
        self._pool: ReplicaPool | None = None

    @property
    def pool(self) -> ReplicaPool | None:
        """The replicas, if there are any."""
        return self._pool

    def scale(self, replicas: int) -> int:
        """Have so many replicas, and return when they answer; see `Deployment.scale`.

        Raises
        ------
        ScalingError
            If they do not come up; what answered before goes on.
        """
        wanted = _checked(replicas)
        with self._lock:
            if wanted == 0:
                self._go_back()
            elif self._pool is None:
                self._pool = self._begin(wanted)
            else:
                self._pool.resize(wanted)
            self._service.answer_elsewhere(self._pool)
        return wanted

    def prepare(self, route: Any) -> None:
        """Let the replicas load a model that is going to answer.

        Raises
        ------
        NbdeployError
            If one cannot.
        """
        with self._lock:
            if self._pool is not None:
                self._pool.publish(route)

    def close(self) -> None:
        """End them now."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _begin(self, wanted: int) -> ReplicaPool:
        from nbdeploy.scaling.replica_pool import ReplicaPool  # noqa: PLC0415 -- only here

        pool = ReplicaPool(self._service.name, timeout=self._timeout, adopt=self._adopt)
        try:
            for route in self._service.routes:
                pool.publish(route)
            pool.resize(wanted)
        except BaseException:
            # An interrupt too: nothing of it stays.
            pool.close()
            raise
        return pool

    def _go_back(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        self._service.answer_elsewhere(None)
        try:
            # What is on its way is answered first.
            pool.resize(0, timeout=self._timeout)
        finally:
            pool.close()


def _checked(replicas: int) -> int:
    try:
        wanted = operator.index(replicas)
    except TypeError:
        wanted = -1
    if not 0 <= wanted <= _MOST:
        message = (
            f"scale({replicas!r}): expected a whole number from 0 (the model answers in the "
            f"process of the service) to {_MOST}."
        )
        raise ScalingError(message)
    return wanted
