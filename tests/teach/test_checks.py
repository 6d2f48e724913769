from __future__ import annotations

import sys
import threading

import pytest

from nbdeploy.teach import CheckFailed, UnknownStepError, check, step
from nbdeploy.teach.checks import _patience, examine
from nbdeploy.teach.steps import find_step

pytestmark = pytest.mark.usefixtures("even_step")


def test_a_right_answer_prints_one_line(capsys):
    check("demo.1", 4)
    assert capsys.readouterr().out == "Step demo.1 passed: 4 is even.\n"


def test_a_wrong_answer_says_what_was_expected_what_came_where_to_look_and_names_the_hint(capsys):
    check("demo.1", 3)
    assert capsys.readouterr().out.splitlines() == [
        "Step demo.1 is not done yet.",
        "  Expected: an even number",
        "  Came:     3",
        "  Look at:  the last digit",
        '  Stuck?:   `hint("demo.1")`',
    ]


def test_a_check_may_be_run_again_with_the_same_words(capsys):
    check("demo.1", 3)
    first = capsys.readouterr().out
    check("demo.1", 3)
    assert capsys.readouterr().out == first


def test_in_strict_mode_a_wrong_answer_raises(monkeypatch):
    monkeypatch.setenv("NBDEPLOY_STRICT", "1")
    with pytest.raises(CheckFailed, match="Expected: an even number") as caught:
        check("demo.1", 3)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.__cause__ is None


def test_in_strict_mode_a_right_answer_passes(monkeypatch, capsys):
    monkeypatch.setenv("NBDEPLOY_STRICT", "1")
    check("demo.1", 4)
    assert "passed" in capsys.readouterr().out


def test_an_unsolved_stub_is_recognised(capsys):
    check("demo.1", ...)
    out = capsys.readouterr().out
    assert "Expected: your own `number`" in out
    assert "Came:     the stub `...`" in out


@pytest.mark.parametrize("objects", [(), (1, 2)])
def test_a_wrong_number_of_objects_shows_the_call(objects, capsys):
    check("demo.1", *objects)
    out = capsys.readouterr().out
    assert "Expected: 1 object after the step's name" in out
    assert f"Came:     {len(objects)}" in out
    assert 'check("demo.1", number)' in out


def test_an_object_that_breaks_the_check_is_named_without_a_traceback(capsys):
    check("demo.1", "four")
    out = capsys.readouterr().out
    assert "Expected: give an even number" in out
    assert "Came:     TypeError: not all arguments converted" in out
    assert "Look at:  what you gave: the text 'four'" in out
    assert "Traceback" not in out
    assert "checks.py" not in out


class EndsTheProgram:
    def __mod__(self, _other):
        sys.exit("good bye")


def test_an_object_that_ends_the_program_only_fails_the_check(capsys):
    check("demo.1", EndsTheProgram())
    assert "SystemExit: good bye" in capsys.readouterr().out


def test_a_long_error_is_cut():
    class Talkative:
        def __mod__(self, _other):
            raise ValueError("no " * 1000)

    verdict = examine(find_step("demo.1"), (Talkative(),))
    assert len(verdict.found) < 350
    assert verdict.found.endswith("...")


@pytest.mark.parametrize(("load", "seconds"), [(0.1, 5), (2, 5), (4, 10), (15, 37.5), (300, 60)])
def test_a_class_that_shares_the_machine_gets_more_time(monkeypatch, load, seconds):
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("nbdeploy.teach.checks.usable_cpus", lambda: 2.0)

    assert _patience() == seconds


def test_a_check_that_hangs_ends_at_the_deadline():
    hold = threading.Event()

    @step("demo.2", title="Answer in time")
    def waits(answer):
        hold.wait(60)
        return "late"

    verdict = examine(find_step("demo.2"), (1,), deadline=0.05)
    hold.set()
    assert not verdict.passed
    assert verdict.expected == "an answer within 0.05 seconds"


def test_an_unknown_step_names_a_near_miss_and_the_steps_there_are():
    with pytest.raises(UnknownStepError) as caught:
        check("demo.11", 1)
    assert str(caught.value) == (
        "There is no step 'demo.11'. Did you mean 'demo.1'? "
        "This lesson has: demo.1 (Give an even number)."
    )


def test_an_unknown_lesson_names_the_lessons_there_are():
    with pytest.raises(UnknownStepError, match=r"Did you mean 'demo'\? Lessons with steps: 00, "):
        check("dmo.1", 1)


@pytest.mark.parametrize("name", ["", "3", 1.2, None])
def test_a_name_that_is_no_step_is_refused_with_a_list(name):
    with pytest.raises(UnknownStepError, match="Lessons with steps"):
        check(name, 1)


def test_both_forms_of_a_verdict_tell_the_same_and_are_escaped():
    verdict = examine(find_step("demo.1"), ("<script>",))
    bundle = verdict._repr_mimebundle_()
    assert bundle["text/plain"] == str(verdict)
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "<script>" not in bundle["text/html"]
    assert "<code>hint(&quot;demo.1&quot;)</code>" in bundle["text/html"]
