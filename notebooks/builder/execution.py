"""Run a notebook once, in a kernel and folders of its own."""

from __future__ import annotations

import os
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from builder.outputs import normalise

__all__ = ["ExecutionError", "Sandbox", "execute", "sandbox"]

_CELL_TIMEOUT = 120
_FOREIGN = ("NBDEPLOY_", "JUPYTERHUB_")


class ExecutionError(Exception):
    """A cell failed that should not."""


class Sandbox:
    """A home, a folder for temporary files and one to work in.

    Parameters
    ----------
    root
        An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.temporary = root / "tmp"
        self.work = root / "work"
        for folder in (self.home, self.temporary, self.work):
            folder.mkdir()

    def environment(self) -> dict[str, str]:
        """Give the environment of a kernel: strict checks, and nothing of this user's settings."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        caches = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        return own | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CACHE_HOME": caches,  # matplotlib's list of fonts takes seconds to make
            "IPYTHONDIR": str(self.home / ".ipython"),
            "NBDEPLOY_STRICT": "1",
            "NBDEPLOY_LANG": "en",  # of the stored outputs, in every edition
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TZ": "UTC",
            "LOGNAME": "student",  # who saves and moves versions; stored outputs name nobody
        }

    def folders(self) -> dict[str, str]:
        """Give what is written instead of this machine's folders."""
        libraries = sysconfig.get_paths()["purelib"]
        return {
            str(self.work): "~/notebooks",
            str(self.temporary): "/tmp",  # noqa: S108 -- a word for the reader; nothing is written there
            str(self.home): "~",
            libraries: "site-packages",
            sysconfig.get_paths()["stdlib"]: "python",
            str(Path(__file__).parents[2]): "~",
        }


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Make folders for one run, and remove them afterwards."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as root:
        yield Sandbox(Path(root).resolve())


def execute(notebook: NotebookNode) -> None:
    """Run all code cells in order; their outputs are stored in the notebook, normalised.

    Raises
    ------
    ExecutionError
        If a cell raises that is not tagged ``raises-exception``, or takes too long.
    """
    with sandbox() as box:
        run(notebook, box)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = normalise(cell.outputs, box.folders())


def run(notebook: NotebookNode, box: Sandbox, **environment: str) -> None:
    """Run all code cells in order, and leave the outputs as the kernel sent them.

    Parameters
    ----------
    notebook
        Changed in place.
    box
        Where it runs.
    environment
        Variables for the kernel, beside those of the sandbox.

    Raises
    ------
    ExecutionError
        See `execute`.
    """
    client = NotebookClient(
        notebook,
        timeout=_CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors; not that loopback is plain text
        resources={"metadata": {"path": str(box.work)}},
    )
    try:
        client.execute(env=box.environment() | environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ExecutionError(str(error)) from error
