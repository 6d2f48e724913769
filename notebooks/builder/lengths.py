"""How long the lessons are: in words, in characters, in cells and in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builder.source import LANGUAGES, Source

__all__ = ["LONGEST_RUN", "Length", "table"]

LONGEST_RUN = 60.0
_MOST_WORDS = 1200
_MOST_CHARACTERS = 1800
_MOST_CODE_CELLS = 16
_WORD = re.compile(r"[^\W_][\w'-]*")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Length:
    """What a script holds.

    Parameters
    ----------
    words
        In the English text cells.
    characters
        Chinese characters in the other text cells.
    code_cells
        How many there are, the same in both languages.
    """

    words: int
    characters: int
    code_cells: int

    @classmethod
    def of(cls, source: Source) -> Length:
        """Count what a script holds."""
        words, characters = (
            sum(
                len(pattern.findall(cell.text))
                for cell in source.cells
                if cell.kind == "markdown" and cell.language == language
            )
            for language, pattern in zip(LANGUAGES, (_WORD, _CHINESE), strict=True)
        )
        return cls(words, characters, sum(cell.kind == "code" for cell in source.cells))

    def problems(self, *, is_exercise: bool) -> list[str]:
        """Say what is more than a lesson may hold."""
        limits = [
            (self.words, f"words in {LANGUAGES[0]}", _MOST_WORDS),
            (self.characters, f"characters in {LANGUAGES[1]}", _MOST_CHARACTERS),
        ]
        if not is_exercise:
            limits.insert(0, (self.code_cells, "code cells", _MOST_CODE_CELLS))
        return [f"{count} {what}, at most {most}" for count, what, most in limits if count > most]


def table(sources: Iterable[Source], seconds: Mapping[str, float]) -> str:
    """Write the lengths of all scripts, one a line.

    Parameters
    ----------
    sources
        The scripts.
    seconds
        How long each ran, by its name; code runs once for both languages.
    """
    lengths = [(source, Length.of(source)) for source in sources]
    rows = [
        (
            source.path.with_suffix("").as_posix(),
            f"{length.words:,}",
            f"{length.characters:,}" if length.characters else "-",
            str(length.code_cells),
            f"{seconds[source.name]:.1f}" if source.name in seconds else "-",
        )
        for source, length in lengths
    ]
    limits = (
        f"{_MOST_WORDS:,}",
        f"{_MOST_CHARACTERS:,}",
        str(_MOST_CODE_CELLS),
        f"{LONGEST_RUN:.0f}",
    )
    head = ("notebook", "words", "characters", "code cells", "seconds")
    lines = [head, *rows, ("at most in a lesson", *limits)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(size) if number else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
