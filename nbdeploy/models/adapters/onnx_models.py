"""Models in ONNX: a session of ONNX Runtime, or a ``ModelProto`` that becomes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.exceptions import ModelFileError, UnsupportedModelError
from nbdeploy.models.adapters.libraries import Input, require
from nbdeploy.models.adapters.numbers import labels_of
from nbdeploy.models.predictor import Predictor

__all__ = ["can_save", "dump", "globals_of", "input_of", "load", "predictor", "takes"]

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}
_TEXT = "tensor(string)"
_MAPS = "seq(map("
_TWO = 2
_CLASSES = "classes"


class SessionPredictor:
    """A model in ONNX with one input of shape ``[n, features]``, or one input a column.

    A classifier as skl2onnx writes it has two outputs, the labels and the probabilities. Its
    classes are those that its probabilities are named by, or a JSON list under ``classes`` in the
    metadata of the model.

    Parameters
    ----------
    session
        The session.
    """

    model_type = "ONNX"

    def __init__(self, session: Any) -> None:
        self.model = session
        self._inputs = session.get_inputs()
        self._outputs = [output.name for output in session.get_outputs()]
        self._converters = [_converter(each) for each in self._inputs]
        kinds = [output.type for output in session.get_outputs()]
        self._has_maps = len(kinds) == _TWO and kinds[1].startswith(_MAPS)
        is_classifier = self._has_maps or (
            len(kinds) == _TWO and "int64" in kinds[0] + "string" and "float" in kinds[1]
        )
        self.methods: tuple[str, ...] = (
            ("predict", "predict_proba") if is_classifier else ("predict",)
        )
        self.classes = self._known_classes() if is_classifier else None

    def call(self, method: str, batch: Any) -> Any:
        """Predict a batch."""
        place = 1 if method == "predict_proba" else 0
        (output,) = self.model.run([self._outputs[place]], self._feed(batch))
        if place and self._has_maps:
            classes = self.classes or list(output[0])
            return np.array([[row[label] for label in classes] for row in output])
        if not place and output.ndim == _TWO and output.shape[1] == 1:
            return output[:, 0]
        return output

    def _feed(self, batch: Any) -> dict[str, npt.NDArray[Any]]:
        if len(self._inputs) == 1:
            cells = batch.to_numpy() if hasattr(batch, "to_numpy") else np.asarray(batch)
            cells = cells.reshape(len(cells), -1) if cells.ndim == 1 else cells
            return {self._inputs[0].name: self._converters[0](cells)}
        if hasattr(batch, "columns"):
            columns = [batch.iloc[:, place].to_numpy() for place in range(batch.shape[1])]
        else:
            columns = list(np.asarray(batch).T)
        return {
            each.name: convert(column.reshape(-1, 1))
            for each, convert, column in zip(self._inputs, self._converters, columns, strict=True)
        }

    def _known_classes(self) -> list[Any] | None:
        said = self.model.get_modelmeta().custom_metadata_map.get(_CLASSES)
        if said is not None:
            return list(json.loads(said))
        if not self._has_maps:
            return None
        # One made-up row is the only way to see the names of the probabilities.
        feed = {each.name: _one_row(each) for each in self._inputs}
        (output,) = self.model.run([self._outputs[1]], feed)
        return list(labels_of(np.arange(len(output[0])), list(output[0])).tolist())


def takes(model: Any) -> bool:
    """Tell whether an object is a model."""
    return _is_session(model) or _is_proto(model)


def predictor(model: Any) -> Predictor:
    """Give what predicts with a model."""
    return SessionPredictor(model if _is_session(model) else _session(model.SerializeToString()))


def input_of(model: Any) -> Input:
    """Tell what a model takes."""
    session = model if _is_session(model) else _session(model.SerializeToString())
    inputs = session.get_inputs()
    takes_text = any(each.type == _TEXT for each in inputs)
    if len(inputs) > 1:
        return Input(names=tuple(each.name for each in inputs), takes_text=takes_text)
    shape = inputs[0].shape
    is_known = len(shape) == _TWO and isinstance(shape[1], int)
    return Input(width=shape[1] if is_known else None, takes_text=takes_text)


def can_save(model: Any) -> bool:  # noqa: ARG001 -- ONNX is the only format it has
    """Tell whether the file would hold all that the model needs to predict."""
    return True


def dump(model: Any) -> bytes:
    """Write a model as a file of ONNX."""
    if _is_proto(model):
        return bytes(model.SerializeToString())
    data = getattr(model, "_model_bytes", None)
    path = getattr(model, "_model_path", None)
    if data:
        return bytes(data)
    if path and Path(path).is_file():
        return Path(path).read_bytes()
    message = (
        "The session does not tell what it was made of. Give the path of the .onnx file, or make "
        "the session from its bytes: onnxruntime.InferenceSession(data)."
    )
    raise ModelFileError(message)


def load(data: bytes) -> Any:
    """Read a model as a session that runs on the CPU."""
    return _session(data)


def globals_of(data: bytes) -> tuple[str, ...]:  # noqa: ARG001 -- no file of it imports anything
    """List what loading imports: the library itself."""
    return ("onnxruntime.InferenceSession",)


def _is_session(model: Any) -> bool:
    return hasattr(model, "get_inputs") and hasattr(model, "get_modelmeta")


def _is_proto(model: Any) -> bool:
    return type(model).__name__ == "ModelProto" and hasattr(model, "SerializeToString")


def _session(data: bytes) -> Any:
    onnxruntime = require("onnxruntime", error=UnsupportedModelError)
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def _converter(expected: Any) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    dtype = _DTYPES.get(expected.type)
    if dtype is None:
        message = (
            f"The input {expected.name!r} of this ONNX model is a {expected.type}, which rows "
            f"cannot be made into. Expected one of {', '.join(_DTYPES)}."
        )
        raise UnsupportedModelError(message)
    if dtype == "object":
        # The runtime takes texts only as objects of Python.
        return lambda cells: np.array(cells.astype(str), dtype=object)
    return lambda cells: np.ascontiguousarray(cells, dtype=dtype)


def _one_row(expected: Any) -> npt.NDArray[Any]:
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in expected.shape]
    shape[0] = 1
    if expected.type == _TEXT:
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=_DTYPES[expected.type])
