"""Two limits: an ASGI application that reads the body and answers a constant, and FastAPI so."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

_ANSWER = b'{"prediction":[0]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"18")]

Message = MutableMapping[str, Any]


async def echo(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Read the whole body, answer a constant."""
    del scope
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


def fastapi_constant() -> Any:
    """Make a FastAPI application that answers a constant and reads no body."""
    from fastapi import FastAPI  # noqa: PLC0415 -- the echo server is measured without it

    app = FastAPI()

    @app.post("/predict")
    async def predict() -> dict[str, list[int]]:
        return {"prediction": [0]}

    return app


def main() -> None:
    """Serve ``echo`` or ``constant`` (first argument) on the port of the second."""
    uvicorn.run(
        echo if sys.argv[1] == "echo" else fastapi_constant(),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
