"""What a monitor can do to be heard: alerts on its numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdeploy.monitoring.ledger import Ledger

if TYPE_CHECKING:
    from nbdeploy.monitoring.alerts import Alert, AlertEvent, Watch
    from nbdeploy.monitoring.drift import Drift

__all__ = ["AlertVerbs"]


class AlertVerbs(ABC):
    """Alerts on what is counted."""

    _ledger: Ledger
    _wall_clock: Callable[[], float]
    _watch: Watch | None = None

    @abstractmethod
    def get_statistics(self) -> dict[str, Any]:
        """Summarize what was logged."""

    @abstractmethod
    def drift(self) -> Drift:
        """Compare the latest rows with those that the model was made of."""

    @abstractmethod
    def _require_live(self) -> None:
        """Raise when this is a merged copy."""

    def alert(self, when: str, then: Callable[[AlertEvent], object]) -> Alert:
        """Call a function once when something goes wrong, and once when it has recovered.

        Parameters
        ----------
        when
            A number of :meth:`get_statistics`, a sign, a limit, and how long it must hold:
            ``"p95 > 0.2 for 1m"``, ``"error_rate >= 0.05"``; ``"drift > 0 for 5m"`` counts the
            columns that have drifted, ``"silence > 60"`` the seconds since the last request.
        then
            Called with an `AlertEvent`, in a thread of its own; what it raises is logged.

        Returns
        -------
        Alert
            ``events``, and ``stop()``. It ends with the service.

        Raises
        ------
        ServingError
            If `when` is no condition.
        TypeError
            If this monitor is a merged copy.

        Examples
        --------
        >>> from nbdeploy import ModelMonitor
        >>> monitor = ModelMonitor()
        >>> monitor.alert("error_rate > 0.05 for 1m", print)
        <Alert 'error_rate > 0.05 for 1m': quiet>
        """
        from nbdeploy.monitoring.alerts import Alert, Condition, Watch  # noqa: PLC0415 -- only here

        self._require_live()
        alert = Alert(when, Condition.parse(when, self.get_statistics()), then)
        if self._watch is None:
            clock = self._ledger.clock
            self._watch = Watch(self, clock=clock, wall_clock=self._wall_clock)
        self._watch.add(alert)
        return alert

    def silence(self) -> float:
        """Return the seconds since the last request ended, or since the start before the first."""
        return self._ledger.silence()

    def close(self) -> None:
        """Look at no alert any more; what was counted stays."""
        if self._watch is not None:
            self._watch.end()
