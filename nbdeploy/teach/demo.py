"""Run the quickstart as a reader would: in a real kernel, cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbdeploy.exceptions import ServingError

__all__ = ["notebooks_folder", "run_quickstart"]

_CELL_TIMEOUT = 120


def notebooks_folder() -> Path:
    """Find the notebooks: in the working folder, or beside the package in a checkout.

    Raises
    ------
    ServingError
        If they are in neither place.
    """
    places = [Path.cwd() / "notebooks", Path(__file__).parents[2] / "notebooks"]
    for folder in places:
        if (folder / "quickstart.ipynb").exists():
            return folder
    message = (
        "The notebooks are not here. Get nbdeploy's repository and run this command in it: "
        "the installed package does not hold them."
    )
    raise ServingError(message)


def run_quickstart(output: Path, *, tell: Callable[[str], None]) -> None:
    """Execute the quickstart, tell what its cells print, and write the page.

    Parameters
    ----------
    output
        The HTML page to write.
    tell
        Takes each text as soon as a cell is done.

    Raises
    ------
    ServingError
        If a cell fails that should not, or the page cannot be written.
    """
    import nbformat  # noqa: PLC0415 -- Jupyter is needed here only
    from nbclient import NotebookClient  # noqa: PLC0415 -- as above
    from nbclient.exceptions import CellExecutionError  # noqa: PLC0415 -- as above
    from nbconvert import HTMLExporter  # noqa: PLC0415 -- as above

    folder = notebooks_folder()
    _make_folder_of(output)
    notebook = nbformat.read(folder / "quickstart.ipynb", as_version=4)  # type: ignore[no-untyped-call]

    def tell_cell(cell: Any, **_: Any) -> None:
        for text in _texts(cell):
            tell(text)

    client = NotebookClient(
        notebook,
        timeout=_CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors; not that loopback is plain text
        resources={"metadata": {"path": str(folder)}},
        on_cell_executed=tell_cell,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        message = f"A cell of the quickstart failed: {error.ename}: {error.evalue}"
        raise ServingError(message) from error
    page, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    output.write_text(page, encoding="utf-8")
    tell(f"The executed notebook: {output}")


def _make_folder_of(output: Path) -> None:
    """Find out before the minutes are spent whether the page can be written."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("a"):
            pass
    except OSError as error:
        message = (
            f"The page cannot be written to {str(output)!r}: {error.strerror}. "
            "Name a file in a folder of yours with --output."
        )
        raise ServingError(message) from error


def _texts(cell: Any) -> list[str]:
    """Take what a reader of the cell would see, as text."""
    texts = []
    for shown in cell.get("outputs", []):
        if shown["output_type"] == "stream":
            texts.append(shown["text"].rstrip())
        elif shown["output_type"] == "error":
            texts.append(f"{shown['ename']}: {shown['evalue']}")
        else:
            texts.append(shown["data"].get("text/plain", "").rstrip())
    return [text for text in texts if text]
