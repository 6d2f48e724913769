"""Requests that a service answers, with the made-up row, in each protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.open_inference_request import INPUT
from nbdeploy.serving.protocols.tensors import input_datatypes

__all__ = ["infer_example", "scoring_examples", "v1_examples"]


def infer_example(signature: Signature, methods: Sequence[str]) -> dict[str, Any]:
    """Write an infer request of the Open Inference Protocol for one row.

    Examples
    --------
    >>> signature = Signature.learn(example=[[5.0, 3.5], [5.2, 3.7]])
    >>> infer_example(signature, ["predict"])["inputs"]
    [{'name': 'input', 'shape': [1, 2], 'datatype': 'FP64', 'data': [5.0, 4.0]}]
    """
    cells = [column.typical for column in signature.columns]
    datatypes = input_datatypes(signature)
    if signature.kind == "frame":
        inputs = [
            {"name": name, "shape": [1, 1], "datatype": datatype, "data": [cell]}
            for name, datatype, cell in zip(signature.names, datatypes, cells, strict=True)
        ]
    else:
        shape = [1, signature.width]
        inputs = [{"name": INPUT, "shape": shape, "datatype": datatypes[0], "data": cells}]
    return {"inputs": inputs, "outputs": [{"name": methods[0]}]}


def v1_examples(signature: Signature) -> dict[str, Any]:
    """Write requests of V1, by row and by column."""
    return {
        "rows": {"instances": [signature.example_row()]},
        "columns": {"inputs": _columns(signature)},
    }


def scoring_examples(signature: Signature) -> dict[str, Any]:
    """Write requests of MLflow's scoring protocol."""
    cells = [column.typical for column in signature.columns]
    return {
        "dataframe_split": {"dataframe_split": {"columns": list(signature.names), "data": [cells]}},
        "dataframe_records": {
            "dataframe_records": [dict(zip(signature.names, cells, strict=True))]
        },
        "instances": {"instances": [signature.example_row()]},
        "inputs": {"inputs": _columns(signature)},
    }


def _columns(signature: Signature) -> dict[str, Any]:
    return {column.name: [column.typical] for column in signature.columns}
