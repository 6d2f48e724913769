"""Where a monitor finds the rows whose drift is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbdeploy.exceptions import SignatureError

if TYPE_CHECKING:
    from nbdeploy.models.quick_rows import QuickRows
    from nbdeploy.models.signature import Signature
    from nbdeploy.monitoring.drift import Drift
    from nbdeploy.monitoring.drift_window import DriftWindow

__all__ = ["DriftDesk", "Windows", "no_rows"]

Windows = Callable[[], "Iterable[tuple[str, DriftWindow | None]]"]
"""Gives the versions that are live, each with its rows."""

_LOCAL = "the model"
_NO_BASELINE = (
    "This monitor has no baseline: make it with ModelMonitor(example=X_train), or "
    "deploy(model, example=X_train) and ask service.monitor.drift()."
)


def no_rows() -> Drift:
    """Refuse to judge for a monitor that has counts alone.

    Raises
    ------
    TypeError
        Always.
    """
    message = (
        "This monitor is a merged copy of others: counts add up, but the rows are where they were "
        "seen. Call drift() on one of the monitors that it was made of."
    )
    raise TypeError(message)


class DriftDesk:
    """The windows of one monitor: of the versions of a service, or of what is logged by hand."""

    def __init__(self) -> None:
        self._windows: Windows | None = None
        self._elsewhere: Callable[[], Drift] | None = None
        self._signature: Signature | None = None
        self._quick: QuickRows | None = None
        self._local: DriftWindow | None = None
        self._misfits = 0

    def follow(self, windows: Windows) -> None:
        """Judge the versions of a service.

        Parameters
        ----------
        windows
            Gives those that are live when the drift is asked for.
        """
        self._windows = windows

    def ask(self, elsewhere: Callable[[], Drift]) -> None:
        """Let somebody else judge, where the rows are in another process.

        Parameters
        ----------
        elsewhere
            Gives what is known there.
        """
        self._elsewhere = elsewhere

    def learn(self, example: Any) -> None:
        """Learn the baseline of what is logged by hand.

        Raises
        ------
        SignatureError
            If the example is none, or has fewer than 30 rows.
        """
        from nbdeploy.models.baseline import FEWEST_ROWS, Baseline  # noqa: PLC0415 -- heavy import
        from nbdeploy.models.quick_rows import QuickRows  # noqa: PLC0415 -- heavy import
        from nbdeploy.models.signature import Signature  # noqa: PLC0415 -- heavy import
        from nbdeploy.monitoring.drift_window import DriftWindow  # noqa: PLC0415 -- heavy import

        signature = Signature.learn(example=example)
        baseline = Baseline.learn(signature, example)
        if baseline is None:
            message = (
                f"The example has too few rows for a baseline; expected at least {FEWEST_ROWS}, "
                "better thousands, such as X_train."
            )
            raise SignatureError(message)
        self._quick, self._signature = QuickRows(signature), signature
        self._local = DriftWindow(baseline, signature.kind, width=signature.width)

    def log(self, rows: Any) -> None:
        """Keep rows that were logged by hand, if there is a baseline to compare them with.

        Parameters
        ----------
        rows
            One or many, in any form that the example could have had.
        """
        if self._signature is None or self._local is None or self._quick is None:
            return
        try:
            # What is plainly right costs a twentieth of a closer look.
            cells = self._quick.take(rows)
            self._local.add(self._signature.validate(rows) if cells is None else cells, None)
        except SignatureError:
            # What was logged must not fail; that it cannot be judged is told with the drift.
            self._misfits += 1

    def measure(self) -> Drift:
        """Compare the latest rows with their baselines."""
        from nbdeploy.monitoring.drift import Drift, measure_drift  # noqa: PLC0415 -- heavy import

        if self._elsewhere is not None:
            return self._elsewhere()
        if self._windows is not None:
            return measure_drift(self._windows())
        if self._local is None:
            return Drift(notes=(_NO_BASELINE,))
        drift = measure_drift([(_LOCAL, self._local)])
        if not self._misfits:
            return drift
        note = f"{self._misfits} logged inputs do not look like the example and were left out."
        return Drift(drift.rows, (*drift.notes, note))

    def reset(self) -> None:
        """Forget all rows."""
        self._misfits = 0
        windows = list(self._windows()) if self._windows is not None else []
        for window in (*(window for _, window in windows), self._local):
            if window is not None:
                window.reset()
