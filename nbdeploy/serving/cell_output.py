"""The notebook cell under which the output of a thread is shown."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["CellOutput"]


class CellOutput:
    """One cell, as the place for what threads print.

    A kernel shows what a thread prints under whichever cell runs at that moment. A thread that
    calls `adopt_thread` shows it under this cell instead. So do the worker threads and tasks that
    copy its context, as those of anyio and asyncio do.

    Parameters
    ----------
    shell
        The interactive shell of the kernel.
    parent
        The message that asked for the cell to be run.
    """

    def __init__(self, shell: Any, parent: dict[str, Any]) -> None:
        self._shell = shell
        # ipykernel keeps a reference to the header it is given, in every context that was copied
        # since. Changing our own copy in place therefore moves all of them to another cell.
        self._parent = {**parent, "header": dict(parent["header"])}

    @classmethod
    def current(cls) -> CellOutput | None:
        """Return the cell that runs now; ``None`` outside a kernel."""
        shell = _kernel_shell()
        parent = _running_cell(shell)
        return cls(shell, parent) if parent else None

    def adopt_thread(self) -> None:
        """Show from now on under this cell what the calling thread prints."""
        # ipykernel before 7.4 lacks the call that leaves other threads alone.
        adopt = getattr(self._shell, "set_thread_parent", self._shell.set_parent)
        adopt(self._parent)

    def move_to_current_cell(self) -> None:
        """Show from now on under the cell that runs now what the adopted threads print."""
        parent = _running_cell(self._shell)
        if parent:
            self._parent["header"].update(parent["header"])


def _kernel_shell() -> Any:
    # Whoever has not imported IPython runs in no kernel, and shall not pay for its import.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "get_parent") and hasattr(shell, "set_parent") else None


def _running_cell(shell: Any) -> dict[str, Any] | None:
    parent = shell.get_parent() if shell is not None else None
    return parent if parent and parent.get("header") else None
