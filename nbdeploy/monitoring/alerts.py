"""Tell somebody when a service does badly, once, and again when it has recovered."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from nbdeploy.display import units
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.exceptions import DeadlineError, ServingError

if TYPE_CHECKING:
    from nbdeploy.monitoring.alert_verbs import AlertVerbs

__all__ = ["Alert", "AlertEvent", "Condition", "Watch"]

logger = logging.getLogger("nbdeploy")

State = Literal["quiet", "pending", "firing"]
LOOK_SECONDS = 1.0
_REMEMBERED = 100
_SHORT = {f"p{number}": f"p{number}_latency" for number in (50, 90, 95, 99)}
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(
    r"\s*(?P<key>[a-z_0-9]+)\s*(?P<sign>>=|<=|>|<)\s*(?P<limit>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"(?:\s+for\s+(?P<time>\d+(?:\.\d+)?)\s*(?P<unit>[smh]))?\s*"
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
}
#: What can be asked beside the numbers of the statistics.
_OWN_KEYS = ("drift", "silence")


@dataclass(frozen=True)
class Condition:
    """What must hold, and for how long.

    Parameters
    ----------
    key
        A number of ``get_statistics()``; ``drift``: how many columns have drifted; ``silence``:
        seconds since the last request ended.
    sign
        ``>``, ``<``, ``>=`` or ``<=``.
    limit
        What it is compared with.
    seconds
        How long it must hold.
    """

    key: str
    sign: str
    limit: float
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str, known: Mapping[str, Any]) -> Condition:
        """Read a condition.

        Parameters
        ----------
        text
            Such as ``"p95 > 0.2 for 1m"``.
        known
            The statistics that there are.

        Raises
        ------
        ServingError
            If it is none, or there is no such number.

        Examples
        --------
        >>> Condition.parse("p95 > 0.2 for 1m", {"p95_latency": None})
        Condition(key='p95_latency', sign='>', limit=0.2, seconds=60.0)
        """
        found = _FORM.fullmatch(text)
        if found is None:
            message = (
                f"when={text!r} is no condition. Expected a number of stats(), a sign and a limit, "
                'and how long if you like: "p95 > 0.2 for 1m", "error_rate > 0.05", "silence > 60".'
            )
            raise ServingError(message)
        key = _SHORT.get(found["key"], found["key"])
        numbers = [name for name, value in known.items() if _is_number(value)]
        names = [*_OWN_KEYS, *_SHORT, *numbers]
        if key not in numbers and key not in _OWN_KEYS:
            near = get_close_matches(key, names, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            message = (
                f"when={text!r}: there is no number {found['key']!r}.{meant} Expected one of "
                f"{', '.join(names)}."
            )
            raise ServingError(message)
        seconds = float(found["time"]) * _UNITS[found["unit"]] if found["time"] else 0.0
        return cls(key, found["sign"], float(found["limit"]), seconds)

    def holds(self, value: float | None) -> bool:
        """Tell whether it holds for a value; of what is not known it does not."""
        return value is not None and _COMPARE[self.sign](value, self.limit)


@dataclass(frozen=True)
class AlertEvent:
    """What the callback of an alert is given.

    Parameters
    ----------
    when
        The condition as it was written.
    state
        ``"firing"`` or ``"recovered"``.
    value
        What was found.
    time
        When, in seconds since 1970.
    """

    when: str
    state: Literal["firing", "recovered"]
    value: float | None
    time: float

    def __str__(self) -> str:
        """Say it in a line."""
        found = units.MISSING if self.value is None else f"{self.value:.3g}"
        return f"{self.state}: {self.when} (now {found})"


class Alert(ReprMixin):
    """A condition that is looked at again and again: what `ModelMonitor.alert` returns.

    Parameters
    ----------
    when
        The condition as it was written.
    condition
        The condition.
    then
        Called once when an incident begins and once when it is over, in a thread of its own.
    """

    def __init__(
        self, when: str, condition: Condition, then: Callable[[AlertEvent], object]
    ) -> None:
        self.when = when
        self.condition = condition
        self.state: State = "quiet"
        self.is_stopped = False
        self._then = then
        self._since = 0.0
        self._events: deque[AlertEvent] = deque(maxlen=_REMEMBERED)
        self._told = threading.Condition()

    @property
    def events(self) -> list[AlertEvent]:
        """What it told, the oldest first."""
        return list(self._events)

    def stop(self) -> None:
        """Look no more."""
        self.is_stopped = True

    def wait(self, timeout: float = 60.0) -> AlertEvent:
        """Wait until it fires; at once when it already does.

        Parameters
        ----------
        timeout
            Seconds to wait at most.

        Returns
        -------
        AlertEvent
            What it told.

        Raises
        ------
        DeadlineError
            If it did not fire in time.
        """
        with self._told:
            if not self._told.wait_for(lambda: self.state == "firing", timeout):
                message = (
                    f"The alert {self.when!r} did not fire within {timeout:g} s: it is "
                    f"{'stopped' if self.is_stopped else self.state}. stats() and drift() have "
                    "the numbers that it looks at."
                )
                raise DeadlineError(message)
            return next(event for event in reversed(self._events) if event.state == "firing")

    def look(self, value: float | None, *, now: float, wall_time: float) -> AlertEvent | None:
        """Take in what was found; give what shall be told.

        Parameters
        ----------
        value
            What the condition is about.
        now
            Seconds that never go back.
        wall_time
            Seconds since 1970.
        """
        with self._told:
            if not self.condition.holds(value):
                was_firing, self.state = self.state == "firing", "quiet"
                return self._tell("recovered", value, wall_time) if was_firing else None
            if self.state == "quiet":
                self.state, self._since = "pending", now
            if self.state == "pending" and now - self._since >= self.condition.seconds:
                self.state = "firing"
                return self._tell("firing", value, wall_time)
            return None

    def call(self, event: AlertEvent) -> None:
        """Call the callback; what it raises is logged."""
        try:
            self._then(event)
        except Exception:
            logger.exception("The callback of the alert %r failed", self.when)

    def _tell(
        self, state: Literal["firing", "recovered"], value: float | None, wall_time: float
    ) -> AlertEvent:
        event = AlertEvent(self.when, state, value, wall_time)
        self._events.append(event)
        self._told.notify_all()
        return event

    def __repr__(self) -> str:
        return f"<Alert {self.when!r}: {'stopped' if self.is_stopped else self.state}>"

    def to_html(self) -> str:
        """Write what it told."""
        rows = [
            (event.state, units.MISSING if event.value is None else f"{event.value:.3g}")
            for event in self.events
        ]
        return Table((self.when, "value"), rows or [(self.state, units.MISSING)]).to_html()


class Watch:
    """Looks at the alerts of one monitor from a thread, which ends with the monitor.

    Parameters
    ----------
    monitor
        Whose numbers.
    clock
        Gives seconds that never go back.
    wall_clock
        Gives seconds since 1970.
    interval
        Seconds between two looks.
    """

    def __init__(
        self,
        monitor: AlertVerbs,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        interval: float = LOOK_SECONDS,
    ) -> None:
        self._monitor = weakref.ref(monitor)
        self._clock = clock
        self._wall_clock = wall_clock
        self._interval = interval
        self._alerts: list[Alert] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, alert: Alert) -> None:
        """Look at one more alert from now on."""
        with self._lock:
            self._alerts.append(alert)
            if self._thread is None or not self._thread.is_alive():
                self._ended.clear()
                self._thread = threading.Thread(
                    target=self._run, name="nbdeploy-alerts", daemon=True
                )
                self._thread.start()

    def look(self) -> None:
        """Look at all alerts once, and tell what is new."""
        monitor = self._monitor()
        with self._lock:
            self._alerts = alerts = [each for each in self._alerts if not each.is_stopped]
        if monitor is None or not alerts:
            return
        facts = dict(monitor.get_statistics())
        keys = {alert.condition.key for alert in alerts}
        if "drift" in keys:
            drift = monitor.drift()
            # Without a baseline, or with too few rows, nothing is known.
            facts["drift"] = len(drift.alarms) if drift.rows else None
        if "silence" in keys:
            facts["silence"] = monitor.silence()
        for alert in alerts:
            value = facts.get(alert.condition.key)
            event = alert.look(value, now=self._clock(), wall_time=self._wall_clock())
            if event is not None:
                threading.Thread(target=alert.call, args=(event,), daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            if self._monitor() is None:
                return
            try:
                self.look()
            except Exception:
                logger.exception("Looking at the alerts failed; the next look may do better")
            with self._lock:
                if not self._alerts:
                    self._thread = None
                    return


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
