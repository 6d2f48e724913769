"""The lock: each package that serving one model imports, in the version that is installed here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.metadata import Distribution

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nbdeploy.containers.installed_modules import owners_of_modules
from nbdeploy.exceptions import ContainerError

__all__ = ["SERVING", "Lock", "is_local", "lock_for"]

#: What ``nbdeploy serve`` imports, whatever the model is: no Jupyter, widgets, plots or clusters.
SERVING = (
    "cloudpickle",
    "fastapi",
    "fastapi-offline",
    "h11",
    "httptools",
    "joblib",
    "numpy",
    "orjson",
    "pandas",
    "platformdirs",
    "psutil",
    "pydantic",
    "scikit-learn",
    "scipy",
    "starlette",
    "threadpoolctl",
    "uvicorn",
    "uvloop",
)
# They run on one system only: a lock that is made elsewhere does without.
_OPTIONAL = {"uvloop", "httptools"}
_OWN = "nbdeploy"


@dataclass(frozen=True)
class Lock:
    """Packages with their versions.

    Parameters
    ----------
    versions
        By name, in the order of the names.
    local
        Those that were installed from a folder: no index has them, a wheel must travel along.
    hashes
        The digests that a package's files may have, where a resolver told them.
    """

    versions: Mapping[str, str]
    local: tuple[str, ...] = ()
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_text(self) -> str:
        """Write the file for ``pip install --no-deps``: nothing is left to look up."""
        lines = []
        for name, version in self.versions.items():
            if name in self.local:
                continue
            digests = "".join(f" \\\n    --hash={digest}" for digest in self.hashes.get(name, ()))
            lines.append(f"{name}=={version}{digests}\n")
        return "".join(lines)


def lock_for(modules: Iterable[str], further: Iterable[str] = ()) -> Lock:
    """Find the packages that provide modules, and all that these need in turn.

    Parameters
    ----------
    modules
        Names of modules that the model imports.
    further
        Names of packages that a look at the model cannot find.

    Raises
    ------
    ContainerError
        If a module comes from no installed package, or a package is not installed.
    """
    wanted = [name for name in SERVING if name not in _OPTIONAL or _is_installed(name)]
    names = {*wanted, *_packages_of(modules), *(_checked_package(name) for name in further)}
    found: dict[str, Distribution] = {}
    for name in sorted(names):
        _add(Requirement(name), found, asked_by=None)
    found.pop(_OWN, None)
    versions = {name: found[name].version for name in sorted(found)}
    local = tuple(name for name in versions if is_local(found[name]))
    return Lock(versions, local)


def is_local(distribution: Distribution) -> bool:
    """Tell whether a package was installed from a folder of this machine."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return False
    facts = json.loads(text)
    return "dir_info" in facts or str(facts.get("url", "")).startswith("file:")


def _packages_of(modules: Iterable[str]) -> set[str]:
    tops = {module.partition(".")[0] for module in modules}
    if not tops:
        return set()
    known = owners_of_modules()
    missing = sorted(top for top in tops if top not in known)
    if missing:
        raise ContainerError(_homeless(missing[0]))
    return {canonicalize_name(name) for top in tops for name in known[top]}


def _homeless(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    place = f", the file {file}," if file else ""
    return (
        f"The model uses the module {module!r}{place} which belongs to no installed package, so no "
        "image can install it. Either make it a package and install that here (a folder with a "
        "pyproject.toml, then: pip install --editable FOLDER), or let its code travel inside of "
        f"the model: import cloudpickle, {module}; cloudpickle.register_pickle_by_value({module})."
    )


def _add(requirement: Requirement, found: dict[str, Distribution], asked_by: str | None) -> None:
    name = canonicalize_name(requirement.name)
    known = found.get(name)
    if known is None:
        known = _distribution(name, asked_by)
        if known is None:
            return
        found[name] = known
    elif not requirement.extras:
        return
    for text in known.requires or ():
        needed = Requirement(text)
        if _applies(needed, requirement.extras):
            is_new = canonicalize_name(needed.name) not in found or needed.extras
            if is_new:
                _add(needed, found, asked_by=name)


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    if requirement.marker is None:
        return True
    environment = {key: str(value) for key, value in default_environment().items()}
    return any(
        requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
    )


def _distribution(name: str, asked_by: str | None) -> Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        if asked_by is not None:
            # The notebook works without it, or with another package of the same content.
            return None
    message = (
        f"{name} is not installed here, so there is no version to lock. Install it here first "
        f"(pip install {name}), and see that the model works with it."
    )
    raise ContainerError(message)


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _checked_package(name: object) -> str:
    if not isinstance(name, str) or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is None:
        message = (
            f"{name!r} is no name of a package. Expected one that is installed here, such as "
            "'scikit-learn'; its version is the installed one."
        )
        raise ContainerError(message)
    return canonicalize_name(name)
