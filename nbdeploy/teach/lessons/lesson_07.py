"""Lesson 7: several services behind one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.load_balancer import LoadBalancer
from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_ENDPOINTS = ("old", "new")
_PICKS = 100
_TENTHS = {"old": 90, "new": 10}
_ASKS = 30


@step(
    "07.1",
    title="Give the new model one request in ten",
    hints=(
        "Weights say how often each is picked, compared with the other.",
        'A dict with the names "old" and "new"; together they may be 1, 10 or 100.',
        '`weights = {"old": 9, "new": 1}`',
    ),
)
def new_one_gets_a_tenth(weights: Any) -> str:
    """Pick a hundred times with the student's weights."""
    expect(
        isinstance(weights, Mapping),
        expected='a dict `{"old": ..., "new": ...}`',
        came=describe(weights),
        look="`weights`: a name and a number for each of the two",
    )
    balancer = LoadBalancer(_ENDPOINTS)
    try:
        picks = Counter(balancer.smooth_weighted(weights) for _ in range(_PICKS))
    except (ScalingError, TypeError) as error:
        raise Mismatch(
            expected='weights for the endpoints "old" and "new"',
            came=f"a refusal: {error}",
            look="the names and the numbers in `weights`",
        ) from None
    expect(
        picks == _TENTHS,
        expected='of a hundred requests 90 for "old" and 10 for "new"',
        came=" and ".join(f'{picks[name]} for "{name}"' for name in _ENDPOINTS),
        look="how the two numbers compare: one should be nine times the other",
    )
    return 'of a hundred requests, exactly ten go to "new"'


@step(
    "07.2",
    title="Ask another endpoint when one is gone",
    hints=(
        "Lease an endpoint, send, and catch the ConnectionError. Then do it again.",
        "Keep a list of what you tried: `balancer.lease(avoid=tried)` picks none of these.",
        "When nothing is left to try, `lease` raises a ScalingError; raise a ConnectionError then.",
        (
            "Inside a loop: `with balancer.lease(avoid=tried) as endpoint:`, then in the block "
            "`tried.append(endpoint)` and `return send(endpoint)`; around it `try:` and `except`."
        ),
    ),
)
def another_is_asked(ask: Any) -> str:
    """Let the student's function ask three endpoints of which one, then all, are gone."""
    expect(
        callable(ask),
        expected="a function `ask(balancer, send)`",
        came=describe(ask),
        look="the cell that defines `ask`",
    )
    balancer = LoadBalancer("abc")
    sent: list[str] = []
    for number in range(_ASKS):
        _expect_answer(ask, balancer, _without("a", sent), number)
    expect(
        {"b", "c"} <= set(sent),
        expected="requests for all endpoints that are there",
        came=f"requests for {sorted(set(sent))} only",
        look="`balancer.lease()`: let the balancer choose",
    )
    states = {fact.name: fact for fact in balancer.facts()}
    expect(
        states["a"].failures > 0 and states["b"].requests > 0,
        expected="a balancer that counts what came of each request",
        came="a balancer that knows of none",
        look="send inside `with balancer.lease(...) as endpoint:`",
    )
    _expect_failure(ask)
    return f"{_ASKS} of {_ASKS} were answered though one endpoint was gone"


def _without(gone: str, sent: list[str]) -> Callable[[str], str]:
    def send(endpoint: str) -> str:
        sent.append(endpoint)
        if endpoint in gone:
            message = f"{endpoint} is gone"
            raise ConnectionError(message)
        return f"answer of {endpoint}"

    return send


def _expect_answer(
    ask: Callable[..., Any], balancer: LoadBalancer, send: Callable[[str], str], number: int
) -> None:
    try:
        answer = ask(balancer, send)
    except (ConnectionError, ScalingError) as error:
        raise Mismatch(
            expected="an answer from one of the two that are there",
            came=f"{type(error).__name__} at request {number + 1}: {error}",
            look="catch the ConnectionError, and lease another one with `avoid=`",
        ) from None
    expect(
        isinstance(answer, str) and answer.startswith("answer of"),
        expected="what `send(endpoint)` returned",
        came=describe(answer),
        look="the `return` in your function",
    )


def _expect_failure(ask: Callable[..., Any]) -> None:
    sent: list[str] = []
    try:
        answer = ask(LoadBalancer("abc"), _without("abc", sent))
    except (ConnectionError, ScalingError):
        expect(
            len(sent) == len(set(sent)),
            expected="that each endpoint is tried once when all are gone",
            came=f"the tries {', '.join(sent)}",
            look="`avoid=tried`",
        )
        return
    raise Mismatch(
        expected="an error when all endpoints are gone",
        came=describe(answer),
        look="what your function does after the last try: raise, do not return",
    )
