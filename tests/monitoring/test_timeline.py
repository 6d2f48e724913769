import numpy as np
import pytest

from nbdeploy import ModelMonitor
from nbdeploy.monitoring.timeline import Timeline


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_what_ended_is_told_by_stretches_of_two_seconds():
    clock = Clock()
    monitor = ModelMonitor(clock=clock)
    for second in range(6):
        for number in range(10 * (second + 1)):
            error = "broken" if number == 0 else None
            monitor.log_prediction([1], 1, 0.01 * (second + 1), error=error)
        clock.now += 1

    moments = monitor.timeline()

    assert [moment.age for moment in moments] == [6, 4, 2, 0]
    assert [moment.requests for moment in moments] == [15, 35, 55, 0]
    assert [moment.errors for moment in moments] == [1, 1, 1, 0]
    assert moments[2].p95 == pytest.approx(0.06, rel=0.03)
    assert moments[3].p95 is None


def test_quiet_times_are_told_and_the_past_is_forgotten():
    timeline = Timeline()
    timeline.add_all([0.0], [0.1], ["ok"])
    timeline.add_all([20.0], [0.1], ["ok"])

    assert [moment.requests for moment in timeline.moments(21.0)] == [0.5, *[0.0] * 9, 1.0]
    assert len(timeline.moments(400.0)) == 0
    timeline.add_all([400.0], [0.1], ["ok"])
    assert len(timeline.moments(401.0)) == 1


def test_memory_is_bounded_however_long_it_runs():
    timeline = Timeline()
    for hour in range(10):
        ended = np.linspace(hour * 3600, hour * 3600 + 3599, 2000).tolist()
        timeline.add_all(ended, [0.01] * 2000, ["ok"] * 2000)

    assert len(timeline.moments(10 * 3600 - 1.0)) <= 150
    assert len(timeline._stretches) <= 151


def test_a_merged_copy_has_none_and_a_reset_forgets():
    monitor = ModelMonitor()
    monitor.log_prediction([1], 1, 0.01)

    assert ModelMonitor.merged([monitor]).timeline() == []
    monitor.reset()
    assert monitor.timeline() == []
