"""MLflow's scoring server, one worker; it does not batch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mlflow.sklearn
from inputs import load

if __name__ == "__main__":
    _, model, port, _ = sys.argv
    folder = Path(model).parent / f"mlflow-{port}"
    mlflow.sklearn.save_model(
        load(model), str(folder), pip_requirements=[], serialization_format="cloudpickle"
    )
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = str(Path(sys.executable).with_name("mlflow"))
    where = ["--host", "127.0.0.1", "--port", port, "--workers", "1"]
    os.execv(  # noqa: S606 -- becomes the server
        command,
        [command, "models", "serve", "-m", str(folder), "--env-manager", "local", *where],
    )
