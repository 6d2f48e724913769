"""What versions and aliases are called: names that no path, shell or page can be misled by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import VersionError

__all__ = ["LATEST", "checked_name", "is_name", "near_miss", "next_number"]

#: The version that was saved last; it moves by itself, so nothing else can be called so.
LATEST = "latest"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9_+-])?")
# Windows opens a device for these, whatever the folder and the extension.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_FIRST_NUMBER = re.compile(r"[vV]?([0-9]{1,18})(?![0-9])")
_SHOWN = 60


def is_name(name: object) -> bool:
    """Tell whether a version or an alias can be called so.

    Examples
    --------
    >>> is_name("1.0"), is_name("2026-05-01_rc.1+gpu"), is_name("../1.0"), is_name("con.txt")
    (True, True, False, False)
    """
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and _DEVICES.fullmatch(name) is None
    )


def checked_name(name: object, noun: str) -> str:
    """Return the name if something can be called so.

    Parameters
    ----------
    name
        What a user gave.
    noun
        What is called so: a version, or an alias.

    Raises
    ------
    VersionError
        If it holds more than letters, digits and ``. _ + -``, or means something else.
    """
    if name == LATEST:
        message = (
            f"{LATEST!r} always means the version that was saved last, so no {noun} can be called "
            "so. Choose another name."
        )
        raise VersionError(message)
    if not is_name(name):
        example = "'1.0'" if noun == "version" else "'production'"
        message = (
            f"{visible(shortened(repr(name), _SHOWN))} is no name of a {noun}. Expected a text of "
            "at most 64 letters A-Z and a-z, digits and . _ + -, with a letter or digit first, "
            f"such as {example}."
        )
        raise VersionError(message)
    assert isinstance(name, str)
    return name


def near_miss(name: str, known: Iterable[str]) -> str:
    """Say which name was probably meant, as the end of a message; empty when none is near.

    Examples
    --------
    >>> near_miss("prodution", ["production", "1.0"])
    " Did you mean 'production'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def next_number(names: Iterable[str]) -> str:
    """Return the whole number that comes after all names.

    Parameters
    ----------
    names
        All versions there are and were.

    Examples
    --------
    >>> next_number([]), next_number(["1.0", "1.1"]), next_number(["baseline", "v7"])
    ('1', '2', '8')
    """
    numbers = [int(found[1]) for name in names if (found := _FIRST_NUMBER.match(name))]
    return str(max(numbers, default=0) + 1)
