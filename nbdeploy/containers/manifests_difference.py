"""What differs between two states of objects, without telling a secret."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdeploy.display.html import element, fragment, visible
from nbdeploy.display.table import Table
from nbdeploy.exceptions import ClusterError

__all__ = ["TRACE", "Change", "Changes", "difference", "masked", "read_objects", "stated"]

#: The annotation by which the pods are other ones when the token is.
TRACE = "nbdeploy.org/token"

_NOTED = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp")
_CONTROLLER = "deployment.kubernetes.io/"
_HIDDEN = "•••"
_CHANGED = "••• (another one)"


@dataclass(frozen=True)
class Change:
    """One value that is another one.

    Parameters
    ----------
    of
        The object: ``Deployment/churn``.
    path
        Where in it: ``spec.template.spec.containers[0].image``; empty for the object as a whole.
    before, after
        The values; ``None`` where there is none. Those of a Secret are dots.
    """

    of: str
    path: str
    before: Any
    after: Any

    def cells(self) -> tuple[str, str, str, str]:
        """Write it as a row: the object, where in it, before and after."""
        if not self.path:
            return self.of, "", *(("", "new") if self.before is None else ("there", "deleted"))
        return self.of, self.path, _written(self.before), _written(self.after)

    def __str__(self) -> str:
        where = f"{self.of} {self.path}".rstrip()
        if not self.path:
            return visible(f"{where} is {'new' if self.before is None else 'no longer there'}")
        return visible(f"{where}: {self.before!r} -> {self.after!r}")


class Changes(tuple[Change, ...]):
    """Changes, one a line in a notebook; a tuple in every other way."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "no difference"

    def to_html(self) -> str:
        """Draw a table."""
        if not self:
            return fragment("No difference.")
        rows = [each.cells() for each in self]
        table = Table(("object", "field", "before", "after"), rows, noun="change").element()
        return fragment(element("div", table, class_="nbd-scroll"))

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        # IPython has a way of its own to show a tuple, which wins over the bundle's text.
        printer.text(repr(self))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.to_html()}


def masked(made: dict[str, Any]) -> dict[str, Any]:
    """Copy an object with dots for the values of a Secret, and for the trace of one."""
    shown = copy.deepcopy(made)
    annotations = _annotations_of_pods(shown)
    if TRACE in annotations:
        annotations[TRACE] = _HIDDEN
    if shown.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if shown.get(part):
                shown[part] = dict.fromkeys(shown[part], _HIDDEN)
        # What kubectl remembers of an apply holds the values once more.
        shown.get("metadata", {}).pop("annotations", None)
    return shown


def stated(live: dict[str, Any]) -> dict[str, Any]:
    """Copy an object without what the cluster notes about it."""
    metadata = {key: value for key, value in live["metadata"].items() if key not in _NOTED}
    told = metadata.get("annotations") or {}
    if kept := {key: value for key, value in told.items() if not key.startswith(_CONTROLLER)}:
        metadata["annotations"] = kept
    else:
        metadata.pop("annotations", None)
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def _annotations_of_pods(made: dict[str, Any]) -> dict[str, Any]:
    template = (made.get("spec") or {}).get("template") or {}
    found: dict[str, Any] = (template.get("metadata") or {}).get("annotations") or {}
    return found


def difference(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> Changes:
    """Compare objects by kind and name.

    Parameters
    ----------
    before, after
        Objects of Kubernetes as dicts.

    Examples
    --------
    >>> old = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}
    >>> new = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 81}]}}
    >>> print(*difference([old], [new]))
    Service/a spec.ports[0].port: 80 -> 81
    """
    old, new = _by_name(before), _by_name(after)
    changes: list[Change] = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            changes.append(Change(name, "", None, masked(new[name])))
        elif name not in new:
            changes.append(Change(name, "", masked(old[name]), None))
        else:
            is_secret = new[name].get("kind") == "Secret"
            changes += _changes(name, old[name], new[name], is_secret=is_secret)
    return Changes(changes)


def read_objects(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a file that ``Manifests.save`` wrote.

    Raises
    ------
    ClusterError
        If there is no such file, or it is no YAML of objects.
    """
    import yaml  # noqa: PLC0415 -- only who reads YAML

    try:
        saved = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = (
            f"{str(path)!r} cannot be read as YAML: {type(error).__name__}. "
            "Expected a file of save()."
        )
        raise ClusterError(message) from error
    if not all(isinstance(each, dict) and "kind" in each for each in saved):
        message = f"{str(path)!r} holds no objects of Kubernetes. Expected a file of save()."
        raise ClusterError(message)
    return saved


def _written(value: Any) -> str:
    return "" if value is None else str(value)


def _by_name(objects: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{each['kind']}/{each.get('metadata', {}).get('name')}": each for each in objects}


def _changes(
    name: str, old: dict[str, Any], new: dict[str, Any], *, is_secret: bool
) -> Iterator[Change]:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for path in dict.fromkeys([*before, *after]):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        if is_secret and path.startswith(("data", "stringData", "metadata.annotations")):
            was, now = was and _HIDDEN, now and (_CHANGED if was else _HIDDEN)
        yield Change(name, path, was, now)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for at, child in enumerate(value):
            yield from _leaves(child, f"{path}[{at}]")
    else:
        yield path, value
