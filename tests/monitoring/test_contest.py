from __future__ import annotations

import pytest

from nbdeploy.exceptions import SignatureError
from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.scores import ACCURACY
from nbdeploy.monitoring.shadow import ShadowLog


@pytest.fixture
def news():
    return []


@pytest.fixture
def contest(news):
    return Contest({"1.0": 0.9, "1.1": 0.1}, ACCURACY, on_news=lambda: news.append(1))


def test_each_version_has_its_own_counts(contest):
    contest.ended("1.0", 0.010, "answered")
    contest.ended("1.0", 0.030, "failed")
    contest.ended("1.1", 0.020, "refused")

    arms = contest.arms()

    assert list(arms) == ["1.0", "1.1"]
    one, other = arms.values()
    assert (one.requests, one.errors, one.refused, one.judged) == (2, 1, 0, 2)
    assert one.latency.maximum == 0.030
    assert (other.requests, other.errors, other.refused, other.judged) == (1, 0, 1, 0)
    assert other.latency.count == 0


def test_what_was_given_does_not_change_afterwards(contest):
    contest.ended("1.0", 0.010, "answered")
    before = contest.arms()["1.0"]

    contest.ended("1.0", 0.010, "answered")
    contest.judge("1.0", ["a"], ["a"])

    assert (before.requests, before.latency.count, before.scores.count) == (1, 1, 0)


def test_every_request_and_every_truth_is_news(contest, news):
    contest.ended("1.0", 0.010, "answered")
    contest.judge("1.0", ["a"], ["b"])

    assert len(news) == 2


def test_a_truth_that_does_not_fit_counts_nothing(contest, news):
    with pytest.raises(SignatureError):
        contest.judge("1.0", ["a", "b"], ["a", 5])

    assert contest.arms()["1.0"].scores.count == 0
    assert news == []


def test_with_another_shadow_the_versions_go_on_where_they_were(contest):
    contest.ended("1.0", 0.010, "answered")
    twin = contest.with_shadow(ShadowLog("2.0"))

    contest.judge("1.0", ["a"], ["a"])

    assert twin.arms()["1.0"].requests == 1
    assert twin.arms()["1.0"].scores.count == 1
    assert (contest.shadow, twin.shadow.version) == (None, "2.0")
