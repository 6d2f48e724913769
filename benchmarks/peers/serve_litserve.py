"""LitServe: one worker, the queue between the processes as it comes, or batched."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from inputs import load, to_input

_BATCH = {"max_batch_size": 64, "batch_timeout": 0.001}


class Single(litserve.LitAPI):
    """One request at a time."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        del device
        self.model = load(sys.argv[1])

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Take the rows out of the body."""
        features = request["features"]
        is_many = isinstance(features, list) and isinstance(features[0], (list, dict))
        return features if is_many else [features]

    def predict(self, rows: Any) -> Any:
        """Ask the model."""
        return self.model.predict(to_input(rows)).tolist()

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Write the body."""
        return {"prediction": output}


class Batched(Single):
    """What waits is asked at once."""

    def batch(self, inputs: list[Any]) -> Any:
        """Put the rows of all requests under each other."""
        self.sizes = [len(rows) for rows in inputs]
        return [row for rows in inputs for row in rows]

    def unbatch(self, output: Any) -> Any:
        """Give each request its rows."""
        start = 0
        for size in self.sizes:
            yield output[start : start + size]
            start += size


if __name__ == "__main__":
    _, _, port, mode = sys.argv
    api = Batched(**_BATCH) if mode == "batched" else Single()
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=mode == "batched")
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)
