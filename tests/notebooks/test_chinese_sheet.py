"""The cheat sheet in Chinese: the code of the English one, which is run, and good words."""

from __future__ import annotations

import re
from pathlib import Path

from builder.chinese import faults, read_terms

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ENGLISH, CHINESE = (NOTEBOOKS / folder / "cheat_sheet.md" for folder in ("", "zh-TW"))


def test_the_chinese_sheet_has_the_code_and_the_parts_of_the_english_one():
    english, chinese = (path.read_text(encoding="utf-8") for path in (ENGLISH, CHINESE))
    for part in (r"```.*?```", "`[^`\n]+`"):
        assert re.findall(part, chinese, re.DOTALL) == re.findall(part, english, re.DOTALL)
    assert chinese.count("**") == english.count("**")


def test_the_chinese_sheet_reads_as_the_lessons_do():
    assert list(faults(CHINESE.read_text(encoding="utf-8"), read_terms(NOTEBOOKS))) == []
