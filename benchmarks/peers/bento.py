"""The BentoML services that serve_bentoml.py starts: one request at a time, and batched."""

import os
from typing import Any

import bentoml
from inputs import load, to_input


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Default:
    """One request at a time."""

    def __init__(self) -> None:
        """Load the model in the worker."""
        self.model = load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, features: Any) -> Any:
        """Ask the model."""
        is_many = isinstance(features, list) and isinstance(features[0], (list, dict))
        rows = features if is_many else [features]
        return self.model.predict(to_input(rows)).tolist()


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Batched:
    """What waits is asked at once."""

    def __init__(self) -> None:
        """Load the model in the worker."""
        self.model = load(os.environ["BENCH_MODEL"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=10_000)
    def predict(self, features: list[Any]) -> list[Any]:
        """Ask the model."""
        answers: list[Any] = self.model.predict(to_input(features)).tolist()
        return answers
