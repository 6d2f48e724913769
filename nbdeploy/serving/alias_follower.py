"""An alias of the registry that follows the traffic: `rollout` moves both, `rollback` too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdeploy.exceptions import VersionError

if TYPE_CHECKING:
    from nbdeploy.registry.version import ModelVersion

__all__ = ["AliasFollower"]


class AliasFollower:
    """Point an alias to a version once it is live, and back when that is undone.

    Parameters
    ----------
    alias
        The alias, such as ``production``.
    version
        The version that goes live.
    service
        The name of the service, for the history of the alias.
    """

    def __init__(self, alias: str, version: ModelVersion, *, service: str) -> None:
        self._alias = alias
        self._version = version
        self._service = service
        self._before: str | None = None
        self._has_moved = False

    def check(self) -> None:
        """Refuse an alias that could not be moved, before any traffic moves.

        Raises
        ------
        VersionError
            If it is the name of a version.
        """
        registry = self._version.registry
        if any(self._alias == each.version for each in registry):
            message = f"{self._alias!r} is the name of a version. Choose another name for alias=."
            raise VersionError(message)

    def follow(self) -> None:
        """Move the alias."""
        registry = self._version.registry
        self._before = registry.aliases.get(self._alias)
        if self._before != self._version.version:
            why = f"rolled out in {self._service}"
            registry.set_alias(self._alias, self._version, why=why)
            self._has_moved = True

    def go_back(self) -> None:
        """Move it to where it was, unless somebody moved it since."""
        registry = self._version.registry
        is_here = registry.aliases.get(self._alias) == self._version.version
        if not self._has_moved or not is_here:
            return
        why = f"rolled back in {self._service}"
        if self._before is None:
            registry.remove_alias(self._alias, why=why)
        else:
            registry.rollback(self._alias, why=why)
