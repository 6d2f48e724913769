# ruff: noqa: ANN201, ANN202, ANN204, B904, BLE001, D101, D400, UP006, UP035 -- word for word
# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
"""The chapter's service under uvicorn: what nbdeploy is measured against.

`PredictionRequest` and `ModelService` are the chapter's, word for word. They take one row of
numbers; `add_smallest_changes` adds what the other loads need: a dict of values that becomes a
DataFrame of one row (for columns with text), and many rows in one request.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List

import joblib
import numpy as np
import pandas as pd
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


class ModelSerializer:
    """The part of the chapter's class that loads; beside the model lie rows, for other servers."""

    @staticmethod
    def load_model(path: str) -> Any:
        """Load a model."""
        model, _ = joblib.load(path)
        return model


class PredictionRequest(BaseModel):
    features: List[float]


class ModelService:
    def __init__(self, model_path: str):
        self.model = ModelSerializer.load_model(model_path)
        self.app = FastAPI()
        self.setup_routes()

    def setup_routes(self):
        """設置API路由"""

        @self.app.post("/predict")
        async def predict(request: PredictionRequest):
            try:
                features = np.array(request.features).reshape(1, -1)
                prediction = self.model.predict(features)
                return {"prediction": prediction.tolist()}
            except Exception as e:
                raise HTTPException(status_code=400, detail=str(e))

        @self.app.get("/model/info")
        async def model_info():
            return {
                "model_type": type(self.model).__name__,
                "feature_count": self.model.n_features_in_,
            }


class MixedRequest(BaseModel):
    """One row with text and missing values."""

    features: Dict[str, Any]


class ManyRequest(BaseModel):
    """Many rows of numbers."""

    features: List[List[float]]


class ManyMixedRequest(BaseModel):
    """Many rows with text and missing values."""

    features: List[Dict[str, Any]]


def add_smallest_changes(service: ModelService) -> None:
    """Add the routes of the loads that the chapter's request cannot carry."""

    @service.app.post("/predict/mixed")
    async def mixed(request: MixedRequest) -> Any:
        features = pd.DataFrame([request.features])
        return {"prediction": service.model.predict(features).tolist()}

    @service.app.post("/predict/many")
    async def many(request: ManyRequest) -> Any:
        features = np.array(request.features)
        return {"prediction": service.model.predict(features).tolist()}

    @service.app.post("/predict/many-mixed")
    async def many_mixed(request: ManyMixedRequest) -> Any:
        features = pd.DataFrame(request.features)
        return {"prediction": service.model.predict(features).tolist()}


def main() -> None:
    """Serve the model of the first argument on the port of the second."""
    service = ModelService(sys.argv[1])
    add_smallest_changes(service)
    uvicorn.run(
        service.app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
