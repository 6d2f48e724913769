"""Which fields of a live object are nbdeploy's, so that applying them again takes nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from nbdeploy.containers.cluster_connection import FIELD_MANAGER

__all__ = ["fields_of", "holders", "owned", "restored"]

_NOTHING = object()  # to keep, or to compare with
_ABSENT = object()  # in the live object


def fields_of(live: Mapping[str, Any], manager: str = FIELD_MANAGER) -> dict[str, Any]:
    """Return the fields that a manager applied, as the cluster writes them: ``fieldsV1``."""
    for each in live["metadata"].get("managedFields", []):
        is_ours = (each.get("manager"), each.get("operation")) == (manager, "Apply")
        if is_ours and not each.get("subresource"):
            return dict(each.get("fieldsV1", {}))
    return {}


def holders(live: Mapping[str, Any], *path: str) -> list[str]:
    """Name who else holds a field, such as ``("f:spec", "f:replicas")``."""
    found = []
    for each in live["metadata"].get("managedFields", []):
        fields: Any = each.get("fieldsV1", {})
        for step in path:
            fields = fields.get(step, _NOTHING) if isinstance(fields, dict) else _NOTHING
        is_ours = (each.get("manager"), each.get("operation")) == (FIELD_MANAGER, "Apply")
        if fields is not _NOTHING and not is_ours:
            found.append(str(each.get("manager")))
    return found


def owned(live: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what nbdeploy applied of an object: applying it again changes nothing.

    Parameters
    ----------
    live
        The object as the cluster has it, with its ``managedFields``.
    """
    metadata = live["metadata"]
    named = {"name": metadata["name"]}
    kept = _part(live, _NOTHING, fields_of(live) or None)
    found = {} if kept is _NOTHING else dict(kept)
    return {
        **found,
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {**found.get("metadata", {}), **named},
    }


def restored(
    old: Mapping[str, Any], live: Mapping[str, Any], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Take of an old state what nbdeploy must apply so that the live one becomes like it.

    That are the fields that it holds, and those that are different now; what the cluster filled in
    by itself, and what others set and is the same, stays theirs.

    Parameters
    ----------
    old, live
        The same part of an object, before and now.
    fields
        What nbdeploy holds of the live one, as ``fieldsV1`` writes it.
    """
    kept = _part(old, live, fields or None)
    return {} if kept is _NOTHING else dict(kept)


def _part(old: Any, live: Any, fields: Any) -> Any:
    """Keep what is held, and, unless there is nothing to compare with, what differs."""
    if not isinstance(fields, dict):
        # Whole: a part of a value that the API knows as one would be another value.
        return old if _differs(old, live) else _NOTHING
    if isinstance(old, dict) and fields:
        return _of_dict(old, live, fields)
    if isinstance(old, list) and any(key[:2] in ("k:", "v:") for key in fields):
        return _of_list(old, live, fields)
    return old


def _of_dict(old: dict[str, Any], live: Any, inside: dict[str, Any]) -> Any:
    kept = {}
    for key, value in old.items():
        was = live.get(key, _ABSENT) if isinstance(live, dict) else live
        part = _part(value, was, inside.get(f"f:{key}"))
        if part is not _NOTHING:
            kept[key] = part
    return kept if kept or "." in inside else _NOTHING


def _of_list(old: list[Any], live: Any, inside: dict[str, Any]) -> Any:
    if not any(key.startswith("k:") for key in inside):
        held = {key[2:] for key in inside if key.startswith("v:")}
        new = live if isinstance(live, list) else old
        return [each for each in old if json.dumps(each) in held or each not in new]
    keys = [json.loads(key[2:]) for key in inside if key.startswith("k:")]
    kept = []
    for item in old:
        key = _key_of(item, keys)
        was: Any = _NOTHING if live is _NOTHING else _item(live, key)
        part = _part(item, was, _fields_of_item(inside, key))
        if part is not _NOTHING:
            kept.append({**key, **part})
    return kept or _NOTHING


def _key_of(item: Mapping[str, Any], keys: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    names = next(iter(keys))
    return {name: item[name] for name in names if name in item}


def _fields_of_item(inside: Mapping[str, Any], key: Mapping[str, Any]) -> Any:
    for name, fields in inside.items():
        if name.startswith("k:") and json.loads(name[2:]) == key:
            return fields
    return None


def _item(live: Any, key: Mapping[str, Any]) -> Any:
    for each in live if isinstance(live, list) else ():
        if key.items() <= each.items():
            return each
    return _ABSENT


def _differs(old: Any, live: Any) -> bool:
    return live is not _NOTHING and old != live
