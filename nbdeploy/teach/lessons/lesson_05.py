"""Lesson 5: into a container."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from nbdeploy.teach.expectations import Mismatch, describe, expect
from nbdeploy.teach.steps import step

__all__: list[str] = []

_STAGE = [
    "FROM python:3.11-slim",
    "WORKDIR /app",
    "COPY requirements.txt ./",
    "RUN pip install -r requirements.txt",
    "ENV MODEL=model.joblib",
    "COPY model.joblib ./",
    "USER 10001",
]
_CASES = {
    "model.joblib": _STAGE[5:],
    "requirements.txt": _STAGE[2:],
    "notes.txt": [],
    "model": [],
}
_NAMES = ("scikit-learn", "numpy", "pandas")


@step(
    "05.1",
    title="Tell what is built again",
    hints=(
        "Go through the lines from the top; from the first hit on, all of them count.",
        'A hit starts with "COPY" and has the file among `line.split()`.',
        "`for place, line in enumerate(lines): ... return lines[place:]`, and `[]` at the end.",
    ),
)
def changes_run_down(again: Callable[[Any, str], Any]) -> str:
    """Change each file of a small Dockerfile."""
    for changed, wanted in _CASES.items():
        came = again(list(_STAGE), changed)
        expect(
            isinstance(came, list) and came == wanted,
            expected=f"{len(wanted)} lines when {changed!r} changes in {_STAGE}",
            came=f"{came!r:.200}" if isinstance(came, list) else describe(came),
            look="which line names the file, and whether it is a `COPY`",
        )
    return "a new model reaches two lines, new requirements reach the installation too"


@step(
    "05.2",
    title="Pin the versions that are installed",
    hints=(
        "`importlib.metadata` of the standard library knows what is installed.",
        "`version('numpy')` is the version as a text.",
        'A list of `f"{name}=={version(name)}"`, sorted.',
    ),
)
def versions_are_pinned(pinned: Callable[[Any], Any]) -> str:
    """Ask for three packages that are certainly here."""
    wanted = sorted(f"{name}=={version(name)}" for name in _NAMES)
    came = pinned(list(_NAMES))
    if not isinstance(came, list):
        raise Mismatch(expected=f"{wanted}", came=describe(came), look="what you return")
    expect(
        came == wanted,
        expected=f"{wanted}",
        came=f"{came!r:.200}",
        look="two equals signs, the installed versions, and the order",
    )
    return "whoever installs these lines gets what you have"
