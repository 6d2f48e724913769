"""Show an object in the notebook cell that runs now."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["current_cell", "show"]


def current_cell() -> str | None:
    """Name the execution of the cell that runs now; ``None`` outside a kernel."""
    # Who has not imported IPython is in no kernel, and shall not pay for the import.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    header = (shell.get_parent() or {}).get("header", {})
    identity: str | None = header.get("msg_id")
    return identity


def show(shown: Any) -> str | None:
    """Display an object in the running cell; tell which that was, ``None`` outside a kernel."""
    cell = current_cell()
    if cell is not None:
        from IPython.display import display  # noqa: PLC0415 -- in a kernel it is imported already

        display(shown)  # type: ignore[no-untyped-call]
    return cell
