"""The path of one prediction, on one screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbdeploy.exceptions import RequestError
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.execution import PredictionThreads
from nbdeploy.serving.routing import Route

__all__ = ["Inference", "InferenceRequest", "Prediction"]


@dataclass(frozen=True)
class InferenceRequest:
    """What every protocol decodes into: a method of the model and rows in any accepted form."""

    method: str
    rows: Any


@dataclass(frozen=True)
class Prediction:
    """What every protocol encodes: one plain item a row, and the version that answered."""

    output: list[Any]
    version: str


class Inference:
    """Answer requests with the route in force.

    Parameters
    ----------
    route
        A call that gives the route in force; it raises while there is none.
    monitor
        Where every request is counted.
    threads
        Where predictions run.
    """

    def __init__(
        self, *, route: Callable[[], Route], monitor: ModelMonitor, threads: PredictionThreads
    ) -> None:
        self._route = route
        self.monitor = monitor
        self._threads = threads

    async def predict(self, request: InferenceRequest) -> Prediction:
        """Validate, predict, record."""
        route = self._route()
        check_method(request.method, route)
        with self.monitor.observe(request.method) as observation:
            rows = route.signature.validate(request.rows)
            observation.record(rows=len(rows), version=route.version, status=200)
            output = await self._threads.run(lambda: route.answer(request.method, rows))
            return Prediction(output, route.version)


def check_method(method: str, route: Route) -> None:
    """Refuse a method that the model lacks, naming those it has."""
    if method not in route.predictor.methods:
        known = ", ".join(f"/{name}" for name in route.predictor.methods)
        message = f"{route.predictor.model_type} has no {method!r}. It answers at {known}."
        raise RequestError(message, status=404)
