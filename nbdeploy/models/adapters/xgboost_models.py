"""Models of XGBoost: its estimators and its ``Booster``, saved as universal binary JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from nbdeploy.models.adapters.libraries import Input, require
from nbdeploy.models.predictor import EstimatorPredictor, Predictor

__all__ = ["can_save", "dump", "globals_of", "input_of", "load", "predictor", "takes"]

_ESTIMATORS = (
    "XGBClassifier",
    "XGBRegressor",
    "XGBRanker",
    "XGBRFClassifier",
    "XGBRFRegressor",
)
_NOTE = "nbdeploy"
_CATEGORY = "c"


class BoosterPredictor:
    """A ``Booster`` of the learning API: it answers what its ``predict`` answers for a DMatrix.

    Parameters
    ----------
    booster
        The trained booster; it is used as it is.
    """

    model_type = "Booster"
    methods: tuple[str, ...] = ("predict",)
    classes: list[Any] | None = None

    def __init__(self, booster: Any) -> None:
        self.model = booster
        self._xgboost = require("xgboost")

    def call(self, method: str, batch: Any) -> Any:  # noqa: ARG002 -- it has one method
        """Predict a batch."""
        cells = batch if hasattr(batch, "columns") else _numbers(batch)
        names = None if hasattr(batch, "columns") else self.model.feature_names
        rows = self._xgboost.DMatrix(cells, feature_names=names, enable_categorical=True)
        return self.model.predict(rows)


def takes(model: Any) -> bool:
    """Tell whether an object is a model."""
    xgboost = require("xgboost")
    return isinstance(model, (xgboost.Booster, xgboost.XGBModel))


def predictor(model: Any) -> Predictor:
    """Give what predicts with a model."""
    xgboost = require("xgboost")
    return BoosterPredictor(model) if isinstance(model, xgboost.Booster) else _Estimator(model)


class _Estimator(EstimatorPredictor):
    def call(self, method: str, batch: Any) -> Any:
        """Call the model's own method; it takes no array of objects."""
        return super().call(method, batch if hasattr(batch, "columns") else _numbers(batch))


def input_of(model: Any) -> Input:
    """Tell what a model takes."""
    booster = _booster_of(model)
    names = booster.feature_names
    return Input(
        names=None if names is None else tuple(names),
        width=booster.num_features(),
        takes_text=_CATEGORY in (booster.feature_types or ()),
        takes_missing=True,
    )


def can_save(model: Any) -> bool:
    """Tell whether the file would hold all that the model needs to predict."""
    xgboost = require("xgboost")
    return type(model) is xgboost.Booster or (
        type(model).__name__ in _ESTIMATORS
        and type(model) is getattr(xgboost, type(model).__name__)
        and not callable(model.objective)
    )


def dump(model: Any) -> bytes:
    """Write a model as ``save_model("model.ubj")`` would, with a note on the class it is of."""
    booster = _booster_of(model).copy()
    if model is not booster and hasattr(model, "get_params"):
        note = {"class": type(model).__name__, "parameters": _plain(model.get_params())}
        booster.set_attr(**{_NOTE: json.dumps(note, sort_keys=True)})
    return bytes(booster.save_raw("ubj"))


def load(data: bytes) -> Any:
    """Read a model."""
    xgboost = require("xgboost")
    booster = xgboost.Booster()
    booster.load_model(bytearray(data))
    note = booster.attr(_NOTE)
    if note is None:
        return booster
    said = json.loads(note)
    name = said["class"]
    if name not in _ESTIMATORS:
        message = f"it is of the class {name!r:.80}, which XGBoost does not have"
        raise ValueError(message)
    model = getattr(xgboost, name)(**said["parameters"])
    model.load_model(bytearray(data))
    # The note is made anew when the model is saved again.
    model.get_booster().set_attr(**{_NOTE: None})
    return model


def globals_of(data: bytes) -> tuple[str, ...]:  # noqa: ARG001 -- no file of it imports anything
    """List what loading imports: the library itself."""
    return ("xgboost.Booster",)


def _booster_of(model: Any) -> Any:
    return model.get_booster() if hasattr(model, "get_booster") else model


def _numbers(batch: Any) -> Any:
    is_object = isinstance(batch, np.ndarray) and batch.dtype.kind == "O"
    return batch.astype("float64") if is_object else batch


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Keep what JSON can hold: what remains is of the training, not of the answers."""
    return {name: value for name, value in parameters.items() if _is_plain(name, value)}


def _is_plain(name: str, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, float) and math.isnan(value):
        return name != "missing"
    return isinstance(value, (bool, int, float, str))
