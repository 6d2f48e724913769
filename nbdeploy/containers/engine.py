"""Docker or Podman, through its command.

The command and not the SDK: it needs no further package, it finds the engine and the login that
the user has (contexts, credential helpers), Podman takes the same words, and BuildKit is reached
by it alone. No shell reads the arguments.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.exceptions import ContainerError

__all__ = ["Engine", "find_engine", "step_of"]

Tell = Callable[[float, str], object]
"""Takes how much is done, from 0 to 1, and what is being done."""

_COMMANDS = ("docker", "podman")
_PATIENCE = 60.0
# Lines that can be read; and Podman writes images whose health check is kept.
_BUILDERS = {"BUILDKIT_PROGRESS": "plain", "BUILDAH_FORMAT": "docker"}
_KEPT_LINES = 40
# `Step 3/9 : RUN ...` of the classic builder, `STEP 3/9: RUN ...` of Podman,
# `#7 [build 3/6] RUN ...` or `#7 [3/6] RUN ...` of BuildKit.
_STEP = re.compile(r"(?:step |#\d+ \[(?:\S+ )?)(\d+)/(\d+)\]?\s*:?\s*(.*)", re.IGNORECASE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NO_LOGIN = re.compile(
    r"no basic auth|unauthorized|authentication required|denied: |access .* denied", re.IGNORECASE
)
_STILL = (
    "What works without one: bundle.check() rehearses the container in a clean environment, and "
    "the folder builds on any machine that has an engine."
)


class Engine:
    """A command that builds and runs containers.

    Parameters
    ----------
    command
        ``docker`` or ``podman``, or the path of one.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self._name = Path(command).name

    def answers(self) -> bool:
        """Tell whether there is an engine behind the command, and this user may use it."""
        try:
            self.call("ps", "--quiet")
        except ContainerError:
            return False
        return True

    def build(self, folder: Path, image: str, *, progress: Tell) -> None:
        """Build an image, and tell the steps as the engine reports them.

        Raises
        ------
        ContainerError
            With the last lines that the engine said.
        """
        command = ["build", "--tag", image, str(folder)]
        steps = _Steps(progress)
        self._stream(command, steps, f"{image} cannot be built")

    def push(self, image: str, target: str, *, progress: Tell) -> str:
        """Push an image under a name, and return the name with the digest in the registry.

        Raises
        ------
        ContainerError
            With the last lines that the engine said.
        """
        if target != image:
            self.call("tag", image, target)
        try:
            self._stream(
                ["push", target], lambda line: progress(0.5, line), f"{target} is not pushed"
            )
        except ContainerError as error:
            if _NO_LOGIN.search(str(error)) is None:
                raise
            host = target.partition("/")[0]
            message = f"{error}\nLog in before: {self._name} login {host}"
            raise ContainerError(message) from error
        digests = json.loads(self.call("inspect", "--format", "{{json .RepoDigests}}", target))
        repository = target.partition("@")[0]
        if ":" in repository.rpartition("/")[2]:
            repository = repository.rpartition(":")[0]
        pushed = [digest for digest in digests or () if digest.startswith(f"{repository}@")]
        return pushed[-1] if pushed else target

    def call(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = _PATIENCE,
        with_errors: bool = False,
    ) -> str:
        """Run one command of the engine, and return what it printed.

        Parameters
        ----------
        arguments
            What stands behind ``docker``.
        environment
            Variables to set for it: what stands there is in no list of processes.
        timeout
            Seconds.
        with_errors
            Return also what it printed to its error stream.

        Raises
        ------
        ContainerError
            If it fails, with what it said.
        """
        try:
            done = subprocess.run(  # noqa: S603 -- no shell, and every argument was checked
                [self.command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if with_errors else subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
                env={**os.environ, **(environment or {})},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"{self._name} {arguments[0]} failed: {error}"
            raise ContainerError(message) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout or "").strip()
            message = f"{self._name} {arguments[0]} failed: {visible(said[-1000:], keep=chr(10))}"
            raise ContainerError(message)
        return done.stdout

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows about a container; empty if there is none."""
        try:
            found = json.loads(self.call("container", "inspect", container))
        except ContainerError:
            return {}
        return dict(found[0]) if found else {}

    def _stream(self, arguments: Sequence[str], tell: Callable[[str], object], what: str) -> None:
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            process = subprocess.Popen(  # noqa: S603 -- as above
                [self.command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                env={**os.environ, **_BUILDERS},
            )
        except OSError as error:
            message = f"{self.command} cannot be started: {error}"
            raise ContainerError(message) from error
        with process:
            assert process.stdout is not None
            try:
                for told in process.stdout:
                    line = _COLOUR.sub("", told)
                    last.append(line.rstrip())
                    tell(line.strip())
            except BaseException:
                # An interrupted cell leaves no build behind.
                process.terminate()
                raise
        if process.returncode != 0:
            said = "\n  ".join(visible(line) for line in last if line)
            message = f"{what}. {self._name} {arguments[0]} said at last:\n  {said}"
            raise ContainerError(message)

    def __repr__(self) -> str:
        return f"<Engine {self._name}>"


class _Steps:
    """Read the output of a builder, and tell how far it is.

    Each stage of a file counts its own steps: what is told never goes back.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._share = 0.0

    def __call__(self, line: str) -> None:
        step = step_of(line)
        if step is not None:
            share, what = step
            self._share = max(self._share, share)
            self._tell(self._share, what)


def step_of(line: str) -> tuple[float, str] | None:
    """Read the share that is done, and the step, off a line of a builder.

    Examples
    --------
    >>> step_of("Step 3/4 : RUN python -m venv /opt/venv")
    (0.5, 'RUN python -m venv /opt/venv')
    >>> step_of("#8 [build 2/4] WORKDIR /build")
    (0.25, 'WORKDIR /build')
    >>> step_of("Collecting numpy==2.4.6")
    """
    found = _STEP.match(line)
    if found is None or int(found[2]) == 0:
        return None
    return (int(found[1]) - 1) / int(found[2]), visible(found[3].strip())[:80]


def find_engine() -> Engine:
    """Return the first of Docker and Podman that answers.

    Raises
    ------
    ContainerError
        If none does: it tells what was tried, and what works without.
    """
    installed = [command for command in map(shutil.which, _COMMANDS) if command is not None]
    for command in installed:
        engine = Engine(command)
        if engine.answers():
            return engine
    if not installed:
        message = f"Neither docker nor podman is installed here. {_STILL}"
        raise ContainerError(message)
    names = " and ".join(installed)
    message = (
        f"No engine answers: {names} can be called, but what they ask does not run, or may not be "
        f"reached by you. Start it (docker: sudo systemctl start docker). {_STILL}"
    )
    raise ContainerError(message)
