from __future__ import annotations

from pathlib import Path

import pytest
from builder.chinese import read_terms
from builder.notebook import compose
from builder.source import Cell, Source
from builder.twins import review_twins, stale_twins

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TERMS = {"默認": "預設", "客戶端": "用戶端", "用戶": "使用者"}


def problems(english: str, chinese: str) -> list[str]:
    cells = Cell("markdown", english), Cell("markdown", chinese, "zh-TW")
    return list(review_twins(Source(Path("lesson.py"), cells), frozenset(), TERMS))


@pytest.mark.parametrize(
    ("english", "chinese", "problem"),
    [
        ("Call `stop()`", "呼叫 `stop`", "the twin lacks code: stop()"),
        ("Call it", "呼叫 `stop()`", "only the twin has code: stop()"),
        ("See [here](a.md)", "請看[這裡](b.md)", "the twin lacks links: a.md"),
        ("# A lesson", "一課", "the twin has other headings or list items"),
        ("An answer", "服务的回應", "not Traditional Chinese: '务'"),
        ("A user", "用戶", "'用戶' is written '使用者'"),
        ("By default", "默認", "'默認' is written '預設'"),
        ("A port", "一個port", "a space between Chinese and Latin letters"),
        ("Yes, it does", "對,會的", "a full-width mark after Chinese"),
        ("**Look:** here", "**注意：**這裡", "marks outside of bold"),
        ("The **best**", "那**「最好」**的", "marks outside of bold"),
        ("*Open* it", "*打開*它", "bold or 「」 instead of slanted Chinese"),
    ],
)
def test_twins_that_do_not_agree_or_read_badly_are_noticed(english, chinese, problem):
    found = problems(english, chinese)
    assert any(problem in line and chinese[:9] in line for line in found)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("Call `stop()`: **all** ends.", "呼叫 `stop()`：**全部**都會結束。"),
        ("Really? See https://a.example/b, p95.", "真的嗎？請看 https://a.example/b 的 p95。"),
        ("See [here](a.md)", "請看[這裡](../a.md)"),
        ("**A**; **B** is", "**甲**；**乙**是"),
        ("A client", "用戶端"),
        ("Write `默认` or 3 %", "寫 `默认` 或 3 %"),
    ],
)
def test_twins_that_read_well_pass(english, chinese):
    assert problems(english, chinese) == []


ENGLISH, CHINESE = Cell("markdown", "How long?"), Cell("markdown", "多久？", "zh-TW")
CODE = Cell("code", "1 + 1")


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ((ENGLISH, CHINESE, ENGLISH, CODE), "text without a twin in zh-TW: How long?"),
        ((ENGLISH, CHINESE, CODE, CHINESE), "text without a twin in en: 多久？"),
        ((ENGLISH, CODE, CHINESE), "text without a twin in zh-TW: How long?"),
    ],
)
def test_a_text_without_its_twin_is_named(cells, problem):
    assert problem in list(review_twins(Source(Path("lesson.py"), cells), frozenset(), {}))


@pytest.mark.parametrize(
    ("english", "chinese", "told"),
    [
        ("How long?", "多久？", []),
        ("How long, in seconds?", "多久？", ["the English of 'How long, in seconds?' changed"]),
        ("How long, in seconds?", "幾秒？", []),
        ("How long?", "要多久？", []),
    ],
)
def test_a_twin_that_stayed_behind_is_noticed_when_it_is_built(english, chinese, told):
    before = Source(Path("lesson.py"), (ENGLISH, CHINESE, CODE))
    cells = Cell("markdown", english), Cell("markdown", chinese, "zh-TW"), CODE
    stored = [compose(before, edition) for edition in before.editions()]
    found = list(stale_twins(Source(Path("lesson.py"), cells), *stored))
    assert [line[: len(told[0])] for line in found] == told
    assert list(stale_twins(before, None, stored[1])) == []


def test_the_table_of_the_course_is_read():
    terms = read_terms(NOTEBOOKS)
    assert terms["數據"] == "資料"
    assert terms["默認"] == "預設"
    assert not set(terms) & set(terms.values())
