"""The event loop of a server: the fastest there is, and impatient with half a TLS greeting."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["HANDSHAKE_TIMEOUT", "new_event_loop"]

HANDSHAKE_TIMEOUT = 4.0
"""Seconds for the greeting of TLS: no other deadline counts before it is done, nor does the limit
of connections, and asyncio would wait for a minute."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop, of uvloop where that is installed."""
    return _impatient(_loop_class())()


def _loop_class() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 -- not there on every platform
    except ImportError:
        return asyncio.SelectorEventLoop
    # nest_asyncio patches the classes of asyncio's loops, also those that run: not this one.
    return uvloop.Loop


def _impatient(base: Any) -> type[asyncio.AbstractEventLoop]:
    class ImpatientLoop(base):  # type: ignore[misc]
        """A loop whose servers hang up on who does not finish a greeting."""

        async def create_server(self, *args: Any, ssl: Any = None, **options: Any) -> Any:
            """Listen."""
            if ssl is not None:
                options.setdefault("ssl_handshake_timeout", HANDSHAKE_TIMEOUT)
            return await super().create_server(*args, ssl=ssl, **options)

    return ImpatientLoop
