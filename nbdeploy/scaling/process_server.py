"""A service in a process of its own: the owner's side.

A busy cell of the notebook, even one call in C that never lets another thread run, costs callers
nothing then. The process ends with the one that started it, whatever ends that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Self

from nbdeploy.exceptions import StartupError, StoppedError
from nbdeploy.monitoring.drift import Drift
from nbdeploy.monitoring.monitor import ModelMonitor, RecordedError
from nbdeploy.scaling.artifacts import Artifact, Artifacts
from nbdeploy.scaling.process_traffic import ProcessTraffic
from nbdeploy.scaling.replica import ReplicaError, error_of
from nbdeploy.serving.frames import Channel, ChannelClosedError
from nbdeploy.serving.life_line import LifeLine
from nbdeploy.serving.routing import Route
from nbdeploy.serving.server import url_of
from nbdeploy.serving.service import ModelService

__all__ = ["ProcessServer"]

_COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nbdeploy.scaling.server_process import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
_START_SECONDS = 60.0
_ANSWER_SECONDS = 30.0
_SCALE_SECONDS = 90.0
_STOP_MARGIN = 1.0


class ProcessServer:
    """Start a process that serves, and talk to it: as `BackgroundServer` and as `Control`.

    Parameters
    ----------
    service
        What is served: its route, its name and who may call.
    server_options
        What the process makes its `BackgroundServer` with.
    service_options
        What the process makes its `ModelService` with.
    graceful_timeout
        Seconds that requests in flight have when it is stopped.
    """

    def __init__(
        self,
        service: ModelService,
        *,
        server_options: dict[str, Any],
        service_options: dict[str, Any],
        graceful_timeout: float = 10.0,
    ) -> None:
        self.name = service.name
        self.host: str = server_options["host"]
        self._service = service
        self._server_options = server_options
        self._service_options = service_options
        self._port: int | None = server_options["port"]
        self._graceful_timeout = graceful_timeout
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        self._line: LifeLine | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._last: dict[str, Any] = {}
        # Called while anything may be locked: the process is told with the next order.
        self._forgotten: deque[str] = deque()
        self._artifacts = Artifacts(self._forgotten.append, with_baseline=True)
        self._brought: set[str] = set()
        self._traffic = ProcessTraffic(service, self)

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<ProcessServer {self.name!r}, {state}>"

    @property
    def running(self) -> bool:
        """Whether the process is there, and was not told to end."""
        return self._channel is not None and self._line is not None and self._line.is_held

    @property
    def pid(self) -> int | None:
        """The process, while it serves."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def port(self) -> int:
        """The port it listens on, or listened on last.

        Raises
        ------
        StoppedError
            It was never started.
        """
        if self._port is None:
            message = f"The server {self.name!r} has no port yet: start() picks a free one."
            raise StoppedError(message)
        return self._port

    @property
    def url(self) -> str:
        """Where programs on this machine reach it."""
        scheme = "https" if self._server_options["ssl_certfile"] else "http"
        return url_of(self.host, self.port, scheme=scheme)

    def start(self) -> Self:
        """Start the process, and return once it answers.

        Raises
        ------
        PortInUseError
            Something listens on the port already.
        StartupError
            The address cannot be bound, or the process did not start.
        """
        artifact = self._artifacts.of(self._service.route)
        self._brought = {artifact.key}
        here, there = Channel.pair()
        line = LifeLine()
        end = line.take_other_end()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- this very interpreter
                [
                    *(sys.executable, "-c", _COMMAND, json.dumps(sys.path)),
                    *(str(there.fileno()), str(end)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno(), end],
            )
        except OSError as error:
            here.close()
            line.cut()
            message = f"The server {self.name!r} did not start: {error}."
            raise StartupError(message) from error
        finally:
            there.close()
            os.close(end)
        self._channel, self._line = here, line
        try:
            self._port = int(self._ask(self._order(artifact), artifact, timeout=_START_SECONDS))
        except (StoppedError, TimeoutError) as error:
            self._end()
            message = (
                f"The server {self.name!r} did not start: its process ended, or took more than "
                f"{_START_SECONDS:g} s. Its last words are on this process's standard error."
            )
            raise StartupError(message) from error
        except BaseException:
            self._end()
            raise
        return self

    def stop(self, timeout: float | None = None) -> None:
        """Let requests in flight finish, then end the process; a second call does nothing."""
        grace = self._graceful_timeout if timeout is None else timeout
        if self.running:
            with suppress(StoppedError, TimeoutError):
                self._last = self.statistics()
            with suppress(StoppedError, TimeoutError):
                self._ask({"do": "stop", "grace": grace}, timeout=grace + _STOP_MARGIN)
        self._end()

    def wait(self) -> None:
        """Block until the process ends, or until the user interrupts; it then goes on."""
        if self._process is not None:
            with suppress(KeyboardInterrupt):
                self._process.wait()

    def logs(self) -> list[str]:
        """Return the last lines that the server logged, the oldest first."""
        lines: list[str] = self._ask({"do": "logs"})
        return lines

    def pin_to_current_cell(self) -> None:
        """Do nothing: the process prints where this one's standard output goes."""

    def served(self) -> ProcessTraffic:
        """Give what the traffic of the process is changed by."""
        return self._traffic

    def bring(self, route: Route) -> str:
        """Let the process load a model, unless it has; give what it is called there."""
        artifact = self._artifacts.of(route)
        if artifact.key not in self._brought:
            order = {**artifact.order(), "do": "bring", "forget": self._take_forgotten()}
            self._ask(order, artifact, timeout=_START_SECONDS)
            self._brought.add(artifact.key)
        return artifact.key

    def ask(self, document: dict[str, Any]) -> Any:
        """Ask the process, and wait for its answer.

        Raises
        ------
        StoppedError
            If it is not there any more.
        """
        return self._ask(document)

    def _take_forgotten(self) -> list[str]:
        keys: list[str] = []
        while self._forgotten:
            keys.append(self._forgotten.popleft())
        return keys

    def scale(self, replicas: int) -> int:
        """Have so many replicas, which are children of the process that serves."""
        return int(self._ask({"do": "scale", "replicas": replicas}, timeout=_SCALE_SECONDS))

    def statistics(self) -> dict[str, Any]:
        """Summarize what was asked; what was known last, once it is stopped."""
        statistics: dict[str, Any] = self._ask({"do": "statistics"}) if self.running else self._last
        return statistics

    def monitor(self) -> ModelMonitor:
        """Give a read-only monitor with the counts of now."""
        monitor = ModelMonitor.merged([ModelMonitor.from_dict(self._ask({"do": "monitor"}))])
        # The rows stay where they are seen.
        monitor.ask_drift(lambda: Drift.from_dict(self._ask({"do": "drift"})))
        return monitor

    def reset(self) -> None:
        """Forget what was counted there."""
        self._ask({"do": "reset"})

    def errors(self) -> list[RecordedError]:
        """Return the last failed requests, with their tracebacks."""
        return [RecordedError(**each) for each in self._ask({"do": "errors"})]

    def cause_of(self, error_id: str) -> BaseException | None:
        """Give what the model raised, with the traceback from there."""
        for recorded in self.errors():
            if recorded.id == error_id:
                return ReplicaError(recorded.traceback)
        return None

    def issue_code(self) -> str:
        """Make a code that opens a browser session once."""
        return str(self._ask({"do": "code"}))

    def close(self) -> None:
        """End the process, if it is still there."""
        self._end()

    def _order(self, artifact: Artifact) -> dict[str, Any]:
        access = self._service.access
        return {
            **artifact.order(),
            "do": "start",
            "name": self.name,
            "server_options": self._server_options,
            "service_options": self._service_options,
            "access": {
                "token": access.token,
                "loopback_only": access.loopback_only,
                "allowed_hosts": sorted(access.allowed_hosts),
            },
        }

    def _ask(
        self,
        document: dict[str, Any],
        artifact: Artifact | None = None,
        *,
        timeout: float = _ANSWER_SECONDS,
    ) -> Any:
        with self._lock:
            channel = self._channel
            if channel is None:
                raise self._stopped()
            files = [] if artifact is None else [artifact.file.fileno()]
            try:
                channel.send(document, files=files, timeout=timeout)
                answer = channel.receive(timeout).document
            except ChannelClosedError as error:
                raise self._stopped() from error
            except TimeoutError:
                # An answer that comes later would be taken for that of the next question.
                channel.hang_up()
                raise
        if "error" in answer:
            raise error_of(answer)
        return answer["result"]

    def _stopped(self) -> StoppedError:
        return StoppedError(f"The process of {self.name!r} is not there any more.")

    def _end(self) -> None:
        channel, self._channel = self._channel, None
        self._artifacts.close()
        if self._line is not None:
            self._line.cut()
        if channel is not None:
            channel.hang_up()
            with self._lock:
                channel.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_MARGIN)
