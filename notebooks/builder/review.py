"""What is wrong with the committed notebooks, found without running them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.lengths import Length
from builder.notebook import STUB, code_cells, compose, has_solution, read_notebook
from builder.outputs import normalise_text
from builder.source import Edition, Source

__all__ = ["review", "review_source"]

_MAY_RAISE = "raises-exception"
_MAY_WARN = "warns"
_IS_CHAPTER = "chapter"
_MOST_LINES = 12
# To a file beside the notebook, not to the web and not within the page.
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)")
_MOST_LINES_OF_THE_CHAPTER = 40


def review(source: Source, edition: Edition, folder: Path) -> list[str]:
    """List what is wrong with one committed notebook; nothing if it is what its source builds.

    Parameters
    ----------
    source
        The script.
    edition
        Which notebook of it.
    folder
        Where the notebooks are kept.
    """
    stored = read_notebook(folder / edition.path)
    if stored is None:
        problems = ["it was not built"]
    else:
        problems = [*_drift(compose(source, edition), stored)]
        problems += _not_executed(stored) if edition.is_executed else _executed(stored)
        problems += _dead_links(stored, (folder / edition.path).parent)
        lead = next(one for one in source.editions() if one.role is edition.role)
        if edition is not lead and lead.language != edition.language:
            problems += _unlike(read_notebook(folder / lead.path), stored)
    return [f"{edition.path}: {problem}" for problem in problems]


def review_source(source: Source) -> list[str]:
    """List what is wrong with a script apart from its languages, above all its length."""
    problems = [*_long_cells(source), *Length.of(source).problems(is_exercise=source.is_exercise)]
    if source.is_exercise and not any(has_solution(cell) for cell in source.cells):
        problems.append("no '# solution' line, so there is nothing to solve")
    return [f"{source.path}: {problem}" for problem in problems]


def _drift(built: NotebookNode, stored: NotebookNode) -> Iterator[str]:
    if [_face(cell) for cell in built.cells] != [_face(cell) for cell in stored.cells]:
        yield f"not what its source builds, first at {_first_difference(built, stored)}"
    elif built.metadata != stored.metadata:
        yield "its metadata is not what its source builds"


def _first_difference(built: NotebookNode, stored: NotebookNode) -> str:
    pairs = zip(built.cells, stored.cells, strict=False)
    for number, (wanted, found) in enumerate(pairs, 1):
        if _face(wanted) != _face(found):
            line = wanted.source.partition("\n")[0]
            return f"cell {number}, in the source: {line!r}"
    return f"its end: {len(stored.cells)} cells instead of {len(built.cells)}"


def _face(cell: NotebookNode) -> tuple[Any, ...]:
    return cell.cell_type, cell.source, cell.get("id"), dict(cell.metadata)


def _not_executed(stored: NotebookNode) -> Iterator[str]:
    codes = code_cells(stored)
    for number, cell in enumerate(codes, 1):
        where = f"code cell {number} ({cell.source.partition(chr(10))[0]!r})"
        tags = cell.metadata.get("tags", [])
        if cell.execution_count != number:
            yield f"{where} was not executed in order"
        if STUB in cell.source:
            yield f"{where} has an unsolved stub"
        kinds = {output.output_type for output in cell.outputs}
        if "error" in kinds and _MAY_RAISE not in tags:
            yield f"{where} ends with an error and is not tagged {_MAY_RAISE!r}"
        if "error" not in kinds and _MAY_RAISE in tags:
            yield f"{where} is tagged {_MAY_RAISE!r} and does not raise"
        if any(output.get("name") == "stderr" for output in cell.outputs) and _MAY_WARN not in tags:
            yield f"{where} writes to stderr and is not tagged {_MAY_WARN!r}"
        if any(text != normalise_text(text, {}) for text in _texts(cell.outputs)):
            yield f"{where} shows a port, an address or a folder of one run"


def _executed(stored: NotebookNode) -> Iterator[str]:
    for cell in stored.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"has the output of {cell.source.partition(chr(10))[0]!r}: it gives answers away"


def _unlike(lead: NotebookNode | None, stored: NotebookNode) -> Iterator[str]:
    """Compare code and outputs with those of the English edition, cell by cell."""
    leads, codes = code_cells(lead) if lead else [], code_cells(stored)
    if len(leads) != len(codes):
        yield f"has {len(codes)} code cells, and {len(leads)} in English"
        return
    for number, (wanted, found) in enumerate(zip(leads, codes, strict=True), 1):
        for part in ("source", "outputs", "execution_count", "metadata"):
            if wanted[part] != found[part]:
                yield f"code cell {number} has another {part} than in English"


def _dead_links(stored: NotebookNode, folder: Path) -> Iterator[str]:
    for cell in stored.cells:
        if cell.cell_type == "markdown":
            for target in _LINK.findall(cell.source):
                if not (folder / target).exists():
                    yield f"a link leads to {target}, which is not there"


def _long_cells(source: Source) -> Iterator[str]:
    for cell in source.cells:
        most = _MOST_LINES_OF_THE_CHAPTER if _IS_CHAPTER in cell.tags else _MOST_LINES
        count = len(cell.text.splitlines())
        if cell.kind == "code" and not source.is_exercise and count > most:
            yield f"{count} lines, at most {most}, in cell {cell.text.partition(chr(10))[0]!r}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if not key.startswith("image/"):
                yield from _texts(one)
