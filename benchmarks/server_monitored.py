"""nbdeploy whose monitor is there and not there in turns, a tenth of a second each.

It waits for a line, takes turns while somebody else asks it, and prints what it answered with the
monitor and without as JSON: requests, seconds, seconds of the processor.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from server_nbdeploy import load

from nbdeploy import deploy
from nbdeploy.serving.inference import Inference

_TURN = 0.1


def main() -> None:
    """Serve, take turns, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="a file of models.py, or 'nothing'")
    parser.add_argument("port", type=int)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--never", action="store_true", help="no monitor in either turn")
    options = parser.parse_args()
    model, example = load(options.model)
    service = deploy(model, name="bench", example=example, port=options.port, token=options.token)
    switch = Switch(service.service.inference)
    print("ready", flush=True)
    input()
    answered = take_turns(switch, options.seconds, never=options.never)
    print(orjson.dumps(answered).decode(), flush=True)
    # Whoever asks has not ended yet.
    threading.Event().wait()


def take_turns(switch: Switch, seconds: float, *, never: bool) -> list[list[float]]:
    """Give what was answered with the monitor, and without."""
    answered = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    for _ in range(round(seconds / (4 * _TURN))):
        # Neither always follows the other.
        for place in (0, 1, 1, 0):
            (switch.off if place or never else switch.on)()
            before = switch.rows, time.perf_counter(), time.process_time()
            time.sleep(_TURN)
            after = switch.rows, time.perf_counter(), time.process_time()
            for number, (start, end) in enumerate(zip(before, after, strict=True)):
                answered[place][number] += end - start
    return answered


class Switch:
    """Takes the monitor out of the path of requests, and puts it back.

    What is in flight is counted all the time: a request may begin in one turn and end in the next.

    Parameters
    ----------
    inference
        The path.
    """

    def __init__(self, inference: Inference) -> None:
        self.rows = 0
        self._inference = inference
        self._tell_monitor: Callable[[int], object] = inference.batcher._on_call  # noqa: SLF001 -- nothing public says how much was answered
        self._takes = inference.pace.takes
        self._is_on = True
        inference.batcher._on_call = self._told  # noqa: SLF001 -- as above

    def on(self) -> None:
        """Count every request."""
        if not self._is_on:
            self._is_on = True
            for name in ("count_together", "_count"):
                delattr(self._inference, name)
            self._inference.pace.takes = self._takes
            self._inference.batcher._on_call = self._told  # noqa: SLF001 -- as above

    def off(self) -> None:
        """Count nothing, look at nothing."""
        if self._is_on:
            self._is_on = False
            self._takes = self._inference.pace.takes
            replaced: dict[str, Callable[..., Any]] = {
                "count_together": _mark,
                "_count": lambda *_: 0.0,
            }
            vars(self._inference).update(replaced)
            self._inference.pace.takes = _never
            self._inference.batcher._on_call = self._add  # noqa: SLF001 -- as above

    def _told(self, rows: int) -> None:
        self.rows += rows
        self._tell_monitor(rows)

    def _add(self, rows: int) -> None:
        self.rows += rows


def _mark(questions: Sequence[Any], _: list[Any]) -> None:
    for question in questions:
        question.ended = 0.0


def _never() -> bool:
    return False


if __name__ == "__main__":
    main()
