from __future__ import annotations

from pathlib import Path

import pytest
from builder.notebook import compose
from builder.source import Cell, Source


@pytest.mark.parametrize(
    ("solution", "stub"),
    [
        ("a = 1", "a = ..."),
        ("a = b = 1\na = 2", "a = ...\nb = ..."),
        ("(a, b), _c = (1, 2), 3", "a = ...\nb = ..."),
        ("def f():\n    inner = 1\n\n\nclass C:\n    x = 1", "f = ...\nC = ..."),
        ("for n in range(3):\n    a = n", "..."),
        ("print(1)", "..."),
        ("before['a'] = 1", "..."),
        ("box = {}\nbox['a'] = 1\nbox.b = 2", "box = ..."),
    ],
)
def test_what_a_solution_defines_is_a_stub_that_a_check_can_name(solution, stub):
    cell = Cell("code", f"before = 0\n# solution\n{solution}")
    source = Source(Path("exercises/ex.py"), (cell,))

    exercise, _ = (compose(source, edition) for edition in source.editions())

    written = stub.replace("...", "...  # your code here")
    assert exercise.cells[0].source == f"before = 0\n{written}"


def test_lines_of_a_chinese_paragraph_are_joined_without_a_space():
    cells = (
        Cell("markdown", "One,\ntwo.\n\n- Three\n- `four`"),
        Cell(
            "markdown",
            "第一行，\n第二行，\n`code`，\n3 行：\n- 第三行\n- `four`\n1. 五。\n2. 六",
            "zh-TW",
        ),
    )
    source = Source(Path("lesson.py"), cells)

    english, chinese = (compose(source, edition).cells for edition in source.editions())

    assert [cell.source for cell in english] == ["One,\ntwo.\n\n- Three\n- `four`"]
    assert [cell.source for cell in chinese] == [
        "第一行，第二行，`code`，3 行：\n- 第三行\n- `four`\n1. 五。\n2. 六"
    ]
