"""Replicas follow a load that goes from 5 to 50 requests a second and back, as real processes."""

import numpy as np
import pytest
from scaling_tools import is_running, of_notebook, wait_until

from nbdeploy import deploy
from nbdeploy.scaling import ConcurrencyPolicy

NUMBERS = np.array([[1.0, 2.0], [3.0, 4.5]])
#: The default policy, in a fifth of its time.
BRISK = ConcurrencyPolicy(interval=0.4, stable_window=6.0, panic_window=1.2)


def waiting(rows):
    """Answer after 30 ms, without computing anything."""
    import time

    time.sleep(0.03)
    return [float(row[0]) for row in rows]


@pytest.fixture
def service():
    # One row a call: otherwise one replica would answer all that wait at once.
    with deploy(
        of_notebook(waiting), name="ramp", example=NUMBERS, max_batch_size=1, timeout=10.0
    ) as service:
        yield service


def replicas_of(service):
    return service._control.replicas.pool.process_ids


def check_ramp(service, policy, *, seconds, patience):
    """Send the ramp, and look at what came of it."""
    scaler = service.autoscale(min_replicas=1, max_replicas=4, policy=policy)
    wait_until(lambda: scaler.current_replicas == 1, 20)

    result = service.load_test([5, 50, 5], seconds=seconds, ramp=True, rows=NUMBERS)
    grown = max(step.got for step in scaler.history())
    started = replicas_of(service)
    wait_until(lambda: scaler.current_replicas == 1, patience)

    assert len(result.answered) >= 0.999 * len(result.samples)
    assert len(result.samples) > 20 * seconds
    assert grown > 1
    steps = list(scaler.history())
    for place, step in enumerate(steps[:-2]):
        if step.wanted > step.replicas:
            assert max(later.got for later in steps[place : place + 3]) >= step.wanted
    assert len(replicas_of(service)) == 1
    gone = set(started) - set(replicas_of(service))
    wait_until(lambda: not any(map(is_running, gone)))


def test_replicas_follow_a_short_ramp(service):
    check_ramp(service, BRISK, seconds=9, patience=30)


@pytest.mark.acceptance
def test_replicas_follow_a_ramp_by_the_policy_as_it_is(service):
    check_ramp(service, ConcurrencyPolicy(), seconds=120, patience=180)
