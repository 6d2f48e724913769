from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbdeploy.exceptions import SignatureError, UnknownPredictionError
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.feedback import FeedbackLog
from nbdeploy.monitoring.scores import ACCURACY


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def contest():
    return Contest({"1.0": 0.5, "1.1": 0.5}, ACCURACY)


def scores(contest, version="1.0"):
    found = contest.arms()[version].scores
    return found.count, found.mean


def test_the_truth_is_joined_to_the_version_that_predicted(contest):
    log = FeedbackLog()
    one = log.remember(contest, "1.0", ["a", "b"])
    other = log.remember(contest, "1.1", ["a"])

    # Late and out of order.
    assert log.accept(other, ["b"])
    assert log.accept(one, ["a", "b"])

    assert scores(contest, "1.0") == (2, 1.0)
    assert scores(contest, "1.1") == (1, 0.0)


def test_the_first_truth_wins(contest):
    log = FeedbackLog()
    prediction_id = log.remember(contest, "1.0", ["a"])

    assert log.accept(prediction_id, ["a"]) is True
    assert log.accept(prediction_id, ["b"]) is False

    assert scores(contest) == (1, 1.0)


def test_many_threads_with_the_same_truth_count_once(contest):
    log = FeedbackLog()
    prediction_id = log.remember(contest, "1.0", ["a"])
    accepted = []
    threads = [
        threading.Thread(target=lambda: accepted.append(log.accept(prediction_id, ["a"])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(accepted) == [False] * 7 + [True]
    assert scores(contest) == (1, 1.0)


def test_a_truth_that_does_not_fit_may_be_sent_again(contest):
    log = FeedbackLog()
    prediction_id = log.remember(contest, "1.0", ["a"])

    with pytest.raises(SignatureError):
        log.accept(prediction_id, ["a", "b"])

    assert log.accept(prediction_id, ["a"])


def test_rows_without_a_known_truth_do_not_count(contest):
    log = FeedbackLog()

    log.accept(log.remember(contest, "1.0", ["a", "b", "c"]), [None, "b", None])

    assert scores(contest) == (1, 1.0)


@pytest.mark.parametrize("made_up", ["", "x" * 22, "\x00", "../etc"])
def test_an_unknown_id_is_told(contest, made_up):
    log = FeedbackLog()
    log.remember(contest, "1.0", ["a"])

    with pytest.raises(UnknownPredictionError, match="X-Prediction-ID"):
        log.accept(made_up, ["a"])


def test_ids_are_random_and_long(contest):
    log = FeedbackLog()
    ids = {log.remember(contest, "1.0", ["a"]) for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(each) == 22 for each in ids)


def test_a_prediction_is_forgotten_after_its_lifetime(contest):
    clock = Clock()
    log = FeedbackLog(lifetime=60, clock=clock)
    early = log.remember(contest, "1.0", ["a"])
    clock.now = 59.0
    late = log.remember(contest, "1.0", ["a"])

    clock.now = 60.0

    with pytest.raises(UnknownPredictionError):
        log.accept(early, ["a"])
    assert log.accept(late, ["a"])
    assert len(log) == 1


@given(st.lists(st.integers(1, 7), max_size=60))
def test_memory_is_bounded_by_rows_and_the_oldest_give_way(sizes):
    contest = Contest({"1.0": 1.0}, ACCURACY)
    numbers = itertools.count()
    log = FeedbackLog(max_rows=10, new_id=lambda: str(next(numbers)))
    for size in sizes:
        log.remember(contest, "1.0", ["a"] * size)

    kept = []
    for number, size in enumerate(sizes):
        try:
            kept.append(log.accept(str(number), ["a"] * size) and size)
        except UnknownPredictionError:
            assert kept == [], "a younger one gave way before an older"
    assert sum(kept) <= 10
    assert len(log) == len(kept)


def test_more_rows_than_are_kept_have_no_id(contest):
    log = FeedbackLog(max_rows=3)
    kept = log.remember(contest, "1.0", ["a"])

    assert log.remember(contest, "1.0", ["a"] * 4) is None
    assert log.accept(kept, ["a"])
