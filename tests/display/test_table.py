from __future__ import annotations

import pytest

from nbdeploy.display.table import Table, shortened, width
from tests.hostile import HOSTILE, assert_harmless, assert_visible

TABLE = Table(
    ("column", "type", "count"),
    (("island", "text", "344"), ("體重", "數字", "2"), ("year", "", "")),
    right=("count",),
)


def test_the_text_is_aligned_for_every_script():
    assert TABLE.to_text() == (
        "column  type  count\n"
        "island  text    344\n"
        "體重    數字      2\n"
        "year"
    )  # fmt: skip
    assert str(TABLE) == TABLE.to_text()


def test_the_html_holds_the_same_cells():
    parsed = assert_harmless(TABLE.to_html())
    assert parsed.tags.count("td") == 9
    assert parsed.texts == ["column", "type", "count", "island", "text", "344", "體重", "數字", "2", "year"]  # fmt: skip # noqa: E501
    assert parsed.attributes.count(("class", "nbd-right")) == 4


def test_a_notebook_gets_both_forms():
    bundle = TABLE._repr_mimebundle_(include=None, exclude=None)
    assert bundle == {"text/plain": TABLE.to_text(), "text/html": TABLE.to_html()}
    assert repr(TABLE) == "<Table of 3 rows>"


@pytest.mark.parametrize("rows", [0, 1, 99, 100, 101, 5_000])
def test_what_is_too_long_is_counted(rows):
    table = Table(("n",), [(str(number),) for number in range(rows)], noun="column")
    lines = table.to_text().splitlines()
    assert len(lines) == 1 + min(rows, 100) + (rows > 100)
    more = {101: "and 1 more column", 5_000: "and 4,900 more columns"}.get(rows)
    assert (lines[-1] == more) is (more is not None)
    assert assert_harmless(table.to_html()).tags.count("td") == min(rows, 100)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_cells_stay_in_their_line_and_are_text(hostile):
    table = Table(("name", hostile), ((hostile, "1"), ("x", hostile)), right=(hostile,))
    assert len(table.to_text().split("\n")) == 3
    assert_visible(table.to_text())
    parsed = assert_harmless(table.to_html())
    assert parsed.tags.count("td") == 4
    assert len(table.to_html()) < 20_000


def test_widths_are_those_of_a_terminal():
    assert [width(text) for text in ("", "model", "模型", "e\u0301")] == [0, 5, 4, 1]


def test_a_text_of_the_right_length_is_not_cut():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
