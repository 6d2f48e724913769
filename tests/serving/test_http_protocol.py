"""Slow clients and too many of them, on real sockets, with both HTTP parsers."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nbdeploy.serving import server as server_module
from nbdeploy.serving.http_protocol import http_protocol
from nbdeploy.serving.server import BackgroundServer

REQUEST = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n"
TIMEOUT = 0.2
# Far below the 5 s after which a client gives up; other programs may keep the processors busy.
SOON = TIMEOUT + 3


async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-length", b"%d" % (len(body) + 8))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"answered" + body})


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
def server(request, monkeypatch):
    def with_this_parser(**limits):
        return http_protocol(**limits, base=request.param)

    monkeypatch.setattr(server_module, "http_protocol", with_this_parser)
    with BackgroundServer(app, name="t", header_timeout=TIMEOUT, connection_limit=3) as server:
        yield server


@pytest.fixture
def connect(server):
    clients = []

    def open_connection():
        client = socket.create_connection((server.host, server.port), timeout=5)
        clients.append(client)
        return client

    yield open_connection
    for client in clients:
        client.close()


def everything_from(client):
    """What the server sends until it hangs up, and the seconds that took."""
    began = time.monotonic()
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts), time.monotonic() - began


def received(client, end):
    """Read until the answer ends so; tell whether it did before the server hung up."""
    answer = b""
    while not answer.endswith(end):
        part = client.recv(65536)
        if not part:
            return False
        answer += part
    return True


def test_headers_that_never_end_are_answered_408_and_hung_up_on(connect):
    client = connect()
    client.sendall(b"GET / HTTP/1.1\r\nhost: t\r\n")
    answer, seconds = everything_from(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"detail":"The headers did not come in time.' in answer
    assert seconds < SOON


def test_headers_that_drip_do_not_win_more_time(connect):
    client = connect()
    began = time.monotonic()
    client.settimeout(0.02)
    answer = b""
    for byte in b"GET / HTTP/1.1\r\n" + b"x-filler: aaaaaaaa\r\n" * 100:
        client.sendall(bytes([byte]))
        try:
            answer = client.recv(100)
        except TimeoutError:
            continue
        break
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < SOON


def test_a_client_that_sends_nothing_is_hung_up_on_in_silence(connect):
    answer, seconds = everything_from(connect())
    assert answer == b""
    assert seconds < SOON


def test_the_next_request_on_the_same_connection_has_its_own_deadline(connect):
    client = connect()
    for _ in range(2):
        client.sendall(REQUEST)
        assert received(client, b"answered")
        time.sleep(TIMEOUT * 1.5)
    client.sendall(b"GET / HTTP/1.1\r\nhost: t\r\n")
    answer, seconds = everything_from(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seconds < SOON


def test_empty_lines_between_requests_do_not_keep_a_connection_for_ever(connect):
    client = connect()
    client.sendall(REQUEST)
    assert received(client, b"answered")
    client.sendall(b"\r\n")
    _, seconds = everything_from(client)
    assert seconds < SOON


def test_a_body_may_take_longer_than_the_headers(connect):
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 4\r\n\r\n")
    time.sleep(TIMEOUT * 1.5)
    client.sendall(b"body")
    assert received(client, b"answeredbody")


def test_requests_sent_at_once_are_all_answered(connect):
    client = connect()
    client.sendall(REQUEST * 5)
    received = b""
    while received.count(b"answered") < 5:
        received += client.recv(65536)
    assert received.count(b"HTTP/1.1 200 ") == 5


def test_one_client_too_many_is_answered_503(connect):
    kept = [connect() for _ in range(3)]
    for client in kept:
        client.sendall(REQUEST)
        assert received(client, b"answered")
    answer, _ = everything_from(connect())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in answer
    assert b'{"detail":"Too many clients are connected.' in answer
    kept[0].close()
    end = time.monotonic() + 5
    answer = b""
    while not answer.endswith(b"answered"):  # the server learns of the free place in a moment
        assert time.monotonic() < end, answer
        client = connect()
        # Who is one too many still may be reset while it sends.
        with suppress(ConnectionError):
            client.sendall(REQUEST)
            answer = client.recv(65536)
