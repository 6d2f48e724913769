from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

from nbdeploy import AutoScaler, deploy
from nbdeploy.scaling import ConcurrencyPolicy, HpaPolicy, ThresholdPolicy
from nbdeploy.scaling.load_result import LoadResult, Sample

X, y = load_wine(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def model():
    return LogisticRegression(max_iter=10_000).fit(X, y)


class Instances:
    """The right answer; subclasses are wrong in one place each."""

    def __init__(self, model):
        self.model = model
        self.services = []

    @property
    def replicas(self):
        return len(self.services)

    def named(self, number):
        return f"price-{number}"

    def stopped(self, service):
        service.stop()

    def scale(self, n):
        while len(self.services) < n:
            name = self.named(len(self.services) + 1)
            self.services.append(deploy(self.model, name=name, example=X))
        while len(self.services) > n:
            self.stopped(self.services.pop())


class OfOneName(Instances):
    def named(self, number):
        return "price"


class NeverStopped(Instances):
    def stopped(self, service):
        pass


class OnlyGrowing(Instances):
    def scale(self, n):
        super().scale(max(n, len(self.services)))


@pytest.fixture
def instances(model):
    made = Instances(model)
    yield made
    made.scale(0)


def right(rps, seconds, use=0.8):
    return max(1, math.ceil(rps * seconds / use))


def test_the_number_of_instances_passes(verdict):
    assert "passed" in verdict("ex3.1", right)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda rps, seconds, use: math.ceil(rps * seconds / use), "needed(0, 0.03, 0.8) == 1"),
        (lambda rps, seconds, use: max(1, round(rps * seconds / use)), "round up"),
        (lambda rps, seconds, use: max(1, math.ceil(rps * seconds)), "needed(32, 0.03, 0.8) == 2"),
        (3, "a function `needed(rps, seconds, use)`"),
    ],
    ids=["none at night", "rounded", "always busy", "no function"],
)
def test_another_number_does_not(wrong, told, verdict):
    said = verdict("ex3.1", wrong)

    assert "is not done yet" in said
    assert told in said


def test_a_window_passes(verdict):
    def calm(wanted, window):
        return [max(wanted[max(0, at - window + 1) : at + 1]) for at in range(len(wanted))]

    assert "passed" in verdict("ex3.2", calm)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda wanted, window: [max(wanted[: at + 1]) for at in range(len(wanted))],
        lambda wanted, window: [max(wanted[at : at + window]) for at in range(len(wanted))],
        lambda wanted, window: max(wanted[-window:]),
    ],
    ids=["of all time", "of the future", "one number"],
)
def test_another_window_does_not(wrong, verdict):
    assert "is not done yet" in verdict("ex3.2", wrong)


def test_a_window_that_changes_what_it_was_given_is_told(verdict):
    def calm(wanted, window):
        for at in reversed(range(len(wanted))):
            wanted[at] = max(wanted[max(0, at - window + 1) : at + 1])
        return wanted

    assert "the given one, changed" in verdict("ex3.2", calm)


def test_instances_that_come_and_go_pass(instances, verdict):
    assert "passed" in verdict("ex3.3", instances)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (OfOneName, "replaces the model there"),
        (NeverStopped, "still running"),
        (OnlyGrowing, "1 instances after `scale(1)`"),
    ],
)
def test_instances_that_do_not_are_told(wrong, told, model, verdict):
    made = wrong(model)
    try:
        assert told in verdict("ex3.3", made)
    finally:
        for service in made.services:
            service.stop()


def test_the_class_itself_is_no_actuator(verdict):
    assert "the class Instances itself" in verdict("ex3.3", Instances)


def scaler_of(instances, dial, **changed):
    options = {"policy": "concurrency", "actuator": instances}
    return AutoScaler(1, 3, measure=lambda: dial["in flight"], **{**options, **changed})


def test_a_scaler_that_follows_the_dial_passes(instances, verdict):
    dial = {"in flight": 1}
    instances.scale(1)

    assert "passed" in verdict("ex3.4", scaler_of(instances, dial), dial)
    assert dial == {"in flight": 1}


def test_a_scaler_without_a_part_is_told(instances, verdict):
    dial = {"in flight": 1}

    assert "look" in verdict("ex3.4", scaler_of(None, dial), dial).lower()
    assert "without an actuator" in verdict("ex3.4", scaler_of(None, dial), dial)
    deaf = AutoScaler(1, 3, policy="concurrency", actuator=instances, measure=lambda: 1)
    assert "reads the dial" in verdict("ex3.4", deaf, dial)
    other = scaler_of(instances, dial, policy="hpa")
    assert "by HpaPolicy" in verdict("ex3.4", other, dial)


@pytest.mark.parametrize(
    "policy", [HpaPolicy(target=75, tolerance=0.2, max_replicas=8), ThresholdPolicy(tolerance=0.2)]
)
def test_a_policy_for_the_day_passes(policy, verdict):
    assert "passed" in verdict("ex3.5", policy)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (ThresholdPolicy(tolerance=0, cooldown=0), "turns between growing and shrinking"),
        (HpaPolicy(target=75, tolerance=0.2, max_replicas=3), "at least 4 replicas"),
        (ConcurrencyPolicy(), "turns between growing and shrinking"),
        ("hpa", "a policy, such as `HpaPolicy(...)`"),
    ],
    ids=["flapping", "too few", "of requests", "a name"],
)
def test_another_policy_does_not(policy, told, verdict):
    assert told in verdict("ex3.5", policy)


def result_of(rates, outcome="200"):
    """A result with so many requests in each second."""
    samples = [
        Sample(second + at / rate, 0.0, 0.03, outcome, "1")
        for second, rate in enumerate(rates)
        for at in range(rate)
    ]
    return LoadResult(samples, float(len(rates)), "as written here")


@pytest.fixture(scope="module")
def service():
    with deploy(lambda rows: rows[:, 0], name="slow-price", example=[[4.5], [1.0]]) as service:
        yield service


@pytest.fixture
def grown():
    """A scaler that had two replicas once."""
    scaler = AutoScaler(1, 3, policy="concurrency", measure=lambda: 2.0)
    scaler.tick()
    return scaler


RAMP = [5, 30, 60, 60, 30, 5]


def test_a_service_that_followed_its_load_passes(service, grown, verdict):
    assert "passed" in verdict("ex3.6", service, grown, result_of(RAMP))


def test_a_service_that_did_not_is_told_why(service, grown, verdict):
    calm = AutoScaler(1, 3, policy="concurrency", measure=lambda: 0.5)
    calm.tick()
    failed = result_of([1], "503").samples

    assert "`max_batch_size=1`" in verdict("ex3.6", service, calm, result_of(RAMP))
    assert "the same all the time" in verdict("ex3.6", service, grown, result_of([40] * 6))
    assert "one of 20 requests" in verdict("ex3.6", service, grown, result_of([20]))
    some = LoadResult([*result_of(RAMP).samples, *failed * 9], 6.0, "as written here")
    assert "{'503': 9}" in verdict("ex3.6", service, grown, some)
    assert "service.autoscale(" in verdict("ex3.6", service, service, result_of(RAMP))


def test_a_stopped_service_is_told(grown, verdict):
    with deploy(lambda rows: rows[:, 0], name="gone", example=np.zeros((2, 1))) as service:
        pass

    assert "which was stopped" in verdict("ex3.6", service, grown, result_of(RAMP))
