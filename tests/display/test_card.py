from __future__ import annotations

import dataclasses

import pytest

from nbdeploy.display.card import ServiceCard
from nbdeploy.display.members import members_of_report
from tests.hostile import HOSTILE, assert_harmless, assert_visible

CURL = "curl http://127.0.0.1:43210/predict \\\n  -d '{\"features\": [5.8, 3.0]}'"
CARD = ServiceCard(
    name="iris",
    model_type="LogisticRegression",
    state="running",
    url="http://127.0.0.1:43210",
    browser_url="http://127.0.0.1:43210/docs",
    methods=("/predict", "/predict_proba"),
    schema=(("petal length (cm)", "number", "1.0 to 6.9"), ("species", "text", "one of 3")),
    who_may_call="Any program on this machine can call it.",
    curl=CURL,
    notes=("It replaces the model that was deployed before.",),
    version="1.0",
)
GOLDEN = """\
iris: LogisticRegression, running
  endpoints  /predict, /predict_proba
  access     Any program on this machine can call it.
  input      petal length (cm)  number  1.0 to 6.9
             species            text    one of 3
  note       It replaces the model that was deployed before."""


MEMBER = {
    "requests": 3,
    "errors": 1,
    "late": 0,
    "avg_latency": 0.002,
    "disagreement": 0.5,
    "names_classes": True,
}


def changed(**fields):
    return dataclasses.replace(CARD, **fields)


def wide(columns):
    return changed(schema=tuple((f"x{number}", "number", "") for number in range(columns)))


def test_the_text_is_the_golden_one():
    assert CARD.to_text() == GOLDEN


def test_the_text_and_the_repr_hold_no_port_and_no_address():
    for text in (CARD.to_text(), repr(CARD)):
        assert "43210" not in text
        assert "127.0.0.1" not in text
    moved = changed(url="http://10.0.0.1:9", browser_url="/proxy/9/", curl="curl http://10.0.0.1:9")
    assert moved.to_text() == CARD.to_text()
    assert repr(CARD) == "<ServiceCard 'iris' running>"


def test_the_html_tells_every_fact():
    parsed = assert_harmless(CARD.to_html())
    facts = ["iris", "1.0", "LogisticRegression", "running", CARD.url, "/predict_proba", CURL]
    facts += ["petal length (cm)", "1.0 to 6.9", CARD.who_may_call, *CARD.notes]
    for fact in facts:
        assert fact in parsed.text
    assert ("href", "http://127.0.0.1:43210/docs") in parsed.attributes


def test_a_notebook_gets_both_forms():
    bundle = CARD._repr_mimebundle_()
    assert bundle == {"text/plain": GOLDEN, "text/html": CARD.to_html()}


def test_what_is_not_known_leaves_no_empty_line():
    bare = ServiceCard(name="f", model_type="function", state="running", url="http://h:1")
    assert bare.to_text() == "f: function, running"
    assert assert_harmless(bare.to_html()).tags.count("dt") == 1


def test_an_address_that_a_browser_cannot_open_is_no_link():
    parsed = assert_harmless(changed(browser_url=None).to_html())
    assert "a" not in parsed.tags
    assert CARD.url in parsed.text


def test_a_stopped_service_offers_nothing_to_call():
    parsed = assert_harmless(changed(state="stopped").to_html())
    assert "stopped" in parsed.text
    assert "○" in parsed.text
    assert CARD.url not in parsed.text
    assert "curl" not in parsed.text


@pytest.mark.parametrize(("columns", "is_folded"), [(1, False), (8, False), (9, True), (500, True)])
def test_a_wide_schema_is_folded_and_a_huge_one_is_cut(columns, is_folded):
    card = wide(columns)
    parsed = assert_harmless(card.to_html())
    assert ("details" in parsed.tags) is is_folded
    assert parsed.tags.count("tr") == min(columns, 100) + 1
    assert (f"{columns} columns" in parsed.text) is is_folded
    assert len(card.to_text().splitlines()) <= 13


def test_the_text_counts_the_columns_that_it_leaves_out():
    assert wide(30).to_text().splitlines()[-2].strip() == "and 22 more columns"


def test_the_call_in_other_languages_is_folded_until_the_service_stops():
    others = (("Python", "Client('http://x').predict([1])"), ("R", "library(httr2)"))
    parsed = assert_harmless(changed(other_calls=others).to_html())
    assert parsed.tags.count("details") == 2
    assert "Client('http://x').predict([1])" in parsed.text
    stopped = assert_harmless(changed(other_calls=others, state="stopped").to_html())
    assert "httr2" not in stopped.text


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ServiceCard)])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hostile_becomes_a_tag_or_an_attribute(field, hostile):
    values = {
        "methods": (hostile, "/predict"),
        "schema": ((hostile, hostile, hostile),) * 9,
        "notes": (hostile,),
        "other_calls": ((hostile, hostile),),
        "members": members_of_report({hostile: {**MEMBER, "model": hostile}}),
    }
    card = changed(**{field: values.get(field, hostile)})
    parsed = assert_harmless(card.to_html())
    assert_visible(card.to_text())
    if hostile and field in {"name", "model_type", "version", "who_may_call", "url", "notes"}:
        twin = assert_harmless(changed(**{field: ("x",) if field == "notes" else "x"}).to_html())
        assert parsed.tags == twin.tags
