from __future__ import annotations

import pytest
from builder.command import main

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
