"""A service in a process of its own: the child's side."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from nbdeploy.monitoring.contest import Contest
from nbdeploy.monitoring.shadow import ShadowLog
from nbdeploy.scaling.kernel_control import KernelControl
from nbdeploy.scaling.worker import describe_failure, route_of
from nbdeploy.serving.frames import Channel, ChannelClosedError, Frame
from nbdeploy.serving.junction import contest_of
from nbdeploy.serving.life_line import end_with
from nbdeploy.serving.security import AccessPolicy
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService
from nbdeploy.serving.traffic import Traffic

__all__ = ["main"]


# More than a desk goes back.
_REMEMBERED = 16


class _Collecting(NamedTuple):
    contest: Contest
    log: int | None


class _ServerProcess:
    """Serve, and do what the owner asks, until the owner hangs up."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._is_over = False
        self._contests: dict[int, _Collecting] = {}
        self._does: dict[str, Callable[[Frame], Any]] = {
            "bring": self._bring,
            "traffic": self._set_traffic,
            "contest": lambda _: self._tell_contest(),
            "scale": lambda frame: self._control.scale(frame.document["replicas"]),
            "statistics": lambda _: self._control.statistics(),
            "monitor": lambda _: self._control.monitor().to_dict(),
            "drift": lambda _: self._control.monitor().drift().to_dict(),
            "reset": lambda _: self._control.reset(),
            "errors": lambda _: self._errors(),
            "logs": lambda _: self._server.logs(),
            "code": lambda _: self._control.issue_code(),
            "stop": self._stop,
        }

    def serve(self) -> None:
        """Start the server with the first frame, then do what comes."""
        self._answer(self._start)
        while not self._is_over:
            self._answer(lambda frame: self._does[frame.document["do"]](frame))

    def _answer(self, do: Callable[[Frame], Any]) -> None:
        frame = self._channel.receive()
        try:
            answer = {"result": do(frame)}
        except Exception as error:  # noqa: BLE001 -- told to whoever asked
            answer = describe_failure(error)
        finally:
            for file in frame.files:
                with suppress(OSError):
                    os.close(file)
        self._channel.send(answer)

    def _start(self, frame: Frame) -> int:
        wanted = frame.document
        access = wanted["access"]
        route = route_of(frame)
        self._routes = {wanted["key"]: route}
        self._service = ModelService(
            route,
            name=wanted["name"],
            access=AccessPolicy(**{**access, "allowed_hosts": frozenset(access["allowed_hosts"])}),
            **wanted["service_options"],
        )
        self._server = BackgroundServer(
            self._service.app, name=wanted["name"], websockets=False, **wanted["server_options"]
        ).start()
        self._control = KernelControl(
            self._service,
            timeout=wanted["service_options"]["timeout"],
            adopt=self._server.adopt_thread,
        )
        return self._server.port

    def _bring(self, frame: Frame) -> None:
        route = route_of(frame)
        self._control.bring(route)
        for key in frame.document["forget"]:
            self._routes.pop(key, None)
        self._routes[frame.document["key"]] = route

    def _set_traffic(self, frame: Frame) -> None:
        wanted = frame.document
        shadow = wanted["shadow"]
        traffic = Traffic(
            tuple(self._routes[key] for key in wanted["routes"]),
            tuple(wanted["weights"]),
            None if shadow is None else self._routes[shadow],
            wanted["key"],
        )
        self._service.set_traffic(traffic, self._contest_for(traffic, wanted))

    def _contest_for(self, traffic: Traffic, wanted: dict[str, Any]) -> Contest | None:
        """Give where to collect: the owner names what it goes on with."""
        number, log = wanted["contest"], wanted["log"]
        if number is None:
            return None
        known = self._contests.get(number)
        if known is None:
            known = _Collecting(contest_of(traffic), None)
        contest, known_log = known
        contest.weights |= traffic.shares
        if log != known_log:
            shadow = None if traffic.shadow is None else ShadowLog(traffic.shadow.version)
            contest = contest.with_shadow(shadow)
        # Who comes back to an earlier traffic goes on with what was collected for it.
        self._contests[number] = _Collecting(contest, log)
        while len(self._contests) > _REMEMBERED:
            del self._contests[next(iter(self._contests))]
        return contest

    def _tell_contest(self) -> dict[str, Any] | None:
        contest = self._service.contest
        return None if contest is None else contest.to_dict()

    def _stop(self, frame: Frame) -> None:
        self._is_over = True
        self._server.stop(frame.document["grace"])
        self._control.close()

    def _errors(self) -> list[dict[str, Any]]:
        names = ("id", "time", "endpoint", "type", "message", "traceback", "status")
        return [{name: getattr(each, name) for name in names} for each in self._control.errors()]


def main(descriptor: int, life_line: int) -> None:
    """Serve the owner of a socket.

    Parameters
    ----------
    descriptor
        The socket.
    life_line
        What this process ends with.
    """
    # The stop button of a notebook reaches the whole group of processes: not this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    os.set_inheritable(life_line, False)
    end_with(life_line)
    channel = Channel(socket.socket(fileno=descriptor))
    os.register_at_fork(after_in_child=channel.close)
    with suppress(ChannelClosedError):
        _ServerProcess(channel).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    # A call of a model that hangs shall not keep the process.
    os._exit(0)
