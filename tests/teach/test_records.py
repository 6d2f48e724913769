from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

import nbdeploy
from nbdeploy.teach import check, report, reset
from nbdeploy.teach.records import Progress
from nbdeploy.teach.steps import find_step, step

pytestmark = pytest.mark.usefixtures("even_step")


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_report_holds_what_a_teacher_wants_to_know(in_tmp):
    step("demo.2", title="Never tried")(lambda: "")
    check("demo.1", 3)
    check("demo.1", 4)
    report()
    written = json.loads((in_tmp / "report.json").read_text())
    passed_at = written["steps"][0].pop("first_passed_at")
    assert datetime.now(UTC) - datetime.fromisoformat(passed_at) < timedelta(minutes=1)
    assert written["nbdeploy"] == nbdeploy.__version__
    assert written["passed"] == 1
    assert written["steps"] == [
        {"step": "demo.1", "title": "Give an even number", "passed": True, "attempts": 2},
        {
            "step": "demo.2",
            "title": "Never tried",
            "passed": False,
            "attempts": 0,
            "first_passed_at": None,
        },
    ]


def test_the_report_shows_itself_as_a_table(in_tmp):
    check("demo.1", 3)
    shown = report("mine.json")
    assert repr(shown).splitlines() == [
        "step    what                 state    attempts",
        "demo.1  Give an even number  not yet         1",
        "0 of 1 steps passed",
    ]
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == repr(shown)
    assert "<bdi>not yet</bdi>" in bundle["text/html"]
    assert [path.name for path in in_tmp.iterdir()] == ["mine.json"]


def test_a_report_makes_its_folder(in_tmp):
    report("work/report.json")
    assert json.loads((in_tmp / "work/report.json").read_text())["steps"] == []


def test_a_report_without_any_attempt_is_empty(in_tmp):
    assert "0 of 0 steps passed" in repr(report())


def test_the_time_of_the_first_success_stays():
    times = iter([datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 10, tzinfo=UTC)])
    progress = Progress(clock=lambda: next(times))
    for passed in (False, True, False, True):
        progress.record(find_step("demo.1"), passed=passed)
    (record,) = progress.report().records
    assert record.attempts == 4
    assert record.first_passed_at == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert record.state == "passed"


def test_a_report_that_cannot_be_written_leaves_the_old_one(in_tmp):
    check("demo.1", 4)
    report("old.json")
    before = (in_tmp / "old.json").read_bytes()
    (in_tmp / "old.json.part").mkdir()
    with pytest.raises(OSError, match=r"old\.json\.part"):
        report("old.json")
    assert (in_tmp / "old.json").read_bytes() == before


def test_reset_forgets_one_step_or_all(in_tmp):
    check("demo.1", 4)
    reset("demo.1")
    assert "0 of 0 steps passed" in repr(report())
    check("demo.1", 4)
    reset()
    assert "0 of 0 steps passed" in repr(report())
