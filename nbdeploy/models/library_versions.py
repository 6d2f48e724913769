"""The libraries that a saved model needs: which versions saved it, which are here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

__all__ = ["CODE_LIBRARY", "Difference", "differences", "installed_version", "versions_for"]

#: Its presence among the libraries says that the file carries code of a notebook.
CODE_LIBRARY = "cloudpickle"
SCIKIT_LEARN = "scikit-learn"

_DISTRIBUTIONS = {"sklearn": SCIKIT_LEARN}  # others import under their own name
# The same library built without what only graphics cards need.
_TWINS = {"xgboost": "xgboost-cpu"}
# They read what their older versions wrote; a minor release changes no prediction.
_STABLE = {"numpy", "scipy", "pandas", "joblib", "cloudpickle", "skops"}
_WHOLE, _MINOR, _MAJOR = None, 2, 1


@dataclass(frozen=True)
class Difference:
    """A library that is here in another version than saved the model.

    Parameters
    ----------
    library
        The name of its distribution.
    saved
        The version that saved the model.
    installed
        The version here; ``None`` when it is not installed.
    """

    library: str
    saved: str
    installed: str | None

    def __str__(self) -> str:
        here = f"{self.installed} is installed" if self.installed else "it is not installed here"
        return f"{self.library} {self.saved} saved the model, {here}"


def versions_for(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the libraries behind imported names.

    Parameters
    ----------
    names
        What a file imports, as ``module.name``.

    Examples
    --------
    >>> sorted(versions_for(["sklearn.tree._classes.DecisionTreeClassifier", "builtins.set"]))
    ['scikit-learn']
    """
    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    found = {}
    for package in sorted(packages):
        library = _DISTRIBUTIONS.get(package, package)
        version = installed_version(library)
        if version is not None:
            found[library] = version
    return found


def installed_version(library: str) -> str | None:
    """Return the version of a distribution; ``None`` when it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        twin = _TWINS.get(library)
        return installed_version(twin) if twin is not None else None


def differences(saved: Mapping[str, str], installed: Mapping[str, str | None]) -> list[Difference]:
    """Return the libraries whose version may change what a model answers.

    Any other version of scikit-learn counts, as scikit-learn itself says; of most libraries
    another minor version does, and of those that keep reading their old files another major one.

    Examples
    --------
    >>> differences({"scikit-learn": "1.5.0"}, {"scikit-learn": "1.5.1"})
    [Difference(library='scikit-learn', saved='1.5.0', installed='1.5.1')]
    >>> differences({"numpy": "2.0.0"}, {"numpy": "2.4.0"})
    []
    """
    return [
        Difference(library, version, installed.get(library))
        for library, version in saved.items()
        if not _is_alike(library, version, installed.get(library))
    ]


def carries_code(libraries: Collection[str]) -> bool:
    """Tell whether a file holds compiled code, which only one minor version of Python reads."""
    return CODE_LIBRARY in libraries


def _is_alike(library: str, saved: str, installed: str | None) -> bool:
    if installed is None:
        return False
    parts = _WHOLE if library == SCIKIT_LEARN else _MAJOR if library in _STABLE else _MINOR
    return saved.split(".")[:parts] == installed.split(".")[:parts]
