"""What a batcher does for those who cannot be answered: too many, too late, gone, or at the end."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

from nbdeploy.exceptions import DeadlineError, OverloadedError, PredictionError, StoppedError
from nbdeploy.serving.batching import MicroBatcher
from tests.serving.batched_work import IN_A_THREAD, Doubling, Numbers, ask, gather


def test_a_full_queue_refuses_at_once():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(max_queue=2)

    async def main():
        tasks = [asyncio.create_task(ask(batcher, Numbers(model, [n]))) for n in range(1)]
        await asyncio.to_thread(model.arrived.wait, 10)
        tasks += [asyncio.create_task(ask(batcher, Numbers(model, [n]))) for n in range(1, 12)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        model.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        batcher.close()
        return len(done), answers

    refused, answers = asyncio.run(main())

    assert refused >= 1
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 9
    assert answers[:3] == [[0], [2], [4]]


def test_whoever_waits_too_long_is_told_and_the_others_go_on():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(timeout=0.05)

    async def main():
        late = await asyncio.gather(
            *(ask(batcher, Numbers(model, [n])) for n in range(3)), return_exceptions=True
        )
        model.gate.set()
        answer = await ask(batcher, Numbers(model, [5]))
        batcher.close()
        return late, answer

    late, answer = asyncio.run(main())

    assert all(isinstance(each, DeadlineError) for each in late)
    assert "0.05 s" in str(late[0])
    assert answer == [10]


def test_closing_tells_those_who_wait_and_lets_the_running_call_finish():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher()

    async def main():
        running = asyncio.create_task(ask(batcher, Numbers(model, [1])))
        await asyncio.to_thread(model.arrived.wait, 10)
        waiting = asyncio.create_task(ask(batcher, Numbers(model, [2])))
        await asyncio.sleep(0)
        batcher.close()
        model.gate.set()
        return await asyncio.gather(running, waiting, return_exceptions=True)

    running, waiting = asyncio.run(main())

    assert running == [2]
    assert isinstance(waiting, StoppedError)


def test_another_event_loop_starts_anew():
    model = Doubling(**IN_A_THREAD)
    batcher = MicroBatcher()

    answers = [asyncio.run(ask(batcher, Numbers(model, [n]))) for n in range(3)]

    assert answers == [[0], [2], [4]]
    batcher.close()


def test_a_model_that_exits_ends_neither_the_thread_nor_the_others():
    class Exits(Doubling):
        def __call__(self, rows):
            if rows[0] == 0:
                raise SystemExit(3)
            return super().__call__(rows)

    model = Exits(**IN_A_THREAD)
    works = [Numbers(model, [n], can_join=False) for n in range(3)]

    first, *rest = gather(MicroBatcher(), works)

    assert isinstance(first, PredictionError)
    assert isinstance(first.__cause__, SystemExit)
    assert rest == [[2], [4]]


def test_a_forgotten_batcher_takes_its_threads_and_its_work_along():
    model = Doubling(**IN_A_THREAD)
    batcher = MicroBatcher()
    work = Numbers(model, [1])
    # A service of another test may not be forgotten yet.
    before = set(threading.enumerate())
    asyncio.run(ask(batcher, work))
    started = set(threading.enumerate()) - before
    (thread,) = (each for each in started if each.name == "nbdeploy-predict")
    gone = weakref.ref(work)

    del batcher, work
    # The thread may still be letting go of its last call when the first collection comes.
    for _ in range(100):
        gc.collect()
        thread.join(0.1)
        if not thread.is_alive():
            break

    assert gone() is None
    assert not thread.is_alive()


def test_a_queue_that_looks_full_first_begins_what_can_begin():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(max_queue=1)

    async def main():
        # All in one turn of the loop: one is called, one waits, the others are refused at once.
        tasks = [asyncio.create_task(ask(batcher, Numbers(model, [n]))) for n in range(12)]
        done, _ = await asyncio.wait(tasks, timeout=0.2)
        model.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        batcher.close()
        return len(done), answers

    refused, answers = asyncio.run(main())

    assert refused == 10
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 10
    assert answers[:2] == [[0], [2]]


def test_whoever_gave_up_leaves_the_queue_to_others_and_is_not_computed():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(max_queue=1)

    async def main():
        first = asyncio.create_task(ask(batcher, Numbers(model, [1])))
        await asyncio.to_thread(model.arrived.wait, 10)
        gone = asyncio.create_task(ask(batcher, Numbers(model, [2])))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        waiting_then = batcher.stats()["waiting"]
        other = asyncio.create_task(ask(batcher, Numbers(model, [3])))
        await asyncio.sleep(0)
        model.gate.set()
        answers = await asyncio.gather(first, other)
        batcher.close()
        return waiting_then, answers

    waiting_then, answers = asyncio.run(main())

    assert waiting_then == 0
    assert answers == [[2], [6]]
    assert model.calls == [[1], [3]]


def test_a_request_may_allow_less_time_than_the_service():
    model = Doubling(**IN_A_THREAD)
    model.gate.clear()
    batcher = MicroBatcher(max_queue=2, timeout=30)

    async def main():
        first = asyncio.create_task(batcher.submit(Numbers(model, [1])))
        await asyncio.to_thread(model.arrived.wait, 10)
        late = await asyncio.gather(
            batcher.submit(Numbers(model, [2]), 0.05),
            batcher.submit(Numbers(model, [3]), 0.02),
            return_exceptions=True,
        )
        waiting_then = batcher.stats()["waiting"]
        model.gate.set()
        answer = await first
        batcher.close()
        return late, waiting_then, answer

    late, waiting_then, answer = asyncio.run(main())

    assert [type(error) for error in late] == [DeadlineError, DeadlineError]
    assert "within 0.05 s" in str(late[0])
    assert waiting_then == 0
    assert answer == [2]
    assert model.calls == [[1]]
