"""A percent script as cells in two languages, and the editions to be made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

__all__ = ["LANGUAGES", "Cell", "Edition", "Role", "Source", "SourceError", "read_sources"]

# The first is the one that every text is written in; code is the same in all.
LANGUAGES = ("en", "zh-TW")
_EXERCISES = "exercises"
_SOLUTIONS = "solutions"
_METADATA = {"jupyter", "tags"}
# What jupytext notes of the blank lines in the script.
_LAYOUT = {"lines_to_next_cell", "lines_to_end_of_cell_marker"}


class SourceError(Exception):
    """A script cannot be made into a notebook."""


class Role(StrEnum):
    """What a notebook is for."""

    LESSON = "lesson"
    EXERCISE = "exercise"
    SOLUTION = "solution"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a script.

    Parameters
    ----------
    kind
        ``"markdown"`` or ``"code"``.
    text
        What stands in it.
    language
        Of a text cell; code cells carry the first language and are in all editions.
    metadata
        What the notebook keeps of the cell: tags, folded input.
    """

    kind: str
    text: str
    language: str = LANGUAGES[0]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        """The tags of the cell."""
        return list(self.metadata.get("tags", []))


@dataclass(frozen=True, slots=True)
class Edition:
    """A notebook to be made: one source, one language, one role.

    Parameters
    ----------
    path
        Where it is kept, below the folder of the notebooks.
    role
        What it is for.
    language
        Which text cells it has.
    """

    path: Path
    role: Role
    language: str

    @property
    def is_executed(self) -> bool:
        """Whether the notebook is stored with outputs."""
        return self.role is not Role.EXERCISE


@dataclass(frozen=True, slots=True)
class Source:
    """A percent script.

    Parameters
    ----------
    path
        Of the script, below the folder of the sources: ``exercises/ex1.py``.
    cells
        All cells, of every language, in their order.
    """

    path: Path
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The name of the notebook, without folder and ending."""
        return self.path.stem

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the script has a text cell in."""
        found = {cell.language for cell in self.cells}
        return tuple(language for language in LANGUAGES if language in found)

    @property
    def is_exercise(self) -> bool:
        """Whether the script is a solution from which an exercise is cut."""
        return self.path.parts[0] == _EXERCISES

    def editions(self) -> list[Edition]:
        """List the notebooks to be made of the script."""
        made = []
        for language in self.languages:
            folder = Path() if language == LANGUAGES[0] else Path(language)
            own = folder / self.path.with_suffix(".ipynb")
            if self.is_exercise:
                solved = own.parent / _SOLUTIONS / own.name
                made.append(Edition(own, Role.EXERCISE, language))
                made.append(Edition(solved, Role.SOLUTION, language))
            else:
                made.append(Edition(own, Role.LESSON, language))
        return made

    def cells_in(self, language: str) -> list[Cell]:
        """List the cells of one language: its text and all code, the same in every language."""
        return [cell for cell in self.cells if cell.kind == "code" or cell.language == language]

    def missing_twins(self) -> list[str]:
        """Name the text cells without a twin.

        A twin is the text cell of the other language that directly follows.
        """
        first, second = LANGUAGES
        texts = [cell for cell in self.cells if cell.kind == "markdown"]
        problems = []
        for position, cell in enumerate(self.cells):
            if cell not in texts:
                continue
            wanted, step = (second, 1) if cell.language == first else (first, -1)
            neighbour = position + step
            twin = self.cells[neighbour] if 0 <= neighbour < len(self.cells) else None
            if twin is None or twin.kind != "markdown" or twin.language != wanted:
                problems.append(f"text without a twin in {wanted}: {_start(cell.text)}")
        return problems


def read_sources(folder: Path) -> list[Source]:
    """Read all scripts below a folder, in the order of their names.

    Raises
    ------
    SourceError
        If a cell is of no known kind or language.
    """
    return [_read(path, folder) for path in sorted(folder.rglob("*.py"))]


def _read(path: Path, folder: Path) -> Source:
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    name = path.relative_to(folder)
    try:
        return Source(name, tuple(_cell(raw) for raw in notebook.cells))
    except SourceError as error:
        message = f"{name}: {error}"
        raise SourceError(message) from None


def _cell(raw: NotebookNode) -> Cell:
    metadata = {key: value for key, value in raw.metadata.items() if key not in _LAYOUT}
    language = metadata.pop("lang", LANGUAGES[0])
    message = ""
    if raw.cell_type not in {"markdown", "code"}:
        message = f"a {raw.cell_type} cell; only text and code cells are used."
    elif language not in LANGUAGES:
        message = f"a cell in {language!r}; languages are {', '.join(LANGUAGES)}."
    elif raw.cell_type == "code" and language != LANGUAGES[0]:
        message = "a code cell has a language; code is the same in all."
    elif not metadata.keys() <= _METADATA:
        message = f"a cell with {', '.join(metadata)}; known are {', '.join(sorted(_METADATA))}."
    if message:
        raise SourceError(message)
    return Cell(raw.cell_type, raw.source, language, metadata)


def _start(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) < 60 else f"{line[:57]}..."  # noqa: PLR2004 -- fits a line of a terminal
