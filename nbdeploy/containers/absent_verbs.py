"""Verbs of a `Deployment` that make no sense where a service runs outside of the kernel."""

from __future__ import annotations

from collections.abc import Mapping

from nbdeploy.exceptions import NbdeployError

__all__ = ["absent_verb"]


def absent_verb(
    handle: object,
    name: str,
    what: str,
    elsewhere: Mapping[str, str],
    kind: type[NbdeployError],
) -> Exception:
    """Give the error for a name that a handle lacks.

    Parameters
    ----------
    handle
        What was asked.
    name
        The name.
    what
        What it is called in a sentence: ``"A container"``.
    elsewhere
        What to do instead, by the verb.
    kind
        The error for these verbs; all other names are an ``AttributeError``.
    """
    if name in elsewhere:
        return kind(f"{what} has no {name}. {elsewhere[name]}")
    return AttributeError(f"{type(handle).__name__!r} object has no attribute {name!r}")
