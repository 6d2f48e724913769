"""Bodies of many rows are read while nobody looks for garbage among them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

__all__ = ["uncollected"]

_Result = TypeVar("_Result")


def uncollected(call: Callable[[], _Result]) -> _Result:
    """Let thousands of lists come, and perhaps go, without a look for garbage among them."""
    if not gc.isenabled():
        return call()
    gc.disable()
    try:
        return call()
    finally:
        gc.enable()
