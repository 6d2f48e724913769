"""Cells as a notebook file: ids, metadata, and what an exercise leaves out."""

from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from builder.chinese import LANGUAGE, join_lines
from builder.source import Cell, Edition, Role, Source

__all__ = [
    "STUB",
    "code_cells",
    "compose",
    "copy_outputs",
    "has_solution",
    "read_notebook",
    "write_notebook",
]

STUB = "...  # your code here"
_MARKER = re.compile(r"^(?P<indent>[ \t]*)# solution[ \t]*$", re.MULTILINE)
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def compose(source: Source, edition: Edition) -> NotebookNode:
    """Make the notebook of an edition, without outputs."""
    cells = source.cells_in(edition.language)
    if edition.role is not Role.LESSON:
        form = _without_solution if edition.role is Role.EXERCISE else _without_marker
        cells = [form(cell) for cell in cells]
    if edition.language == LANGUAGE:
        cells = [_joined(cell) for cell in cells]
    notebook: NotebookNode = new_notebook(  # type: ignore[no-untyped-call]
        cells=[_node(cell) for cell in cells], metadata=_METADATA
    )
    _set_ids(notebook)
    return notebook


def copy_outputs(done: NotebookNode, notebook: NotebookNode) -> None:
    """Give a notebook the outputs of another with the same code."""
    for ran, cell in zip(code_cells(done), code_cells(notebook), strict=True):
        cell.execution_count = ran.execution_count
        cell.outputs = ran.outputs


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """List the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read_notebook(path: Path) -> NotebookNode | None:
    """Read a notebook file; ``None`` if there is none."""
    if not path.exists():
        return None
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook file; the same notebook always gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    part.write_text(f"{text}\n", encoding="utf-8")
    part.replace(path)


def has_solution(cell: Cell) -> bool:
    """Tell whether an exercise leaves a stub in this cell."""
    return cell.kind == "code" and _MARKER.search(cell.text) is not None


def _without_solution(cell: Cell) -> Cell:
    """Cut what follows the marker, and leave a stub where it stood.

    What the solution defines for the cells below is there all the same, as ``name = ...``: a check
    can then say that it waits for it.
    """
    marker = _MARKER.search(cell.text)
    if cell.kind != "code" or marker is None:
        return cell
    names = [] if marker["indent"] else _defined(cell.text[marker.end() :])
    stubs = [f"{name} = {STUB}" for name in names] or [f"{marker['indent']}{STUB}"]
    return replace(cell, text=cell.text[: marker.start()] + "\n".join(stubs))


def _defined(code: str) -> list[str]:
    """List the names that statements define for what follows, loops and private names aside."""
    names: dict[str, None] = {}
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names[statement.name] = None
        elif isinstance(statement, ast.Assign):
            parts = (node for target in statement.targets for node in ast.walk(target))
            stored = (node for node in parts if isinstance(getattr(node, "ctx", None), ast.Store))
            names |= {node.id: None for node in stored if isinstance(node, ast.Name)}
    return [name for name in names if not name.startswith("_")]


def _without_marker(cell: Cell) -> Cell:
    if cell.kind != "code":
        return cell
    lines = [line for line in cell.text.split("\n") if not _MARKER.fullmatch(line)]
    return replace(cell, text="\n".join(lines))


def _joined(cell: Cell) -> Cell:
    return replace(cell, text=join_lines(cell.text)) if cell.kind == "markdown" else cell


def _node(cell: Cell) -> NotebookNode:
    make = new_code_cell if cell.kind == "code" else new_markdown_cell
    node: NotebookNode = make(cell.text, metadata=cell.metadata)  # type: ignore[no-untyped-call]
    return node


def _set_ids(notebook: NotebookNode) -> None:
    # Of the text, not of the position: a cell that is put in changes no other id.
    taken: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        taken[digest] = taken.get(digest, 0) + 1
        cell["id"] = digest if taken[digest] == 1 else f"{digest}-{taken[digest]}"
