"""LitServe: one worker, the queue between the processes as it comes, or batched."""

from __future__ import annotations

import sys
from itertools import accumulate
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

    # LitServe reads the annotation of the request, which a text would not be good for.
    def decode_request(self, request) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
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

    def unbatch(self, output: Any) -> list[Any]:
        """Give each request its rows."""
        ends = list(accumulate(self.sizes))
        return [output[end - size : end] for size, end in zip(self.sizes, ends, strict=True)]


if __name__ == "__main__":
    _, _, port, mode = sys.argv
    api = Batched(**_BATCH) if mode == "batched" else Single()
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=mode == "batched")
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)
