import json

import numpy as np
import pytest

from nbdeploy import ModelMonitor
from nbdeploy.monitoring.statistics import Tally
from nbdeploy.monitoring.timeline import History, Stretch, Timeline


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def part_of(*latencies):
    return Stretch(Tally.of(np.array(latencies), ["ok"] * len(latencies), [1] * len(latencies)))


def add(timeline, moment, *latencies):
    timeline.add(timeline.place_of(moment), part_of(*latencies))


def rates(history):
    return [moment.requests for moment in history.moments()]


def test_what_ended_is_told_by_stretches_of_two_seconds():
    clock = Clock()
    monitor = ModelMonitor(clock=clock)
    for second in range(6):
        for number in range(10 * (second + 1)):
            error = "broken" if number == 0 else None
            monitor.log_prediction([1], "yn"[number % 2], 0.01 * (second + 1), error=error)
        clock.now += 1

    moments = monitor.timeline()

    assert [moment.age for moment in moments] == [6, 4, 2, 0]
    assert [moment.requests for moment in moments] == [15, 35, 55, 0]
    assert [moment.errors for moment in moments] == [1, 1, 1, 0]
    assert [moment.predictions.rows for moment in moments] == [28, 68, 108, 0]
    assert moments[1].predictions.shares() == {"n": 35 / 68, "y": 33 / 68}
    assert moments[2].p95 == pytest.approx(0.06, rel=0.03)
    assert moments[3].p95 is None


def test_quiet_times_are_told_and_the_past_is_forgotten():
    timeline = Timeline()
    add(timeline, 0.0, 0.1)
    add(timeline, 20.0, 0.1)

    assert rates(timeline.seen_at(21.0)) == [0.5, *[0.0] * 9, 1.0]
    assert rates(timeline.seen_at(400.0)) == []
    add(timeline, 400.0, 0.1)
    assert len(rates(timeline.seen_at(401.0))) == 1


def test_memory_is_bounded_however_long_it_runs():
    timeline = Timeline()
    for second in range(0, 36_000, 2):
        add(timeline, second, 0.01, 0.02)

    assert len(rates(timeline.seen_at(35_999.0))) == 150
    assert len(timeline._stretches) <= 151


def test_what_was_seen_stays_as_it_was():
    timeline = Timeline()
    add(timeline, 10.0, 0.1)
    seen = timeline.seen_at(11.0)

    add(timeline, 10.5, 0.1, 0.2)

    assert rates(seen) == [1.0]
    assert rates(timeline.seen_at(11.0)) == [3.0]


def test_several_histories_add_up_by_their_age():
    one, two = Timeline(), Timeline()
    add(one, 10.0, 0.1)
    add(one, 14.0, 0.1, 0.1)
    # Another process counts from another moment.
    add(two, 1_000_004.0, 0.2)

    both = History.merged([one.seen_at(15.0), two.seen_at(1_000_005.0)])

    assert rates(both) == [0.5, 0.0, 3.0]
    assert both.moments()[-1].p99 == pytest.approx(0.2, rel=0.03)
    written = json.loads(json.dumps(both.to_dict()))
    assert rates(History.from_dict(written)) == rates(both)


def test_a_merged_monitor_has_it_and_a_reset_forgets():
    monitor = ModelMonitor()
    monitor.log_prediction([1], 1, 0.01)

    (moment,) = ModelMonitor.merged([monitor, monitor]).timeline()
    assert moment.predictions.rows == 2
    monitor.reset()
    assert monitor.timeline() == []
