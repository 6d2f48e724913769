"""Where predictions run: requests that wait share one call of the model.

Nobody waits for company. While the model is busy, requests gather; as soon as it is free they are
joined, bounded by rows, predicted in one call, and everyone gets their own rows back. A quick model
is called on the event loop at once: a thread would cost more than the prediction.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any

from nbdeploy.exceptions import DeadlineError, OverloadedError, StoppedError
from nbdeploy.serving.call_costs import AT_ONCE_SECONDS, CallCosts, processor_clock
from nbdeploy.serving.elsewhere import CallsElsewhere, Elsewhere
from nbdeploy.serving.prediction_thread import PredictionThread
from nbdeploy.serving.work import Waiting, Work, join, outcome_of

__all__ = ["MicroBatcher"]

_USUAL_ROWS = 1024
# A forest of a hundred trees takes little longer for 4,000 rows than for 1,000.
_MOST_ROWS = 8192
_QUICK_SECONDS = 0.05
_MEASURED = 8


class MicroBatcher:
    """Run work, joined where it waits.

    Parameters
    ----------
    max_queue
        Requests that may wait; the next is refused at once.
    timeout
        Seconds from arrival to answer. A call that runs cannot be stopped: it ends unheard.
    max_batch_size
        Rows of one call, at most; 1 joins nothing. ``None`` joins 1,024, and up to 8,192 where a
        call for them is expected to take at most 0.05 s.
    batch_timeout
        Seconds to wait for company before a call; 0 waits for nobody.
    concurrency
        Calls at once, each in a thread of its own.
    wide_concurrency
        Calls at once where they are wide; as `concurrency` when ``None``.
    clock
        Gives seconds that never go back.
    busy_clock
        Gives the seconds that a thread has computed; that of the system when ``None``.
    on_call
        Told the rows of every call, on the event loop.
    """

    def __init__(
        self,
        *,
        max_queue: int = 1024,
        timeout: float = 30.0,
        max_batch_size: int | None = None,
        batch_timeout: float = 0.0,
        concurrency: int = 1,
        wide_concurrency: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        busy_clock: Callable[[], float] | None = None,
        on_call: Callable[[int], object] = int,
    ) -> None:
        self._on_call = on_call
        self._max_queue = max_queue
        self._timeout = timeout
        self._max_rows = max_batch_size or _USUAL_ROWS
        self._most_rows = max_batch_size or _MOST_ROWS
        self._batch_timeout = batch_timeout
        self._clock = clock
        costs = CallCosts(clock, busy_clock or processor_clock())
        self._here = (costs, concurrency, wide_concurrency or concurrency)
        self._queues: OrderedDict[object, deque[Waiting]] = OrderedDict()
        self._waiting = 0
        self._running: dict[int, list[Waiting]] = {}
        self._calls_at_once = 0
        self.answer_elsewhere(None)
        self.is_gathering = False
        """Whether somebody gathers the work of several requests, to answer it together."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[PredictionThread] = []
        # A batcher that nobody closed takes its threads along when it is forgotten.
        weakref.finalize(self, _close_all, self._threads)
        self._wakeup: asyncio.Handle | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def answer_elsewhere(self, elsewhere: Elsewhere | None) -> None:
        """Let calls be made elsewhere from now on, as many at once as are possible there.

        Parameters
        ----------
        elsewhere
            Who answers; ``None`` calls the model here again.
        """
        if elsewhere is None:
            self._costs, self._concurrency, self._wide_concurrency = self._here
        else:
            if not isinstance(self._costs, CallsElsewhere) or not self._costs.is_at(elsewhere):
                self._costs = CallsElsewhere(self._clock, elsewhere)
            self._concurrency = self._wide_concurrency = elsewhere.concurrency

    def answer_at_once(self, work: Work) -> list[Any] | None:
        """Answer work that costs less than to wait for it, if nothing else waits or runs.

        Raises
        ------
        PredictionError
            If the model raises.
        """
        if self._waiting or self._running or self._batch_timeout > 0:
            return None
        if self._costs.of(work) >= AT_ONCE_SECONDS:
            return None
        self._calls_at_once += 1
        self._on_call(work.size)
        # What a call costs changes slowly; to measure every one would cost a tenth of it.
        if self._costs.knows(work) and self._calls_at_once % _MEASURED:
            return work.run()
        return self._costs.timed(work)

    def answer_together(
        self,
        works: Sequence[Work],
        on_answers: Callable[[Sequence[Any], list[Any]], object] = lambda *_: None,
    ) -> list[list[Any] | BaseException | None]:
        """Answer work that came at the same time, where that costs less than to wait.

        Parameters
        ----------
        works
            Those of the same key that can be joined share a call.
        on_answers
            Told the work that shared a call and the answers to all its rows, before anybody else.

        Returns
        -------
        outcomes
            One for each: its answers, its error, or ``None`` for what shall be submitted.
        """
        outcomes: list[list[Any] | BaseException | None] = [None] * len(works)
        if self._waiting or self._running or self._batch_timeout > 0:
            return outcomes
        for places in self._joinable(works):
            together = [works[place] for place in places]
            joined = join(together)
            # One by one they would be answered at once: together they never take longer.
            is_cheap = all(self._costs.of(work) < AT_ONCE_SECONDS for work in together)
            if not (is_cheap or self._costs.is_for_the_loop(joined)):
                continue
            self._on_call(joined.size)
            answers, error = outcome_of(self._costs.timed, joined)
            if error is not None and len(together) > 1:
                # Each alone: only those at fault fail.
                for place, work in zip(places, together, strict=True):
                    own, error = outcome_of(self._costs.timed, work)
                    outcomes[place] = error if own is None else own
                continue
            if answers is not None:
                on_answers(together, answers)
            at = 0
            for place, work in zip(places, together, strict=True):
                outcomes[place] = answers[at : at + work.size] if answers is not None else error
                work.seconds_of_call = joined.seconds_of_call
                at += work.size
        return outcomes

    def _joinable(self, works: Sequence[Work]) -> list[list[int]]:
        """Give the places of work that may share a call, bounded by rows."""
        groups: list[list[int]] = []
        latest: dict[object, tuple[list[int], int]] = {}
        for place, work in enumerate(works):
            group, rows = latest.get(work.key, (None, 0)) if work.can_join else (None, 0)
            if group is None or rows + work.size > self._max_rows:
                group, rows = [], 0
                groups.append(group)
            group.append(place)
            if work.can_join:
                latest[work.key] = (group, rows + work.size)
        return groups

    async def submit(self, work: Work, within: float | None = None) -> list[Any]:
        """Run work and wait for its answers; who stops waiting leaves the queue.

        Parameters
        ----------
        work
            What is asked.
        within
            Seconds to the answer, if fewer than the service allows.

        Raises
        ------
        OverloadedError
            If too many wait already.
        DeadlineError
            If there is no answer in time.
        PredictionError
            If the model raises for these rows; those of others are not touched.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._move_to(loop)
        if self._waiting >= self._max_queue:
            self._make_room()
        allowed = self._timeout if within is None else min(within, self._timeout)
        waiting = Waiting(work, loop.create_future(), now=loop.time(), allowed=allowed)
        self._enqueue(waiting, loop)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            self._remove_settled()
            raise

    def _make_room(self) -> None:
        """Begin what can begin before the turn of the loop ends; refuse if that is not enough."""
        if self._wakeup is not None and self._batch_timeout == 0:
            self._wakeup.cancel()
            self._dispatch()
        if self._waiting >= self._max_queue:
            message = f"{self._max_queue} requests wait already; try again in a moment."
            raise OverloadedError(message)

    def _remove_settled(self) -> None:
        """Take out of the queues whoever waits no more."""
        for key, queue in list(self._queues.items()):
            left = deque(each for each in queue if not each.future.done())
            self._waiting -= len(queue) - len(left)
            if left:
                self._queues[key] = left
            else:
                del self._queues[key]

    def stats(self) -> dict[str, Any]:
        """Tell how calls are made: where each kind of work runs, and what a call costs."""
        return {"waiting": self._waiting, "calls": self._costs.describe()}

    def close(self) -> None:
        """End the threads; a running call finishes, whoever waits is told that it is over."""
        _close_all(self._threads)
        for handle in (self._wakeup, self._sweep):
            if handle is not None:
                handle.cancel()
        everybody = [each for queue in self._queues.values() for each in queue]
        self._queues.clear()
        self._waiting = 0
        self._wakeup = self._sweep = None
        for waiting in everybody:
            if not waiting.future.done():
                waiting.future.set_exception(StoppedError("The service was stopped."))

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget another event loop: a test client has a new one for every request."""
        if self._loop is not None:
            self.close()
        self._loop = loop

    def _enqueue(self, waiting: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        # Work that cannot be joined has a queue of its own.
        key = waiting.work.key if waiting.work.can_join else object()
        self._queues.setdefault(key, deque()).append(waiting)
        self._waiting += 1
        if self._wakeup is None and self._has_room():
            if self._batch_timeout > 0:
                self._wakeup = loop.call_later(self._batch_timeout, self._dispatch)
            else:
                # After all that arrived in this turn of the loop.
                self._wakeup = loop.call_soon(self._dispatch)
        if self._sweep is None or waiting.deadline < self._sweep.when():
            if self._sweep is not None:
                self._sweep.cancel()
            self._sweep = loop.call_at(waiting.deadline, self._expire)

    def _dispatch(self) -> None:
        self._wakeup = None
        while self._queues and self._has_room():
            batch = self._take()
            if not batch:
                continue
            joined = join([waiting.work for waiting in batch])
            self._on_call(joined.size)
            if self._costs.is_for_the_loop(joined):
                self._finish(batch, joined, *outcome_of(self._costs.timed, joined))
            else:
                self._hand_over(batch, joined)

    def _has_room(self) -> bool:
        """Tell whether the call that is next may begin."""
        calls = len(self._running)
        if calls < self._concurrency or calls >= self._wide_concurrency:
            return calls < self._concurrency
        next_queue = next(iter(self._queues.values()))
        if next_queue[0].work.is_wide:
            return True
        # Short work need not wait for long work while a core is free.
        return all(batch[0].work.is_wide for batch in self._running.values())

    def _take(self) -> list[Waiting]:
        """Take what waits longest, with its company; the next key has its turn after."""
        key, queue = self._queues.popitem(last=False)
        batch: list[Waiting] = []
        rows = 0
        while queue and (not batch or self._fits(queue[0].work, rows + queue[0].work.size)):
            waiting = queue.popleft()
            self._waiting -= 1
            if not waiting.future.done():
                batch.append(waiting)
                rows += waiting.work.size
        if queue:
            self._queues[key] = queue
        return batch

    def _fits(self, work: Work, rows: int) -> bool:
        """Tell whether so many rows may share a call: more than usual if they are quickly done."""
        if rows <= self._max_rows:
            return True
        return rows <= self._most_rows and self._costs.of(work, rows) <= _QUICK_SECONDS

    def _hand_over(self, batch: list[Waiting], joined: Work) -> None:
        thread = next((each for each in self._threads if not each.is_busy), None)
        if thread is None:
            thread = PredictionThread(asyncio.get_running_loop())
            self._threads.append(thread)
        self._running[id(batch)] = batch

        def done(answers: list[Any] | None, error: BaseException | None) -> None:
            self._running.pop(id(batch), None)
            self._finish(batch, joined, answers, error)
            self._dispatch()

        thread.run(lambda: self._costs.timed(joined), done)

    def _finish(
        self,
        batch: list[Waiting],
        joined: Work,
        answers: list[Any] | None,
        error: BaseException | None,
    ) -> None:
        if error is not None and len(batch) > 1:
            self._split(batch)
            return
        place = 0
        for waiting in batch:
            end = place + waiting.work.size
            if waiting.future.done():
                pass
            elif error is not None:
                waiting.future.set_exception(error)
            else:
                assert answers is not None
                waiting.work.seconds_of_call = joined.seconds_of_call
                waiting.future.set_result(answers[place:end])
            place = end

    def _split(self, batch: list[Waiting]) -> None:
        """Run both halves again: in the end only the rows at fault fail."""
        half = len(batch) // 2
        for part in (batch[half:], batch[:half]):
            queue = deque(waiting for waiting in part if not waiting.future.done())
            if queue:
                # A queue of its own, in front: joined with others it would fail again.
                key = object()
                self._queues[key] = queue
                self._queues.move_to_end(key, last=False)
                self._waiting += len(queue)
        if self._wakeup is None:
            self._wakeup = asyncio.get_running_loop().call_soon(self._dispatch)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        nearest = None
        queued = (each for queue in self._queues.values() for each in queue)
        running = (each for batch in self._running.values() for each in batch)
        for waiting in [*queued, *running]:
            if waiting.future.done():
                continue
            if waiting.deadline <= now:
                message = f"No answer within {waiting.allowed:g} s; the request was given up."
                waiting.future.set_exception(DeadlineError(message))
            elif nearest is None or waiting.deadline < nearest:
                nearest = waiting.deadline
        self._remove_settled()
        self._sweep = loop.call_at(nearest, self._expire) if nearest is not None else None


def _close_all(threads: list[PredictionThread]) -> None:
    while threads:
        threads.pop().close()
