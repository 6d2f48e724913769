"""What a monitor can tell of the rows beside counts: how far they have moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbdeploy.monitoring.drift_desk import DriftDesk, Windows

if TYPE_CHECKING:
    from nbdeploy.monitoring.drift import Drift

__all__ = ["DriftVerbs"]


class DriftVerbs:
    """Drift of the rows and predictions that were logged."""

    _drift: DriftDesk

    def drift(self) -> Drift:
        """Compare the latest rows and predictions with those that the model was made of.

        It is computed when it is asked for, never while a request is answered: some milliseconds,
        and half a second more the first time.

        Returns
        -------
        Drift
            A table with a verdict in words for every column of every live version; see there for
            the tests, their thresholds and the rate of false alarms.

        Raises
        ------
        TypeError
            If this monitor is a merged copy: counts add up, rows do not.

        Examples
        --------
        >>> from nbdeploy import ModelMonitor
        >>> monitor = ModelMonitor(example=[{"age": n, "plan": "ab"[n % 2]} for n in range(90)])
        >>> for age in range(90):
        ...     monitor.log_prediction({"age": age, "plan": "b"}, prediction=0, latency=0.001)
        >>> monitor.drift().verdict
        'plan: b 50 % -> 100 %'
        """
        return self._drift.measure()

    def follow_drift(self, windows: Windows) -> None:
        """Judge the drift of the versions of a service.

        Parameters
        ----------
        windows
            Gives those that are live when the drift is asked for, each with its rows.
        """
        self._drift.follow(windows)

    def ask_drift(self, elsewhere: Callable[[], Drift]) -> None:
        """Let :meth:`drift` tell what is known elsewhere, where the rows are.

        Parameters
        ----------
        elsewhere
            Asks.
        """
        self._drift.ask(elsewhere)
