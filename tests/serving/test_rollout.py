from __future__ import annotations

import pytest

from nbdeploy.exceptions import DeadlineError, ServingError
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.scores import ACCURACY
from nbdeploy.serving.rollout import Guard, Rollout, checked_steps

GUARD = Guard(max_error_rate=0.1, min_requests=20)


class Road:
    """A rollout, and the shares that it gave."""

    def __init__(self, steps=(0.05, 0.25, 1.0), guard=GUARD):
        self.shares = []
        self.contest = Contest({"1.0": 0.95, "1.1": 0.05}, ACCURACY)
        self.rollout = Rollout(
            "1.1",
            "1.0",
            steps=steps,
            guard=guard,
            apply=self.shares.append,
            undo=lambda: self.shares.append("back"),
        )
        self.rollout.begin(self.contest)

    def requests(self, number, version="1.1", seconds=0.01, ending="answered"):
        for _ in range(number):
            self.contest.ended(version, seconds, ending)

    def truths(self, number, version, truth):
        for _ in range(number):
            self.contest.judge(version, ["a"], [truth])


def test_it_moves_on_after_the_stated_minimum_of_requests_and_not_before():
    road = Road()
    assert road.shares == [0.05]

    road.requests(19)
    road.requests(1000, version="1.0")
    assert road.shares == [0.05]
    road.requests(1)
    assert road.shares == [0.05, 0.25]
    road.requests(19)
    assert road.shares == [0.05, 0.25]
    assert repr(road.rollout) == "<Rollout of 1.1: 25 % of the traffic, step 2 of 3>"
    road.requests(1)

    assert road.shares == [0.05, 0.25, 1.0]
    assert road.rollout.is_live
    assert road.rollout.wait() is road.rollout


def test_requests_that_the_caller_spoiled_say_nothing_of_the_version():
    road = Road()

    road.requests(500, ending="refused")

    assert road.shares == [0.05]


def test_it_goes_back_when_too_many_requests_fail():
    road = Road()
    road.requests(20)

    road.requests(5, ending="failed")

    assert road.shares == [0.05, 0.25, "back"]
    assert road.rollout.state == "rolled back"
    assert "1.0 answers: it failed 3 of 23 requests" in repr(road.rollout)


def test_it_goes_back_before_the_minimum_once_nothing_can_save_it():
    road = Road()

    road.requests(2, ending="failed")
    assert road.rollout.state == "running"
    road.requests(1, ending="failed")

    # 3 of 20 are more than a tenth, whatever the next 17 are.
    assert road.shares == [0.05, "back"]


def test_it_goes_back_when_it_is_slow():
    road = Road(guard=Guard(max_p95=0.2, min_requests=20))

    road.requests(19, seconds=0.5)
    assert road.rollout.state == "running"
    road.requests(1, seconds=0.5)

    assert road.shares == [0.05, "back"]
    assert "its p95 is 500 ms, more than 200 ms" in road.rollout.reason


def test_it_goes_back_when_its_metric_is_surely_worse_than_allowed():
    road = Road(guard=Guard(min_requests=1000, metric=0.05))
    road.truths(300, "1.0", "a")

    road.truths(90, "1.1", "b")

    assert road.shares == [0.05, "back"]
    assert "its accuracy is worse by at least" in road.rollout.reason


def test_with_a_metric_it_waits_for_the_truth():
    road = Road(guard=Guard(min_requests=60, metric=0.05))
    road.requests(60)
    assert road.shares == [0.05]

    road.truths(60, "1.0", "a")
    road.truths(60, "1.1", "a")

    assert road.shares == [0.05, 0.25]


def test_by_hand_it_is_ended_once():
    road = Road()

    road.rollout.abort()
    road.rollout.abort()
    road.requests(100)

    assert road.shares == [0.05, "back"]
    assert repr(road.rollout) == "<Rollout of 1.1: aborted, 1.0 answers: aborted by hand>"


def test_once_it_has_ended_nothing_moves_it():
    road = Road(steps=(0.5, 1.0))
    road.requests(20)

    road.requests(50, ending="failed")

    assert road.shares == [0.5, 1.0]


def test_who_waits_too_long_is_told_where_it_is():
    road = Road()

    with pytest.raises(DeadlineError, match=r"still on its way after 0.01 s.*step 1 of 3"):
        road.rollout.wait(timeout=0.01)

    assert road.rollout.state == "running"


def test_without_steps_it_is_live_at_once():
    shares = []
    rollout = Rollout("1.1", "1.0", apply=shares.append, undo=shares.clear, note="it agreed")
    rollout.begin()

    assert (shares, rollout.is_live) == ([1.0], True)
    assert repr(rollout) == "<Rollout of 1.1: live: it agreed>"
    assert "1.1: live" in rollout.to_html()


@pytest.mark.parametrize(
    "steps", [[], [0.5], [0.5, 0.2, 1], [0, 1], [0.5, 0.5, 1], [0.5, 1, 2], [float("nan"), 1]]
)
def test_steps_that_lead_nowhere_are_refused(steps):
    with pytest.raises(ServingError, match=r"such as \[0.05, 0.25, 1\]"):
        checked_steps(steps)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_error_rate": 1.0},
        {"max_error_rate": -0.1},
        {"max_p95": 0},
        {"min_requests": 0},
        {"metric": -0.1},
        {"metric": float("nan")},
    ],
)
def test_a_limit_that_none_can_keep_or_break_is_refused(limits):
    (name,) = limits
    with pytest.raises(ServingError, match=f"{name} is"):
        Guard(**limits)
