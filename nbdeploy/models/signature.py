"""What a row of a model's input must look like: learned once, asked at every prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table as ShownTable
from nbdeploy.exceptions import SignatureError
from nbdeploy.models import signature_learning
from nbdeploy.models.coercion import Cells, Coercion
from nbdeploy.models.coercion_kinds import coercion_for
from nbdeploy.models.columns import Column, Label, Scalar, list_values, shorten
from nbdeploy.models.example import Container
from nbdeploy.models.matrices import Order, as_learned, number_matrix, stack
from nbdeploy.models.misfit import Problem
from nbdeploy.models.rows import Layout, RawTable, take_values

__all__ = ["Batch", "Signature"]

Batch: TypeAlias = "pd.DataFrame | pd.Series[Any] | npt.NDArray[Any] | list[Any]"
"""Validated rows, in the form that the model was fitted on."""

_FORMAT = 1
_KINDS = ("frame", "array", "values")
_SHOWN_NAMES = 5
_PLAIN_FRAME = frozenset({"float64", "number"})
_PLAIN_ARRAY = frozenset({"float64", "float32"})


@dataclass(frozen=True, repr=False)
class Signature(ReprMixin):
    """What a row of a model's input must look like.

    Parameters
    ----------
    kind
        ``"frame"``: rows with column names; ``"array"``: rows of numbered features; ``"values"``:
        one value a row, such as a text.
    columns
        What each cell must look like, in the order of the model.
    dtype
        The dtype of an array that the model takes; empty for the other kinds.
    container
        What single values are handed over in: a list, a Series or an array.
    order
        How the numbers of the example lie in memory, row by row (``"C"``) or column by column
        (``"F"``). A sum over them depends on it in the last bit, and a model shall answer exactly
        what it answers for the example.

    Examples
    --------
    >>> signature = Signature.learn(example=[[5.1, 3.5], [4.9, 3.0]])
    >>> signature
    Signature(array of 2 features)
    >>> signature.validate([6.2, 2.9])
    array([[6.2, 2.9]])
    """

    kind: Literal["frame", "array", "values"]
    columns: tuple[Column, ...]
    dtype: str = ""
    container: Container | Literal[""] = ""
    order: Order = "C"

    @classmethod
    def learn(cls, model: Any = None, example: Any = None) -> Signature:
        """Learn the signature from an example, or from what a fitted model tells.

        Parameters
        ----------
        model
            A fitted model. Its column names and number of features are used, and must agree with
            the example.
        example
            Some rows as the model was fitted on: a DataFrame, a 2-D array, a list of rows, a list
            of dicts, a list or Series of texts. The more rows, the better the ranges.

        Raises
        ------
        SignatureError
            Neither tells anything, or they disagree.
        """
        return cls(**signature_learning.learn(model, example))

    @property
    def names(self) -> tuple[str, ...]:
        """The column names as JSON has them."""
        return tuple(column.name for column in self.columns)

    @property
    def width(self) -> int:
        """The number of columns or features."""
        return len(self.columns)

    def validate(self, rows: Any) -> Batch:
        """Return rows as the model was fitted on them.

        Parameters
        ----------
        rows
            One row or many: lists, dicts, a dict of columns, a DataFrame, a Series, an array.

        Returns
        -------
        Batch
            A DataFrame with the columns, order and dtypes of the example, a 2-D array, or a
            sequence of single values.

        Raises
        ------
        SignatureError
            A row does not fit. The error names the first such row and column, the value, what was
            expected, and a near miss.
        """
        if self.kind == "values":
            return self._values(rows)
        table = self._layout.arrange(rows)
        return self._array(table) if self.kind == "array" else self._frame(table)

    def packed(self, rows: Any) -> Any:
        """Return many rows as few objects: one array, or one list a column.

        `validate` makes the same of both, and has the same to say of both. Python looks for
        garbage among thousands of lists again and again; in an array it has nothing to look for.

        Parameters
        ----------
        rows
            As `validate` takes them, of what JSON has; what does not fit is returned as it is.
        """
        if self.kind == "values":
            return rows
        try:
            table = self._layout.arrange(rows)
        except SignatureError:
            return rows
        if not (table.rows or table.columns):
            return rows
        matrix = self._matrix(table, of_json=True)
        if matrix is not None:
            learned = as_learned(matrix, self.dtype) if self.kind == "array" else matrix
            return rows if learned is None else learned
        if self.kind == "array":
            return rows
        return dict(zip(self.names, map(list, table.by_column()), strict=True))

    def arrange(self, rows: Any) -> RawTable:
        """Bring rows to the order of the columns, without a look at their cells.

        Raises
        ------
        SignatureError
            There are no rows, or a row has other columns than the model.
        """
        return self._layout.arrange(rows)

    @cached_property
    def _keys(self) -> tuple[Label, ...]:
        return tuple(column.key for column in self.columns)

    @cached_property
    def _labels(self) -> pd.Index[Any]:
        return pd.Index(self._keys)

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.names, self._keys, positional=self.kind == "array")

    @cached_property
    def _coercions(self) -> tuple[Coercion, ...]:
        return tuple(coercion_for(column) for column in self.columns)

    @cached_property
    def _dtypes(self) -> frozenset[str]:
        return frozenset(column.dtype for column in self.columns)

    def _matrix(self, table: RawTable, *, of_json: bool = False) -> npt.NDArray[Any] | None:
        """Return all cells at once, where one look at the whole tells that they fit."""
        plain = _PLAIN_FRAME if self.kind == "frame" else _PLAIN_ARRAY
        if not self._dtypes <= plain:
            return None
        return number_matrix(table.cells(), order=self.order, of_json=of_json)

    def _frame(self, table: RawTable) -> pd.DataFrame:
        matrix = self._matrix(table)
        if matrix is None and self._dtypes == {"float64"}:
            matrix = stack(self._coerce(table.by_column()), "float64", order=self.order)
        if matrix is not None:
            matrix = matrix.astype(np.float64, copy=False)
            return pd.DataFrame(matrix, columns=self._labels, index=table.index, copy=False)
        cells = self._coerce(table.by_column())
        frame = pd.DataFrame(dict(zip(self._keys, cells, strict=True)), copy=False)
        if table.index is not None:
            frame.index = table.index
        return frame

    def _array(self, table: RawTable) -> npt.NDArray[Any]:
        matrix = self._matrix(table)
        learned = None if matrix is None else as_learned(matrix, self.dtype)
        if learned is not None:
            return learned
        return stack(self._coerce(table.by_column()), self.dtype, order=self.order)

    def _values(self, rows: Any) -> Batch:
        values, index = take_values(rows)
        (cells,) = self._coerce([values])
        if self.container == "series":
            key = self.columns[0].label
            return pd.Series(cells, index=index, name=key)
        array = np.asarray(cells)
        return array if self.container == "array" else list(array)

    def _coerce(self, columns: Sequence[Any]) -> list[Cells]:
        converted: list[Cells] = []
        problems: list[tuple[int, int, Problem]] = []
        for place, (coercion, values) in enumerate(zip(self._coercions, columns, strict=True)):
            result = coercion.convert(values)
            if isinstance(result, Problem):
                problems.append((result.row, place, result))
            else:
                converted.append(result)
        if problems:
            raise self._error(problems)
        return converted

    def _error(self, problems: list[tuple[int, int, Problem]]) -> SignatureError:
        """Return the error for the first problem, row by row."""
        row, place, problem = min(problems, key=lambda found: found[:2])
        column = self.columns[place]
        message, suggestion = problem.explain()
        more = sum(found.count for _, _, found in problems) - 1
        others = f" ({more} more cell{'s' * (more > 1)} of the request do not fit.)" if more else ""
        return SignatureError(
            f"row {row}{self._where(place)}: {message}.{others}",
            row=row,
            column=None if self.kind == "values" else self._place(place),
            value=shorten(problem.value),
            expected=column.words,
            suggestion=suggestion,
            kind=problem.misfit.kind,
        )

    def _place(self, place: int) -> str | int:
        name = self.columns[place].name
        return place if self.kind == "array" and name == str(place) else name

    def _where(self, place: int) -> str:
        if self.kind == "values":
            return ""
        found = self._place(place)
        return f", feature {found}" if isinstance(found, int) else f", column {shorten(found)}"

    def row_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12, as in OpenAPI 3.1) of one row."""
        if self.kind == "values":
            return self.columns[0].schema()
        if self.kind == "frame":
            return {
                "type": "object",
                "properties": {column.name: column.schema() for column in self.columns},
                "required": list(self.names),
                "additionalProperties": False,
            }
        schemas = [column.schema() for column in self.columns]
        size = {"type": "array", "minItems": self.width, "maxItems": self.width}
        if all(schema == schemas[0] for schema in schemas):
            return {**size, "items": schemas[0]}
        return {**size, "prefixItems": schemas, "items": False}

    def example_row(self) -> dict[str, Scalar | None] | list[Scalar | None] | Scalar | None:
        """Return a synthetic row: medians and common values.

        It is no row of the example, unless so many rows are like it that it tells of none.
        """
        if self.kind == "values":
            return self.columns[0].typical
        if self.kind == "frame":
            return {column.name: column.typical for column in self.columns}
        return [column.typical for column in self.columns]

    def describe(self) -> list[tuple[str, str, str]]:
        """Return name, type in words and a note for each column."""
        # In a table "number" stands under "text"; in a sentence it is "a number".
        return [(each.name, each.words.removeprefix("a "), each.note) for each in self.columns]

    def to_dict(self) -> dict[str, Any]:
        """Return the signature as JSON values."""
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "columns": [column.to_dict() for column in self.columns],
            "dtype": self.dtype,
            "container": self.container,
            "order": self.order,
        }

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Signature:
        """Return the signature that ``to_dict`` wrote.

        Raises
        ------
        SignatureError
            A newer nbdeploy wrote it, or it is no signature.
        """
        found = written.get("format")
        if isinstance(found, int) and found > _FORMAT:
            message = (
                f"The signature has format {found}, this nbdeploy reads up to {_FORMAT}; "
                "install a newer nbdeploy, or learn the signature again with example=."
            )
            raise SignatureError(message, value=found)
        if found != _FORMAT or written.get("kind") not in _KINDS:
            message = f"This is no signature: {shorten(written)}; expected what to_dict() wrote."
            raise SignatureError(message)
        try:
            return cls(
                kind=written["kind"],
                columns=tuple(Column.from_dict(column) for column in written["columns"]),
                dtype=written["dtype"],
                container=written["container"],
                order=written["order"],
            )
        except (AttributeError, KeyError, TypeError) as error:
            message = f"The signature {shorten(dict(written))} is incomplete: {error!r}."
            raise SignatureError(message) from error

    def __repr__(self) -> str:
        if self.kind == "values":
            return f"Signature(one value a row: {self.columns[0].words})"
        if self.kind == "array":
            return f"Signature(array of {self.width} features)"
        shown = list_values(self.names, shown=_SHOWN_NAMES, last=", ")
        return f"Signature({self.width} columns: {shown})"

    def to_text(self) -> str:
        """Write what each column takes as a table of text."""
        return f"{self!r}\n{self._table().to_text()}"

    def to_html(self) -> str:
        """Write what each column takes as a table."""
        return self._table().to_html()

    def _table(self) -> ShownTable:
        return ShownTable(("column", "type", "note"), self.describe(), noun="column")
