"""BentoML: one worker, one request at a time or batched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    _, model, port, mode = sys.argv
    os.environ["BENCH_MODEL"] = model
    os.environ["BENTOML_HOME"] = str(Path(model).parent / "bentoml")
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    os.chdir(Path(__file__).parent)
    command = str(Path(sys.executable).with_name("bentoml"))
    service = "bento:Batched" if mode == "batched" else "bento:Default"
    where = ["--host", "127.0.0.1", "--port", port]
    os.execv(command, [command, "serve", service, *where])  # noqa: S606 -- becomes the server
