import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.scaling.capacity import Capacity, Trial, find_capacity


def server(limit):
    """A service that answers fast up to a limit, and with a growing queue beyond."""

    def attempt(rate):
        return Trial(rate, min(rate, limit), 0.01 if rate <= limit else 2.0, 0.0)

    return attempt


@given(st.floats(2, 10_000))
def test_it_comes_close_to_the_limit_from_below(limit):
    rate, trials = find_capacity(server(limit), 0.05)

    assert limit / 1.15 <= rate <= limit
    assert len(trials) <= 16


def test_a_service_that_never_is_fast_enough_has_none():
    rate, trials = find_capacity(server(0.1), 0.05)

    assert rate == 0
    assert "Not even" in Capacity(0.05, rate, trials).verdict()


def test_a_search_without_a_trial_says_so():
    assert repr(Capacity(0.05, 0, (), is_interrupted=True)).startswith("<Capacity: Nothing was")


def test_the_search_ends_when_it_is_interrupted():
    attempts = iter([Trial(10, 10, 0.01, 0.0), None])

    assert find_capacity(lambda _: next(attempts), 0.05) == (10, [Trial(10, 10, 0.01, 0.0)])


@pytest.mark.parametrize(
    ("trial", "kept"),
    [
        (Trial(100, 100, 0.05, 0.0), True),
        (Trial(100, 100, 0.051, 0.0), False),
        (Trial(100, 98, 0.01, 0.02), False),
        (Trial(100, 80, 0.01, 0.0), False),
        (Trial(100, 0, None, 1.0), False),
    ],
    ids=["kept", "slow", "errors", "behind", "nothing"],
)
def test_a_goal_is_kept_in_time_by_nearly_all_and_without_a_queue(trial, kept):
    assert trial.keeps(0.05) is kept


def test_it_says_whether_replicas_would_help():
    trials = (Trial(100, 100, 0.01, 0.0),)
    slow_model = Capacity(0.05, 100, trials, front_rate=1_000)
    fast_model = Capacity(0.05, 900, trials, front_rate=1_000)

    assert not slow_model.is_limited_by_front
    assert "The model is the limit: 1,000/s are answered without any model" in repr(slow_model)
    assert fast_model.is_limited_by_front
    assert "The front is the limit, not the model" in fast_model.to_html()
    assert fast_model.to_text().splitlines()[-1].split() == [
        "100/s",
        "100/s",
        "0",
        "%",
        "10.0",
        "ms",
        "yes",
    ]
