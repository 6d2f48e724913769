"""Which installed package brings a module."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import metadata

__all__ = ["owners_of_modules"]


def owners_of_modules() -> Mapping[str, Sequence[str]]:
    """Tell the packages of every top-level module that is installed.

    It takes a second where hundreds are, so it is read again only when one came or went.

    Examples
    --------
    >>> owners_of_modules()["sklearn"]
    ['scikit-learn']
    """
    return _read(_state_of(tuple(sys.path)))


def _state_of(folders: Sequence[str]) -> tuple[tuple[str, int], ...]:
    # What installs makes or removes a folder of metadata, and that changes the folder around it.
    state = []
    for folder in folders:
        with suppress(OSError):
            state.append((folder, os.stat(folder or ".").st_mtime_ns))  # noqa: PTH116 -- "" is one
    return tuple(state)


@lru_cache(maxsize=1)
def _read(_state: tuple[tuple[str, int], ...]) -> Mapping[str, Sequence[str]]:
    return {name: sorted(set(told)) for name, told in metadata.packages_distributions().items()}
