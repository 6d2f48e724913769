"""Answers to bytes that are no request, or not yet one."""

from __future__ import annotations

from http import HTTPStatus

from nbdeploy.exceptions import RequestError
from nbdeploy.serving.asgi import reply_to
from nbdeploy.serving.errors import answer_of

__all__ = ["raw_answer"]


def raw_answer(status: int, message: str, *headers: tuple[bytes, bytes]) -> bytes:
    """Write an answer that ends its connection, in the form that every error has.

    Parameters
    ----------
    status
        The HTTP status.
    message
        What happened, and what to do.
    headers
        Further ones.

    Examples
    --------
    >>> raw_answer(408, "Too slow.").splitlines()[0]
    b'HTTP/1.1 408 Request Timeout'
    """
    reply = reply_to(answer_of(RequestError(message, status=status)))
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
        *(name + b": " + value for name, value in (*reply.head(), *headers)),
        b"connection: close",
    ]
    return b"\r\n".join([*lines, b"", reply.body])
