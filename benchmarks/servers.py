"""Servers to measure: how each is started, asked and ended."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from models import Row

__all__ = ["OWN_SERVERS", "TOKEN", "Ask", "Place", "RunningServer", "ServerKind", "StartError"]

HERE = Path(__file__).parent
TOKEN = "a-token-of-the-benchmark"  # noqa: S105 -- opens nothing but the benchmark's own server
_START_SECONDS = 60.0
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class StartError(RuntimeError):
    """A server that did not come up, or answered something else than predictions."""


@dataclass(frozen=True)
class Ask:
    """What is posted, and where to."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """Where a server runs: its model, its port, and a folder for what it writes."""

    subject: str
    model: Path
    port: int
    folder: Path


@dataclass(frozen=True)
class ServerKind:
    """One thing to measure.

    Parameters
    ----------
    name
        What the tables call it.
    command
        The command that serves a place.
    ask
        Writes rows as a request; the flag tells a request of many rows from one of a single row.
    answer
        Reads the predictions out of an answer; ``None`` where the answer is no prediction.
    environment
        Variables to set for it.
    carries_many
        Whether it takes requests of many rows.
    start_seconds
        How long it may take to start.
    """

    name: str
    command: Callable[[Place], Sequence[str]]
    ask: Callable[[str, list[Row], bool], Ask]
    answer: Callable[[Any], list[Any]] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    carries_many: bool = True
    start_seconds: float = _START_SECONDS


class RunningServer:
    """A server in processes of its own, ended at the end whatever happens.

    Parameters
    ----------
    kind
        What to start.
    place
        Where.
    rows
        Rows that it is asked until it answers.
    expected
        What the model itself says about these rows; ``None`` asks nothing about them.
    """

    def __init__(
        self, kind: ServerKind, place: Place, rows: list[Row], expected: list[float] | None
    ) -> None:
        self.kind = kind
        self.place = place
        self._log = place.folder / f"{kind.name}-{place.subject}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._rows = rows
        self._expected = expected
        self.seconds_to_first_answer = 0.0
        self.cpu_to_first_answer = 0.0

    def __enter__(self) -> Self:
        started = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                list(self.kind.command(self.place)),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.place.folder,
                env={**os.environ, **self.kind.environment},
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 -- no threads yet in this process
            )
        try:
            self._await_answer(started)
            self._check_answers()
        except (OSError, http.client.HTTPException) as error:
            self.stop()
            message = f"{self.kind.name} broke off: {error!r}.\n{self.log_tail()}"
            raise StartError(message) from error
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        """Return the processor time that the processes of the server have used."""
        return sum(_cpu_seconds(process.pid) for process in self._processes())

    def memory_mib(self) -> float:
        """Return the resident memory of the processes of the server."""
        total = 0
        for process in self._processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total / 2**20

    def await_quiet(self, *, seconds: float = 5.0) -> None:
        """Wait until it has finished what the last load left behind."""
        ends = time.monotonic() + seconds
        before = self.cpu_seconds()
        while time.monotonic() < ends:
            time.sleep(0.05)
            now = self.cpu_seconds()
            if now - before < 0.01:
                return
            before = now

    def post(self, ask: Ask, *, timeout: float = 30.0) -> tuple[int, bytes]:
        """Post once over a connection of its own: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=timeout)
        try:
            connection.request("POST", ask.path, ask.body, dict(headers(ask)))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def log_tail(self) -> str:
        """Return the end of what it printed."""
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def stop(self) -> None:
        """End all its processes: politely, then not."""
        if self._process is None:
            return
        processes = self._processes()
        for process in processes[:1]:
            _send(process, signal.SIGTERM)
        _, alive = psutil.wait_procs(processes, timeout=5)
        for process in alive:
            _send(process, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _processes(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _await_answer(self, started: float) -> None:
        assert self._process is not None
        ask = self.kind.ask(self.place.subject, self._rows[:1], False)
        status, body = 0, b""
        while time.perf_counter() - started < self.kind.start_seconds:
            if self._process.poll() is not None:
                break
            try:
                status, body = self.post(ask)
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
                continue
            if status == 200:
                self.seconds_to_first_answer = time.perf_counter() - started
                self.cpu_to_first_answer = self.cpu_seconds()
                return
            time.sleep(0.05)
        message = (
            f"{self.kind.name} did not answer: status {status}, {body[:300]!r}.\n{self.log_tail()}"
        )
        raise StartError(message)

    def _check_answers(self) -> None:
        if self.kind.answer is None or self._expected is None:
            return
        alone = []
        for row in self._rows[:20]:
            _, body = self.post(self.kind.ask(self.place.subject, [row], False))
            alone += self.kind.answer(json.loads(body))
        self._compare(alone)
        if self.kind.carries_many:
            _, body = self.post(self.kind.ask(self.place.subject, self._rows, True))
            self._compare(self.kind.answer(json.loads(body)))

    def _compare(self, answers: list[Any]) -> None:
        assert self._expected is not None
        wanted = self._expected[: len(answers)]
        if not answers or [float(answer) for answer in answers] != wanted:
            message = f"{self.kind.name} answers {answers[:5]} where the model says {wanted[:5]}."
            raise StartError(message)


def headers(ask: Ask) -> dict[str, str]:
    """Give the headers of a request: the same for all servers, the token included."""
    return {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {TOKEN}",
        **ask.headers,
    }


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def features(subject: str, rows: list[Row], many: bool) -> Ask:
    """Write the chapter's request, where nbdeploy takes it: one route for all."""
    del subject
    return Ask("/predict", json.dumps({"features": rows if many else rows[0]}).encode())


def _chapter_ask(subject: str, rows: list[Row], many: bool) -> Ask:
    route = "/predict"
    if many:
        route = "/predict/many"
    if subject == "m4":
        route = "/predict/many-mixed" if many else "/predict/mixed"
    return Ask(route, features(subject, rows, many).body)


def predictions(document: Any) -> list[Any]:
    """Read ``{"prediction": [...]}``."""
    answers: list[Any] = document["prediction"]
    return answers


def _script(name: str, *arguments: str) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        words = {"MODEL": str(place.model), "PORT": str(place.port)}
        filled = [words.get(argument, argument) for argument in arguments]
        return [sys.executable, str(HERE / name), *filled]

    return command


OWN_SERVERS = {
    kind.name: kind
    for kind in (
        ServerKind(
            "nbdeploy",
            _script("server_nbdeploy.py", "MODEL", "PORT", "--token", TOKEN),
            features,
            predictions,
        ),
        ServerKind(
            "chapter",
            _script("server_chapter.py", "MODEL", "PORT"),
            _chapter_ask,
            predictions,
            environment={"OMP_NUM_THREADS": "1"},
        ),
        ServerKind("echo", _script("server_echo.py", "echo", "PORT"), features, None),
        ServerKind(
            "constant",
            _script("server_echo.py", "constant", "PORT"),
            features,
            None,
            carries_many=False,
        ),
    )
}


def _cpu_seconds(pid: int) -> float:
    # The kernel's clock of one process counts nanoseconds and keeps the time of ended threads;
    # /proc/PID/stat counts in steps of 10 ms.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
