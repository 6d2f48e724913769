"""The rehearsal of a container without one: same packages, same start, same answers."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdeploy.containers.bundle_folder import note_fact, read_facts
from nbdeploy.containers.check_report import CheckReport, Finding
from nbdeploy.containers.clean_environment import (
    folder_size,
    install_packages,
    lend_packages,
    locked_versions,
)
from nbdeploy.containers.rehearsed_service import RehearsedService
from nbdeploy.display.html import visible
from nbdeploy.display.progress import ProgressBar
from nbdeploy.display.units import counted, duration, file_size
from nbdeploy.exceptions import ContainerError, NbdeployError
from nbdeploy.models.equality import explain_difference

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle

__all__ = ["check_bundle", "explain_log"]

_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NOT_DEFINED = re.compile(r"Can't get attribute '([^']+)' on <module '__main__'")
_NO_FILE = re.compile(r"No such file or directory: '([^']+)'")
_VERSIONS = re.compile(r"(\S+ \S+ saved the model, \S+ is installed here)")
_TOLD = 600


def check_bundle(bundle: Bundle, *, quick: bool, timeout: float) -> CheckReport:
    """Do what `Bundle.check` tells."""
    facts = read_facts(bundle.folder)
    findings = list(_static_findings(facts))
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if bundle.python != here:
        cure = f"Run the check with Python {bundle.python}; the image has it."
        findings.append(
            Finding("red", f"The bundle needs Python {bundle.python}, this is {here}", cure)
        )
        return CheckReport(bundle.name, tuple(findings))
    with (
        tempfile.TemporaryDirectory(prefix="nbdeploy-check-") as name,
        ProgressBar(f"Rehearsing {bundle.name}") as bar,
    ):
        return _rehearse(bundle, Path(name), findings, bar, quick=quick, timeout=timeout)


def _rehearse(
    bundle: Bundle,
    folder: Path,
    findings: list[Finding],
    bar: ProgressBar,
    *,
    quick: bool,
    timeout: float,
) -> CheckReport:
    environment = folder / "environment"
    bar.update(0.05, "lends the packages" if quick else "installs the lock")
    try:
        if quick:
            python = lend_packages(environment, bundle.folder)
        else:
            python = install_packages(environment, bundle.folder, timeout=timeout)
    except ContainerError as error:
        findings.append(Finding("red", "The locked packages cannot be had", str(error)))
        return CheckReport(bundle.name, tuple(findings))
    count = counted(len(locked_versions(bundle.folder)), "package")
    size = folder_size(environment) + (bundle.folder / bundle.model_file).stat().st_size
    word = "are there, lent from this environment" if quick else "install into an empty environment"
    findings.append(Finding("green", f"{count} {word}", detail=f"({file_size(size)})"))
    bar.update(0.6, "starts the service")
    seconds, memory = None, None
    work = folder / "work"
    work.mkdir()
    model = bundle.folder / bundle.model_file
    with RehearsedService(python, model, bundle.digest, work) as service:
        try:
            seconds = service.wait(timeout)
        except ContainerError as error:
            findings += explain_log(service.log(), str(error))
        else:
            findings.append(
                Finding("green", "The service starts", detail=f"(in {duration(seconds)})")
            )
            findings += _version_findings(service.log())
            bar.update(0.9, "asks the example")
            findings += _answer_findings(bundle, service, timeout)
            memory = service.memory()
            _note_measured(bundle, service, memory)
            findings.append(
                Finding("green", "It was asked and is alive", detail=f"({file_size(memory)} used)")
            )
    return CheckReport(bundle.name, tuple(findings), seconds, memory, size)


def _note_measured(bundle: Bundle, service: RehearsedService, memory: int) -> None:
    """Keep what was measured beside the bundle: the resources in a cluster are proposed from it."""
    saved = bundle.answers
    if not saved.answers or service.client is None:
        return
    method = next(iter(saved.answers))
    with suppress(NbdeployError):  # what fails there is among the findings
        cpu = service.cpu_per_request(method, saved.features)
        seen = {"memory": max(memory, service.memory()), "cpu_per_request": cpu}
        note_fact(bundle.folder, "measured", seen)


def _static_findings(facts: dict[str, Any]) -> Iterator[Finding]:
    if not facts.get("complete", True):
        yield Finding(
            "amber",
            "Not all that the model imports could be found by looking at it",
            'If a package is missing below, name it: service.bundle(folder, requirements=["..."]).',
        )
    for path in facts.get("paths", ()):
        yield Finding(
            "amber",
            f"The code of the notebook names {path}, which is on this machine only",
            "Read the file in a cell, and let the function use what was read.",
        )
    for name, size in facts.get("datasets", {}).items():
        yield Finding(
            "amber",
            f"A function of the notebook carries {name!r} along, {file_size(size)}: a dataset?",
            "Let the function use its argument, and nothing else that is large.",
        )


def _version_findings(log: str) -> list[Finding]:
    return [
        Finding(
            "amber",
            visible(told),
            "Fit and save the model again with what is installed, or install what saved it.",
        )
        for told in dict.fromkeys(_VERSIONS.findall(log))
    ]


def _answer_findings(bundle: Bundle, service: RehearsedService, timeout: float) -> list[Finding]:
    saved = bundle.answers
    if not saved.rows:
        cure = "Pass example=X_test.head(): these rows are asked here and in the notebook."
        return [Finding("amber", "There are no rows to compare answers with", cure)]
    assert service.client is not None
    findings: list[Finding] = []
    kind = "made-up row" if saved.is_made_up else "example row"
    for method, expected in saved.answers.items():
        try:
            answer = service.client.call(method, saved.features)
        except NbdeployError as error:
            said = service.traceback_of(method, saved.body(), timeout)
            return findings + explain_log(said, f"{method}() fails there: {error}")
        difference = explain_difference(answer, expected)
        if difference is None:
            what = f"{method}() of {counted(saved.rows, kind)} equals the notebook's"
            findings.append(Finding("green", what))
        else:
            what = f"{method}() differs from the notebook's: {difference}"
            cure = "Does the model depend on time, chance, the network or a global of the notebook?"
            findings.append(Finding("red", what, cure))
    return findings


def explain_log(log: str, what: str) -> list[Finding]:
    """Name the classic failures in what a service logged.

    Parameters
    ----------
    log
        What it said.
    what
        What is known without it.

    Examples
    --------
    >>> found = explain_log("ModuleNotFoundError: No module named 'xgboost'", "It ended.")
    >>> print(found[0].text, "|", found[0].cure)
    The module 'xgboost' is missing there | service.bundle(folder, requirements=["xgboost"])
    """
    if found := _NO_MODULE.search(log):
        module = found[1].partition(".")[0]
        cure = f'service.bundle(folder, requirements=["{module}"])'
        return [Finding("red", f"The module {module!r} is missing there", cure)]
    if found := _NOT_DEFINED.search(log):
        text = f"{visible(found[1])!r} was defined in a notebook and did not travel with the model"
        cure = "Save the model with nbdeploy: deploy(model) and ModelSerializer take code along."
        return [Finding("red", text, cure)]
    if found := _NO_FILE.search(log):
        text = f"The model reads {visible(found[1])}, which is not there"
        cure = "Read the file in a cell, and let the function use what was read."
        return [Finding("red", text, cure)]
    if found := _VERSIONS.search(log):
        cure = "Fit and save the model again with what is installed, or install what saved it."
        return [Finding("red", visible(found[1]), cure)]
    said = visible(log.strip()[-_TOLD:], keep="\n")
    return [Finding("red", what, f"It said at last:\n{said}" if said else "")]
