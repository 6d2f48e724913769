"""MLServer with its scikit-learn runtime, in one process: faster here than with its workers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import joblib
from inputs import load

_BATCH = {"max_batch_size": 64, "max_batch_time": 0.001}

if __name__ == "__main__":
    _, model, port, mode = sys.argv
    folder = Path(model).parent / f"mlserver-{mode}-{port}"
    folder.mkdir()
    joblib.dump(load(model), folder / "model.joblib")
    settings = {
        "host": "127.0.0.1",
        "http_port": int(port),
        "grpc_port": int(port) + 1,
        "metrics_port": int(port) + 2,
        "parallel_workers": 0,
        "debug": False,
        "logging_settings": None,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model_settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib")},
        **(_BATCH if mode == "batched" else {}),
    }
    (folder / "model-settings.json").write_text(json.dumps(model_settings))
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(folder)])  # noqa: S606 -- becomes the server
