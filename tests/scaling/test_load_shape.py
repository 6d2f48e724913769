import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy import ScalingError
from nbdeploy.scaling.load_shape import LoadShape

RATES = st.lists(st.floats(0, 200), min_size=1, max_size=5).filter(lambda rates: max(rates) > 0.1)


def test_one_rate_is_even():
    assert list(LoadShape.of(4, 1.5).arrivals()) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_steps_have_equal_lengths():
    arrivals = list(LoadShape.of([2, 10, 2], 3).arrivals())

    assert [sum(at <= time < at + 1 for time in arrivals) for at in range(3)] == [2, 10, 2]


def test_a_ramp_goes_evenly_from_rate_to_rate():
    arrivals = list(LoadShape.of([0, 100, 0], 4, ramp=True).arrivals())

    seconds = [sum(at <= time < at + 1 for time in arrivals) for at in range(4)]
    assert sum(seconds) == 200
    assert seconds[0] == pytest.approx(25, abs=1)
    assert seconds[1] == pytest.approx(75, abs=1)
    assert seconds[::-1] == pytest.approx(seconds, abs=1)


@given(rates=RATES, seconds=st.floats(0.1, 5), ramp=st.booleans())
def test_as_many_arrive_as_the_rates_say_in_order_and_in_time(rates, seconds, ramp):
    shape = LoadShape.of(rates, seconds, ramp=ramp and len(rates) > 1)
    arrivals = list(shape.arrivals())

    if shape.ramp:
        mean = sum((one + other) / 2 for one, other in pairwise(rates)) / (len(rates) - 1)
    else:
        mean = sum(rates) / len(rates)
    assert abs(len(arrivals) - math.ceil(mean * seconds)) <= 1
    assert arrivals == sorted(arrivals)
    assert all(0 <= time <= seconds + 1e-6 for time in arrivals)


def test_the_rate_at_a_moment():
    steps = LoadShape.of([5, 50], 10)
    ramp = LoadShape.of([0, 10], 10, ramp=True)

    assert [steps.rate_at(time) for time in (0, 4.9, 5, 20)] == [5, 5, 50, 50]
    assert [ramp.rate_at(time) for time in (0, 5, 10)] == [0, 5, 10]


@pytest.mark.parametrize(
    ("rps", "seconds", "ramp", "told"),
    [
        (-1, 1, False, "is no load"),
        ([], 1, False, "is no load"),
        (math.inf, 1, False, "is no load"),
        (0, 1, False, "no request at all"),
        (5, 0, False, "no length of time"),
        (5, math.nan, False, "no length of time"),
        (5, 1, True, "needs two rates"),
    ],
    ids=["negative", "empty", "infinite", "zero", "no time", "nan", "flat ramp"],
)
def test_what_is_no_load_is_told(rps, seconds, ramp, told):
    with pytest.raises(ScalingError, match=told):
        LoadShape.of(rps, seconds, ramp=ramp)
