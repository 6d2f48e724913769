import asyncio
import socket
import subprocess
import time

import pytest
import uvloop

from nbdeploy.serving import event_loop
from nbdeploy.serving.event_loop import new_event_loop
from nbdeploy.serving.server import BackgroundServer


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    files = {"ssl_certfile": folder / "cert.pem", "ssl_keyfile": folder / "key.pem"}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=t"]
    out = ["-out", files["ssl_certfile"], "-keyout", files["ssl_keyfile"]]
    try:
        subprocess.run([*command, *out], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return files


def test_the_loop_is_of_uvloop_where_that_is_installed():
    loop = new_event_loop()

    assert isinstance(loop, uvloop.Loop)
    loop.close()


@pytest.mark.parametrize("base", [uvloop.Loop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_who_does_not_finish_the_greeting_is_hung_up_on(monkeypatch, certificate, base, sent):
    monkeypatch.setattr(event_loop, "_loop_class", lambda: base)
    monkeypatch.setattr(event_loop, "HANDSHAKE_TIMEOUT", 0.3)
    with BackgroundServer(app, name="t", **certificate) as server:
        with socket.create_connection((server.host, server.port), timeout=5) as client:
            client.sendall(sent)
            began = time.monotonic()
            try:
                while client.recv(1000):
                    pass
            except ConnectionResetError:
                pass
            seconds = time.monotonic() - began
        assert server.running

    assert seconds < 2
