"""The traffic of one deployment over time: what is in force, what was before, what comes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nbdeploy.exceptions import ServingError, VersionError
from nbdeploy.serving.control import Served
from nbdeploy.serving.junction import contest_of
from nbdeploy.serving.rehearsal import rehearse
from nbdeploy.serving.routing import Route
from nbdeploy.serving.traffic import ROUTING_KEY, Traffic

if TYPE_CHECKING:
    from nbdeploy.monitoring.comparison import Comparison
    from nbdeploy.monitoring.contest import Contest
    from nbdeploy.serving.alias_follower import AliasFollower
    from nbdeploy.serving.rollout import Guard, Rollout

__all__ = ["TrafficDesk"]

_UNDONE = 10


class _Entry(NamedTuple):
    traffic: Traffic
    contest: Contest | None = None
    follower: AliasFollower | None = None


class TrafficDesk:
    """Change who answers, and remember who did.

    The history holds the models themselves, so that going back takes no time and cannot fail:
    the last ten changes can be undone.

    Parameters
    ----------
    service
        What is served.
    example
        A few rows for rehearsals; ``None`` where none are kept.
    """

    def __init__(self, service: Served, example: Any = None) -> None:
        self.example = example
        self._service = service
        # One change at a time; to rehearse may take long, and nothing else waits for it.
        self._changing = threading.RLock()
        # What the rollouts, which move on the event loop, share with everybody: held briefly.
        self._lock = threading.RLock()
        self._history = [_Entry(Traffic.to(service.route))]
        self._last: Contest | None = None
        self._rollout: Rollout | None = None

    @property
    def traffic(self) -> Traffic:
        """What is in force."""
        return self._history[-1].traffic

    def known(self) -> dict[str, Route]:
        """Give the versions that are loaded: those of the history, and those in force."""
        with self._lock:
            return {
                route.version: route
                for past in self._history
                for route in past.traffic.all_routes()
            }

    def replace(self, route: Route, example: Any = None, *, service: Served) -> None:
        """Send everything to a model, whatever it takes and answers.

        Parameters
        ----------
        route
            The model.
        example
            Rows for the rehearsals of those that come after it.
        service
            What is served, which may be another one now.
        """
        with self._changing, self._lock:
            self._stop_rollout("another model was deployed")
            self._last = self._service.contest or self._last
            self._service = service
            self.example = example
            is_again = self.traffic.is_plain and self.traffic.primary.digest == route.digest != ""
            self._apply(_Entry(Traffic.to(route)), in_place=is_again)

    def split(
        self,
        routes: Mapping[str, Route],
        shares: Mapping[str, float],
        *,
        key: str = ROUTING_KEY,
    ) -> Traffic:
        """Let several versions answer, each its share, and collect anew what they do."""
        with self._changing:
            self._refuse_while_rolling_out()
            parted = Traffic.parted(shares, routes, key=key)
            if len(parted.shares) < len(parted.routes):
                names = ", ".join(map(repr, routes))
                message = f"Two of {names} are the same version. Name every version once."
                raise ServingError(message)
            for route in parted.routes:
                self._rehearse(route)
            parted = parted.with_shadow(self.traffic.shadow)
            self._apply(_Entry(parted, _contest_for(parted)))
            return parted

    def shadow(self, route: Route | None) -> Traffic:
        """Let a version see everything and answer nobody; ``None`` ends it."""
        with self._changing:
            self._refuse_while_rolling_out()
            if route is not None and route.version in self.traffic.shares:
                message = (
                    f"{route.version!r} answers already: as a shadow of itself it would tell "
                    "nothing. Give another version."
                )
                raise ServingError(message)
            traffic = self.traffic.with_shadow(route)
            contest = None if traffic.is_plain else _contest_for(traffic)
            running = self._service.contest
            if contest is not None and running is not None:
                # What the versions did so far is kept; the shadow starts anew.
                contest = running.with_shadow(contest.shadow)
            self._apply(_Entry(traffic, contest))
            return traffic

    def rollout(
        self,
        route: Route,
        *,
        steps: Sequence[float] | None = None,
        guard: Guard | None = None,
        follower: AliasFollower | None = None,
    ) -> Rollout:
        """Let a version take over from the one in force, and an alias follow once it is live."""
        from nbdeploy.serving.rollout import Rollout, checked_steps  # noqa: PLC0415 -- only here

        shares = (1.0,) if steps is None else checked_steps(steps)
        with self._changing:
            self._refuse_while_rolling_out()
            live = self.traffic.primary
            is_live = self.traffic.shares.get(route.version) == 1.0 and live.digest == route.digest
            note = "it was live already" if is_live else self._rehearse(route)
            rollout = Rollout(
                route.version,
                live.version,
                steps=(1.0,) if is_live else shares,
                guard=guard,
                lock=self._lock,
                apply=lambda share: None if is_live else self._give(route, live, share),
                undo=self.rollback,
                note=note,
                on_live=None if follower is None else follower.follow,
            )
            contest = None
            if len(rollout.steps) > 1:
                contest = _contest_for(self._beside(route, live, rollout.steps[0]))
            with self._lock:
                if not is_live:
                    # The steps take this place in the history one after the other.
                    self._remember(_Entry(self.traffic, contest, follower))
                self._rollout = rollout
                rollout.begin(contest)
            if rollout.is_live and follower is not None:
                follower.follow()
            return rollout

    def rollback(self) -> Traffic:
        """Restore the traffic as it was before the last change.

        Raises
        ------
        VersionError
            If there was none before.
        """
        with self._lock:
            self._stop_rollout("the traffic of before was restored")
            follower = self._history[-1].follower
            if len(self._history) == 1:
                message = (
                    f"{self.traffic.primary.version!r} is the first that is remembered: there is "
                    f"no traffic before it. The last {_UNDONE} changes can be undone."
                )
                raise VersionError(message)
            del self._history[-1]
            self._apply(self._history[-1], in_place=True)
            restored = self.traffic
        if follower is not None:
            follower.go_back()
        return restored

    def compare(self, *, confidence: float) -> Comparison:
        """Compare the versions that answer; the last ones that were compared when one does.

        Raises
        ------
        ServingError
            If nothing was collected.
        """
        from nbdeploy.monitoring.comparison import compare_contest  # noqa: PLC0415 -- only here

        contest = self._service.contest or self._last
        if contest is None:
            message = (
                "There is nothing to compare: one version answers, and nobody asked for the id of "
                'a prediction. Try split({"1.0": 0.9, "1.1": 0.1}) or shadow("1.1") first.'
            )
            raise ServingError(message)
        return compare_contest(contest, confidence=confidence)

    def close(self) -> None:
        """End what is on its way; the traffic stays."""
        with self._lock:
            self._stop_rollout("the service was stopped")

    def _give(self, route: Route, live: Route, share: float) -> None:
        """Give a version its share, in the place of the step before; on whichever thread."""
        traffic = self._beside(route, live, share)
        contest, follower = self._history[-1].contest, self._history[-1].follower
        if contest is not None:
            contest.weights |= traffic.shares
        if share == 1:
            traffic = Traffic.to(route).with_shadow(traffic.shadow)
        self._apply(_Entry(traffic, contest, follower), in_place=True)

    def _beside(self, route: Route, live: Route, share: float) -> Traffic:
        shares = {live.version: 1 - share, route.version: share}
        if len(shares) == 1:
            if share == 1:
                return Traffic.to(route).with_shadow(self.traffic.shadow)
            message = (
                f"The live version is called {route.version!r} too, and is another model. "
                "Steps need two names: save the new one under another version."
            )
            raise ServingError(message)
        routes = {live.version: live, route.version: route}
        parted = Traffic.parted(shares, routes, key=self.traffic.key)
        return parted.with_shadow(self.traffic.shadow)

    def _apply(self, entry: _Entry, *, in_place: bool = False) -> None:
        with self._lock:
            self._last = self._service.contest or self._last
            if in_place:
                self._history[-1] = entry
            else:
                self._remember(entry)
            self._service.set_traffic(entry.traffic, entry.contest)

    def _remember(self, entry: _Entry) -> None:
        self._history.append(entry)
        # One more than can be undone: what is in force.
        del self._history[: -_UNDONE - 1]

    def _rehearse(self, route: Route) -> str:
        live = self.traffic.primary
        if route is live:
            return ""
        used = {labels.endpoint for labels in self._service.monitor.snapshot().series}
        return str(rehearse(route, live, self.example, used=used))

    def _refuse_while_rolling_out(self) -> None:
        if self._rollout is not None and self._rollout.state == "running":
            message = (
                f"{self._rollout.version!r} is being rolled out. "
                "Wait for it with .wait(), or end it with .abort() or rollback()."
            )
            raise ServingError(message)

    def _stop_rollout(self, reason: str) -> None:
        if self._rollout is not None:
            self._rollout.stop(reason)
            self._rollout = None


def _contest_for(traffic: Traffic) -> Contest:
    contest = contest_of(traffic)
    if traffic.shadow is not None:
        from nbdeploy.monitoring.shadow import ShadowLog  # noqa: PLC0415 -- only here

        contest.shadow = ShadowLog(traffic.shadow.version)
    return contest
