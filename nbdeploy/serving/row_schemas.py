"""What OpenAPI says of rows: the forms in which a service takes them."""

from __future__ import annotations

from typing import Any

from nbdeploy.models.signature import Signature
from nbdeploy.serving.protocols.tables import TABLES

__all__ = ["TABLE_CONTENT", "columns_schema", "records_schema", "row_schemas", "rows_schema"]

TABLE_CONTENT: dict[str, Any] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in TABLES
}
"""Bodies that are tables."""

_ROW: dict[str, Any] = {"$ref": "#/components/schemas/Row"}


def row_schemas(signature: Signature) -> list[dict[str, Any]]:
    """Describe one row: as the model has it, and as a list of values in the order of columns."""
    return [_ROW, _values_schema(signature)] if signature.kind == "frame" else [_ROW]


def rows_schema(signature: Signature) -> dict[str, Any]:
    """Describe a list of rows, all of one form."""
    forms = row_schemas(signature)
    return {"anyOf": [{"type": "array", "items": row, "minItems": 1} for row in forms]}


def columns_schema(signature: Signature) -> dict[str, Any]:
    """Describe rows that come by column, or one row as an object."""
    properties = {
        column.name: {
            "anyOf": [
                column.schema(),
                {"type": "array", "items": column.schema(), "minItems": 1},
            ]
        }
        for column in signature.columns
    }
    return {
        "type": "object",
        "description": "A list of values for each column, all of the same length.",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def records_schema(signature: Signature) -> dict[str, Any]:
    """Describe a list of objects; of an array only the number of its features is known."""
    row: dict[str, Any] = _ROW
    if signature.kind != "frame":
        row = {
            "type": "object",
            "minProperties": signature.width,
            "maxProperties": signature.width,
        }
    return {"type": "array", "items": row, "minItems": 1}


def _values_schema(signature: Signature) -> dict[str, Any]:
    return {
        "type": "array",
        "description": "Values in the order of the columns.",
        "prefixItems": [column.schema() for column in signature.columns],
        "minItems": signature.width,
        "maxItems": signature.width,
    }
