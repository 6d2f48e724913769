"""Work for a batcher, and a model that remembers its calls."""

from __future__ import annotations

import asyncio
import threading

from nbdeploy.exceptions import PredictionError


class Doubling:
    """Doubles numbers, fails for negative ones, and remembers its calls."""

    def __init__(self, *, seconds=0.0, may_block=False):
        self.seconds = seconds
        self.may_block = may_block
        self.calls = []
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()

    def __call__(self, rows):
        self.arrived.set()
        assert self.gate.wait(10)
        self.calls.append(list(rows))
        self.threads.add(threading.current_thread().name)
        if any(row < 0 for row in rows):
            message = f"negative: {min(rows)}"
            raise PredictionError(message)
        return [2 * row for row in rows]


class Numbers:
    def __init__(self, model, rows, *, key="double", can_join=True, is_wide=False):
        self.model, self.rows, self.key, self.can_join = model, rows, key, can_join
        self.is_wide = is_wide
        self.size = len(rows)
        self.expected_seconds = model.seconds
        self.may_block = model.may_block

    def joined(self, others):
        rows = [*self.rows, *(row for other in others for row in other.rows)]
        return Numbers(self.model, rows, key=self.key)

    def run(self):
        return self.model(self.rows)


IN_A_THREAD = {"may_block": True}


ON_THE_LOOP = {"seconds": 0.0005}


async def ask(batcher, work):
    at_once = batcher.answer_at_once(work)
    return await batcher.submit(work) if at_once is None else at_once


def gather(batcher, works):
    async def main():
        try:
            return await asyncio.gather(
                *(ask(batcher, work) for work in works), return_exceptions=True
            )
        finally:
            batcher.close()

    return asyncio.run(main())
