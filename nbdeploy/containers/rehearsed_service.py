"""The service of a bundle in a process of its own, started as the container starts it."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nbdeploy.client import Client
from nbdeploy.exceptions import ContainerError
from nbdeploy.with_blocks import ClosesOnExit

__all__ = ["RehearsedService"]

_PORT = re.compile(r"listens on \S+, port (\d+)\.")
_PAUSE = 0.05
_GRACE = 15.0
_ASKED = 100
_MOST_SECONDS = 2.0
# The service tells callers only that the model raised. This tells what.
_ASK_DIRECTLY = """
import json, sys
from nbdeploy.serving.routing import route_from_file
path, digest, method = sys.argv[1:]
route = route_from_file(path, trust=digest, compile=False)
route.answer(method, route.signature.validate(json.load(sys.stdin)["features"]))
"""


class RehearsedService(ClosesOnExit):
    """A process that serves a model from a bundle.

    Parameters
    ----------
    python
        Of the environment to run in.
    model
        The file of the model.
    digest
        What the start command trusts.
    folder
        An empty folder: the process finds nothing of the notebook around it.
    clock
        Seconds, to tell how long the start took.
    """

    def __init__(
        self,
        python: Path,
        model: Path,
        digest: str,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._python, self._model, self._digest = python, model.resolve(), digest
        self._folder = folder
        self._log = folder / "service.log"
        self._token = secrets.token_urlsafe(16)
        command = [str(python), "-I", "-m", "nbdeploy", "serve", str(self._model)]
        self._started = clock()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own arguments, no shell
                [*command, "--port", "0", "--trust", digest],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**self._environment(), "NBDEPLOY_TOKEN": self._token},
            )
        self.client: Client | None = None

    def wait(self, timeout: float) -> float:
        """Wait until it is ready, and return the seconds since the start.

        Raises
        ------
        ContainerError
            If it ends, or is not ready in time; ``log()`` tells why.
        """
        while self._clock() - self._started < timeout:
            if self._process.poll() is not None:
                message = "The service ended while it started."
                raise ContainerError(message)
            if self._is_ready():
                return self._clock() - self._started
            time.sleep(_PAUSE)
        message = f"The service was not ready within {timeout:g} s."
        raise ContainerError(message)

    def memory(self) -> int:
        """Return what the process holds, in bytes."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def cpu_per_request(self, method: str, rows: Any) -> float:
        """Ask the same rows many times, and return the seconds of CPU that each took."""
        assert self.client is not None
        process = psutil.Process(self._process.pid)
        before, began = process.cpu_times(), self._clock()
        for asked in range(1, _ASKED + 1):  # noqa: B007 -- how many it were
            self.client.call(method, rows)
            if self._clock() - began > _MOST_SECONDS:
                break
        after = process.cpu_times()
        return float(after.user + after.system - before.user - before.system) / asked

    def log(self) -> str:
        """Return what it said."""
        return self._log.read_text(errors="replace")

    def traceback_of(self, method: str, body: bytes, timeout: float) -> str:
        """Ask the model without the service, and return what it raised; empty if it did not."""
        command = [str(self._python), "-I", "-c", _ASK_DIRECTLY, str(self._model)]
        try:
            done = subprocess.run(  # noqa: S603 -- our own arguments, no shell
                [*command, self._digest, method],
                input=body,
                capture_output=True,
                timeout=timeout,
                cwd=self._folder,
                env=self._environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stderr.decode(errors="replace") if done.returncode else ""

    def close(self) -> None:
        """End the process and what is connected to it."""
        if self.client is not None:
            self.client.close()
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _environment(self) -> dict[str, str]:
        return {**_essential(), "HOME": str(self._folder)}

    def _is_ready(self) -> bool:
        if self.client is None:
            told = _PORT.search(self.log())
            if told is None:
                return False
            self.client = Client(f"http://127.0.0.1:{told[1]}", token=self._token)
        return self.client.is_ready()


def _essential() -> dict[str, str]:
    """Give the variables that a process needs on this machine, and none that a notebook set."""
    kept = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "TEMP")
    return {name: os.environ[name] for name in kept if name in os.environ}
