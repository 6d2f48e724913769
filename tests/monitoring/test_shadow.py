from __future__ import annotations

import math

from nbdeploy.monitoring.shadow import Change, ShadowLog


def test_rows_agree_as_equal_is_meant_everywhere():
    log = ShadowLog("1.1")

    log.compare([1.0, "a", math.nan, 1], [1.0 + 1e-12, "a", None, 1])
    log.compare([1.0, "a"], [1.1, "b"])

    report = log.report()
    assert (report.requests, report.rows, report.agreed) == (2, 6, 4)
    assert report.agreement == 4 / 6


def test_changed_rows_name_the_answer_that_the_caller_got():
    log = ShadowLog("1.1")

    log.compare(["a", "b"], ["a", "c"], prediction_id="id1")

    assert log.report().changes == (Change("id1", 1, "b", "c"),)


def test_changes_are_counted_by_kind_the_commonest_first():
    log = ShadowLog("1.1")

    log.compare(["a", "a", "b", "b", "b"], ["b", "b", "a", "b", "a"])
    log.compare(["a"], ["b"])

    assert log.report().pairs == (("a", "b", 3), ("b", "a", 2))


def test_numbers_have_a_mean_change():
    log = ShadowLog("1.1")

    log.compare([1.0, 2.0, None, math.inf], [1.5, 2.5, 3.0, 1.0])

    assert log.report().mean_change == 0.5
    assert ShadowLog("1.1").report().mean_change is None


def test_memory_is_bounded():
    log = ShadowLog("1.1")

    for number in range(3000):
        log.compare([[float(number)]], [[0.5]])

    report = log.report()
    assert len(report.changes) == 100
    assert report.changes[-1].live == [2999.0]
    assert len(report.pairs) == 1000
    assert report.rows == 3000


def test_failures_and_what_was_missed_are_told():
    log = ShadowLog("1.1")

    log.fail(ValueError("no such column " + "x" * 1000))
    log.drop()
    log.time(0.010)

    report = log.report()
    assert (report.requests, report.errors, report.dropped) == (0, 1, 1)
    assert report.last_error.startswith("ValueError: no such column")
    assert len(report.last_error) == 300
    assert report.latency.maximum == 0.010
    assert report.agreement is None
