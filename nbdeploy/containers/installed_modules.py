"""Which installed package brings a module."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import metadata

__all__ = ["owners_of_modules"]

_State = tuple[tuple[str, int], ...]
_METADATA = (".dist-info", ".egg-info")


def owners_of_modules() -> Mapping[str, Sequence[str]]:
    """Tell the packages of every top-level module that is installed.

    It takes a second where hundreds are, so it is read again only when one came or went.

    Examples
    --------
    >>> owners_of_modules()["sklearn"]
    ['scikit-learn']
    """
    return _read(_state_of(tuple(sys.path)))


def _state_of(folders: Sequence[str]) -> _State:
    # The folders of metadata, and not those around them: a notebook writes into its own.
    state = []
    for folder in folders:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            state += [
                (entry.path, entry.stat().st_mtime_ns)
                for entry in entries
                if entry.name.endswith(_METADATA)
            ]
    return tuple(sorted(state))


@lru_cache(maxsize=1)
def _read(_state: _State) -> Mapping[str, Sequence[str]]:
    return {name: sorted(set(told)) for name, told in metadata.packages_distributions().items()}
