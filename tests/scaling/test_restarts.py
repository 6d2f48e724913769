from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.scaling.restarts import CRASH_LOOP, RetryBudget, restart_delay


@given(crashes=st.integers(0, 10_000))
def test_the_wait_never_shrinks_and_has_an_end(crashes):
    assert 0.0 <= restart_delay(crashes) <= restart_delay(crashes + 1) <= 30.0


def test_what_dies_now_and_then_is_replaced_at_once():
    assert all(restart_delay(crashes) == 0.0 for crashes in range(CRASH_LOOP))


@given(asked=st.lists(st.booleans(), max_size=300))
def test_retries_stay_a_fifth_of_the_requests_and_three(asked):
    budget = RetryBudget()
    retries = 0
    for is_request in asked:
        if is_request:
            budget.count_request()
        else:
            retries += budget.may_retry()

    assert retries <= 3 + 0.2 * sum(asked) + 1e-9
