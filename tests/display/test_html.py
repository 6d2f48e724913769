from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.display.html import Html, element, escape, fragment, link, visible
from nbdeploy.display.html import style as style_sheet
from tests.hostile import HOSTILE, Parsed, assert_harmless, assert_visible

every_hostile = pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)


@every_hostile
def test_hostile_text_is_text_wherever_it_stands(hostile):
    inside = element("p", hostile, element("span", hostile, class_=hostile), class_="own")
    parsed = assert_harmless(inside)
    assert parsed.tags == ["p", "span"]
    assert [name for name, _ in parsed.attributes] == ["class", "class"]
    assert parsed.attributes[1] == ("class", visible(hostile))
    assert parsed.text == visible(hostile) * 2


@given(st.text())
def test_what_is_escaped_is_read_back_as_it_is_shown(text):
    parsed = Parsed(element("p", text))
    assert parsed.tags == ["p"]
    assert parsed.text == visible(text)
    assert_visible(visible(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ham\x00spam", r"ham\x00spam"),
        ("model\u202egnp.exe", r"model\u202egnp.exe"),
        ("a\nb", r"a\nb"),
        ("churn\ud800", r"churn\ud800"),
        ("churn\U000e0063", r"churn\U000e0063"),
        ("שלום 模型 é 👩\u200d🔬", "שלום 模型 é 👩\u200d🔬"),
    ],
)
def test_unseen_characters_are_shown_and_letters_of_any_script_stay(text, shown):
    assert visible(text) == shown


def test_code_keeps_its_lines_and_loses_its_other_controls():
    assert escape("a\n\tb\x1b[2J", keep="\n\t") == "a\n\tb\\x1b[2J"


def test_html_is_not_escaped_twice():
    assert escape(escape("<")) == "&lt;"
    assert element("p", Html("<b>x</b>"), None, 1.5) == "<p><b>x</b>1.5</p>"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "HTTPS://host/a?b=c&d=%20#e", "/user/ann/proxy/8000/"]
)
def test_an_address_of_the_web_becomes_a_link_that_opens_another_tab(url):
    parsed = assert_harmless(link(url, "there").replace("HTTPS", "https"))
    assert parsed.tags == ["a"]
    attributes = dict(parsed.attributes)
    assert attributes["href"].lower() == url.lower()
    assert (attributes["target"], attributes["rel"]) == ("_blank", "noopener")
    assert parsed.text == "there"


@every_hostile
def test_no_hostile_address_becomes_a_link(hostile):
    parsed = assert_harmless(link(hostile))
    assert parsed.tags == ["span"]
    assert parsed.text == visible(hostile)


@pytest.mark.parametrize("sheet", ["code_view", "checklist"])
def test_a_further_sheet_touches_nothing_else_either(sheet):
    written = style_sheet(f"{sheet}.css")
    selectors = re.findall(r"([^{}]+)\{", written.removeprefix("<style>"))
    assert len(selectors) > 4
    assert all(".nbdeploy" in selector for selector in ",".join(selectors).split(","))
    assert len(written) < 2_000


def test_a_fragment_brings_a_style_that_touches_nothing_else():
    html = fragment("text", class_="own")
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", style)
    assert len(selectors) > 10
    for selector in ",".join(selectors).split(","):
        assert ".nbdeploy" in selector
    for word in ("url(", "@import", "http", "!important", "#nbd", "/*", "</"):
        assert word not in style
    assert len(style) < 4_500
    assert html.startswith('<div class="nbdeploy own"><style>')
    assert fragment("text", class_="own") == html
