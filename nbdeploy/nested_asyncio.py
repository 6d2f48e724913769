"""For users who call ``asyncio.run()`` in a cell. Nothing in nbdeploy needs it."""

from __future__ import annotations

import asyncio
import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

from nbdeploy.exceptions import NbdeployError

__all__ = ["allow_nested_asyncio"]

_INSTALL = "pip install nest-asyncio2"


def allow_nested_asyncio() -> None:
    """Let ``asyncio.run()`` and ``run_until_complete()`` work in a cell, where a loop runs already.

    A cell can ``await`` at its top level, and nbdeploy's own calls block or have an ``_async``
    twin: this is for code that calls ``asyncio.run()`` itself. nbdeploy never calls it, and works
    the same before and after.

    It changes the whole process, and cannot be undone. ``asyncio.run`` and the methods of the
    event loop's class are replaced, and tasks and futures become the pure Python ones, which are
    slower. Loops that are not asyncio's own stay as they are, the one of a served model among them.
    What still fails in a cell afterwards: ``anyio.run()``, and ``uvicorn.run()`` on Python 3.11.

    The work is done by ``nest_asyncio2`` where it is installed, by ``nest_asyncio`` otherwise.
    If one of them has already patched asyncio, that one goes on.

    Raises
    ------
    NbdeployError
        The loop cannot be patched, or neither of the two packages is installed. Nothing was
        changed then.

    Warns
    -----
    RuntimeWarning
        With ``nest_asyncio`` on Python 3.12 or newer, ``asyncio.run()`` loses its
        ``loop_factory=``.

    Examples
    --------
    >>> from nbdeploy import allow_nested_asyncio
    >>> allow_nested_asyncio()  # doctest: +SKIP
    >>> asyncio.run(asyncio.sleep(0, "works in a cell"))  # doctest: +SKIP
    'works in a cell'
    """
    _check_loop()
    patcher = _find_patcher()
    with warnings.catch_warnings():
        # Both ask for the event loop policy, which Python 3.14 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        patcher.apply()
    if patcher.__name__ == "nest_asyncio" and sys.version_info >= (3, 12):
        warnings.warn(
            "nest_asyncio does not know the loop_factory= that asyncio.run() takes since Python "
            f"3.12: uvicorn.run() and others that use it now fail. `{_INSTALL}` and a restart of "
            "the kernel mend that.",
            RuntimeWarning,
            stacklevel=2,
        )


def _check_loop() -> None:
    kind = _loop_type()
    if not issubclass(kind, asyncio.BaseEventLoop):
        message = (
            f"This event loop is a {kind.__module__}.{kind.__qualname__}, which cannot be patched; "
            "only asyncio's own loops can. Await the coroutine at the top level of the cell, or "
            "run the kernel without uvloop."
        )
        raise NbdeployError(message)


def _loop_type() -> type[asyncio.AbstractEventLoop]:
    try:
        return type(asyncio.get_running_loop())
    except RuntimeError:
        loop = asyncio.new_event_loop()
        loop.close()
        return type(loop)


def _find_patcher() -> ModuleType:
    # A second patch of another make would be half of each.
    patched: Any = asyncio
    if hasattr(patched, "_nest_patched") and not hasattr(patched, "_nest_asyncio2"):
        return importlib.import_module("nest_asyncio")
    for name in ("nest_asyncio2", "nest_asyncio"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    message = f"Neither nest_asyncio2 nor nest_asyncio is installed: `{_INSTALL}`."
    raise NbdeployError(message)
