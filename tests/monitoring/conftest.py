from __future__ import annotations

import pytest

from nbdeploy.monitoring.monitor import ModelMonitor


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def monitor(clock):
    return ModelMonitor(clock=clock, wall_clock=lambda: 1_700_000_000.0)
