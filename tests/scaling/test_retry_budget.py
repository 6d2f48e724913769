from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.scaling.retry_budget import RetryBudget


def test_a_fifth_may_be_tried_again(clock):
    budget = RetryBudget(clock=clock)
    taken = 0
    for _ in range(500):
        clock.now += 0.02
        budget.count_request()
        taken += budget.take()

    assert 90 <= taken <= 100


def test_who_is_asked_little_may_try_three_times_a_window(clock):
    budget = RetryBudget(clock=clock)
    budget.count_request()

    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
    clock.now += 9.9
    assert not budget.take()
    clock.now += 0.1
    assert budget.take()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=200))
def test_in_no_window_is_there_more_than_the_budget(steps):
    now = [0.0]
    budget = RetryBudget(clock=lambda: now[0])
    requests, retries = [], []
    for seconds, wants_retry in steps:
        now[0] += seconds
        budget.count_request()
        requests.append(now[0])
        if wants_retry and budget.take():
            retries.append(now[0])
            recent = [each for each in requests if each > now[0] - budget.window]
            extra = [each for each in retries if each > now[0] - budget.window]
            assert len(extra) <= max(3, 0.2 * len(recent))
