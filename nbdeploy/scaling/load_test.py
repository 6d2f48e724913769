"""Start the load generator in its own process, and read what it reports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from nbdeploy.display import units
from nbdeploy.display.progress import ProgressBar
from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.capacity import Capacity, Trial, find_capacity
from nbdeploy.scaling.load_generator import Plan
from nbdeploy.scaling.load_result import LoadResult, Sample
from nbdeploy.scaling.load_shape import LoadShape

__all__ = ["Target", "load_service", "load_test", "search_capacity"]

_SECONDS = 10.0
_TRIAL_SECONDS = 3.0
_FIRST_RATE = 10.0
_CONNECTIONS = 1_000
_CLOSED_LOOP = 8
_FRONT_SECONDS = 1.0


@dataclass(frozen=True)
class Target:
    """Whom to load.

    Parameters
    ----------
    url
        Where the service is.
    bodies
        What is sent, in turn.
    path
        What is asked for.
    token
        What the service wants to see.
    live_path
        What is answered without a model.
    replicas
        Tells how many replicas there are, where somebody knows.
    timeout
        Seconds until a request is given up.
    certificate
        A PEM file with the certificate of the service, where no authority vouches for it.
    """

    url: str
    bodies: Sequence[str]
    path: str = "/predict"
    token: str | None = field(default=None, repr=False)
    live_path: str = "/health/live"
    replicas: Callable[[], int] | None = None
    timeout: float = 30.0
    certificate: str | None = None

    def headers(self) -> dict[str, str]:
        """Give what every request carries."""
        return {} if self.token is None else {"X-API-Key": self.token}


def load_service(
    target: Target,
    rps: float | Sequence[float] | None,
    *,
    seconds: float | None,
    concurrency: int | None,
    ramp: bool,
    goal_p95: float | None,
) -> LoadResult | Capacity:
    """Do what ``service.load_test`` asks for: send a load, or search for the highest rate.

    Raises
    ------
    ScalingError
        If both are asked for, or the load is none.
    """
    if goal_p95 is None:
        length = _SECONDS if seconds is None else seconds
        return load_test(target, rps=rps, seconds=length, concurrency=concurrency, ramp=ramp)
    if concurrency is not None or ramp or not (rps is None or isinstance(rps, (int, float))):
        message = (
            "goal_p95 searches for the rate by itself. Leave out concurrency and ramp; a single "
            "rps is where it begins."
        )
        raise ScalingError(message)
    length = _TRIAL_SECONDS if seconds is None else seconds
    return search_capacity(target, goal_p95=goal_p95, seconds=length, first=rps or _FIRST_RATE)


def load_test(
    target: Target,
    *,
    rps: float | Sequence[float] | None = None,
    seconds: float = _SECONDS,
    concurrency: int | None = None,
    ramp: bool = False,
) -> LoadResult:
    """Send a load and tell what came of it; an interrupt ends it early with what there is.

    Parameters
    ----------
    target
        Whom to load.
    rps
        Requests a second, each at its moment whether or not others are answered (open loop); a
        list makes steps. ``None`` sends the next when the one before is answered (closed loop).
    seconds
        How long new requests are sent.
    concurrency
        Requests at once, at most; 8 in a closed loop.
    ramp
        Go evenly from one rate of the list to the next.

    Raises
    ------
    ScalingError
        If the load is none, or the generator could not be started.
    """
    if concurrency is not None and concurrency < 1:
        message = f"concurrency={concurrency!r} sends nothing. Expected 1 or more."
        raise ScalingError(message)
    # A closed loop has no rate; its time is checked all the same.
    shape = LoadShape.of(1.0 if rps is None else rps, seconds, ramp=ramp)
    is_open = rps is not None
    connections = concurrency or (_CONNECTIONS if is_open else _CLOSED_LOOP)
    plan = Plan(
        target.url,
        target.path,
        tuple(target.bodies),
        shape.seconds,
        headers=target.headers(),
        rates=shape.rates if is_open else (),
        ramp=ramp,
        connections=connections,
        timeout=target.timeout,
        certificate=target.certificate,
    )
    return _send(plan, _in_words(shape if is_open else None, seconds, connections), target.replicas)


def search_capacity(
    target: Target,
    *,
    goal_p95: float,
    seconds: float = _TRIAL_SECONDS,
    first: float = _FIRST_RATE,
) -> Capacity:
    """Find the highest rate that keeps a latency goal, and what the front does without a model.

    Parameters
    ----------
    target
        Whom to load.
    goal_p95
        Seconds within which 95 % of the answers shall come.
    seconds
        How long each rate is tried.
    first
        The rate to begin with.
    """
    if not goal_p95 > 0:
        message = f"goal_p95={goal_p95!r} is no latency. Expected seconds above 0, such as 0.05."
        raise ScalingError(message)
    was_interrupted = False

    def attempt(rate: float) -> Trial | None:
        nonlocal was_interrupted
        result = load_test(target, rps=rate, seconds=seconds)
        was_interrupted = result.is_interrupted
        if was_interrupted or not result.samples:
            return None
        # What is due in the time of a trial: 3.5 requests cannot be sent.
        due = len(result.samples) / seconds
        return Trial(due, result.throughput, result.p95, result.error_rate)

    rate, trials = find_capacity(attempt, goal_p95, first=first)
    front = None if was_interrupted else _front_rate(target)
    return Capacity(goal_p95, rate, tuple(trials), front, was_interrupted)


def _front_rate(target: Target) -> float | None:
    plan = Plan(
        target.url,
        target.live_path,
        (),
        _FRONT_SECONDS,
        headers=target.headers(),
        connections=_CLOSED_LOOP,
        timeout=target.timeout,
        certificate=target.certificate,
    )
    result = _send(plan, "", None)
    return result.throughput or None


def _send(plan: Plan, sent: str, replicas: Callable[[], int] | None) -> LoadResult:
    samples: list[Sample] = []
    counts: list[tuple[float, int]] = []
    is_interrupted = is_done = False
    with _generator(plan) as process, ProgressBar("Load test") as bar:
        reports = _reports(process)
        try:
            for report in reports:
                samples += map(Sample._make, report["samples"])
                is_done = report.get("done", False)
                elapsed = report["elapsed"]
                if replicas is not None:
                    counts.append((elapsed, replicas()))
                bar.update(elapsed / plan.seconds, units.counted(len(samples), "request"))
        except KeyboardInterrupt:
            is_interrupted = True
            bar.stop()
            samples += _last_words(process)
        told = process.stderr.read() if process.stderr is not None else ""
    if not (is_done or is_interrupted):
        message = f"The load generator ended early: {told.strip()[-500:] or process.returncode}"
        raise ScalingError(message)
    seconds = plan.seconds
    if is_interrupted and samples:
        seconds = min(seconds, max(sample.due for sample in samples) or seconds)
    return LoadResult(tuple(samples), seconds, sent, tuple(counts), is_interrupted)


@contextmanager
def _generator(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    # A session of its own: the interrupt of a cell reaches the kernel, which ends it in order.
    process = subprocess.Popen(
        [sys.executable, "-m", "nbdeploy.scaling.load_generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # The pipe breaks when it ended before it read its plan; what it wrote last tells why.
    with suppress(BrokenPipeError), process:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(plan.to_json() + "\n")
            process.stdin.flush()
        yield process


def _reports(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    return map(json.loads, process.stdout)


def _last_words(process: subprocess.Popen[str]) -> list[Sample]:
    """Let the generator end, and read what it had not told yet."""
    assert process.stdin is not None
    process.stdin.close()
    return [Sample(*sample) for report in _reports(process) for sample in report["samples"]]


def _in_words(shape: LoadShape | None, seconds: float, connections: int) -> str:
    length = units.duration(seconds)
    if shape is None:
        return f"{units.counted(connections, 'caller')} one request after the other, for {length}"
    rates = " to ".join(units.rate(rate) for rate in shape.rates)
    how = "evenly from " if shape.ramp else ""
    return f"{how}{rates} for {length}"
