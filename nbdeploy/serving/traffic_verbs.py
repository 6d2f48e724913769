"""The verbs of a deployment that change who answers: rollout, rollback, split, shadow, compare."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING, Any, overload

from nbdeploy.exceptions import NbdeployError, ServingError, VersionError
from nbdeploy.registry.names import checked_name
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.serving.routing import Route
from nbdeploy.serving.traffic import ROUTING_KEY, Traffic
from nbdeploy.serving.traffic_desk import TrafficDesk

if TYPE_CHECKING:
    from nbdeploy.monitoring.comparison import Comparison
    from nbdeploy.monitoring.replay import Replay
    from nbdeploy.registry.version import ModelVersion
    from nbdeploy.serving.alias_follower import AliasFollower
    from nbdeploy.serving.rollout import Guard, Rollout

__all__ = ["TrafficVerbs"]


class TrafficVerbs(ABC):
    """What a deployment can do with versions."""

    name: str

    @property
    @abstractmethod
    def _desk(self) -> TrafficDesk:
        """What owns the traffic; an error when the deployment was stopped."""

    @abstractmethod
    def stats(self) -> dict[str, Any]:
        """Summarize what was asked."""

    @abstractmethod
    def _make_route(self, model: Any) -> Route:
        """Load a model as `deploy` would: a fitted one, a function, a path or a saved version."""

    @abstractmethod
    def _saved_version(self, name: str) -> ModelVersion | None:
        """Find a version, or an alias, among the versions of the deployed one."""

    def rollout(
        self,
        version: Any,
        *,
        steps: Sequence[float] | None = None,
        guard: Guard | None = None,
        alias: str | None = None,
    ) -> Rollout:
        """Let a version take over, without losing a request.

        The version is loaded, warmed and asked what the live one answers before it takes any
        traffic. If anything fails, the live version stays, and the error says why.

        Parameters
        ----------
        version
            The name of a version, a version of a registry, a fitted model, or the path of one.
        steps
            Shares of the traffic, such as ``[0.05, 0.25, 1]``: it gets one after the other, moves
            on by itself and goes back by itself. Without, it gets everything at once.
        guard
            What it must keep to at every step.
        alias
            An alias of the registry to point to the version once it is live, ``"production"``
            for example. `rollback` moves it back as well.

        Returns
        -------
        Rollout
            Without steps it is live already; with steps it is on its way: ``wait()``, ``abort()``.

        Raises
        ------
        RehearsalError
            If callers would notice: a method is missing, rows do not fit, answers are of another
            kind.
        VersionError
            If there is no such version.
        ServingError
            If another rollout is on its way.
        """
        desk = self._desk
        try:
            route = self._route_named(version)
            follower = None if alias is None else self._follower(alias, route)
            return desk.rollout(route, steps=steps, guard=guard, follower=follower)
        except NbdeployError as error:
            error.add_note(f"{desk.traffic.primary.version!r} stays live.")
            raise

    def rollback(self) -> Traffic:
        """Restore the traffic as it was before the last change; again goes further back.

        Raises
        ------
        VersionError
            If nothing was before.
        """
        return self._desk.rollback()

    def split(
        self,
        versions: Mapping[str, Any],
        *,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        key: str = ROUTING_KEY,
    ) -> Traffic:
        """Let several versions answer, each its share: an A/B test.

        Parameters
        ----------
        versions
            Shares by the name of a version, ``{"1.0": 0.9, "1.1": 0.1}``; or models by a name,
            ``{"a": model_a, "b": model_b}``. The first is what others are compared with.
        weights
            The shares, where `versions` holds models; equal ones by default.
        key
            The header, or the field of the body or of a row, that names the caller. One caller
            is always answered by the same version. A request without it is answered by chance,
            and one with several rows by the version of its first row.

        Raises
        ------
        ServingError
            If a share or a name is none, or a rollout is on its way.
        RehearsalError
            If a version would not answer what the live one answers.
        VersionError
            If there is no such version.
        """
        if not versions:
            message = 'No versions. Expected shares by version, such as {"1.0": 0.9, "1.1": 0.1}.'
            raise ServingError(message)
        desk = self._desk
        if weights is None and all(isinstance(each, Real) for each in versions.values()):
            routes = {name: self._route_named(name) for name in versions}
            return desk.split(routes, versions, key=key)
        routes = {
            checked_name(name, "version"): replace(self._route_named(model), version=name)
            for name, model in versions.items()
        }
        return desk.split(routes, _shares(routes, weights), key=key)

    @overload
    def shadow(self, version: Any, *, replay: None = None) -> Traffic: ...

    @overload
    def shadow(self, version: Any, *, replay: str | os.PathLike[str]) -> Replay: ...

    def shadow(
        self, version: Any, *, replay: str | os.PathLike[str] | None = None
    ) -> Traffic | Replay:
        """Let a version see a copy of every request, or of recorded ones, and answer nobody.

        It is asked after the answer was sent. `compare` tells how often it agrees.

        Parameters
        ----------
        version
            The name of a version, a version of a registry, a fitted model, or the path of one;
            ``None`` ends it.
        replay
            The folder of a request log: the version is asked what was recorded there, here and
            now; no live request sees it, and the traffic stays as it is.

        Returns
        -------
        Traffic or Replay
            The traffic from now on; of a replay, which predictions change, what fails, and how
            long it takes.

        Raises
        ------
        ServingError
            If it answers already, a rollout is on its way, or nothing was recorded.
        """
        desk = self._desk
        if replay is None:
            return desk.shadow(None if version is None else self._route_named(version))
        from nbdeploy.monitoring.replay import recorded_files  # noqa: PLC0415 -- only here
        from nbdeploy.serving.replaying import replay_files, wait_for_the_log  # noqa: PLC0415

        if version is None:
            message = "replay= needs a version to ask: service.shadow('1.1', replay=folder)."
            raise ServingError(message)
        wait_for_the_log(self.stats)
        files = recorded_files(replay, self.name)
        return replay_files(files, self._route_named(version), desk.known())

    def compare(self, *, confidence: float = 0.95) -> Comparison:
        """Compare the versions that share the traffic: who is better, and how surely.

        Look as often as you like: the verdict holds whenever you stop.

        Parameters
        ----------
        confidence
            That an interval holds the true difference.

        Raises
        ------
        ServingError
            If nothing was split, shadowed, or asked with an id.
        """
        return self._desk.compare(confidence=confidence)

    def _follower(self, alias: str, route: Route) -> AliasFollower:
        saved = self._saved_version(route.version)
        if saved is None or saved.digest != route.digest:
            message = (
                f"alias={alias!r} needs a version of a registry, and {route.version!r} is none: "
                "save the model with save_model_version() and roll that version out."
            )
            raise VersionError(message)
        from nbdeploy.serving.alias_follower import AliasFollower  # noqa: PLC0415 -- only here

        follower = AliasFollower(alias, saved, service=self.name)
        follower.check()
        return follower

    def _route_named(self, version: Any) -> Route:
        """Give the route of a version: one that is loaded, one that is saved, or a model."""
        known = self._desk.known()
        saved = self._saved_version(version) if isinstance(version, str) else version
        if is_model_version(saved):
            loaded = known.get(saved.version)
            is_same = loaded is not None and loaded.digest == saved.digest
            return loaded if loaded is not None and is_same else self._make_route(saved)
        if not isinstance(version, str):
            return self._make_route(version)
        if version in known:
            return known[version]
        if os.sep in version or os.path.exists(version):  # noqa: PTH110 -- may hold a NUL
            return self._make_route(version)
        near = get_close_matches(version, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        message = (
            f"There is no version {version!r}.{hint} Loaded are {', '.join(map(repr, known))}. "
            "Or give a version of a registry, a fitted model, or the path of a saved one."
        )
        raise VersionError(message)


def _shares(
    routes: Mapping[str, Route], weights: Mapping[str, float] | Sequence[float] | None
) -> dict[str, float]:
    if weights is None:
        return dict.fromkeys(routes, 1.0)
    if isinstance(weights, Mapping):
        if weights.keys() != routes.keys():
            message = f"weights= names {sorted(weights)}, the versions are {sorted(routes)}."
            raise ServingError(message)
        return {name: weights[name] for name in routes}
    if len(weights) != len(routes):
        message = f"weights= has {len(weights)} shares for {len(routes)} versions."
        raise ServingError(message)
    return dict(zip(routes, weights, strict=True))
