"""What ends with its ``with`` block, whatever happens in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

__all__ = ["ClosesOnExit", "StopsOnExit"]


class _EndsOnExit(ABC):
    @abstractmethod
    def _end(self) -> object:
        """End it, by the name that it has for that."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()


class StopsOnExit(_EndsOnExit):
    """Stops at the end of a ``with`` block."""

    @abstractmethod
    def stop(self) -> object:
        """End it; again does nothing."""

    def _end(self) -> object:
        return self.stop()


class ClosesOnExit(_EndsOnExit):
    """Closes at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> object:
        """End it; again does nothing."""

    def _end(self) -> object:
        return self.close()
