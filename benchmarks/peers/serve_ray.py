"""Ray Serve: one replica, one request at a time or batched."""

from __future__ import annotations

import sys
import threading
from typing import Any

import ray
from inputs import load, to_input
from ray import serve
from starlette.requests import Request

_CONCURRENCY = 128


def rows_of(document: dict[str, Any]) -> list[Any]:
    """Take the rows out of the body."""
    features = document["features"]
    is_many = isinstance(features, list) and isinstance(features[0], (list, dict))
    return features if is_many else [features]


@serve.deployment(num_replicas=1, max_ongoing_requests=_CONCURRENCY)
class Single:
    """One request at a time."""

    def __init__(self, path: str) -> None:
        """Load the model in the replica."""
        self.model = load(path)

    async def __call__(self, request: Request) -> Any:
        """Ask the model."""
        rows = rows_of(await request.json())
        return {"prediction": self.model.predict(to_input(rows)).tolist()}


@serve.deployment(num_replicas=1, max_ongoing_requests=_CONCURRENCY)
class Batched:
    """What waits is asked at once."""

    def __init__(self, path: str) -> None:
        """Load the model in the replica."""
        self.model = load(path)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, requests: list[list[Any]]) -> list[list[Any]]:
        """Put the rows of all requests under each other, ask, give each its own."""
        rows = [row for request in requests for row in request]
        answers = iter(self.model.predict(to_input(rows)).tolist())
        return [[next(answers) for _ in request] for request in requests]

    async def __call__(self, request: Request) -> Any:
        """Answer with the rows of this request."""
        return {"prediction": await self.predict(rows_of(await request.json()))}


if __name__ == "__main__":
    _, path, port, mode = sys.argv
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        _node_ip_address="127.0.0.1",
        configure_logging=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    service = Batched if mode == "batched" else Single
    serve.run(service.bind(path))
    threading.Event().wait()
