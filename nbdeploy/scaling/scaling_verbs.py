"""The verbs of a deployment about how much it answers: scale, autoscale, load_test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbdeploy.machine import usable_cpus
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.scaling.replica_report import ReplicaReport
from nbdeploy.serving.control import Control

if TYPE_CHECKING:
    from nbdeploy.scaling.autoscaler import AutoScaler
    from nbdeploy.scaling.capacity import Capacity
    from nbdeploy.scaling.load_result import LoadResult
    from nbdeploy.scaling.load_test import Target
    from nbdeploy.scaling.policies import Policy

__all__ = ["ScalingVerbs"]


class ScalingVerbs(ABC):
    """What a deployment can do with replicas of its model."""

    _control: Control
    _scaled_to: int = 0
    _scaler: AutoScaler | None = None

    @property
    @abstractmethod
    def monitor(self) -> ModelMonitor:
        """What the service did, in numbers."""

    @abstractmethod
    def _require_running(self) -> None:
        """Raise when the deployment was stopped."""

    @abstractmethod
    def _target(self, rows: Any) -> Target:
        """Tell where a load test sends requests, and which; an error when it was stopped."""

    def scale(self, replicas: int) -> ReplicaReport:
        """Let so many processes answer, behind the same URL.

        A process that dies is replaced, and what it was asked is answered by another. More are
        ready when this returns; those too many first finish what they do.

        Parameters
        ----------
        replicas
            How many; 0 lets the model answer in this process again.

        Raises
        ------
        ScalingError
            If they do not come up; what answered before goes on.

        Examples
        --------
        >>> from nbdeploy import deploy
        >>> with deploy(lambda rows: rows[:, 0] * 2, name="two", example=[[0.0], [1.5]]) as service:
        ...     print(service.scale(1))
        ...     service.predict([[3.0]])
        1 replica answers.
        [6.0]
        """
        self._require_running()
        self._end_autoscaling()
        return self._resize(replicas)

    def autoscale(
        self,
        *,
        min_replicas: int = 1,
        max_replicas: int = 4,
        policy: Policy | str = "concurrency",
        target_cpu: float = 70.0,
    ) -> AutoScaler:
        """Let the number of replicas follow the load, until `scale` sets one or it is stopped.

        Parameters
        ----------
        min_replicas, max_replicas
            The bounds.
        policy
            ``"concurrency"``: one request in flight for each replica; ``"hpa"``, ``"threshold"``;
            or a policy of `nbdeploy.scaling` with its own numbers.
        target_cpu
            For the policies of CPU, in percent of this machine, the notebook included.

        Returns
        -------
        AutoScaler
            It looks and acts in the background: ``history()``, ``stop()``.
        """
        from nbdeploy.scaling.service_autoscaler import autoscaler_of  # noqa: PLC0415 -- only here

        self._require_running()
        self._end_autoscaling()
        self._scaler = autoscaler_of(
            _Replicas(lambda: self._scaled_to, self._resize),
            lambda: self.monitor,
            min_replicas=min_replicas,
            max_replicas=max_replicas,
            policy=policy,
            target_cpu=target_cpu,
        )
        return self._scaler

    def load_test(
        self,
        rps: float | Sequence[float] | None = None,
        *,
        seconds: float | None = None,
        concurrency: int | None = None,
        ramp: bool = False,
        goal_p95: float | None = None,
        rows: Any = None,
    ) -> LoadResult | Capacity:
        """Send many requests from a process of its own, and tell what came of them.

        An interrupt of the cell ends it early, with what there is.

        Parameters
        ----------
        rps
            Requests a second, each at its moment whether or not others are answered, as callers
            who do not know of each other send them. A list makes steps. ``None`` sends the next
            request when the one before is answered.
        seconds
            How long; 10, or with `goal_p95` 3 for each rate that is tried.
        concurrency
            Requests at once, at most; without `rps` that many callers, 8 when ``None``.
        ramp
            Go evenly from one rate of the list to the next.
        goal_p95
            Search for the highest rate at which 95 % of the answers come within so many seconds.
        rows
            Rows to draw from, such as ``X_test``: each request sends one, in turn. ``None`` draws
            from the few rows of the example that are kept, or makes up a typical one.

        Returns
        -------
        LoadResult or Capacity
            Latency quantiles, throughput and errors as a table, with ``plot()``; with `goal_p95`
            the rate, what was tried, and whether the front or the model is the limit.

        Raises
        ------
        ScalingError
            If the load is none.
        """
        from nbdeploy.scaling.load_test import load_service  # noqa: PLC0415 -- only here

        return load_service(
            self._target(rows),
            rps,
            seconds=seconds,
            concurrency=concurrency,
            ramp=ramp,
            goal_p95=goal_p95,
        )

    def _resize(self, replicas: int) -> ReplicaReport:
        self._scaled_to = self._control.scale(replicas)
        return ReplicaReport(self._scaled_to, usable_cpus())

    def _end_autoscaling(self) -> None:
        scaler, self._scaler = self._scaler, None
        if scaler is not None:
            scaler.stop()


class _Replicas:
    """The replicas of a deployment, for its autoscaler to start and stop."""

    def __init__(self, count: Callable[[], int], resize: Callable[[int], object]) -> None:
        self._count = count
        self._resize = resize

    @property
    def replicas(self) -> int:
        return self._count()

    def scale(self, replicas: int) -> None:
        self._resize(replicas)
