"""The path of one prediction, on one screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbdeploy.exceptions import RequestError
from nbdeploy.monitoring.monitor import ModelMonitor
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.routing import Route

__all__ = ["Inference", "InferenceRequest", "Prediction", "check_method"]


class InferenceRequest(NamedTuple):
    """What every protocol decodes into: a method of the model and rows in any accepted form."""

    method: str
    rows: Any


class Prediction(NamedTuple):
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
    batcher
        Where predictions run.
    """

    def __init__(
        self, *, route: Callable[[], Route], monitor: ModelMonitor, batcher: MicroBatcher
    ) -> None:
        self._route = route
        self.monitor = monitor
        self.batcher = batcher

    async def predict(self, request: InferenceRequest) -> Prediction:
        """Validate, predict, record."""
        route = self._route()
        check_method(request.method, route)
        with self.monitor.observe(request.method) as observation:
            question = route.question(request.method, request.rows)
            observation.record(rows=question.size, version=route.version, status=200)
            output = self.batcher.answer_at_once(question)
            if output is None:
                output = await self.batcher.submit(question)
            return Prediction(output, route.version)


def check_method(method: str, route: Route) -> None:
    """Refuse a method that the model lacks, naming those it has."""
    if method not in route.predictor.methods:
        known = ", ".join(f"/{name}" for name in route.predictor.methods)
        message = f"{route.predictor.model_type} has no {method!r}. It answers at {known}."
        raise RequestError(message, status=404)
