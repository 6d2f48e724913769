"""Change the number of replicas with the load."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, Self

import psutil

from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import ScalingError
from nbdeploy.scaling.concurrency import ConcurrencyPolicy
from nbdeploy.scaling.hpa import HpaPolicy
from nbdeploy.scaling.load import Decision, Load
from nbdeploy.scaling.policies import (
    Policy,
    averages_for,
    beginning,
    changed,
    decide,
    is_of_cpu,
    with_bounds,
)
from nbdeploy.scaling.scaling_history import ScalingHistory, ScalingStep
from nbdeploy.scaling.threshold import ThresholdPolicy
from nbdeploy.with_blocks import StopsOnExit

__all__ = ["Actuator", "AutoScaler"]

_log = logging.getLogger("nbdeploy.scaling")
_REMEMBERED = 10_000
_FIRST_READING = 0.1


class Actuator(Protocol):
    """What starts and stops replicas."""

    @property
    def replicas(self) -> int:
        """How many there are now."""
        ...

    def scale(self, new_replicas: int, /) -> object:
        """Bring it to so many."""
        ...


class AutoScaler(StopsOnExit, ReprMixin):
    """Ask a policy how many replicas the load needs, and have them started or stopped.

    Parameters
    ----------
    min_replicas, max_replicas
        The bounds.
    cpu_threshold
        CPU in percent: the threshold of the policy ``"threshold"``, the target of ``"hpa"``.
    policy
        ``"threshold"``, ``"hpa"``, ``"concurrency"``, or a policy of `nbdeploy.scaling` with its
        own numbers; its bounds are those given here.
    actuator
        What starts and stops replicas: any object with ``scale(n)`` and ``replicas``. Without
        one, the number is only recorded.
    measure
        Tells what is going on: a number, or a `Load`. The number is the mean CPU in percent, or
        for the concurrency policy the requests in flight. By default the CPU of this machine.
    interval
        Seconds between two looks after ``start``; the policy's own when ``None``.
    clock
        Seconds that never go back.

    Examples
    --------
    >>> readings = iter([0.0, 90.0, 90.0])
    >>> scaler = AutoScaler(max_replicas=3, measure=lambda: next(readings))
    >>> scaler.check_scaling_needs(), scaler.check_scaling_needs()
    (None, 2)
    >>> scaler.scale(2)
    >>> scaler
    <AutoScaler of 1 to 3 replicas by ThresholdPolicy, now 2; records only, without an actuator>
    """

    def __init__(
        self,
        min_replicas: int = 1,
        max_replicas: int = 10,
        cpu_threshold: float = 70.0,
        *,
        policy: Policy | str = "threshold",
        actuator: Actuator | None = None,
        measure: Callable[[], float | Load] | None = None,
        interval: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.min_replicas = min_replicas
        self.max_replicas = max_replicas
        self.cpu_threshold = cpu_threshold
        self.policy = with_bounds(_policy(policy, cpu_threshold), min_replicas, max_replicas)
        self.interval = self.policy.interval if interval is None else interval
        self._actuator = actuator
        self._measure = measure or _processor_use(self.policy)
        self._clock = clock
        self._started = clock()
        self._recorded = max(min_replicas, 1)
        self._averages = averages_for(self.policy)
        self._memory = beginning(self.policy, Load(self.current_replicas, time=self._started))
        self._steps: deque[ScalingStep] = deque(maxlen=_REMEMBERED)
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def current_replicas(self) -> int:
        """How many replicas there are: the actuator knows; without one, what `scale` was told."""
        return self._recorded if self._actuator is None else self._actuator.replicas

    def check_scaling_needs(self) -> int | None:
        """Look at the load; return how many replicas there should be, ``None`` for no change."""
        with self._lock:
            step = self._look()
            self._steps.append(step)
            return None if step.wanted == step.replicas else step.wanted

    def scale(self, new_replicas: int) -> None:
        """Have so many replicas.

        Raises
        ------
        ScalingError
            If there may not be so many, or the actuator could not.
        """
        if not self.min_replicas <= new_replicas <= self.max_replicas:
            message = (
                f"{new_replicas!r} replicas are out of bounds. Expected {self.min_replicas} to "
                f"{self.max_replicas}; give AutoScaler other bounds."
            )
            raise ScalingError(message)
        with self._lock:
            before = self.current_replicas
            if self._actuator is not None:
                self._actuator.scale(new_replicas)
            self._recorded = new_replicas
            self._memory = changed(self._memory, self._clock(), new_replicas - before)

    def tick(self) -> ScalingStep:
        """Look at the load once, and act on it; what went wrong is in the step's reason."""
        with self._lock:
            step = self._look()
            if step.wanted != step.replicas:
                try:
                    self.scale(step.wanted)
                except Exception as error:  # noqa: BLE001 -- what starts replicas is not ours
                    # One that cannot start today may start at the next tick.
                    _log.exception("Scaling to %s failed.", step.wanted)
                    step = replace(step, reason=f"{step.reason}; but it failed: {error}")
            step = replace(step, got=self.current_replicas)
            self._steps.append(step)
            return step

    def history(self) -> ScalingHistory:
        """Return what was seen, wanted and got since the start: a table with a ``plot()``."""
        with self._lock:
            return ScalingHistory(tuple(self._steps))

    def start(self) -> Self:
        """Look and act in the background; again does nothing."""
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, name="autoscaler", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Look no more; the replicas stay as they are. Again does nothing."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def is_running(self) -> bool:
        """Whether it looks and acts in the background."""
        return self._thread is not None

    def __enter__(self) -> Self:
        return self.start()

    def __repr__(self) -> str:
        note = "; records only, without an actuator" if self._actuator is None else ""
        return (
            f"<AutoScaler of {self.min_replicas} to {self.max_replicas} replicas by "
            f"{type(self.policy).__name__}, now {self.current_replicas}{note}>"
        )

    def to_text(self) -> str:
        """Write what it is, and its last changes."""
        history = self.history()
        return f"{self!r}\n{history.to_text()}" if len(history) else repr(self)

    def to_html(self) -> str:
        """Write what it is, and its last changes."""
        return fragment(element("div", repr(self)), self.history().element())

    def _run(self) -> None:
        while not self._ended.wait(self.interval):
            self.tick()

    def _look(self) -> ScalingStep:
        now = self._clock()
        replicas = self.current_replicas
        load: Load | None = None
        try:
            load = self._load(now, replicas)
            decision = decide(self.policy, load, self._memory)
        except Exception as error:  # noqa: BLE001 -- a user's measure may raise anything; nothing is changed then
            decision = Decision(replicas, None, f"not measured: {error}", self._memory)
        self._memory = decision.memory
        return ScalingStep(
            time=now - self._started,
            load=_shown(self.policy, load),
            metric=decision.metric,
            replicas=replicas,
            wanted=decision.replicas,
            got=replicas,
            reason=decision.reason,
        )

    def _load(self, now: float, replicas: int) -> Load:
        seen = self._measure()
        if not isinstance(seen, Load):
            seen = (
                Load(replicas, cpu=float(seen))
                if is_of_cpu(self.policy)
                else Load(replicas, concurrency=float(seen), external=float(seen))
            )
        if seen.concurrency is not None and seen.recent_concurrency is None:
            stable, recent = self._averages.add(now, seen.concurrency)
            if not isinstance(self.policy, HpaPolicy):
                seen = replace(seen, concurrency=stable, recent_concurrency=recent)
        return replace(seen, replicas=replicas, time=now)


def _policy(policy: Policy | str, cpu_threshold: float) -> Policy:
    named: dict[str, Policy] = {
        "threshold": ThresholdPolicy(cpu_threshold=cpu_threshold),
        "hpa": HpaPolicy(target=cpu_threshold),
        "concurrency": ConcurrencyPolicy(),
    }
    if not isinstance(policy, str):
        return policy
    if policy not in named:
        message = (
            f"There is no policy {policy!r}. Expected one of {list(named)}, or a policy of "
            "nbdeploy.scaling such as HpaPolicy(target=70)."
        )
        raise ScalingError(message)
    return named[policy]


def _processor_use(policy: Policy) -> Callable[[], float | Load]:
    if not is_of_cpu(policy):
        message = (
            f"A {type(policy).__name__} needs measure=: a function that returns the requests in "
            "flight. service.autoscale() gives it."
        )
        raise ScalingError(message)
    return _ProcessorUse()


class _ProcessorUse:
    """The CPU of this machine in percent, since the last reading.

    psutil remembers the last reading by thread, and the first of a thread compares with nothing:
    it is 0, and discarded.
    """

    def __init__(self) -> None:
        psutil.cpu_percent()
        self._thread = threading.get_ident()

    def __call__(self) -> float:
        if threading.get_ident() != self._thread:
            self._thread = threading.get_ident()
            return psutil.cpu_percent(_FIRST_READING)
        return psutil.cpu_percent()


def _shown(policy: Policy, load: Load | None) -> float | None:
    if load is None:
        return None
    if load.cpu is not None and is_of_cpu(policy):
        return load.cpu * max(load.replicas, 1)
    return load.recent_concurrency if load.recent_concurrency is not None else load.concurrency
