from __future__ import annotations

from pathlib import Path

import pytest
from builder.command import main
from builder.lengths import table
from builder.source import Cell, Source

CHINESE = '\n\n# %% [markdown] lang="zh-TW"\n# 短\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# %%\n" + "x = 1\n" * 13, "13 lines, at most 12, in cell 'x = 1'"),
        ('# %% tags=["chapter"]\n' + "x = 1\n" * 41, "41 lines, at most 40, in cell 'x = 1'"),
        ("# %%\nx = 1\n" * 17, "17 code cells, at most 16"),
        ("# %% [markdown]\n# " + "word " * 1201 + CHINESE, "1201 words in en, at most 1200"),
        (
            '# %% [markdown]\n# word\n\n# %% [markdown] lang="zh-TW"\n# ' + "字" * 1801,
            "1801 characters in zh-TW, at most 1800",
        ),
    ],
)
def test_a_lesson_that_is_too_long_is_refused(tmp_path, capsys, text, problem):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/long.py").write_text(text, encoding="utf-8")
    assert main(["--root", str(tmp_path), "long"]) == 1
    assert capsys.readouterr().err == f"long.py: {problem}\n"


def test_the_table_shows_lengths_and_run_times_of_both_languages():
    texts = Cell("markdown", "How long is it?"), Cell("markdown", "這有多長？", "zh-TW")
    sources = [
        Source(Path("lesson.py"), (*texts, Cell("code", "1 + 1"))),
        Source(Path("exercises/ex1.py"), (texts[0],)),
    ]
    assert table(sources, {"lesson": 12.34}).splitlines() == [
        "notebook             words  characters  code cells  seconds",
        "lesson                   4           4           1     12.3",
        "exercises/ex1            4           -           0        -",
        "at most in a lesson  1,200       1,800          16       60",
    ]
