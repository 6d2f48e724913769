"""What the Open Inference Protocol (V2) answers: tensors, in JSON or as bytes, and metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdeploy.models.signature import Signature
from nbdeploy.serving.inference import Prediction
from nbdeploy.serving.protocols.native import dump_json
from nbdeploy.serving.protocols.open_inference_request import INPUT, InferCall
from nbdeploy.serving.protocols.tensors import Tensor, input_datatypes, pack, tensor_of

__all__ = ["encode", "model_metadata"]


def encode(
    call: InferCall, predictions: Sequence[Prediction], *, model_name: str
) -> tuple[bytes, int | None]:
    """Write the answer of an infer request.

    Parameters
    ----------
    call
        The request.
    predictions
        One for each output that it asks, all of one version.
    model_name
        What the model is called.

    Returns
    -------
    body, json_length
        The length of the JSON at the start of the body, for the header
        ``Inference-Header-Content-Length``; ``None`` if the body is JSON as a whole.
    """
    outputs = []
    parts = []
    for requested, prediction in zip(call.outputs, predictions, strict=True):
        tensor = tensor_of(requested.method, prediction.output)
        data = b""
        if requested.is_binary:
            tensor, data = pack(tensor)
            parts.append(data)
        outputs.append(_written(tensor, len(data) if requested.is_binary else None))
    body = dump_json(
        {
            "model_name": model_name,
            "model_version": predictions[0].version,
            "id": call.id,
            "outputs": outputs,
        }
    )
    return (b"".join([body, *parts]), len(body)) if parts else (body, None)


def _written(tensor: Tensor, size: int | None) -> dict[str, Any]:
    codec = "str" if tensor.datatype == "BYTES" else "np"
    written: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
        "parameters": {"content_type": codec},
    }
    if size is None:
        written["data"] = tensor.cells
    else:
        written["parameters"]["binary_data_size"] = size
    return written


def model_metadata(
    name: str,
    version: str,
    *,
    platform: str,
    signature: Signature,
    samples: Sequence[tuple[str, list[Any] | None]],
) -> dict[str, Any]:
    """Describe a model: the answer of ``GET /v2/models/{name}``.

    Parameters
    ----------
    name, version
        What the model is called.
    platform
        What runs it.
    signature
        What it takes.
    samples
        Each method with what it answers for a row; ``None`` where that is not known.
    """
    datatypes = input_datatypes(signature)
    if signature.kind == "frame":
        inputs = [
            {"name": column, "datatype": datatype, "shape": [-1, 1]}
            for column, datatype in zip(signature.names, datatypes, strict=True)
        ]
    else:
        inputs = [{"name": INPUT, "datatype": datatypes[0], "shape": [-1, signature.width]}]
    outputs = [_described(method, sample) for method, sample in samples]
    return {
        "name": name,
        "versions": [version],
        "platform": platform,
        "inputs": inputs,
        "outputs": outputs,
    }


def _described(method: str, sample: list[Any] | None) -> dict[str, Any]:
    if sample is None:
        return {"name": method, "datatype": "FP64", "shape": [-1]}
    tensor = tensor_of(method, sample)
    return {"name": method, "datatype": tensor.datatype, "shape": [-1, *tensor.shape[1:]]}
