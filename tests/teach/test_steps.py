from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import signature

import pytest

from nbdeploy.teach import lessons, step
from nbdeploy.teach.steps import find_step, steps_of

LESSONS = [found.name for found in pkgutil.iter_modules(lessons.__path__)]


def test_a_name_without_a_lesson_is_refused():
    with pytest.raises(ValueError, match="'7' has no lesson"):
        step("7", title="Nothing")(lambda: "")


def test_a_cell_that_registers_a_step_may_be_run_again():
    def register():
        @step("demo.5", title="Again")
        def again():
            return "again"

    register()
    register()
    assert find_step("demo.5").title == "Again"


def test_another_function_cannot_take_the_name_of_a_step(even_step):
    with pytest.raises(ValueError, match=r"'demo.1' already has a check, .*is_even"):

        @step("demo.1", title="Other")
        def other():
            return "other"


def test_steps_are_in_the_order_of_their_numbers():
    for number in (10, 2, 1):
        exec(f"def check_{number}(): return ''", scope := {"__name__": __name__})
        step(f"demo.{number}", title=str(number))(scope[f"check_{number}"])
    assert [found.name for found in steps_of("demo")] == ["demo.1", "demo.2", "demo.10"]


@pytest.mark.parametrize("module", LESSONS)
def test_every_lesson_has_steps_with_titles_hints_and_named_objects(module):
    import_module(f"nbdeploy.teach.lessons.{module}")
    found = steps_of(module.removeprefix("lesson_"))
    assert found
    for one in found:
        assert len(one.title.split()) > 1
        assert len(one.hints) >= 2, "a ladder has at least two rungs"
        assert all(rung.endswith((".", "`")) for rung in one.hints)
        assert signature(one.examine).parameters
