"""How far something is, in the cell that waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from nbdeploy.display.cells import current_cell
from nbdeploy.display.html import element, fragment, visible
from nbdeploy.display.mime import ReprMixin

__all__ = ["Progress", "ProgressBar"]


@dataclass(frozen=True, repr=False)
class Progress(ReprMixin):
    """A moment of something that takes time.

    Parameters
    ----------
    title
        What it is.
    share
        How much of it is done, from 0 to 1.
    note
        What else is known.
    lines
        Sentences below it.
    """

    title: str
    share: float
    note: str = ""
    lines: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{self.title}: {self.share:.0%} {self.note}".rstrip()

    def to_text(self) -> str:
        """Write how far it is, and the sentences below."""
        return "\n".join([visible(repr(self)), *map(visible, self.lines)])

    def to_html(self) -> str:
        """Write a bar with its texts."""
        value = f"{min(max(self.share, 0.0), 1.0):.3f}"
        bar = element("progress", value=value, max="1")
        below = (element("p", line, class_="nbd-note") for line in self.lines)
        return fragment(f"{self.title} ", bar, f" {self.note}", *below)


class ProgressBar:
    """Show progress in the running cell, and nothing outside a kernel.

    Parameters
    ----------
    title
        What it is.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._handle: Any = None
        self._share = 0.0
        self._is_stopped = False
        self._note = "stopped"
        self._lines: tuple[str, ...] = ()

    def update(self, share: float, note: str = "", lines: tuple[str, ...] = ()) -> None:
        """Show how far it is."""
        self._share, self._lines = share, lines
        if self._handle is not None:
            self._handle.update(Progress(self._title, share, note, lines))

    def stop(self, note: str = "stopped") -> None:
        """Let it end where it is, with a last word."""
        self._is_stopped, self._note = True, note

    def __enter__(self) -> Self:
        if current_cell() is not None:
            from IPython.display import display  # noqa: PLC0415 -- in a kernel it is imported already

            shown = Progress(self._title, 0.0)
            self._handle = display(shown, display_id=True)  # type: ignore[no-untyped-call]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None or self._is_stopped:
            self.update(self._share, self._note, self._lines)
        else:
            self.update(1.0, "done")
