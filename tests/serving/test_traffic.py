from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.dummy import DummyClassifier

from nbdeploy.exceptions import ServingError
from nbdeploy.serving.routing import Route, route_from_model
from nbdeploy.serving.traffic import Traffic, checked_weights, place_of

MODEL = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
PREDICTOR = route_from_model(MODEL).predictor
SIGNATURE = route_from_model(MODEL).signature
SHARES = st.dictionaries(
    st.text(min_size=1, max_size=5), st.floats(0, 1e6), min_size=1, max_size=6
).filter(lambda shares: sum(shares.values()) > 0)


def route(version):
    return Route(PREDICTOR, SIGNATURE, version)


def parted(shares, **options):
    return Traffic.parted(shares, {name: route(name) for name in shares}, **options)


def chosen(traffic, keys, salt="churn"):
    return {key: traffic.at(place_of(key, salt=salt)).version for key in keys}


def test_ninety_to_ten_over_ten_thousand_keys():
    traffic = parted({"1.0": 0.9, "1.1": 0.1})
    keys = [f"customer {number}" for number in range(10_000)]

    once = chosen(traffic, keys)

    new = sum(version == "1.1" for version in once.values())
    low, high = stats.binom.interval(0.999, 10_000, 0.1)
    assert low <= new <= high
    assert chosen(traffic, reversed(keys)) == once
    # In another kernel, on another machine: the same.
    assert chosen(parted({"1.0": 90, "1.1": 10}), keys) == once


def test_the_place_of_a_key_is_fixed_for_ever():
    assert place_of("ana", salt="churn") == 0.21398180195692107
    assert place_of("ana", salt="fraud") != place_of("ana", salt="churn")


@given(st.text(), st.text())
def test_a_place_is_from_zero_to_below_one(key, salt):
    assert 0 <= place_of(key, salt=salt) < 1


def test_when_a_share_grows_its_keys_stay():
    keys = [f"customer {number}" for number in range(2000)]
    stages = [chosen(parted({"1.0": 1 - share, "1.1": share}), keys) for share in (0.05, 0.25, 0.6)]

    for before, after in itertools.pairwise(stages):
        assert {key for key in keys if before[key] == "1.1"} < {
            key for key in keys if after[key] == "1.1"
        }


@given(SHARES, st.floats(0, 1, exclude_max=True))
def test_whoever_is_chosen_has_a_share(shares, place):
    traffic = parted(shares)

    assert shares[traffic.at(place).version] > 0


@given(SHARES)
def test_shares_add_up_to_one_and_keep_their_order(shares):
    weights = checked_weights(shares)

    assert math.fsum(weights.values()) == pytest.approx(1)
    assert list(weights) == list(shares)
    assert shares[parted(shares).primary.version] == pytest.approx(max(shares.values()))


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf, "a lot", None, True])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ServingError, match=r"The share of '1\.1' is"):
        checked_weights({"1.0": 0.5, "1.1": share})


@pytest.mark.parametrize("shares", [{"1.0": 0.0, "1.1": 0}, {}])
def test_somebody_must_answer(shares):
    with pytest.raises(ServingError, match="No version has a share"):
        checked_weights(shares)


def test_a_shadow_makes_traffic_that_is_not_plain():
    alone = Traffic.to(route("1.0"))

    assert alone.is_plain
    assert not alone.with_shadow(route("1.1")).is_plain
    assert alone.with_shadow(route("1.1")).with_shadow(None).is_plain
    # Who answers is no shadow.
    assert alone.with_shadow(route("1.0")).is_plain


def test_it_says_who_answers():
    traffic = parted({"1.0": 0.9, "1.1": 0.1}, key="customer")

    assert repr(traffic) == "<Traffic: 1.0 90 %, 1.1 10 %, by customer>"
    assert repr(Traffic.to(route("1.0"), shadow=route("1.1"))) == (
        "<Traffic: 1.0 100 %, shadow 1.1>"
    )
