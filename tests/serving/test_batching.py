"""Requests share calls: everyone gets their own answer, or their own error."""

from __future__ import annotations

import asyncio
import threading
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdeploy.exceptions import PredictionError
from nbdeploy.serving.batching import MicroBatcher
from tests.serving.batched_work import IN_A_THREAD, ON_THE_LOOP, Doubling, Numbers, ask, gather


def test_a_quick_call_is_made_at_once_on_the_event_loop():
    model = Doubling()

    assert gather(MicroBatcher(), [Numbers(model, [n]) for n in range(5)]) == [
        [0], [2], [4], [6], [8],
    ]  # fmt: skip
    assert model.calls == [[0], [1], [2], [3], [4]]
    assert model.threads == {"MainThread"}


def test_calls_that_are_worth_it_are_shared_by_all_that_arrived_together():
    model = Doubling(**ON_THE_LOOP)

    answers = gather(MicroBatcher(), [Numbers(model, [n, n]) for n in range(20)])

    assert answers == [[2 * n, 2 * n] for n in range(20)]
    assert [len(call) for call in model.calls] == [40]
    assert model.threads == {"MainThread"}


def test_a_slow_model_runs_in_a_thread_of_its_own_and_gathers_what_waits():
    model = Doubling(**IN_A_THREAD)
    batcher = MicroBatcher()
    model.gate.clear()

    async def main():
        first = asyncio.create_task(ask(batcher, Numbers(model, [1])))
        await asyncio.to_thread(model.arrived.wait, 10)
        rest = [asyncio.create_task(ask(batcher, Numbers(model, [n]))) for n in range(10)]
        await asyncio.sleep(0)
        model.gate.set()
        answers = await asyncio.gather(first, *rest)
        batcher.close()
        return answers

    assert asyncio.run(main()) == [[2], *([2 * n] for n in range(10))]
    assert model.calls == [[1], list(range(10))]
    assert model.threads == {"nbdeploy-predict"}


def test_a_call_is_bounded_by_rows_but_one_request_is_never_cut():
    model = Doubling(**ON_THE_LOOP)
    works = [Numbers(model, [n] * 3) for n in range(5)] + [Numbers(model, [9] * 20)]

    gather(MicroBatcher(max_batch_size=7), works)

    assert [len(call) for call in model.calls] == [6, 6, 3, 20]


def test_a_batch_size_of_one_joins_nothing():
    model = Doubling(**ON_THE_LOOP)

    gather(MicroBatcher(max_batch_size=1), [Numbers(model, [n]) for n in range(4)])

    assert model.calls == [[0], [1], [2], [3]]


def test_with_a_timeout_requests_wait_for_company():
    model = Doubling()

    async def main():
        batcher = MicroBatcher(batch_timeout=0.05)
        first = asyncio.create_task(ask(batcher, Numbers(model, [1])))
        await asyncio.sleep(0.01)
        answers = await asyncio.gather(first, ask(batcher, Numbers(model, [2])))
        batcher.close()
        return answers

    assert asyncio.run(main()) == [[2], [4]]
    assert model.calls == [[1, 2]]


def test_methods_have_batches_of_their_own_and_take_turns():
    model = Doubling(**ON_THE_LOOP)
    works = [Numbers(model, [n], key="ab"[n % 2]) for n in range(6)]

    gather(MicroBatcher(max_batch_size=2), works)

    assert model.calls == [[0, 2], [1, 3], [4], [5]]


def test_what_cannot_be_joined_is_asked_alone():
    model = Doubling(**ON_THE_LOOP)

    answers = gather(MicroBatcher(), [Numbers(model, [n], can_join=False) for n in range(3)])

    assert answers == [[0], [2], [4]]
    assert model.calls == [[0], [1], [2]]


@pytest.mark.parametrize("place", [IN_A_THREAD, ON_THE_LOOP])
def test_only_the_rows_at_fault_fail(place):
    model = Doubling(**place)
    works = [Numbers(model, [-n if n in {3, 17} else n]) for n in range(25)]

    answers = gather(MicroBatcher(), works)

    failed = {n for n, answer in enumerate(answers) if isinstance(answer, PredictionError)}
    assert failed == {3, 17}
    assert str(answers[3]) == "negative: -3"
    assert all(answer == [2 * n] for n, answer in enumerate(answers) if n not in failed)


@st.composite
def requests(draw):
    rows = st.lists(st.integers(-2, 50), min_size=1, max_size=4)
    return draw(
        st.lists(
            st.tuples(rows, st.sampled_from("ab"), st.booleans(), st.integers(0, 3)),
            min_size=1,
            max_size=25,
        )
    )


@settings(max_examples=60, deadline=None)
@given(
    requests(),
    st.sampled_from([IN_A_THREAD, ON_THE_LOOP, {}]),
    st.sampled_from([1, 3, 64]),
    st.sampled_from([0.0, 0.001]),
    st.sampled_from([1, 3]),
)
def test_everyone_gets_exactly_their_own_answer_or_their_own_error(
    asked, place, max_batch_size, batch_timeout, concurrency
):
    model = Doubling(**place)
    batcher = MicroBatcher(
        max_batch_size=max_batch_size, batch_timeout=batch_timeout, concurrency=concurrency
    )

    async def one(rows, key, is_cancelled, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        task = asyncio.create_task(ask(batcher, Numbers(model, rows, key=key)))
        if is_cancelled:
            await asyncio.sleep(0)
            task.cancel()
        return await asyncio.gather(task, return_exceptions=True)

    async def main():
        answers = await asyncio.gather(*(one(*each) for each in asked))
        # Nothing of the cancelled is left behind.
        last = await ask(batcher, Numbers(model, [7]))
        batcher.close()
        return answers, last

    answers, last = asyncio.run(main())

    assert last == [14]
    for (rows, _, is_cancelled, _), (answer,) in zip(asked, answers, strict=True):
        if isinstance(answer, asyncio.CancelledError):
            assert is_cancelled
        elif min(rows) < 0:
            assert isinstance(answer, PredictionError)
            assert str(answer) == f"negative: {min(rows)}"
        else:
            assert answer == [2 * row for row in rows]


def test_wide_calls_run_side_by_side_and_short_ones_beside_them():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(wide_concurrency=2)

    async def main():
        def work(row, *, is_wide):
            return Numbers(model, [row], can_join=not is_wide, is_wide=is_wide)

        asked = [asyncio.create_task(ask(batcher, work(1, is_wide=True)))]
        await asyncio.sleep(0)
        asked += [asyncio.create_task(ask(batcher, work(row, is_wide=False))) for row in (2, 3)]
        for _ in range(3):
            await asyncio.sleep(0)
        beside = len(batcher._running)
        asked += [asyncio.create_task(ask(batcher, work(row, is_wide=False))) for row in (4, 5)]
        for _ in range(3):
            await asyncio.sleep(0)
        still = len(batcher._running)
        model.gate.set()
        answers = await asyncio.gather(*asked)
        batcher.close()
        return beside, still, answers

    beside, still, answers = asyncio.run(main())

    assert beside == still == 2
    assert answers == [[2], [4], [6], [8], [10]]
    assert sorted(model.calls) == [[1], [2, 3], [4, 5]]


def test_it_learns_what_a_call_costs_and_says_where_it_runs():
    now = [0.0]

    class Timed(Doubling):
        def __call__(self, rows):
            now[0] += 0.02
            return super().__call__(rows)

    model = Timed()
    batcher = MicroBatcher(clock=lambda: now[0], busy_clock=lambda: now[0])

    (call,) = learned_by(batcher, [Numbers(model, [n]) for n in range(3)])

    assert model.threads == {"MainThread", "nbdeploy-predict"}
    assert call["runs"] == "in a thread"
    assert call["seconds"] == pytest.approx(0.02)


def learned_by(batcher, works):
    """Ask one after the other, and tell what that taught about calls."""

    async def main():
        for work in works:
            await ask(batcher, work)
        learned = batcher.stats()["calls"]
        batcher.close()
        return learned

    return asyncio.run(main())


def test_a_kind_of_call_that_is_dear_now_and_then_runs_in_a_thread():
    looks = count()
    spent = [0.0]

    def busy():
        # Every second look ends a call: of 0.1 ms, then of 100 ms, and so on.
        spent[0] += (0.0, 0.0001, 0.0, 0.1)[next(looks) % 4]
        return spent[0]

    model = Doubling()
    batcher = MicroBatcher(busy_clock=busy)

    (call,) = learned_by(batcher, [Numbers(model, [n] * 64) for n in range(40)])

    assert call["runs"] == "in a thread"


@pytest.mark.parametrize("may_block", [False, True])
def test_what_only_waited_in_a_thread_comes_back_to_the_event_loop_unless_it_may_block(may_block):
    now, computed = [0.0], [0.0]

    class Waiting(Doubling):
        def __call__(self, rows):
            now[0] += 0.02
            computed[0] += 0.0001
            return super().__call__(rows)

    model = Waiting(seconds=0.002, may_block=may_block)
    batcher = MicroBatcher(clock=lambda: now[0], busy_clock=lambda: computed[0])

    (call,) = learned_by(batcher, [Numbers(model, [n]) for n in range(40)])

    assert ("MainThread" in model.threads) is not may_block
    assert "nbdeploy-predict" in model.threads
    assert (call["seconds"] > 0.01) is may_block


class Replicas:
    """Answers elsewhere, as many calls at once as it says."""

    is_ready = True

    def __init__(self, concurrency):
        self.concurrency = concurrency
        self.asked = []
        self.together = threading.Barrier(concurrency)

    def answer(self, work):
        self.together.wait(10)
        self.asked.append(list(work.rows))
        return [-row for row in work.rows]

    def publish(self, route):
        message = "the batcher knows of no models"
        raise AssertionError(message)

    def stats(self):
        return {}


def test_calls_can_be_made_elsewhere_and_here_again():
    model = Doubling(**ON_THE_LOOP)
    batcher = MicroBatcher()
    replicas = Replicas(3)
    works = [Numbers(model, [n], can_join=False) for n in range(3)]

    batcher.answer_elsewhere(replicas)
    assert gather(batcher, works) == [[0], [-1], [-2]]
    runs = {each["runs"] for each in batcher.stats()["calls"]}
    batcher.answer_elsewhere(None)
    assert gather(batcher, works) == [[0], [2], [4]]

    assert sorted(replicas.asked) == [[0], [1], [2]]
    assert runs == {"in a replica"}


def test_what_is_called_elsewhere_is_never_answered_at_once():
    model = Doubling(seconds=1e-6)
    batcher = MicroBatcher()
    assert batcher.answer_at_once(Numbers(model, [1])) == [2]

    batcher.answer_elsewhere(Replicas(1))

    assert batcher.answer_at_once(Numbers(model, [1])) is None
    assert batcher.answer_together([Numbers(model, [1])]) == [None]


@pytest.mark.parametrize(
    ("options", "seconds", "together"),
    [({}, 0.02, True), ({}, 0.2, False), ({"max_batch_size": 1024}, 0.02, False)],
    ids=["quick", "slow", "limited"],
)
def test_large_work_shares_a_call_beyond_the_usual_rows_if_it_is_quickly_done(
    options, seconds, together
):
    model = Doubling(seconds=0.002)
    looks = count()
    batcher = MicroBatcher(busy_clock=lambda: next(looks) * seconds, **options)
    works = [Numbers(model, [number] * 600) for number in range(5)]
    batcher._costs.learn(works[0], seconds)
    model.gate.clear()

    async def main():
        waiting = [asyncio.create_task(batcher.submit(work)) for work in works]
        await asyncio.sleep(0)
        await asyncio.to_thread(model.arrived.wait, 10)
        await asyncio.sleep(0)
        model.gate.set()
        answers = await asyncio.gather(*waiting)
        batcher.close()
        return answers

    assert asyncio.run(main()) == [[2 * number] * 600 for number in range(5)]
    assert (max(map(len, model.calls)) > 1024) is together


@pytest.mark.parametrize("rows", [1, 600])
@pytest.mark.parametrize(
    ("seconds", "thread", "runs"),
    [(0.0005, "MainThread", "on the event loop"), (0.005, "nbdeploy-predict", "in a thread")],
)
def test_a_call_runs_where_it_costs_least_and_says_so(rows, seconds, thread, runs):
    model = Doubling(seconds=seconds)
    looks = count()
    batcher = MicroBatcher(busy_clock=lambda: next(looks) * seconds)

    (call,) = learned_by(batcher, [Numbers(model, [1] * rows)])

    assert model.threads == {thread}
    assert call["runs"] == runs
