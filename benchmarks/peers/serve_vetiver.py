"""vetiver: a FastAPI application with its prototype checked; it does not batch."""

from __future__ import annotations

import sys

import joblib
import pandas as pd
import uvicorn
from pydantic import create_model
from vetiver import VetiverAPI, VetiverModel

if __name__ == "__main__":
    _, path, port, _ = sys.argv
    model, example = joblib.load(path)
    if isinstance(example, pd.DataFrame):
        types = {
            name: (float | None if example[name].dtype == "float64" else str, ...)
            for name in example.columns
        }
        prototype = create_model("prototype", **types)  # type: ignore[call-overload]
    else:
        prototype = example
    served = VetiverModel(model=model, model_name="model", prototype_data=prototype)
    uvicorn.run(
        VetiverAPI(served, check_prototype=True).app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
