"""A new version takes over: at once, or step by step under guard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from nbdeploy.display.html import element, fragment, visible
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.units import count, duration, percent
from nbdeploy.exceptions import DeadlineError, NbdeployError, ServingError
from nbdeploy.monitoring.contest import Arm, Contest, no_news
from nbdeploy.monitoring.experiment import compare_scores
from nbdeploy.monitoring.scores import Metric
from nbdeploy.monitoring.verdict import amount, unit_of

__all__ = ["Guard", "Rollout", "State", "checked_steps", "complaint", "is_passed"]

logger = logging.getLogger("nbdeploy")

State = Literal["running", "live", "rolled back", "aborted"]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What a new version must keep to at every step of a rollout.

    Parameters
    ----------
    max_error_rate
        The largest share of its requests that the new version may fail.
    max_p95
        The seconds within which it must answer 95 % of its requests; ``None`` for no limit.
    min_requests
        Requests of the new version at each step before it moves on, or is judged. A version is
        sent back before that only when so many have failed that the rest cannot save it.
    metric
        By how much its metric may be worse than that of the version before, in the metric's own
        unit: 0.02 is two points of accuracy. It goes back once it is surely worse than that (at
        95 %, however often one looks), and does not move on before truths are known for
        `min_requests` rows of it. ``None`` asks for no truth.

    Examples
    --------
    >>> Guard(max_p95=0.2).min_requests
    100
    """

    max_error_rate: float = 0.05
    max_p95: float | None = None
    min_requests: int = 100
    metric: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that no version can keep, or that none can break."""
        if not 0 <= self.max_error_rate < 1:
            message = f"max_error_rate is {self.max_error_rate!r}. Expected a share such as 0.05."
        elif self.max_p95 is not None and not self.max_p95 > 0:
            message = f"max_p95 is {self.max_p95!r}. Expected seconds, such as 0.2."
        elif self.min_requests < 1:
            message = f"min_requests is {self.min_requests!r}. Expected at least 1."
        elif self.metric is not None and not self.metric >= 0:
            message = f"metric is {self.metric!r}. Expected by how much it may be worse, as 0.02."
        else:
            return
        raise ServingError(message)


def complaint(guard: Guard, new: Arm, old: Arm, metric: Metric) -> str | None:
    """Say what is wrong with a new version, or ``None``.

    Parameters
    ----------
    guard
        The limits.
    new, old
        What both did since the rollout began.
    metric
        What their scores mean.
    """
    judged = max(new.judged, guard.min_requests)
    if new.errors > guard.max_error_rate * judged:
        return f"it failed {count(new.errors)} of {count(new.judged)} requests"
    if guard.max_p95 is not None and new.judged >= guard.min_requests:
        p95 = new.latency.quantile(0.95) or 0.0
        if p95 > guard.max_p95:
            return f"its p95 is {duration(p95)}, more than {duration(guard.max_p95)}"
    if guard.metric is not None:
        worse = _surely_worse_by(new, old, metric)
        if worse > guard.metric:
            return f"its {metric.name} is worse by at least {amount(worse, unit_of(metric))}"
    return None


def _surely_worse_by(new: Arm, old: Arm, metric: Metric) -> float:
    difference = compare_scores(new.scores, old.scores, is_share=metric.is_share)
    if difference is None or difference.always is None:
        return 0.0
    always = difference.always
    return -always.high if metric.higher_is_better else always.low


def is_passed(guard: Guard, new: Arm, before: Arm) -> bool:
    """Tell whether enough is known for the next step.

    Parameters
    ----------
    guard
        The limits.
    new
        What the new version did since the rollout began.
    before
        What it had done when the step began.
    """
    if new.judged - before.judged < guard.min_requests:
        return False
    return guard.metric is None or new.scores.count - before.scores.count >= guard.min_requests


def checked_steps(steps: Sequence[float]) -> tuple[float, ...]:
    """Return the steps if a rollout can go along them.

    Raises
    ------
    ServingError
        If they do not rise from above 0 to 1.

    Examples
    --------
    >>> checked_steps([0.05, 0.25, 1])
    (0.05, 0.25, 1.0)
    """
    shares = tuple(float(step) for step in steps)
    rises = all(low < high for low, high in zip((0.0, *shares), shares, strict=False))
    if not shares or not rises or shares[-1] != 1:
        message = (
            f"steps={list(steps)} is no way for a rollout. Expected shares of the traffic that "
            "rise to 1, such as [0.05, 0.25, 1]. To stay at a share, use split()."
        )
        raise ServingError(message)
    return shares


class Rollout(ReprMixin):
    """A version on its way: what `Deployment.rollout` returns.

    It moves when requests and truths come in, in the thread that tells of them; nothing waits.

    Parameters
    ----------
    version
        The version that takes over.
    before
        The version that it takes over from.
    steps
        The shares of the traffic that it gets, the last one 1.
    guard
        What it must keep to.
    apply
        Gives it a share of the traffic.
    undo
        Restores the traffic of before.
    note
        What the rehearsal said.
    lock
        Held while it moves.
    on_live
        Called once a rollout of several steps is live, in a thread of its own: it may write files.
    """

    def __init__(
        self,
        version: str,
        before: str,
        *,
        steps: Sequence[float] = (1.0,),
        guard: Guard | None = None,
        apply: Callable[[float], None],
        undo: Callable[[], object],
        note: str = "",
        lock: AbstractContextManager[Any] | None = None,
        on_live: Callable[[], object] | None = None,
    ) -> None:
        self.version = version
        self.before = before
        self.steps = tuple(steps)
        self.guard = guard or Guard()
        self.state: State = "running"
        self.reason = ""
        self.step = -1
        self._apply = apply
        self._undo = undo
        self._note = note
        self._on_live = on_live
        self._contest: Contest | None = None
        self._at_step = Arm()
        self._lock = lock or threading.RLock()
        self._ended = threading.Event()

    @property
    def is_live(self) -> bool:
        """Whether the version has all the traffic."""
        return self.state == "live"

    def begin(self, contest: Contest | None = None) -> None:
        """Take the first step.

        Parameters
        ----------
        contest
            Where it is told what both versions did; not needed for one step.
        """
        with self._lock:
            self._contest = contest
            if contest is not None:
                contest.on_news = self.look
            self._advance()

    def look(self) -> None:
        """Go back, move on, or stay, by what is known now."""
        with self._lock:
            if self.state != "running" or self._contest is None:
                return
            arms = self._contest.arms()
            new, old = arms[self.version], arms[self.before]
            wrong = complaint(self.guard, new, old, self._contest.metric)
            if wrong is not None:
                self._end("rolled back", wrong)
                self._undo()
            elif is_passed(self.guard, new, self._at_step):
                self._at_step = new
                self._advance()

    def wait(self, timeout: float | None = None) -> Rollout:
        """Wait until it is live, or has gone back; an interrupt of the cell stops only the wait.

        Parameters
        ----------
        timeout
            Seconds to wait at most; without, as long as it takes.

        Raises
        ------
        DeadlineError
            If it is still on its way then; it goes on.
        """
        if not self._ended.wait(timeout):
            message = f"{self.version!r} is still on its way after {timeout:g} s: {self!r}"
            raise DeadlineError(message)
        return self

    def abort(self) -> None:
        """Restore the traffic of before; nothing if it has ended already."""
        with self._lock:
            if self.stop("aborted by hand"):
                self._undo()

    def stop(self, reason: str) -> bool:
        """Leave the traffic as it is, because something else decides now.

        Returns
        -------
        bool
            Whether it was running.
        """
        with self._lock:
            if self.state != "running":
                return False
            self._end("aborted", reason)
            return True

    def _advance(self) -> None:
        self.step += 1
        self._apply(self.steps[self.step])
        if self.step == len(self.steps) - 1:
            self._end("live", self._note)

    def _end(self, state: State, reason: str) -> None:
        self.state = state
        self.reason = reason
        if self._contest is not None:
            self._contest.on_news = no_news
        if state == "live" and self._on_live is not None and len(self.steps) > 1:
            threading.Thread(target=self._finish, name="nbdeploy-live", daemon=True).start()
        else:
            self._ended.set()

    def _finish(self) -> None:
        assert self._on_live is not None
        try:
            self._on_live()
        except NbdeployError as error:
            # The version is live all the same; nobody is there to be told but who looks.
            self.reason = f"{type(error).__name__}: {error}"
            logger.warning("After the rollout of %s: %s", self.version, self.reason)
        finally:
            self._ended.set()

    def __repr__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return visible(f"<Rollout of {self.version}: {self._where()}{reason}>")

    def to_html(self) -> str:
        """Write where it is, and why."""
        head = element("strong", f"{self.version}: {self._where()}")
        reason = element("div", self.reason, class_="nbd-quiet") if self.reason else None
        return fragment(element("div", head, class_="nbd-head"), reason, class_="nbd-card")

    def _where(self) -> str:
        if self.state != "running":
            return self.state if self.is_live else f"{self.state}, {self.before} answers"
        place = f"step {self.step + 1} of {len(self.steps)}"
        return f"{percent(self.steps[self.step])} of the traffic, {place}"
