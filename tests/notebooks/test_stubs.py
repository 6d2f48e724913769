"""An exercise as the learner gets it: everything runs but the checks of what is not solved."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder.execution import run, sandbox
from builder.notebook import code_cells, read_notebook
from builder.source import LANGUAGES, Role, read_sources

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXERCISES = [
    edition.path
    for source in read_sources(NOTEBOOKS / "src")
    for edition in source.editions()
    if edition.role is Role.EXERCISE and edition.language == LANGUAGES[0]
]


def errors_of(notebook):
    return {
        cell.source: (output.ename, output.evalue)
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error"
    }


@pytest.mark.acceptance
@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_a_stub_fails_at_its_check_and_nowhere_else(path):
    notebook = read_notebook(NOTEBOOKS / path)
    for cell in code_cells(notebook):
        cell.metadata["tags"] = ["raises-exception"]
    with sandbox() as box:
        run(notebook, box)

    errors = errors_of(notebook)

    checks = {cell.source for cell in code_cells(notebook) if cell.source.startswith("check(")}
    assert set(errors) == checks
    assert {name for name, _ in errors.values()} == {"CheckFailed"}
    for _, message in errors.values():
        assert "is not done yet" in message
        assert 'hint("' in message
