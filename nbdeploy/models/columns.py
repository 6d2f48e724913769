"""One column of a model's input, as a plain value: what its cells must look like."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np

from nbdeploy.exceptions import SignatureError

__all__ = ["PLACEHOLDER", "Column", "Kind", "Label", "Missing", "Scalar", "list_values", "shorten"]

Kind = Literal["float", "int", "bool", "string", "category", "datetime", "any"]
"""What the cells of a column are."""

Missing = Literal["nan", "none", "NA", "NaT"]
"""How pandas held a missing value; scikit-learn's encoders tell ``None`` from ``NaN``."""

Scalar: TypeAlias = str | int | float | bool
"""A value that JSON has too."""

Label: TypeAlias = str | int | float | bool
"""The name of a column in a DataFrame; in JSON it is text."""

PLACEHOLDER = "text"
"""What stands for text in a synthetic row when no value is common enough to be shown."""

_WORDS: dict[Kind, str] = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "category": "a category",
    "datetime": "a date or time as ISO text",
    "any": "a number, text, true or false",
}
_SHOWN_CATEGORIES = 5
_LONGEST_VALUE = 40
_LONGEST_INT_BITS = 256
_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_ZONE = r"(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)"

# Deeply nested values have a repr that exhausts the stack.
_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = _LONGEST_VALUE


@dataclass(frozen=True)
class Column:
    """What the cells of one column must look like.

    Parameters
    ----------
    name
        The name as JSON has it.
    kind
        What the cells are.
    dtype
        The dtype as pandas writes it. Of a column of kind ``"any"``: ``"number"`` where text is
        refused, ``"object"`` where the values stay Python objects, otherwise empty.
    label
        The name in the DataFrame, where it is no text.
    nullable
        A missing value is taken.
    missing
        What a missing value becomes.
    categories
        All categories of a column of kind ``"category"``; of text, the values that the example
        had at least twice, if they are few.
    category_dtype
        The dtype of the categories.
    ordered
        The categories have an order.
    minimum, maximum
        Range in the example; dates as ISO text. It informs, it refuses nothing.
    typical
        A synthetic cell: median or mode, never a rare value.
    """

    name: str
    kind: Kind
    dtype: str = ""
    label: Label | None = None
    nullable: bool = False
    missing: Missing = "nan"
    categories: tuple[Scalar, ...] = ()
    category_dtype: str = ""
    ordered: bool = False
    minimum: float | str | None = None
    maximum: float | str | None = None
    typical: Scalar | None = None

    @property
    def key(self) -> Label:
        """The name of the column in the DataFrame."""
        return self.name if self.label is None else self.label

    @property
    def words(self) -> str:
        """What a cell must be, in words."""
        if self.kind == "category":
            return f"one of {list_values(self.categories)}"
        if self.kind == "any" and self.dtype == "number":
            return "a number, true or false"
        return _WORDS[self.kind]

    @property
    def note(self) -> str:
        """What else the example told: range, categories, missing values."""
        parts = []
        if self.minimum is not None and self.maximum is not None:
            parts.append(f"{self.minimum} to {self.maximum}")
        if self.categories and self.kind == "string":
            parts.append(f"such as {list_values(self.categories)}")
        if self.nullable:
            parts.append("may be missing")
        return "; ".join(parts)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of one cell."""
        types = _json_types(self)
        if self.nullable:
            types = [*types, "null"]
        schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
        if self.kind == "bool":
            # 1 and 0 are taken too.
            schema = {"enum": [True, False, 1, 0, *([None] if self.nullable else [])]}
        if self.kind == "category":
            schema["enum"] = [*self.categories, *([None] if self.nullable else [])]
        if self.kind == "datetime":
            schema["pattern"] = (
                f"^{_DATE}({_TIME})?$" if "," not in self.dtype else f"^{_DATE}{_TIME}{_ZONE}$"
            )
        if self.kind in {"int", "float"}:
            schema |= _bounds(self.dtype)
        return schema

    def to_dict(self) -> dict[str, Any]:
        """Return the column as JSON values, without what is at its default."""
        written: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in {"name", "kind"} or value != field.default:
                written[field.name] = list(value) if isinstance(value, tuple) else value
        return written

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Column:
        """Return the column that ``to_dict`` wrote.

        Raises
        ------
        SignatureError
            The mapping is no column.
        """
        known = {field.name for field in fields(cls)}
        if not {"name", "kind"} <= written.keys() <= known or written["kind"] not in _WORDS:
            message = f"This is no column of a signature: {shorten(written)}."
            raise SignatureError(message)
        values = dict(written)
        values["categories"] = tuple(written.get("categories", ()))
        return cls(**values)


def list_values(
    values: tuple[Scalar, ...], *, shown: int = _SHOWN_CATEGORIES, last: str = " or "
) -> str:
    """Return the first values, quoted and shortened, and how many more there are."""
    texts = [shorten(value) for value in values[:shown]]
    if len(values) > shown:
        return f"{', '.join(texts)} and {len(values) - shown} more"
    return last.join([", ".join(texts[:-1]), texts[-1]] if texts[1:] else texts)


def shorten(value: object, *, longest: int = _LONGEST_VALUE) -> str:
    """Return a value as code would write it, cut where it is long or deep."""
    if isinstance(value, str):
        # A slice first: the repr of a huge text would be made in whole.
        text = repr(str(value[: longest + 2]))
    elif isinstance(value, int) and value.bit_length() > _LONGEST_INT_BITS:
        text = f"a whole number of {value.bit_length()} bits"
    else:
        text = _REPR.repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _bounds(dtype: str) -> dict[str, float]:
    """Return the range of a dtype that holds less than JSON can write."""
    name = dtype.lower()
    if name in {"float16", "float32"}:
        largest = float(np.finfo(name).max)
        return {"minimum": -largest, "maximum": largest}
    if name.startswith(("int", "uint")):
        bounds = np.iinfo(name)
        return {"minimum": int(bounds.min), "maximum": int(bounds.max)}
    return {}


def _json_types(column: Column) -> list[str]:
    if column.kind == "category":
        found = {_json_type(value) for value in column.categories}
        return sorted(found) or ["string"]
    if column.kind == "any":
        return (
            ["number", "boolean"] if column.dtype == "number" else ["number", "string", "boolean"]
        )
    names = {"float": "number", "int": "integer", "bool": "boolean"}
    return [names.get(column.kind, "string")]


def _json_type(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"
