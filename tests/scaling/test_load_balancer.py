import random
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from nbdeploy import LoadBalancer, ScalingError
from nbdeploy.exceptions import SignatureError
from nbdeploy.scaling.balancing_rules import HealthRules, SlowStart
from nbdeploy.scaling.strategies import STRATEGIES

WEIGHTS = {"a": 5, "b": 3, "c": 1}
NAMES = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=6, unique=True)


BROKEN = OSError("broken")


def fail(balancer, endpoint, times=5):
    others = [name for name in balancer.endpoints if name != endpoint]
    for _ in range(times):
        with pytest.raises(OSError, match="broken"), balancer.lease(avoid=others):
            raise BROKEN


def states(balancer):
    return {fact.name: fact.state.value for fact in balancer.facts()}


# The chapter's calls


def test_round_robin_is_exact():
    balancer = LoadBalancer(["a", "b", "c"])

    assert [balancer.round_robin() for _ in range(900)] == ["a", "b", "c"] * 300


def test_random_is_as_even_as_chance():
    balancer = LoadBalancer(["a", "b", "c"], generator=random.Random(7))

    counts = Counter(balancer.random_select() for _ in range(9_000))

    assert chisquare(list(counts.values())).pvalue > 0.001


def test_weighted_by_chance_follows_the_weights():
    balancer = LoadBalancer(["a", "b", "c"], generator=random.Random(7))

    counts = Counter(balancer.weighted_select(WEIGHTS) for _ in range(9_000))

    expected = [5_000, 3_000, 1_000]
    assert chisquare([counts[name] for name in "abc"], expected).pvalue > 0.001


def test_smooth_weighted_is_exact_in_every_cycle_and_spread():
    balancer = LoadBalancer(["a", "b", "c"])

    picks = [balancer.smooth_weighted(WEIGHTS) for _ in range(900)]

    cycles = [picks[start : start + 9] for start in range(0, 900, 9)]
    assert all(Counter(cycle) == WEIGHTS for cycle in cycles)
    assert "aaa" not in "".join(picks)


@given(names=NAMES, data=st.data())
def test_smooth_weights_of_tenths_are_exact(names, data):
    weights = {name: data.draw(st.integers(1, 9)) / 10 for name in names}
    cycle = round(sum(weights.values()) * 10)
    balancer = LoadBalancer(names)

    counts = Counter(balancer.smooth_weighted(weights) for _ in range(cycle))

    assert counts == {name: round(weight * 10) for name, weight in weights.items()}


@given(names=NAMES, seed=st.integers(0, 99), data=st.data())
def test_what_weighs_nothing_is_never_picked(names, seed, data):
    heavy = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    weights = {
        name: float(name in heavy) for name in names if data.draw(st.booleans()) or name in heavy
    }
    balancer = LoadBalancer(names, generator=random.Random(seed))

    picks = {balancer.weighted_select(weights) for _ in range(20)}
    picks |= {balancer.smooth_weighted(weights) for _ in range(20)}

    assert picks <= set(heavy)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"a": -1, "b": 2}, "The weight of 'a' is -1"),
        ({"a": float("nan")}, "The weight of 'a' is nan"),
        ({"a": float("inf")}, "The weight of 'a' is inf"),
        ({"z": 1}, "'z' has a weight but is no endpoint"),
        ({"a": 0, "b": 0}, "No weight is above 0"),
        ({}, "No weight is above 0"),
    ],
    ids=["negative", "nan", "infinite", "unknown", "zero", "empty"],
)
@pytest.mark.parametrize("call", ["weighted_select", "smooth_weighted"])
def test_weights_that_mean_nothing_are_refused(call, weights, told):
    with pytest.raises(ScalingError, match=told):
        getattr(LoadBalancer(["a", "b"]), call)(weights)


# Counting


def test_a_lease_counts_what_is_in_flight_and_how_it_ended(clock):
    balancer = LoadBalancer(["a"], clock=clock)

    with balancer.lease() as first, balancer.lease() as second:
        clock.now += 0.5
        assert (first, second) == ("a", "a")
        assert balancer.facts()[0].in_flight == 2
    misfit = SignatureError("the caller's own fault")
    with pytest.raises(SignatureError), balancer.lease():
        raise misfit
    with pytest.raises(OSError, match="broken"), balancer.lease():
        raise BROKEN

    fact = balancer.facts()[0]
    assert (fact.in_flight, fact.requests, fact.failures) == (0, 4, 1)
    assert 0.3 < fact.latency <= 0.5


def test_sixteen_threads_keep_the_counts_exact():
    balancer = LoadBalancer(["a", "b", "c", "d"])
    picked = []
    ready = threading.Barrier(16)

    def work():
        ready.wait()
        for _ in range(250):
            picked.append(balancer.round_robin())
            picked.append(balancer.smooth_weighted({"a": 2, "b": 1, "c": 1}))
            with balancer.lease("round_robin"):
                pass

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    facts = balancer.facts()
    assert [fact.in_flight for fact in facts] == [0, 0, 0, 0]
    assert sum(fact.requests for fact in facts) == 4_000
    # 8,000 turns of round robin over four, and 4,000 smooth picks 2 : 1 : 1.
    turns = Counter(picked)
    turns.update({fact.name: fact.requests for fact in facts})
    assert turns == {"a": 4_000, "b": 3_000, "c": 3_000, "d": 2_000}


def test_least_request_prefers_the_one_with_less_in_flight():
    balancer = LoadBalancer(["a", "b"])

    with balancer.lease("least_request") as busy:
        assert {balancer.least_request() for _ in range(20)} == {"a", "b"} - {busy}


def simulated_latencies(strategy):
    """Play 4,000 arrivals on three endpoints that answer one at a time; "c" is ten times slower."""
    balancer = LoadBalancer(["a", "b", "c"], generator=random.Random(3))
    seconds = {"a": 0.02, "b": 0.02, "c": 0.2}
    free_at = dict.fromkeys(seconds, 0.0)
    in_flight = []
    latencies = []
    for number in range(4_000):
        now = number / 40
        for ended, endpoint, latency in [each for each in in_flight if each[0] <= now]:
            balancer.release(endpoint, latency=latency)
            in_flight.remove((ended, endpoint, latency))
        endpoint = balancer.acquire(strategy)
        free_at[endpoint] = max(free_at[endpoint], now) + seconds[endpoint]
        latencies.append(free_at[endpoint] - now)
        in_flight.append((free_at[endpoint], endpoint, latencies[-1]))
    return latencies


def test_with_a_slow_endpoint_the_p99_of_least_request_is_below_that_of_round_robin():
    round_robin = np.quantile(simulated_latencies("round_robin"), 0.99)
    least_request = np.quantile(simulated_latencies("least_request"), 0.99)

    # Round robin sends the slow one more than it can do, so its queue only grows.
    assert least_request < 1.0 < round_robin


# Health and ejection


def test_health_checks_take_an_endpoint_out_and_back(clock):
    balancer = LoadBalancer(["a", "b", "c"], clock=clock, health=HealthRules(fall=3, rise=2))

    for check, expected in [(False, "up"), (False, "up"), (True, "up"), (False, "up")]:
        balancer.report_check("a", is_healthy=check)
        assert states(balancer)["a"] == expected
    for check, expected in [(False, "up"), (False, "down"), (True, "down"), (True, "up")]:
        balancer.report_check("a", is_healthy=check)
        assert states(balancer)["a"] == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_down_is_not_picked(strategy):
    balancer = LoadBalancer(["a", "b", "c"])
    for _ in range(3):
        balancer.report_check("a", is_healthy=False)

    picks = {balancer.acquire(strategy, weights=WEIGHTS) for _ in range(30)}

    assert picks == {"b", "c"}


def test_failures_in_a_row_eject_for_longer_each_time(clock):
    balancer = LoadBalancer(["a", "b"], clock=clock)
    fail(balancer, "a", 4)
    with balancer.lease(avoid=["b"]):
        pass
    fail(balancer, "a", 4)
    with balancer.lease(avoid=["b"]):
        pass
    assert states(balancer) == {"a": "up", "b": "up"}

    outages = []
    for _ in range(12):
        fail(balancer, "a", 5)
        began = clock.now
        while states(balancer)["a"] == "ejected":
            clock.now += 1
        outages.append(clock.now - began)
        clock.now += 1

    assert outages == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_after_a_long_time_without_failures_ejection_is_short_again(clock):
    balancer = LoadBalancer(["a", "b"], clock=clock)
    for _ in range(2):
        fail(balancer, "a")
        clock.now += 100
    clock.now += 301

    fail(balancer, "a")
    clock.now += 30

    assert states(balancer)["a"] == "up"


@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)])
def test_never_more_than_half_are_ejected(count, most, clock):
    balancer = LoadBalancer(map(str, range(count)), clock=clock)

    for endpoint in balancer.endpoints:
        for _ in range(5):
            balancer.release(endpoint, latency=0.0, failed=True)

    assert list(states(balancer).values()).count("ejected") == most


def test_when_most_are_down_health_is_ignored():
    balancer = LoadBalancer(["a", "b", "c", "d"])
    for endpoint in "abc":
        for _ in range(3):
            balancer.report_check(endpoint, is_healthy=False)

    assert {balancer.round_robin() for _ in range(4)} == {"a", "b", "c", "d"}

    for _ in range(2):
        balancer.report_check("a", is_healthy=True)
    assert {balancer.round_robin() for _ in range(4)} == {"a", "d"}


def test_one_that_was_down_and_is_up_again_is_no_longer_ejected(clock):
    balancer = LoadBalancer(["a", "b"], clock=clock)
    fail(balancer, "a")
    for is_healthy in (False, False, False, True, True):
        balancer.report_check("a", is_healthy=is_healthy)

    assert states(balancer) == {"a": "up", "b": "up"}


def test_what_comes_back_starts_slowly(clock):
    balancer = LoadBalancer(
        ["a", "b"], clock=clock, slow_start=SlowStart(window=10), generator=random.Random(1)
    )
    balancer.add("c")
    equal = dict.fromkeys("abc", 1)

    def share_of_c():
        return Counter(balancer.weighted_select(equal) for _ in range(3_000))["c"] / 3_000

    assert share_of_c() == pytest.approx(0.1 / 2.1, abs=0.02)
    clock.now += 5
    assert share_of_c() == pytest.approx(0.5 / 2.5, abs=0.03)
    clock.now += 5
    assert share_of_c() == pytest.approx(1 / 3, abs=0.03)


def test_slow_start_counts_for_least_request_too(clock):
    balancer = LoadBalancer(["a"], clock=clock)
    balancer.add("b")

    assert [balancer.acquire("least_request") for _ in range(9)] == ["a"] * 9
    clock.now += 10
    assert [balancer.acquire("least_request") for _ in range(9)] == ["b"] * 9


# Endpoints that come and go


def test_an_endpoint_that_was_removed_gets_nothing_and_may_still_end():
    balancer = LoadBalancer(["a", "b"])
    with balancer.lease(avoid=["b"]) as leaving:
        balancer.remove(leaving)
        assert {balancer.round_robin() for _ in range(4)} == {"b"}
    balancer.remove(leaving)
    balancer.report_check(leaving, is_healthy=False)
    assert balancer.endpoints == ["b"]


def test_without_endpoints_it_says_so():
    with pytest.raises(ScalingError, match="There is no endpoint"):
        LoadBalancer([]).round_robin()
    with pytest.raises(ScalingError, match="no other endpoint left"):
        LoadBalancer(["a"]).acquire(avoid=["a"])
    with pytest.raises(ScalingError, match="no other endpoint left"):
        LoadBalancer(["a", "b"]).acquire("weighted", weights={"a": 1}, avoid=["a"])


def test_an_unknown_strategy_is_told_with_the_near_one():
    with pytest.raises(ScalingError, match="Did you mean 'least_request'"):
        LoadBalancer(["a"]).acquire("least_requests")
    with pytest.raises(ScalingError, match="'weighted' needs weights"):
        LoadBalancer(["a"]).acquire("weighted")


def test_it_shows_one_line_an_endpoint():
    balancer = LoadBalancer(["http://a", "http://b"])
    with balancer.lease(avoid=["http://b"]):
        shown = balancer._repr_mimebundle_()

    lines = shown["text/plain"].splitlines()
    assert lines[0].split() == [
        "endpoint",
        "state",
        "in",
        "flight",
        "requests",
        "failures",
        "latency",
    ]
    assert lines[1].split() == ["http://a", "up", "1", "0", "0", "-"]
    assert "http://b" in shown["text/html"]
    assert repr(balancer) == "<LoadBalancer of 2 endpoints, 2 up>"


@given(
    names=NAMES,
    events=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0, 40)), max_size=60),
)
def test_whatever_happens_somebody_answers_and_at_most_half_are_ejected(names, events):
    now = [0.0]
    balancer = LoadBalancer(names, clock=lambda: now[0], generator=random.Random(0))
    for number, failed, seconds in events:
        now[0] += seconds
        endpoint = names[number % len(names)]
        balancer.report_check(endpoint, is_healthy=not failed)
        for _ in range(5):
            chosen = balancer.acquire("random")
            balancer.release(chosen, latency=0.1, failed=failed)
        assert list(states(balancer).values()).count("ejected") <= len(names) // 2
    assert all(fact.in_flight == 0 for fact in balancer.facts())
