"""Somebody is told once when it goes wrong, and once when it is over."""

import gc
import threading
import weakref

import pytest

from nbdeploy import ModelMonitor
from nbdeploy.exceptions import DeadlineError, ServingError
from nbdeploy.monitoring.alerts import Condition


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Told:
    """What callbacks were told, which come in threads of their own."""

    def __init__(self):
        self.events = []
        self._came = threading.Condition()

    def __call__(self, event):
        with self._came:
            self.events.append(event)
            self._came.notify_all()

    def states(self, count):
        with self._came:
            assert self._came.wait_for(lambda: len(self.events) >= count, 10)
        return [event.state for event in self.events]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def monitor(clock):
    monitor = ModelMonitor(window_size=10, clock=clock, wall_clock=clock)
    yield monitor
    monitor.close()


def add(monitor, when, told):
    alert = monitor.alert(when, told)
    # The test looks itself.
    monitor._watch.end()
    return alert


def look(monitor, clock, seconds=1.0):
    clock.now += seconds
    monitor._watch.look()


def log(monitor, count, latency=0.01, error=None):
    for _ in range(count):
        monitor.log_prediction([1], 1, latency, error=error)


def test_it_fires_once_an_incident_and_tells_of_the_recovery(monitor, clock):
    told = Told()
    alert = add(monitor, "p95 > 0.2 for 1m", told)
    log(monitor, 10, latency=0.5)
    for _ in range(60):
        look(monitor, clock)
    assert (alert.state, told.events) == ("pending", [])

    for _ in range(30):
        look(monitor, clock)
    assert told.states(1) == ["firing"]
    log(monitor, 10, latency=0.01)
    for _ in range(30):
        look(monitor, clock)

    assert told.states(2) == ["firing", "recovered"]
    assert [str(event) for event in alert.events] == [
        "firing: p95 > 0.2 for 1m (now 0.5)",
        "recovered: p95 > 0.2 for 1m (now 0.01)",
    ]
    log(monitor, 10, latency=0.5)
    for _ in range(70):
        look(monitor, clock)
    assert told.states(3)[2:] == ["firing"]


def test_what_passes_quickly_is_no_incident(monitor, clock):
    told = Told()
    add(monitor, "error_rate > 0.5 for 10s", told)
    for _ in range(20):
        log(monitor, 10, error="broken")
        look(monitor, clock, 5)
        log(monitor, 10)
        look(monitor, clock, 5)

    assert told.events == []


def test_silence_and_drift_are_told(clock):
    rows = [{"age": n, "plan": "ab"[n % 2]} for n in range(90)]
    monitor = ModelMonitor(clock=clock, wall_clock=clock, example=rows)
    told = Told()
    add(monitor, "silence > 60", told)
    look(monitor, clock, 61)
    assert told.states(1) == ["firing"]

    for row in rows:
        monitor.log_prediction({**row, "plan": "b"}, 1, 0.01)
    look(monitor, clock)
    assert told.states(2) == ["firing", "recovered"]
    drifted = Told()
    add(monitor, "drift >= 1", drifted)
    look(monitor, clock)
    assert drifted.states(1) == ["firing"]


def test_an_alert_that_was_stopped_is_looked_at_no_more(monitor, clock):
    told = Told()
    alert = add(monitor, "in_flight >= 0", told)
    alert.stop()
    look(monitor, clock)

    assert (told.events, alert.state) == ([], "quiet")
    assert repr(alert) == "<Alert 'in_flight >= 0': stopped>"


def test_a_callback_that_raises_is_logged_and_others_are_called(monitor, clock, caplog):
    def broken(event):
        raise ValueError

    told = Told()
    alert = add(monitor, "in_flight >= 0", broken)
    add(monitor, "in_flight >= 0", told)
    look(monitor, clock)

    assert told.states(1) == ["firing"]
    alert.call(alert.events[0])
    assert "The callback of the alert 'in_flight >= 0' failed" in caplog.text


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("p95", "is no condition"),
        ("p95 > 0.2 for ever", "is no condition"),
        ("p95 > -1", "is no condition"),
        ("__import__('os') > 1", "is no condition"),
        ("p96 > 1", "Did you mean 'p9"),
        ("eror_rate > 1", "Did you mean 'error_rate'?"),
        ("by_endpoint > 1", "there is no number 'by_endpoint'"),
        ("", "is no condition"),
    ],
)
def test_what_is_no_condition_is_told(monitor, when, told):
    with pytest.raises(ServingError) as caught:
        monitor.alert(when, print)

    assert told in str(caught.value)


def test_of_what_is_not_known_nothing_holds():
    assert not Condition("p95_latency", ">", 0.0).holds(None)


def test_without_a_baseline_drift_is_not_known(monitor, clock):
    told = Told()
    alert = add(monitor, "drift >= 0", told)
    look(monitor, clock)

    assert (alert.state, told.events) == ("quiet", [])


def test_a_merged_copy_has_no_alerts(monitor):
    with pytest.raises(TypeError, match="merged"):
        ModelMonitor.merged([monitor]).alert("p95 > 1", print)


def test_it_looks_by_itself_and_its_thread_ends_with_the_monitor():
    monitor = ModelMonitor()
    told = Told()
    before = set(threading.enumerate())
    monitor.alert("requests >= 0", told)
    (thread,) = (
        each for each in set(threading.enumerate()) - before if each.name == "nbdeploy-alerts"
    )
    assert told.states(1) == ["firing"]

    gone = weakref.ref(monitor)
    del monitor
    gc.collect()
    thread.join(10)

    assert gone() is None
    assert not thread.is_alive()


def test_one_can_wait_until_it_fires(monitor, clock):
    alert = add(monitor, "error_rate > 0.05", Told())
    log(monitor, 10, error="broken")
    looking = threading.Timer(0.01, look, (monitor, clock))
    looking.start()

    event = alert.wait(timeout=10)

    assert (event.state, event.value, event) == ("firing", 1.0, alert.wait(timeout=0))


def test_waiting_in_vain_ends_with_what_it_waits_for(monitor):
    alert = add(monitor, "error_rate > 0.05", Told())

    with pytest.raises(DeadlineError, match=r"'error_rate > 0.05' did not fire .* it is quiet"):
        alert.wait(timeout=0)
