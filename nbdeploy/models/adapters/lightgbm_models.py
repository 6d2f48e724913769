"""Models of LightGBM: its estimators and its ``Booster``, saved as its text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from nbdeploy.models.adapters.libraries import Input, require
from nbdeploy.models.adapters.numbers import labels_of
from nbdeploy.models.fitted_input import is_invented
from nbdeploy.models.predictor import EstimatorPredictor, Predictor

__all__ = ["can_save", "dump", "globals_of", "input_of", "load", "predictor", "takes"]

_ESTIMATORS = ("LGBMClassifier", "LGBMRegressor", "LGBMRanker")
_NOTE = "nbdeploy:"
_CATEGORIES = "\npandas_categorical:"
# What is made anew from the text of the booster and from the classes.
_MADE_ANEW = frozenset({"_Booster", "_le", "_class_map", "_classes", "_evals_result"})


class BoosterPredictor:
    """A ``Booster`` of the training API: it answers what its ``predict`` answers.

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

    def call(self, method: str, batch: Any) -> Any:  # noqa: ARG002 -- it has one method
        """Predict a batch."""
        return self.model.predict(_numbers(batch))


class _Estimator(EstimatorPredictor):
    def call(self, method: str, batch: Any) -> Any:
        """Call the model's own method; it takes no array of objects."""
        return super().call(method, _numbers(batch))


def takes(model: Any) -> bool:
    """Tell whether an object is a model."""
    lightgbm = require("lightgbm")
    return isinstance(model, (lightgbm.Booster, lightgbm.LGBMModel))


def predictor(model: Any) -> Predictor:
    """Give what predicts with a model."""
    lightgbm = require("lightgbm")
    return BoosterPredictor(model) if isinstance(model, lightgbm.Booster) else _Estimator(model)


def input_of(model: Any) -> Input:
    """Tell what a model takes."""
    booster = _booster_of(model)
    names = tuple(booster.feature_name())
    return Input(
        names=None if is_invented(names) else names,
        width=booster.num_feature(),
        takes_text=bool(booster.pandas_categorical),
        takes_missing=True,
    )


def can_save(model: Any) -> bool:
    """Tell whether the file would hold all that the model needs to predict."""
    lightgbm = require("lightgbm")
    if type(model) is lightgbm.Booster:
        return True
    if type(model).__name__ not in _ESTIMATORS or type(model).__module__ != "lightgbm.sklearn":
        return False
    try:
        json.dumps(_note_of(model), allow_nan=False)
    except (TypeError, ValueError):
        # An objective or a metric is a function, for example.
        return False
    return True


def dump(model: Any) -> bytes:
    """Write a model as ``save_model`` would, with a line on the estimator that it is of."""
    text: str = _booster_of(model).model_to_string()
    if hasattr(model, "booster_"):
        note = json.dumps(_note_of(model), sort_keys=True)
        head, mark, tail = text.rpartition(_CATEGORIES)
        text = f"{head}\n{_NOTE}{note}\n{mark}{tail}"
    return text.encode()


def load(data: bytes) -> Any:
    """Read a model."""
    lightgbm = require("lightgbm")
    text = data.decode()
    booster = lightgbm.Booster(model_str=text)
    notes = [line for line in text.splitlines() if line.startswith(_NOTE)]
    if not notes:
        return booster
    note = json.loads(notes[-1].removeprefix(_NOTE))
    if note["class"] not in _ESTIMATORS:
        message = f"it is of the class {note['class']!r:.80}, which LightGBM does not have"
        raise ValueError(message)
    model = getattr(lightgbm, note["class"])()
    vars(model).update(note["state"], _Booster=booster, _evals_result={})
    if note["classes"] is not None:
        _set_classes(model, note["classes"], note["dtype"])
    return model


def globals_of(data: bytes) -> tuple[str, ...]:  # noqa: ARG001 -- no file of it imports anything
    """List what loading imports: the library itself."""
    return ("lightgbm.Booster",)


def _note_of(model: Any) -> dict[str, Any]:
    classes = getattr(model, "classes_", None)
    state = {name: _plain(value) for name, value in vars(model).items() if name not in _MADE_ANEW}
    return {
        "class": type(model).__name__,
        "state": state,
        "classes": None if classes is None else classes.tolist(),
        "dtype": "" if classes is None else str(classes.dtype),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value


def _set_classes(model: Any, classes: list[Any], dtype: str) -> None:
    from sklearn.preprocessing import LabelEncoder  # noqa: PLC0415 -- only for classifiers

    labels = labels_of(np.arange(len(classes)), classes)
    labels = labels if dtype == "object" or labels.dtype == object else labels.astype(dtype)
    encoder = LabelEncoder().fit(labels)
    model._le = encoder  # noqa: SLF001 -- as its own fit() does
    model._classes = encoder.classes_  # noqa: SLF001 -- as its own fit() does
    numbers = encoder.transform(encoder.classes_)
    model._class_map = dict(zip(encoder.classes_, numbers, strict=True))  # noqa: SLF001 -- as above


def _booster_of(model: Any) -> Any:
    return getattr(model, "booster_", model)


def _numbers(batch: Any) -> Any:
    is_object = isinstance(batch, np.ndarray) and batch.dtype.kind == "O"
    return batch.astype("float64") if is_object else batch
