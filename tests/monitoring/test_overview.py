from __future__ import annotations

import pytest

from nbdeploy.monitoring.monitor import ModelMonitor
from tests.hostile import HOSTILE, assert_harmless, assert_visible

GOLDEN = """\
4 requests, 1 error, 0 cancelled
               requests  errors  error rate    mean     p50     p95     p99     max
last 4                4       1        25 %  250 ms  250 ms  385 ms  397 ms  400 ms
predict               3       1      33.3 %  300 ms  304 ms  390 ms  398 ms  400 ms
predict_proba         1       0         0 %  100 ms  100 ms  100 ms  100 ms  100 ms
version 1.0           2       0         0 %  150 ms  150 ms  195 ms  199 ms  200 ms
by status 422: 1; ok: 3
predicted 0: 100 %
predicted by 1.0 0: 100 %
rejected invalid_rows: 1
0.4/s in the last minute, 0 in flight, up 10 s"""


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def monitor():
    clock = Clock()
    monitor = ModelMonitor(clock=clock)
    monitor.log_prediction([1], 0, 0.1, endpoint="predict_proba", version="1.0")
    monitor.log_prediction([1], 0, 0.2, version="1.0")
    monitor.log_prediction([1], 0, 0.3)
    monitor.log_prediction([1], 0, 0.4, error="down", status=422)
    clock.now = 10.0
    return monitor


def test_the_text_is_the_golden_one(monitor):
    assert monitor.to_text() == GOLDEN


def test_stages_and_numbers_are_told_in_a_line_each(monitor):
    monitor.details.add_stages(parse=0.001, predict=0.003)
    monitor.log_prediction([1], [1.5, 2.5], 0.1, version="2.0")
    lines = monitor.to_text().splitlines()
    assert "predicted by 2.0 1.5 to 2.5, 2 on average" in lines
    assert "stages parse: 1.00 ms; predict: 3.00 ms" in lines


def test_a_notebook_gets_the_same_facts_in_both_forms(monitor):
    bundle = monitor._repr_mimebundle_()
    assert bundle["text/plain"] == GOLDEN
    parsed = assert_harmless(bundle["text/html"])
    for line in GOLDEN.splitlines():
        for fact in line.split("  "):
            assert fact.strip() in parsed.text


def test_an_empty_monitor_says_so():
    monitor = ModelMonitor(clock=Clock())
    assert monitor.to_text() == "No requests yet\n0/s in the last minute, 0 in flight, up 0 s"
    assert "No requests yet" in assert_harmless(monitor.to_html()).text


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_stay_text(hostile):
    monitor = ModelMonitor()
    monitor.log_prediction([1], 0, 0.1, endpoint=hostile, version=hostile, error=hostile)
    assert_visible(monitor.to_text())
    parsed = assert_harmless(monitor.to_html())
    assert parsed.tags.count("tr") == 4
