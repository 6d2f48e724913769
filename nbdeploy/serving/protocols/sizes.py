"""How many rows and values one request may hold: counted before they are made.

Parsed, a few bytes become an object of many: 64 MiB of ``[],`` would take more than a gigabyte.
"""

from __future__ import annotations

from nbdeploy.exceptions import RequestError

__all__ = ["MAX_ROWS", "MAX_VALUES", "check_csv_size", "check_json_size", "check_values"]

MAX_ROWS = 1_000_000
"""The most rows of JSON in one request."""

MAX_VALUES = 10_000_000
"""The most values of text, JSON or CSV, in one request."""


def check_json_size(body: bytes) -> None:
    """Refuse JSON of too many rows or values.

    Raises
    ------
    RequestError
        413, with what was counted.
    """
    if len(body) <= MAX_ROWS:
        return
    rows = body.count(b"[") + body.count(b"{")
    _check(rows, MAX_ROWS, "rows")
    check_values(body.count(b",") + rows)


def check_csv_size(body: bytes) -> None:
    """Refuse CSV of too many values; see `check_json_size`."""
    if len(body) > MAX_VALUES:
        check_values(body.count(b",") + body.count(b"\n"))


def check_values(count: int, *, limit: int = MAX_VALUES) -> None:
    """Refuse more values than a request may hold; see `check_json_size`."""
    _check(count, limit, "values")


def _check(count: int, limit: int, noun: str) -> None:
    if count > limit:
        message = (
            f"The body holds about {count} {noun}; expected {limit} at most. "
            "Send them in several requests."
        )
        raise RequestError(message, status=413)
