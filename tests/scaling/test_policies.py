"""Golden cases H1-H12 and K1-K7, and what holds for every policy and load."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy import ScalingError
from nbdeploy.scaling import (
    ConcurrencyPolicy,
    HpaPolicy,
    LargestOf,
    Load,
    Memory,
    Rate,
    ReplicaLoad,
    ThresholdPolicy,
    decide,
    desired_replicas,
    simulate,
)
from nbdeploy.scaling.policies import with_bounds

MANY = 10**6


def cpu(target):
    return HpaPolicy(target=target, max_replicas=MANY)


def total(target, metric="external"):
    return HpaPolicy(target=target, metric=metric, max_replicas=MANY)


def per_replica(target, **numbers):
    return ConcurrencyPolicy(target, min_replicas=0, max_replicas=MANY, **numbers)


def each(*values, unready=(), dead=()):
    return tuple(
        ReplicaLoad(value, is_ready=at not in unready, is_alive=at not in dead)
        for at, value in enumerate(values)
    )


def flight(replicas, stable, panic=None):
    return Load(replicas, concurrency=stable, recent_concurrency=panic)


TENTH_OR_FOUR = replace(
    cpu(70),
    scale_down=(Rate(percent=10, period=60), Rate(count=4, period=60)),
    scale_down_window=0.0,
)
IN_PANIC = Memory(panic_since=0.0, panic_most=5)
NO_METRIC = "None of the 3 replicas has a metric"

GOLDEN = [
    ("H1 scale up", cpu(30), Load(3, each=each(30, 50, 70)), 5),
    ("H2 unready less scale", cpu(30), Load(3, each=each(30, 50, 70, unready={0})), 4),
    ("H3 unready no scale", cpu(30), Load(3, each=each(40, 50, 70, unready={1, 2})), 3),
    ("H4 ignores failed", cpu(30), Load(2, each=each(50, 70, 0, None, dead={2, 3})), 4),
    ("H5 ignores deleted", cpu(30), Load(2, each=each(50, 70, 90, 90, dead={2, 3})), 4),
    ("H6 custom metric", total(15_000), Load(3, external=20_000 + 10_000 + 30_000), 4),
    ("H7 external", total(4_400), Load(1, external=8_600), 2),
    ("H8 scale down", cpu(50), Load(5, each=each(10, 30, 50, 25, 25)), 3),
    ("H9 scale down custom", total(20_000), Load(5, external=5 * 12_000), 3),
    ("H10 pending excluded", cpu(50), Load(5, each=each(10, *[None] * 4, unready={1, 2, 3, 4})), 1),
    ("H11 disjoint metrics", cpu(50), Load(3, each=each(None, None, None)), NO_METRIC),
    ("H12 rate", TENTH_OR_FOUR, (80, 10), [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10]),
    ("K1 stable", per_replica(10), flight(1, 50, 50), 5),
    ("K2 panic wins", per_replica(10), flight(1, 50, 100), 10),
    ("K3 panic, stable larger", per_replica(1), (flight(5, 50, 30), IN_PANIC), 50),
    ("K4 small up rate", per_replica(1, max_scale_up_rate=1.1), flight(2, 3), 3),
    ("K5 small down rate", per_replica(10, max_scale_down_rate=1.1), flight(100, 1), 90),
    ("K6 track", per_replica(1), [6, 36, 216, 1_296], [6, 36, 216, 1_296]),
    ("K7 to zero", per_replica(10), flight(1, 0), 0),
]


@pytest.mark.parametrize(
    ("policy", "given_", "expected"),
    [case[1:] for case in GOLDEN],
    ids=[case[0] for case in GOLDEN],
)
def test_golden_cases(policy, given_, expected):
    if isinstance(expected, str):
        with pytest.raises(ScalingError, match=expected):
            desired_replicas(policy, given_)
    elif isinstance(given_, Load):
        assert desired_replicas(policy, given_) == expected
    elif isinstance(given_, tuple) and isinstance(given_[1], Memory):
        assert decide(policy, *given_).replicas == expected
    elif isinstance(policy, HpaPolicy):
        assert falling(policy, *given_) == expected
    else:
        assert tracking(policy, given_) == expected


def test_there_are_nineteen_golden_cases():
    assert len({case[0] for case in GOLDEN}) == 19


def falling(policy, replicas, wanted):
    """The numbers of replicas from minute to minute, when only `wanted` are needed."""
    steps, memory = [], Memory()
    while replicas > wanted:
        load = Load(replicas, time=60.0 * len(steps), cpu=policy.target * wanted / replicas)
        decision = decide(replace(policy, tolerance=0.0), load, memory)
        memory = decision.memory.scaled(load.time, decision.replicas - replicas, keep=600)
        replicas = decision.replicas
        steps.append(replicas)
    return steps


def tracking(policy, loads):
    replicas, wanted = 1, []
    for load in loads:
        replicas = desired_replicas(policy, flight(replicas, load))
        wanted.append(replicas)
    return wanted


# More of Kubernetes' rules


def test_hpa_takes_the_largest_of_the_last_five_minutes_before_it_shrinks():
    history = simulate(HpaPolicy(target=70), [280] * 4 + [70] * 24)

    assert [step.got for step in history][:3] == [2, 3, 4]
    shrunk = next(step for step in history.changes if step.got < step.replicas)
    last_high = max(step.time for step in history if step.wanted == 4 and step.load == 280)
    assert 300 <= shrunk.time - last_high <= 315


def test_hpa_grows_by_four_or_doubles_whichever_is_more():
    policy = HpaPolicy(target=1, metric="external", max_replicas=MANY)

    assert [step.got for step in simulate(policy, [1_000] * 7)] == [5, 10, 20, 40, 80, 160, 320]


def test_hpa_may_be_told_to_grow_only_when_it_lasts():
    policy = HpaPolicy(target=1, metric="external", scale_up_window=60)

    spike = simulate(policy, [1, 1, 5, 1, 1, 1, 5, 5, 5, 5, 5, 5])

    assert spike[2].got == 1
    assert [step.got for step in spike][-3:] == [5, 5, 5]


def test_missing_metrics_count_as_much_when_shrinking_and_as_nothing_when_growing():
    shrinking = Load(4, each=each(10, 10, 10, None))
    growing = Load(4, each=each(90, 90, 90, None))

    # Three at 10 % and one taken for 100 %; three at 90 % and one taken for 0 %.
    assert desired_replicas(cpu(50), shrinking) == 3
    assert desired_replicas(cpu(50), growing) == 6


def test_hpa_of_concurrency_needs_no_windows():
    policy = total(2, metric="concurrency")

    assert desired_replicas(policy, Load(2, concurrency=9)) == 5


# Panic


def test_panic_holds_what_it_reached_until_it_is_over():
    policy = ConcurrencyPolicy()

    history = simulate(policy, [1] * 10 + [8] * 3 + [0.9] * 80)

    first_up = history.changes[0]
    first_down = next(step for step in history.changes if step.got < step.replicas)
    assert max(step.got for step in history) == 8
    assert first_down.time - first_up.time > policy.stable_window
    assert history[-1].got == 1


def test_running_replicas_stay_until_their_load_was_watched():
    history = simulate(ConcurrencyPolicy(), [0] * 60, replicas=4)

    assert all(step.got == 4 for step in history if step.time <= 60)
    assert [step.got for step in history.changes] == [2, 1]


# Several metrics


def test_of_several_metrics_the_largest_counts():
    policy = LargestOf((HpaPolicy(target=50), ConcurrencyPolicy(target_concurrency=2)))

    assert desired_replicas(policy, Load(2, cpu=50, concurrency=10)) == 5
    assert desired_replicas(policy, Load(2, cpu=200, concurrency=2)) == 6


def test_a_missing_metric_keeps_replicas_from_going_but_not_from_coming():
    policy = LargestOf((HpaPolicy(target=50), ConcurrencyPolicy(target_concurrency=2)))

    assert desired_replicas(policy, Load(4, cpu=10)) == 4
    assert "none goes while a metric is missing" in decide(policy, Load(4, cpu=10)).reason
    assert desired_replicas(policy, Load(4, cpu=100)) == 8
    with pytest.raises(ScalingError, match="was not measured"):
        desired_replicas(policy, Load(4))
    with pytest.raises(ScalingError, match="at least one policy"):
        desired_replicas(LargestOf(()), Load(4))


# The chapter's threshold


@pytest.mark.parametrize(
    ("percent", "expected"), [(90, 4), (78, 4), (77, 3), (71, 3), (32, 3), (31, 2), (0, 2)]
)
def test_threshold_is_one_more_or_one_less_beyond_the_tolerance(percent, expected):
    assert desired_replicas(ThresholdPolicy(), Load(3, cpu=percent)) == expected


def test_without_tolerance_it_is_the_chapters():
    policy = ThresholdPolicy(tolerance=0, cooldown=0)

    assert desired_replicas(policy, Load(3, cpu=70.1)) == 4
    assert desired_replicas(policy, Load(3, cpu=70)) == 3
    assert desired_replicas(policy, Load(3, cpu=34.9)) == 2


def test_after_a_change_it_waits():
    history = simulate(replace(ThresholdPolicy(cooldown=40), interval=10), [900] * 9)

    assert [step.got for step in history] == [2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert history[1].reason.endswith("the last change was 10 s ago: it waits for 40 s")


@pytest.mark.parametrize("policy", [ThresholdPolicy(), HpaPolicy(), ConcurrencyPolicy()])
def test_what_was_not_measured_is_told(policy):
    with pytest.raises(ScalingError, match="not measured"):
        desired_replicas(policy, Load(1))


# What holds always

PARTS = st.one_of(
    st.builds(ThresholdPolicy, cpu_threshold=st.floats(1, 100), tolerance=st.floats(0, 0.5)),
    st.builds(HpaPolicy, target=st.floats(1, 100), tolerance=st.floats(0, 0.5)),
    st.builds(
        ConcurrencyPolicy, target_concurrency=st.floats(0.1, 100), tolerance=st.floats(0, 0.5)
    ),
)
POLICIES = PARTS | st.builds(LargestOf, st.lists(PARTS, min_size=1, max_size=3).map(tuple))
TRACES = st.lists(st.floats(0, 1e6), max_size=40)


@given(
    policy=POLICIES, least=st.integers(0, 5), more=st.integers(0, 50), trace=TRACES, data=st.data()
)
def test_wanted_is_always_between_the_bounds(policy, least, more, trace, data):
    bounded = with_bounds(policy, least, max(least + more, 1))
    replicas = data.draw(st.integers(0, 200))

    history = simulate(bounded, trace, replicas=replicas)

    assert all(bounded.min_replicas <= step.wanted <= bounded.max_replicas for step in history)


@given(
    policy=PARTS,
    replicas=st.integers(1, 50),
    share=st.floats(-1, 1),
)
def test_inside_the_tolerance_nothing_is_done(policy, replicas, share):
    target = getattr(policy, "target", None) or getattr(policy, "target_concurrency", None)
    policy = with_bounds(policy, 1, 50)
    if target is None:
        target = policy.cpu_threshold
    near = target * (1 + share * policy.tolerance * 0.999)
    load = Load(replicas, cpu=near, concurrency=near * replicas)

    assert desired_replicas(policy, load) == replicas


SWINGS = {
    "even": lambda number, _: (-1) ** number,
    "slow": lambda number, _: 1 - abs(number % 80 - 40) / 20,
    "by chance": lambda _, generator: generator.uniform(-1, 1),
}


@pytest.mark.parametrize("swing", SWINGS)
@pytest.mark.parametrize(
    ("policy", "one"),
    [(ThresholdPolicy(), 70), (HpaPolicy(), 70), (ConcurrencyPolicy(), 1)],
    ids=["threshold", "hpa", "concurrency"],
)
def test_a_load_that_swings_by_nine_percent_around_the_target_changes_nothing(policy, one, swing):
    generator = random.Random(5)
    for replicas in range(1, 11):
        trace = [
            one * replicas * (1 + 0.09 * SWINGS[swing](number, generator)) for number in range(400)
        ]

        assert simulate(policy, trace, replicas=replicas).changes == []


@pytest.mark.parametrize("swing", SWINGS)
@pytest.mark.parametrize(
    ("policy", "one"),
    [(ThresholdPolicy(), 70), (ConcurrencyPolicy(), 1)],
    ids=["threshold", "concurrency"],
)
@settings(deadline=None)
@given(base=st.floats(0.5, 9.0), replicas=st.integers(1, 10))
def test_wherever_it_swings_by_nine_percent_it_never_flaps(policy, one, swing, base, replicas):
    generator = random.Random(5)
    trace = [one * base * (1 + 0.09 * SWINGS[swing](number, generator)) for number in range(200)]

    assert simulate(policy, trace, replicas=replicas).turns <= 1


@pytest.mark.parametrize(("least", "most"), [(-1, 3), (4, 3), (0, 0)])
def test_bounds_that_leave_nothing_are_refused(least, most):
    with pytest.raises(ScalingError, match="leave no number of replicas"):
        with_bounds(HpaPolicy(), least, most)
