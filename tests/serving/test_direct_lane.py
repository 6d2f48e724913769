"""Requests that are answered together, without sockets."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.exceptions import PredictionError
from nbdeploy.serving.asgi import Reply
from nbdeploy.serving.batching import MicroBatcher
from nbdeploy.serving.eager import Started, finish
from nbdeploy.serving.protocols.native import JSON_FORMATS
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.security import AccessPolicy
from nbdeploy.serving.service import ModelService

POLICY = AccessPolicy(None)


class Caller:
    """Keeps what it is told."""

    def __init__(self):
        self.answers = []

    def tell(self, answer):
        self.answers.append(answer)


class Doubling:
    """Doubles the first column; rows below zero make it raise, whoever they belong to."""

    def __init__(self):
        self.calls = []

    def predict(self, rows):
        self.calls.append(len(rows))
        if (rows[:, 0] < 0).any():
            message = "below zero"
            raise ValueError(message)
        return rows[:, 0] * 2


def service_of(model, **options):
    route = route_from_model(model, example=[[1.0, 2.0]])
    # What a function costs is not known: here it is known to be quick.
    object.__setattr__(route, "may_block", False)
    object.__setattr__(route, "seconds", 0.0)
    return ModelService(route, access=POLICY, **options)


def scope_of(path="/predict", **headers):
    head = [(b"host", b"localhost"), *((name.encode(), value) for name, value in headers.items())]
    return {"path": path, "client": ("127.0.0.1", 5), "headers": head, "method": "POST"}


def in_one_turn(service, bodies):
    """Send bodies in one turn of a loop; give the answer of each."""

    async def main():
        lane = service.app.direct
        admitted = lane.admit(scope_of())
        callers = [Caller() for _ in bodies]
        for caller, body in zip(callers, bodies, strict=True):
            lane.join(caller, admitted, body)
        assert not any(caller.answers for caller in callers)
        await asyncio.sleep(0)
        answers = []
        for caller in callers:
            (answer,) = caller.answers
            answers.append(await finish(answer) if isinstance(answer, Started) else answer)
        service.close()
        return answers

    return asyncio.run(main())


def body_of(*rows):
    return orjson.dumps({"features": [list(row) for row in rows]})


def values(reply):
    assert reply.status == 200, reply.body
    return orjson.loads(reply.body)["prediction"]


def test_requests_of_one_turn_share_one_call():
    model = Doubling()
    service = service_of(model)
    model.calls.clear()

    replies = in_one_turn(service, [body_of((n, 0)) for n in range(20)])

    assert [values(reply) for reply in replies] == [[2.0 * n] for n in range(20)]
    assert model.calls == [20]
    assert service.monitor.get_statistics()["requests"] == 20


def test_one_bad_row_fails_alone():
    service = service_of(Doubling())

    replies = in_one_turn(service, [body_of((n, 0)) for n in (1, 2, -3, 4)])

    assert [reply.status for reply in replies] == [200, 200, 500, 200]
    assert [values(replies[place]) for place in (0, 1, 3)] == [[2.0], [4.0], [8.0]]
    assert service.monitor.get_statistics()["errors"] == 1


def test_a_body_that_does_not_fit_is_told_so_and_delays_nobody():
    service = service_of(Doubling())
    bodies = [body_of((1, 0)), b'{"features": [["x", 1]]}', b"{", body_of((2, 0))]

    replies = in_one_turn(service, bodies)

    assert [reply.status for reply in replies] == [200, 422, 400, 200]


def test_a_model_that_takes_its_time_answers_through_the_queue():
    model = Doubling()
    service = service_of(model)
    object.__setattr__(service.route, "may_block", True)
    model.calls.clear()

    replies = in_one_turn(service, [body_of((n, 0)) for n in range(6)])

    assert [values(reply) for reply in replies] == [[2.0 * n] for n in range(6)]
    assert sum(model.calls) == 6
    assert service.monitor.get_statistics()["in_flight"] == 0


def test_with_a_batch_timeout_requests_wait_for_company():
    model = Doubling()
    service = service_of(model, batch_timeout=0.01)
    model.calls.clear()

    replies = in_one_turn(service, [body_of((n, 0)) for n in range(6)])

    assert [values(reply) for reply in replies] == [[2.0 * n] for n in range(6)]
    assert model.calls == [6]


def test_another_policy_lets_nobody_in_on_what_was_decided_before():
    service = service_of(Doubling())
    lane = service.app.direct
    admitted = lane.admit(scope_of())
    assert lane.still_admits(admitted)

    service.access = AccessPolicy("a-token")

    assert not lane.still_admits(admitted)
    assert lane.admit(scope_of()) is None
    assert lane.admit(scope_of(authorization=b"Bearer a-token")) is not None


@pytest.mark.parametrize(
    "headers",
    [{"origin": b"https://evil.example"}, {"host": b"evil.example"}],
    ids=["origin", "host"],
)
def test_strangers_are_left_to_the_gate(headers):
    lane = service_of(Doubling()).app.direct
    assert lane.admit(scope_of(**headers)) is None


def test_middleware_of_the_user_closes_the_lane():
    service = service_of(Doubling())
    lane = service.app.direct
    admitted = lane.admit(scope_of())

    service.app.add_middleware(lambda app: app)

    assert not lane.still_admits(admitted)
    assert lane.admit(scope_of()) is None


class Numbers:
    """Work that doubles numbers; those below zero fail."""

    may_block = False
    is_wide = False
    expected_seconds = 0.0

    def __init__(self, rows, *, key="double", can_join=True, calls=None):
        self.rows, self.key, self.can_join = rows, key, can_join
        self.size = len(rows)
        self.calls = [] if calls is None else calls

    def joined(self, others):
        assert all(other.key == self.key for other in others)
        rows = [*self.rows, *(row for other in others for row in other.rows)]
        return Numbers(rows, key=self.key, calls=self.calls)

    def run(self):
        self.calls.append(self.size)
        if min(self.rows) < 0:
            message = f"below zero: {min(self.rows)}"
            raise PredictionError(message)
        return [(self.key, 2 * row) for row in self.rows]


@settings(deadline=None)
@given(
    works=st.lists(
        st.builds(
            Numbers,
            st.lists(st.integers(-1, 9), min_size=1, max_size=5),
            key=st.sampled_from(["double", "twice"]),
            can_join=st.booleans(),
        ),
        min_size=1,
        max_size=12,
    ),
    most=st.integers(1, 8),
)
def test_everyone_gets_exactly_their_own_outcome(works, most):
    calls = []
    for work in works:
        work.calls = calls
    batcher = MicroBatcher(max_batch_size=most, clock=lambda: 0.0)

    outcomes = batcher.answer_together(works)

    assert all(size <= most or any(size == work.size for work in works) for size in calls)
    for work, outcome in zip(works, outcomes, strict=True):
        if min(work.rows) < 0:
            assert isinstance(outcome, PredictionError)
            assert str(outcome) == f"below zero: {min(work.rows)}"
        else:
            assert outcome == [(work.key, 2 * row) for row in work.rows]


def test_an_answer_in_one_turn_is_the_one_of_the_usual_way():
    service = service_of(Doubling())
    body = body_of((3, 0), (4, 0))
    (together,) = in_one_turn(service, [body])
    usual = asyncio.run(service.app.lane.respond("predict", JSON_FORMATS, body))
    assert isinstance(together, Reply)
    assert together == usual
    service.close()
