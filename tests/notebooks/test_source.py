from __future__ import annotations

import pytest
from builder.command import main


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('# %% lang="zh-TW"\n1\n', "a code cell has a language"),
        ('# %% [markdown] lang="fr"\n# oui\n', "a cell in 'fr'; languages are en, zh-TW"),
        ('# %% tag=["x"]\n1\n', "a cell with tag; known are jupyter, tags"),
        ("# %% [raw]\n# raw\n", "a raw cell; only text and code cells"),
    ],
)
def test_a_cell_of_no_known_kind_is_refused(tmp_path, capsys, text, problem):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/odd.py").write_text(text, encoding="utf-8")
    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert problem in capsys.readouterr().err
