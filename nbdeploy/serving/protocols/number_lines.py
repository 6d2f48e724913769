"""CSV of numbers alone: read as JSON is, exactly and in half the time."""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["read_number_lines"]

_NUMBERS = b"0123456789+-.eE,\r\n"


def read_number_lines(lines: bytes, width: int) -> list[list[Any]] | None:
    r"""Read lines of numbers, separated by commas.

    Parameters
    ----------
    lines
        The lines, without a header.
    width
        Numbers of a line.

    Returns
    -------
    list or None
        The rows; ``None`` where a cell or a line is anything else than JSON has it too: quoted,
        empty, with a leading zero. That is for a reader of CSV.

    Examples
    --------
    >>> read_number_lines(b"5.1,3\n4.9,-1e2\n", 2)
    [[5.1, 3], [4.9, -100.0]]
    >>> read_number_lines(b"5.1,\n", 2)
    """
    if lines.translate(None, _NUMBERS):
        return None
    lines = lines.rstrip(b"\r\n")
    if b"\r" in lines:
        lines = lines.replace(b"\r\n", b"\n")
        if b"\r" in lines:
            return None
    try:
        rows: list[list[Any]] = orjson.loads(b"[[%b]]" % lines.replace(b"\n", b"],["))
    except orjson.JSONDecodeError:
        return None
    return rows if set(map(len, rows)) == {width} else None
