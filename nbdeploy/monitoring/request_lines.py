"""What a line of a request log says: how it is written, and how it is read again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from nbdeploy.models.coercion import is_missing

__all__ = ["Noted", "RecordedRequest", "line_of", "read_line", "read_lines", "through_json"]

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


class Noted(NamedTuple):
    """What is known of a request when it was answered.

    The rows are those that the model was asked, in any form of a signature; ``None`` for a request
    that was refused before.
    """

    time: float
    endpoint: str
    version: str
    status: int | None
    latency: float
    names: tuple[str, ...]
    rows: Any
    size: int
    answer: list[Any] | None
    error: str | None


class RecordedRequest(NamedTuple):
    """A request as a line tells it."""

    id: str
    endpoint: str
    version: str
    status: int | None
    latency: float
    columns: tuple[str, ...]
    redacted: tuple[str, ...]
    rows: list[list[Any]] | None
    size: int
    answer: list[Any] | None


def line_of(noted: Noted, *, id: str, redact: Collection[str] = ()) -> bytes:  # noqa: A002 -- its name in the line
    """Write a line, with its newline.

    Parameters
    ----------
    noted
        The request.
    id
        What the line is called.
    redact
        Names of columns whose cells are left out.

    Examples
    --------
    >>> noted = Noted(0.0, "predict", "1.0", 200, 0.002, ("size",), [[1.5]], 1, ["big"], None)
    >>> read_line(line_of(noted, id="1")).rows
    [[1.5]]
    """
    moment = datetime.fromtimestamp(noted.time, UTC)
    document: dict[str, Any] = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "id": id,
        "endpoint": noted.endpoint,
        "version": noted.version,
        "status": noted.status,
        "latency": round(noted.latency, 9),
    }
    if noted.rows is not None:
        kept = [place for place, name in enumerate(noted.names) if name not in redact]
        rows = _cells(noted.rows)
        if len(kept) < len(noted.names):
            document["redacted"] = [name for name in noted.names if name in redact]
            rows = [[row[place] for place in kept] for row in rows]
        document["columns"] = [noted.names[place] for place in kept]
        document["rows"] = rows
        document["size"] = noted.size
    document["answer"] = noted.answer
    if noted.error is not None:
        document["error"] = noted.error
    return _dump(document) + b"\n"


def _cells(rows: Any) -> list[Any]:
    """Take validated rows apart into lists of cells."""
    if isinstance(rows, pd.DataFrame):
        # Column by column it would take ten times as long.
        cells: list[Any] = rows.to_numpy(dtype=object).tolist()
        return cells
    if isinstance(rows, (pd.Series, np.ndarray)):
        rows = rows.tolist()
    # A signature of single values has rows that are no lists.
    return [
        row if isinstance(row, list) else list(row) if type(row) is tuple else [row] for row in rows
    ]


def _dump(document: Any) -> bytes:
    try:
        return orjson.dumps(document, _plain, _OPTIONS)
    except orjson.JSONEncodeError:
        # Lone surrogates and integers above 64 bits: the standard library writes both.
        exact = json.dumps(document, default=_plain)
        return json.dumps(json.loads(exact, parse_constant=lambda _: None)).encode()


def _plain(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def through_json(value: Any) -> Any:
    """Give a value as it comes back from a line: what is compared was written the same way."""
    return _load(_dump(value))


def _load(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def read_line(line: bytes) -> RecordedRequest | None:
    """Read a line; ``None`` where it is torn, or none of ours."""
    if not line.endswith(b"\n"):
        return None
    try:
        told = _load(line)
        rows, answer = told.get("rows"), told["answer"]
        request = RecordedRequest(
            id=str(told["id"]),
            endpoint=str(told["endpoint"]),
            version=str(told["version"]),
            status=told["status"],
            latency=float(told["latency"]),
            columns=tuple(map(str, told.get("columns", ()))),
            redacted=tuple(map(str, told.get("redacted", ()))),
            rows=rows,
            size=int(told.get("size", 0)),
            answer=answer,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return request if _is_whole(request) else None


def _is_whole(request: RecordedRequest) -> bool:
    rows, answer = request.rows, request.answer
    if not (answer is None or isinstance(answer, list)):
        return False
    if rows is None:
        return answer is None
    width = len(request.columns)
    fits = isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == width for row in rows
    )
    return fits and (answer is None or len(answer) == len(rows))


def read_lines(path: Path) -> Iterator[tuple[int, RecordedRequest | None]]:
    """Read a file: of each line its length, and what it tells; nothing where the file is gone."""
    try:
        with path.open("rb") as file:
            for line in file:
                yield len(line), read_line(line)
    except FileNotFoundError:
        # The writer removes its oldest file when it begins a new one.
        return
