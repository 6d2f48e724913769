from __future__ import annotations

from datetime import UTC, datetime

from nbdeploy.teach import check, progress, reset
from nbdeploy.teach.course import Course, LessonProgress
from nbdeploy.teach.records import StepRecord

NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
RIGHT = [0.01] * 18 + [0.3] * 2


def lesson(name, *passed):
    steps = [
        StepRecord(f"{name}.{number}", f"Do {name}.{number}", 1, NINE if done else None)
        for number, done in enumerate(passed, 1)
    ]
    return LessonProgress(name, f"about {name}", tuple(steps))


def test_every_lesson_is_there_in_the_order_of_the_course():
    names = [one.lesson for one in progress().lessons]

    assert names[:3] == ["00", "quickstart", "01"]
    assert names[3:] == sorted(names[3:])
    assert all(one.title and one.records for one in progress().lessons)


def test_what_was_passed_is_marked_and_what_comes_next_is_said():
    check("04.1", RIGHT)

    course = progress()

    assert course.passed == 1
    assert next(one for one in course.lessons if one.lesson == "04").marks == "●○"
    assert course.summary.startswith(f"1 of {course.total} steps passed. Next: 04.2, ")


def test_it_goes_on_where_the_student_is_and_comes_back_to_what_was_left_out():
    begun = Course((lesson("00", False), lesson("01", True, True), lesson("02", False)))
    at_the_end = Course((lesson("00", False), lesson("01", True), lesson("02", True)))

    assert begun.next_step.step == "02.1"
    assert at_the_end.next_step.step == "00.1"


def test_who_is_through_is_told_so():
    assert Course((lesson("00", True),)).summary == "1 of 1 steps passed. You are through."


def test_nothing_begins_at_the_beginning():
    assert progress().next_step.step == "00.1"


def test_text_and_html_tell_the_same():
    course = Course((lesson("00", True, False),))

    assert repr(course).splitlines() == [
        "lesson  what      steps  passed",
        "00      about 00  ●○     1 of 2",
        "1 of 2 steps passed. Next: 00.2, do 00.2.",
    ]
    assert "●○" in course.to_html()
    assert "Next: 00.2" in course.to_html()


def test_another_kernel_knows_what_was_passed_in_this_one(run_script):
    check("04.1", RIGHT)
    code = "from nbdeploy.teach import progress; print(progress().passed)"

    assert run_script(code) == "1"
    reset("04.1")
    assert run_script(code) == "0"
