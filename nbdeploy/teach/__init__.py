"""Tasks that check themselves: `check`, `hint`, `progress`, `report`; `step` to write your own."""

from nbdeploy.teach.checks import CheckFailed, check
from nbdeploy.teach.course import progress
from nbdeploy.teach.expectations import expect
from nbdeploy.teach.hints import hint
from nbdeploy.teach.ready import ready_check
from nbdeploy.teach.records import report, reset
from nbdeploy.teach.steps import UnknownStepError, step

__all__ = [
    "CheckFailed",
    "UnknownStepError",
    "check",
    "expect",
    "hint",
    "progress",
    "ready_check",
    "report",
    "reset",
    "step",
]
