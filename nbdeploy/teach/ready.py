"""Whether this machine can do the lessons: one table, each row with its cure."""

from __future__ import annotations

import locale
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage
from urllib.request import getproxies, proxy_bypass

from nbdeploy.display.html import Html, element, fragment
from nbdeploy.display.mime import ReprMixin
from nbdeploy.display.table import Table
from nbdeploy.machine import machine_cpus, memory_limit, usable_cpus
from nbdeploy.models.trust import config_folder
from nbdeploy.registry.version_control import VARIABLE
from nbdeploy.teach.finding import Finding
from nbdeploy.teach.language import translate
from nbdeploy.teach.markup import as_html
from nbdeploy.teach.surroundings import (
    clock_finding,
    encoding_finding,
    kernel_finding,
    neighbour_finding,
    open_files_finding,
    registry_findings,
    settings_finding,
    write_once,
)

__all__ = ["Finding", "Readiness", "ready_check"]

_LOOPBACK = "127.0.0.1"
_OLDEST_PYTHON = (3, 11)
_LEAST_MEMORY = 1 << 30
_LEAST_DISK = 500 << 20
_GIB = 1 << 30
# What the lessons import, by import name and name of the package.
_LIBRARIES = {
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "matplotlib": "matplotlib",
}


@dataclass(frozen=True, repr=False)
class Readiness(ReprMixin):
    """What `ready_check` found, as a table."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the lessons can start: there is no problem, warnings do not count."""
        return not self.problems

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What has to be cured first."""
        return tuple(finding for finding in self.findings if finding.status == "problem")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What works with a limit."""
        return tuple(finding for finding in self.findings if finding.status == "warning")

    @property
    def summary(self) -> str:
        """The table in one sentence."""
        if self.problems:
            names = ", ".join(translate(finding.name).lower() for finding in self.problems)
            return translate(f"Not ready yet. First solve: {names}.")
        if self.warnings:
            return translate("Ready, with a limit: read the warnings.")
        return translate("Ready.")

    def __repr__(self) -> str:
        return f"{self._table(translate, str).to_text()}\n{self.summary}"

    def to_html(self) -> str:
        """Write the findings as a table, the status in its colour."""
        return fragment(self._table(_status, as_html).element(), element("b", self.summary))

    def _table(self, status: Callable[[str], str], sentence: Callable[[str], str]) -> Table:
        columns = ["what", "status", "found"]
        rows = [
            [translate(one.name), status(one.status), sentence(translate(one.found))]
            for one in self.findings
        ]
        if self.problems or self.warnings:
            columns.append("what to do")
            for row, one in zip(rows, self.findings, strict=True):
                row.append(sentence(translate(one.cure)))
        return Table([translate(name) for name in columns], rows, noun="finding")


_COLOURS = {
    "ok": "var(--nbd-good)",
    "warning": "var(--nbd-warn)",
    "problem": "var(--jp-error-color1, #cf222e)",
}


def _status(status: str) -> Html:
    return element("b", translate(status), style=f"color: {_COLOURS[status]}")


def ready_check(folder: str | os.PathLike[str] = ".") -> Readiness:
    """Look whether this machine can do the lessons.

    Parameters
    ----------
    folder
        Where the lessons will write their files.

    Returns
    -------
    A table with a row for everything the lessons need; ``.ok`` is False if one has a problem.

    Examples
    --------
    >>> from nbdeploy.teach import ready_check
    >>> [finding.name for finding in ready_check().findings][:3]
    ['Python', 'Packages', 'Libraries']
    """
    return Readiness(
        (
            python_finding(sys.version_info[:3]),
            packages_finding(),
            libraries_finding(_LIBRARIES),
            port_finding(),
            *_folder_findings(Path(folder)),
            *registry_findings(os.environ.get(VARIABLE, "")),
            settings_finding(config_folder()),
            encoding_finding(locale.getpreferredencoding(do_setlocale=False)),
            *open_files_finding(_most_open_files()),
            cpu_finding(usable_cpus(), machine_cpus()),
            memory_finding(memory_limit()),
            notebook_finding(in_kernel="ipykernel" in sys.modules),
            *_kernel_findings(in_kernel="ipykernel" in sys.modules),
            *_neighbour_findings(),
            *proxy_findings(getproxies()),
            browser_finding(os.environ, has_proxy=find_spec("jupyter_server_proxy") is not None),
        )
    )


def python_finding(running: tuple[int, ...]) -> Finding:
    """Judge the version of Python."""
    found = ".".join(map(str, running))
    if running >= _OLDEST_PYTHON:
        return Finding("Python", found)
    oldest = ".".join(map(str, _OLDEST_PYTHON))
    return Finding("Python", found, "problem", f"Install Python {oldest} or newer.")


def packages_finding() -> Finding:
    """Look whether every package that nbdeploy asks for is installed, in the asked version."""
    from importlib.metadata import requires  # noqa: PLC0415 -- only this question needs it

    from packaging.requirements import Requirement  # noqa: PLC0415 -- not installed by itself

    asked = [Requirement(line) for line in requires("nbdeploy") or []]
    always = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    bad = [text for one in always if (text := _fault(one.name, one.specifier))]
    if bad:
        found = "; ".join(bad)
        return Finding("Packages", found, "problem", "Run `pip install --upgrade nbdeploy`.")
    return Finding("Packages", f"nbdeploy {version('nbdeploy')}, {len(always)} others")


def _fault(name: str, wanted: object) -> str:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 -- not installed by itself

    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"{name} is missing"
    if SpecifierSet(str(wanted)).contains(installed, prereleases=True):
        return ""
    return f"{name} is {installed}, needed is {wanted}"


def libraries_finding(libraries: Mapping[str, str]) -> Finding:
    """Import what the lessons use: an installed library may still be broken.

    Parameters
    ----------
    libraries
        Names of packages by the name under which they are imported.
    """
    broken = []
    for module, package in libraries.items():
        try:
            import_module(module)
        except Exception as error:  # noqa: BLE001 -- that it fails, and how, is the finding
            broken.append(f"{package}: {type(error).__name__}: {error}")
    if broken:
        names = " ".join(text.partition(":")[0] for text in broken)
        cure = f"Run `pip install --force-reinstall {names}`."
        return Finding("Libraries", "; ".join(broken), "problem", cure)
    return Finding("Libraries", ", ".join(f"{name} {version(name)}" for name in libraries.values()))


def port_finding() -> Finding:
    """Listen on a free port of this machine and call it, as a service will."""
    try:
        with socket.create_server((_LOOPBACK, 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address, timeout=2):
                pass
    except OSError as error:
        cure = "A firewall or a sandbox forbids it: ask who runs this machine."
        return Finding("Port", f"cannot listen on {_LOOPBACK}: {error}", "problem", cure)
    return Finding("Port", f"a service can listen on {_LOOPBACK} and be called there")


def folder_finding(folder: Path) -> Finding:
    """Write a file, rename it, delete it."""
    return _folder_findings(folder)[0]


def _folder_findings(folder: Path) -> tuple[Finding, ...]:
    try:
        written, cure = write_once(folder)
        free = disk_usage(folder).free
    except OSError as error:
        cure = "Open the notebooks from a folder that is yours, for example your home folder."
        return (Finding("Folder", f"cannot write: {error.strerror}", "problem", cure),)
    if cure:
        return (Finding("Folder", "cannot write: the disk is full", "problem", cure),)
    clock = clock_finding(time.time(), written)
    if free < _LEAST_DISK:
        found = f"writable, but only {free // (1 << 20)} MiB are free"
        return Finding("Folder", found, "warning", "Delete what you no longer need."), clock
    return Finding("Folder", "this folder is writable"), clock


def _most_open_files() -> int | None:
    try:
        import resource  # noqa: PLC0415 -- not on every system
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _neighbour_findings() -> Iterable[Finding]:
    try:
        from nbdeploy.serving.security import is_shared_machine  # noqa: PLC0415 -- heavy import
    except ImportError:
        return  # what is missing is told beside Packages and Libraries
    yield neighbour_finding(is_shared=is_shared_machine())


def _kernel_findings(*, in_kernel: bool) -> Iterable[Finding]:
    if in_kernel or find_spec("jupyter_client") is None:
        return
    from jupyter_client.kernelspec import (  # noqa: PLC0415 -- heavy import, not installed by itself
        KernelSpecManager,
        NoSuchKernel,
    )

    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return  # that ipykernel is missing is told beside Jupyter
    yield kernel_finding(command, sys.executable)


def cpu_finding(usable: float, machine: int) -> Finding:
    """Judge the processors that this process may use.

    Parameters
    ----------
    usable
        Processors after affinity and quota; may be a fraction.
    machine
        Processors of the machine.
    """
    found = f"{usable:g} usable"
    if usable < machine:
        found = (
            f"{usable:g} usable of {machine} in the machine: "
            "`n_jobs=-1` would start too many workers"
        )
    if usable < 1:
        return Finding("Processors", found, "warning", "Everything works, but slowly: wait longer.")
    return Finding("Processors", found)


def memory_finding(limit: int) -> Finding:
    """Judge the memory that this process may use, in bytes."""
    found = f"{limit / _GIB:.1f} GiB at most"
    if limit < _LEAST_MEMORY:
        cure = "Shut down other kernels, and run one lesson at a time."
        return Finding("Memory", found, "warning", cure)
    return Finding("Memory", found)


def notebook_finding(*, in_kernel: bool) -> Finding:
    """Look for a kernel and for widgets.

    Parameters
    ----------
    in_kernel
        Whether this is a notebook's kernel.
    """
    wanted = ["ipywidgets"] if in_kernel else ["jupyterlab", "ipykernel", "ipywidgets"]
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        found = f"{', '.join(missing)} missing"
        return Finding("Jupyter", found, "warning", 'Run `pip install "nbdeploy[notebooks]"`.')
    there = [*wanted, "ipykernel"] if in_kernel else wanted
    return Finding("Jupyter", ", ".join(f"{name} {version(name)}" for name in there))


def proxy_findings(proxies: Mapping[str, str]) -> Iterable[Finding]:
    """Look whether calls to this machine would be sent to a proxy; nothing to say without one.

    Parameters
    ----------
    proxies
        Addresses of proxies by scheme, as ``urllib`` reads them from the environment.
    """
    if "http" not in proxies and "all" not in proxies:
        return
    if proxy_bypass(_LOOPBACK):
        yield Finding("Web proxy", f"set, but not for {_LOOPBACK}")
        return
    cure = f"Set the environment variable `NO_PROXY={_LOOPBACK},localhost` before Jupyter starts."
    found = f"calls to {_LOOPBACK} go to the proxy too, which cannot answer them"
    yield Finding("Web proxy", found, "warning", cure)


def browser_finding(environment: Mapping[str, str], *, has_proxy: bool) -> Finding:
    """Tell how a browser reaches the pages of a service.

    Parameters
    ----------
    environment
        The environment variables.
    has_proxy
        Whether jupyter-server-proxy can be imported here.
    """
    if not environment.get("JUPYTERHUB_SERVICE_PREFIX"):
        return Finding("Browser", f"opens pages at http://{_LOOPBACK} on this machine")
    if has_proxy:
        return Finding("Browser", "on a hub, opens pages through jupyter-server-proxy")
    cure = "Ask who runs the hub for jupyter-server-proxy. Until then use `service.try_it()`."
    return Finding("Browser", "on a hub, cannot open the pages of a service", "warning", cure)
