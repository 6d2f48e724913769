"""The live dashboard of a service in a notebook."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from nbdeploy.display.cells import current_cell
from nbdeploy.display.html import element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.exceptions import NbdeployError

__all__ = ["Dashboard"]

REFRESH_SECONDS = 1.0
# A cell that is run again leaves the dashboard of before without a place to be drawn in.
_MOST_OF_ONE_SERVICE = 4
_live: dict[str, deque[Dashboard]] = {}


class Dashboard(ReprMixin):
    """What a service does, drawn anew every second while cells run: `Deployment.dashboard`.

    The drawing is plain HTML in the output of the cell, so a saved notebook shows its last state.
    It ends with the service, or with the kernel.

    Parameters
    ----------
    name
        The name of the service.
    draw
        Gives the HTML of now.
    reset
        Forgets what was counted.
    stop
        Stops the service.
    is_running
        Tells whether the service still runs.
    interval
        Seconds between two drawings.
    """

    def __init__(
        self,
        name: str,
        draw: Callable[[], str],
        *,
        reset: Callable[[], object],
        stop: Callable[[], object],
        is_running: Callable[[], bool],
        interval: float = REFRESH_SECONDS,
    ) -> None:
        self.name = name
        self._draw = draw
        self._reset = reset
        self._stop = stop
        self._is_running = is_running
        self._interval = interval
        self._handle: Any = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._is_paused = False
        self._note = ""
        self._last = self._drawn()

    @property
    def is_live(self) -> bool:
        """Whether it is drawn again and again."""
        return self._thread is not None and self._thread.is_alive()

    def show(self) -> None:
        """Show it in the running cell and keep it up to date; outside a kernel do nothing."""
        if self._handle is not None or current_cell() is None:
            return
        from IPython.display import display  # noqa: PLC0415 -- in a kernel it is imported already

        display(_Buttons(self._buttons()))  # type: ignore[no-untyped-call]
        self._handle = display(_Shown(self), display_id=True)  # type: ignore[no-untyped-call]
        others = _live.setdefault(self.name, deque())
        others.append(self)
        while len(others) > _MOST_OF_ONE_SERVICE:
            others.popleft().close()
        self._thread = threading.Thread(target=self._run, name="nbdeploy-dashboard", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Draw no more until `resume`; the service goes on."""
        self._is_paused = True
        self.refresh()

    def resume(self) -> None:
        """Draw again."""
        self._is_paused = False
        self.refresh()

    def close(self) -> None:
        """Leave the drawing as it is; the service goes on."""
        self._closed.set()

    def refresh(self) -> None:
        """Draw what is known now."""
        if not self._is_paused:
            self._last = self._drawn()
        if self._handle is not None:
            self._handle.update(_Shown(self))

    def __repr__(self) -> str:
        return f"<Dashboard of {self.name!r}>"

    def to_html(self) -> str:
        """Write the last drawing."""
        paused = "Paused. " if self._is_paused else ""
        note = f"{paused}{self._note}"
        if not note:
            return self._last
        return fragment(element("p", note, class_="nbd-quiet", role="status")) + self._last

    def _ipython_display_(self) -> None:
        if self._handle is None:
            self.show()
            return
        from IPython.display import display  # noqa: PLC0415 -- in a kernel it is imported already

        # It is live in another cell: here is what it showed last.
        display(_Shown(self))  # type: ignore[no-untyped-call]

    def _drawn(self) -> str:
        try:
            drawn = self._draw()
        except NbdeployError as error:
            self._note = f"{self.name} does not answer: {error}"
            return getattr(self, "_last", "") or fragment(self.name, class_="nbd-card")
        self._note = ""
        return drawn

    def _run(self) -> None:
        while not self._closed.wait(self._interval):
            if not self._is_running():
                self._note = "Stopped; this is what it did last."
                self._is_paused = False
                self._handle.update(_Shown(self))
                return
            if not self._is_paused:
                self.refresh()

    def _buttons(self) -> Any:
        import ipywidgets  # noqa: PLC0415 -- 0.5 s, and serving alone does without

        pause = ipywidgets.ToggleButton(description="Pause", icon="pause")
        pause.observe(lambda change: self.pause() if change["new"] else self.resume(), "value")
        reset = ipywidgets.Button(description="Reset window", icon="refresh")
        reset.on_click(lambda _: self._press(self._reset))
        stop = ipywidgets.Button(description="Stop service", icon="stop", button_style="warning")
        stop.on_click(lambda _: self._press(self._stop))
        return ipywidgets.HBox([pause, reset, stop])

    def _press(self, do: Callable[[], object]) -> None:
        try:
            do()
        except (NbdeployError, TypeError) as error:
            self._note = str(error)
            if self._handle is not None:
                self._handle.update(_Shown(self))
        else:
            if self._is_running():
                self.refresh()


class _Buttons:
    """Buttons where a front end has widgets; a line of text elsewhere."""

    def __init__(self, widget: Any) -> None:
        self._widget = widget

    def __repr__(self) -> str:
        return "Pause, Reset window and Stop service: buttons while the kernel runs"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return {**self._widget._repr_mimebundle_(**kwargs), "text/plain": repr(self)}


class _Shown(ReprMixin):
    """A dashboard as it looks now, without buttons."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._text = repr(dashboard)
        self._html = dashboard.to_html()

    def __repr__(self) -> str:
        return self._text

    def to_html(self) -> str:
        return self._html
