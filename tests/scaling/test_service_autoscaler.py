import pytest

from nbdeploy import ModelMonitor
from nbdeploy.scaling import ConcurrencyPolicy, HpaPolicy
from nbdeploy.scaling.service_autoscaler import ConcurrencyMeter, autoscaler_of


class Recorder:
    replicas = 1

    def scale(self, n):
        self.replicas = n


def test_the_mean_in_flight_is_that_of_littles_law(clock):
    monitor = ModelMonitor(clock=clock)
    meter = ConcurrencyMeter(lambda: monitor, clock=clock)

    for _ in range(100):
        monitor.log_prediction([1], [1], latency=0.03)
    clock.now += 2

    assert meter() == pytest.approx(1.5)
    clock.now += 2
    assert meter() == 0


def test_requests_that_never_end_are_counted_too(clock):
    monitor = ModelMonitor(clock=clock)
    meter = ConcurrencyMeter(lambda: monitor, clock=clock)

    monitor.enter()
    monitor.enter()
    clock.now += 2
    assert meter() == 2


def test_a_monitor_that_was_reset_is_not_negative(clock):
    monitor = ModelMonitor(clock=clock)
    monitor.log_prediction([1], [1], latency=5.0)
    meter = ConcurrencyMeter(lambda: monitor, clock=clock)

    monitor.reset()
    clock.now += 2

    assert meter() == 0


@pytest.mark.parametrize(
    "policy",
    ["concurrency", "hpa", "threshold", ConcurrencyPolicy(), HpaPolicy(metric="concurrency")],
    ids=["concurrency", "hpa", "threshold", "a value", "hpa of concurrency"],
)
def test_it_follows_the_monitor_until_it_is_stopped(policy):
    scaler = autoscaler_of(Recorder(), ModelMonitor, max_replicas=2, policy=policy, interval=0.01)

    assert scaler.is_running
    step = scaler.tick()
    scaler.stop()

    assert not step.reason.startswith("not measured")
    assert (scaler.min_replicas, scaler.max_replicas) == (1, 2)
