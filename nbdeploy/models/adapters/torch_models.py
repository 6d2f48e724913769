"""Modules of PyTorch, saved as ``torch.save`` writes them."""

from __future__ import annotations

import io
import pickle
import types
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from nbdeploy.exceptions import ModelFileError
from nbdeploy.models.adapters.libraries import Input, require
from nbdeploy.models.adapters.numbers import labels_of, matrix_of
from nbdeploy.models.notebook_code import NotebookUnpickler, names_of_notebook
from nbdeploy.models.pickle_globals import pickle_globals
from nbdeploy.models.predictor import Predictor

__all__ = ["can_save", "dump", "globals_of", "input_of", "load", "predictor", "takes"]

_PICKLE = "/data.pkl"
_TWO_CLASSES = 2
_NOTHING_DONE = ("Softmax", "Sigmoid")
_LOGARITHM = "LogSoftmax"


class ModulePredictor:
    """A ``torch.nn.Module`` that takes one tensor of shape ``[n, features]``.

    With a list of labels in its attribute ``classes_`` it is a classifier: its outputs are logits,
    or probabilities if its last part is a softmax or a sigmoid, and one output stands for the
    second of two classes. Without it, `predict` gives what the module gives.

    Parameters
    ----------
    module
        The trained module; it is put into evaluation mode.
    """

    def __init__(self, module: Any) -> None:
        self.model = module.eval()
        self.model_type = type(module).__name__
        self._torch = require("torch")
        classes = getattr(module, "classes_", None)
        self.classes: list[Any] | None = None if classes is None else np.asarray(classes).tolist()
        known = ("predict",) if self.classes is None else ("predict", "predict_proba")
        self.methods: tuple[str, ...] = known
        parameter = next(module.parameters(), None)
        self._dtype = np.dtype("float32") if parameter is None else _numpy_dtype(parameter)
        self._device = None if parameter is None else parameter.device
        self._last = type(_leaves(module)[-1]).__name__

    def call(self, method: str, batch: Any) -> Any:
        """Predict a batch."""
        torch = self._torch
        rows = torch.from_numpy(matrix_of(batch, self._dtype).copy()).to(self._device)
        with torch.inference_mode():
            output = self.model(rows)
            if self.classes is None:
                return _one_a_row(output.cpu().numpy())
            shares = self._probabilities(output)
        return shares if method == "predict_proba" else labels_of(shares.argmax(1), self.classes)

    def _probabilities(self, output: Any) -> npt.NDArray[Any]:
        torch = self._torch
        output = output.double()
        is_single = output.ndim == 1 or output.shape[1] == 1
        if is_single and len(self.classes or ()) == _TWO_CLASSES:
            share = output.reshape(-1)
            share = share if self._last in _NOTHING_DONE else torch.sigmoid(share)
            output = torch.stack([1 - share, share], dim=1)
        elif self._last == _LOGARITHM:
            output = output.exp()
        elif self._last not in _NOTHING_DONE:
            output = torch.softmax(output, dim=1)
        return np.asarray(output.cpu().numpy())


def takes(model: Any) -> bool:
    """Tell whether an object is a model."""
    return isinstance(model, require("torch").nn.Module)


def predictor(model: Any) -> Predictor:
    """Give what predicts with a model."""
    return ModulePredictor(model)


def input_of(model: Any) -> Input:
    """Tell what a model takes: known only of a sequence that starts with a linear layer."""
    torch = require("torch")
    first = _leaves(model)[0]
    is_plain = isinstance(model, torch.nn.Sequential) and isinstance(first, torch.nn.Linear)
    return Input(width=first.in_features if is_plain else None)


def can_save(model: Any) -> bool:  # noqa: ARG001 -- whether it can shows when it is saved
    """Tell whether the file would hold all that the model needs to predict."""
    return True


def dump(model: Any) -> bytes:
    """Write a module as ``torch.save`` does, with the code of the notebook where it needs it."""
    import cloudpickle  # noqa: PLC0415 -- only where torch is

    for tool in (pickle, cloudpickle):
        buffer = io.BytesIO()
        try:
            require("torch").save(model, buffer, pickle_module=tool)
        except Exception as error:
            if tool is cloudpickle:
                message = (
                    f"PyTorch cannot save this {type(model).__name__}: "
                    f"{type(error).__name__}: {error}."
                )
                raise ModelFileError(message) from error
            continue
        data = buffer.getvalue()
        names = globals_of(data)
        if names is not None and not names_of_notebook(names):
            break
    return data


def load(data: bytes) -> Any:
    """Read a module. This executes what is in the file."""
    tool = types.SimpleNamespace(Unpickler=NotebookUnpickler, load=pickle.load, __name__="pickle")
    return require("torch").load(
        io.BytesIO(data), map_location="cpu", pickle_module=tool, weights_only=False
    )


def globals_of(data: bytes) -> tuple[str, ...] | None:
    """List what loading imports."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith(_PICKLE)]
            return pickle_globals(archive.read(name), is_joblib=False)
    except (zipfile.BadZipFile, ValueError, KeyError, OSError):
        return None


def _leaves(module: Any) -> list[Any]:
    return [part for part in module.modules() if not any(part.children())] or [module]


def _numpy_dtype(parameter: Any) -> np.dtype[Any]:
    name = str(parameter.dtype).removeprefix("torch.")
    # NumPy has no bfloat16; the module converts nothing by itself.
    return np.dtype(name if name in ("float16", "float32", "float64") else "float32")


def _one_a_row(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return output[:, 0] if output.ndim > 1 and output.shape[1:] == (1,) else output
