from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "weights", [{"old": 9, "new": 1}, {"old": 0.9, "new": 0.1}, {"old": 90, "new": 10}], ids=repr
)
def test_a_tenth_passes_in_any_unit(weights, verdict):
    assert "Step 07.1 passed: of a hundred requests, exactly ten go" in verdict("07.1", weights)


@pytest.mark.parametrize(
    ("weights", "came"),
    [
        ({"old": 10, "new": 1}, 'Came:     91 for "old" and 9 for "new"'),
        ({"old": 1, "new": 1}, 'Came:     50 for "old" and 50 for "new"'),
        ({"old": 9, "canary": 1}, "Came:     a refusal: 'canary' has a weight but is no endpoint"),
        ({"old": "9", "new": 1}, "Came:     a refusal"),
        ([9, 1], "Came:     a list of length 2"),
    ],
    ids=["tenth of the other", "half", "name", "text", "list"],
)
def test_other_weights_are_told_what_they_do(weights, came, verdict):
    assert came in verdict("07.1", weights)


def good(balancer, send):
    tried = []
    for _ in balancer.endpoints:
        try:
            with balancer.lease(avoid=tried) as endpoint:
                tried.append(endpoint)
                return send(endpoint)
        except ConnectionError:
            continue
    raise ConnectionError


def without_a_second_try(balancer, send):
    with balancer.lease() as endpoint:
        return send(endpoint)


def always_the_last(balancer, send):
    return send(balancer.endpoints[-1])


def around_the_balancer(balancer, send):
    for _ in range(10):
        endpoint = balancer.round_robin()
        try:
            return send(endpoint)
        except ConnectionError:
            continue
    raise ConnectionError


def swallowing(balancer, send):
    try:
        return good(balancer, send)
    except ConnectionError:
        return None


def stubborn(balancer, send):
    for _ in range(9):
        try:
            with balancer.lease("round_robin") as endpoint:
                return send(endpoint)
        except ConnectionError:
            continue
    raise ConnectionError


def test_a_second_try_passes(verdict):
    assert "Step 07.2 passed: 30 of 30 were answered" in verdict("07.2", good)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (without_a_second_try, "lease another one with `avoid=`"),
        (always_the_last, "let the balancer choose"),
        (around_the_balancer, "send inside `with balancer.lease"),
        (swallowing, "an error when all endpoints are gone"),
        (stubborn, "that each endpoint is tried once"),
        (lambda *_: 7, "what `send(endpoint)` returned"),
        ("ask", "a function `ask(balancer, send)`"),
    ],
    ids=["once", "last", "uncounted", "swallowed", "stubborn", "number", "text"],
)
def test_what_is_missing_is_told(ask, told, verdict):
    out = verdict("07.2", ask)
    assert told in out
    assert "passed" not in out
