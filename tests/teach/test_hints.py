from __future__ import annotations

import pytest

from nbdeploy.teach import UnknownStepError, hint, reset

pytestmark = pytest.mark.usefixtures("even_step")


def test_each_call_goes_one_rung_up_and_the_last_stays():
    texts = [repr(hint("demo.1")) for _ in range(4)]
    assert texts == [
        "Hint 1 of 3 for step demo.1: Try `2`.",
        "Hint 2 of 3 for step demo.1: Or `4`.",
        "Hint 3 of 3 for step demo.1: 4 it is.",
        "Hint 3 of 3 for step demo.1: 4 it is.",
    ]


def test_in_a_notebook_all_hints_so_far_are_folded():
    hint("demo.1")
    html = hint("demo.1").to_html()
    assert html.count("<details><summary>") == 2
    assert "<code>4</code>" in html
    assert "4 it is" not in html


def test_reset_starts_the_ladder_again():
    hint("demo.1")
    reset("demo.1")
    assert "Hint 1 of 3" in repr(hint("demo.1"))


def test_a_hint_for_an_unknown_step_names_the_steps():
    with pytest.raises(UnknownStepError, match=r"demo\.1 \(Give an even number\)"):
        hint("demo.9")


def test_a_step_without_hints_says_so():
    from nbdeploy.teach import step

    step("demo.3", title="No ladder")(lambda: "")
    assert repr(hint("demo.3")) == "There is no hint for step demo.3."
    assert "no hint" in hint("demo.3").to_html()
