"""A Dockerfile as a value: stages of instructions that render to text.

Only plain instructions: no ``# syntax`` line, no heredocs, no mounts. Every builder takes those,
also one that reaches no network but that of the packages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

__all__ = ["Dockerfile", "Instruction"]

APP = "/app"
ENVIRONMENT = "/opt/venv"
USER = "10001:10001"  # a number: Kubernetes cannot tell whether a name is root
_RULE = "# hadolint ignore=DL3008"

# Asked by the number of the port that the process listens on, without a proxy in between.
_PROBE = (
    "import http.client, os, sys; "
    "told = map(os.environ.get, ['AIP_HTTP_PORT', 'SAGEMAKER_BIND_TO_PORT', 'NBDEPLOY_PORT']); "
    "c = http.client.HTTPConnection('127.0.0.1', int(next(filter(None, told))), timeout=4); "
    "c.request('GET', '/health/ready'); "
    "sys.exit(c.getresponse().status != 200)"
)


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, with the reason for it.

    Parameters
    ----------
    name
        The word in capitals.
    arguments
        What stands behind it; a sequence is written in exec form, so that no shell reads it.
    reason
        A comment above the line.
    """

    name: str
    arguments: str | Sequence[str]
    reason: str = ""

    def render(self) -> str:
        """Write it."""
        told = self.arguments
        text = told if isinstance(told, str) else json.dumps(list(told))
        comment = "".join(f"# {line}\n" for line in self.reason.splitlines())
        return f"{comment}{self.name} {text}\n"


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """What an image is made of. Every text in it was checked before.

    Parameters
    ----------
    base_image
        With the Python that the model was saved with.
    requirements
        The lock, below the folder that is built.
    model
        The file of the model, below the folder that is built.
    digest
        The ``sha256:...`` of the model; ``None`` leaves it to ``NBDEPLOY_TRUST`` at the start.
    port
        Where the service listens.
    system_packages
        Packages of Debian that libraries in the lock load.
    labels, environment
        What the image carries.
    """

    base_image: str
    requirements: str
    model: str
    digest: str | None
    port: int
    system_packages: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def render(self) -> str:
        """Write the file."""
        stages = (self._build_stage(), self._final_stage())
        return "\n".join("".join(step.render() for step in stage) for stage in stages)

    def _build_stage(self) -> list[Instruction]:
        python = f"{ENVIRONMENT}/bin/python"
        pip = f"RUN {python} -m pip install --no-cache-dir --no-deps".removeprefix("RUN ")
        wheels = str(PurePosixPath(self.requirements).parent / "wheels")
        return [
            Instruction("FROM", f"{self.base_image} AS build", "What installs stays behind."),
            Instruction("WORKDIR", "/build"),
            Instruction("RUN", f"python -m venv {ENVIRONMENT}"),
            Instruction(
                "COPY",
                f"{self.requirements} ./requirements.txt",
                "What changes least comes first: another model installs nothing again.",
            ),
            Instruction("RUN", f"{pip} --requirement requirements.txt"),
            Instruction("COPY", f"{wheels}/ ./wheels/"),
            Instruction("RUN", f"{pip} --no-index wheels/*.whl"),
        ]

    def _final_stage(self) -> list[Instruction]:
        served = f"{APP}/model/{PurePosixPath(self.model).name}"
        command = ["serve", served] + (["--trust", self.digest] if self.digest else [])
        return [
            Instruction("FROM", self.base_image, "What runs."),
            *self._system(),
            Instruction("WORKDIR", APP),
            Instruction("COPY", f"--from=build {ENVIRONMENT} {ENVIRONMENT}"),
            Instruction(
                "COPY",
                f"{self.model} {self.model}.manifest.json {APP}/model/",
                "The manifest tells whether the file is whole, and what a row looks like.",
            ),
            # One label is the digest of the model: above, it would copy all packages again.
            *([Instruction("LABEL", _pairs(self.labels))] if self.labels else []),
            Instruction("ENV", _pairs(self._variables(served))),
            Instruction("USER", USER, "A number and not root: it owns nothing in the image."),
            Instruction("EXPOSE", str(self.port)),
            Instruction("STOPSIGNAL", "SIGTERM"),
            Instruction(
                "HEALTHCHECK",
                "--interval=10s --timeout=5s --start-period=60s --retries=3 "
                f"CMD {json.dumps(['python', '-c', _PROBE])}",
            ),
            Instruction(
                "ENTRYPOINT",
                ["nbdeploy"],
                "No shell in between: the process gets the signal to stop. It refuses to start\n"
                "without NBDEPLOY_TOKEN, unless it is told `serve --no-token`.",
            ),
            Instruction("CMD", command),
        ]

    def _variables(self, served: str) -> dict[str, str]:
        own = {
            "PATH": f"{ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",  # noqa: S108 -- inside of a container it is nobody else's
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "NBDEPLOY_HOST": "0.0.0.0",  # noqa: S104 -- a container is reached from outside
            "NBDEPLOY_PORT": str(self.port),
            "NBDEPLOY_MODEL": served,
        }
        trust = {"NBDEPLOY_TRUST": self.digest} if self.digest else {}
        return {**self.environment, **own, **trust}

    def _system(self) -> list[Instruction]:
        if not self.system_packages:
            return []
        reason = (
            f"{', '.join(self.system_packages)}: libraries in the lock load it. Debian keeps only\n"
            f"the newest version of a package, so a pinned one would soon not build any more.\n"
            f"{_RULE.removeprefix('# ')}"
        )
        return [
            Instruction(
                "RUN",
                "apt-get update && apt-get install --yes --no-install-recommends "
                f"{' '.join(self.system_packages)} && rm -rf /var/lib/apt/lists/*",
                reason,
            )
        ]


def _pairs(values: Mapping[str, str]) -> str:
    # The values were checked: none holds a quote, a backslash, a $ or the end of a line.
    return " \\\n    ".join(f'{name}="{value}"' for name, value in values.items())
