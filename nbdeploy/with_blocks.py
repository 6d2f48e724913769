"""What ends with its ``with`` block, whatever happens in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["ClosesOnExit", "StopsOnExit"]


class StopsOnExit(ABC):
    """Stops at the end of a ``with`` block."""

    @abstractmethod
    def stop(self) -> object:
        """End it; again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class ClosesOnExit(ABC):
    """Closes at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> object:
        """End it; again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
