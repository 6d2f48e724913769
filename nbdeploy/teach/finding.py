"""One thing that the ready check looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name
        What it is.
    found
        What there is.
    status
        ``"ok"``; ``"warning"``: the lessons work, with a limit; ``"problem"``: they do not.
    cure
        What to do about it; empty when it is ok.
    """

    name: str
    found: str
    status: Literal["ok", "warning", "problem"] = "ok"
    cure: str = ""
