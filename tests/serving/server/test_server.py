"""Starting, the address, what clients and the application see, and the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import subprocess
import time
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest
import websockets.sync.client
from starlette.applications import Starlette

from nbdeploy.exceptions import PortInUseError, StartupError, StoppedError
from nbdeploy.serving.server import BackgroundServer
from tests.serving.server.answering_app import App, seconds_of, serve


def test_it_answers_from_start_to_stop(app, either_loop):
    server = serve(app).start()
    assert httpx.get(server.url).text == "answered"
    assert server.running
    server.stop()
    assert not server.running
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_with_block_starts_and_stops_it(app):
    with serve(app) as server:
        assert httpx.get(server.url).text == "answered"
    assert not server.running


def test_start_and_stop_twice_are_start_and_stop_once(app):
    server = serve(app)
    server.stop()
    port = server.start().port
    assert server.start().port == port
    server.stop()
    server.stop()
    assert not server.running


def test_a_stopped_server_starts_again(app):
    server = serve(app)
    for _ in range(2):
        with server:
            assert httpx.get(server.url).text == "answered"


def test_the_wanted_port_is_free_again_at_once(app):
    with serve(app) as server, httpx.Client() as client:
        client.get(server.url)
        port = server.port
        server.stop()
        with serve(App(), port=port) as successor:
            assert client.get(successor.url).text == "answered"


def test_a_taken_port_is_an_error_in_the_thread_that_asks(app):
    with serve(app) as server:
        other = BackgroundServer(app, name="other", port=server.port)
        with pytest.raises(PortInUseError, match=str(server.port)):
            other.start()
        assert not other.running
        assert httpx.get(server.url).text == "answered"


def test_the_port_is_unknown_before_the_first_start_unless_it_was_asked_for(app):
    assert BackgroundServer(app, name="t", port=8123).port == 8123
    with pytest.raises(StoppedError, match="start"):
        _ = BackgroundServer(app, name="t").port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_tcp_lacks_is_refused_at_once(app, port):
    with pytest.raises(ValueError, match="expected 1 to 65535"):
        BackgroundServer(app, name="t", port=port)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("localhost", "http://localhost:8123"),
        ("::1", "http://[::1]:8123"),
        ("::", "http://[::1]:8123"),
    ],
)
def test_the_url_is_one_that_a_client_on_this_machine_can_use(app, host, url):
    assert BackgroundServer(app, name="t", host=host, port=8123).url == url


def test_ipv6(app):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serve(app, host="::1") as server:
        assert httpx.get(server.url).text == "answered"


def test_the_plain_text_tells_name_and_state_and_no_port(app):
    with serve(app, port=None) as server:
        assert repr(server) == "<BackgroundServer 't', running>"
    assert repr(server) == "<BackgroundServer 't', stopped>"


def test_https(app, tmp_path, system_program):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    openssl = system_program("openssl")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=t", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", certificate, "-keyout", key]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    trust = ssl.create_default_context(cafile=certificate)
    with serve(app, ssl_certfile=certificate, ssl_keyfile=key) as server:
        assert server.url.startswith("https://")
        assert httpx.get(server.url, verify=trust).text == "answered"


def test_a_certificate_that_cannot_be_read_is_an_error_that_names_it(app, tmp_path):
    missing = tmp_path / "missing.pem"
    with pytest.raises(StartupError, match=r"missing\.pem.*PEM"):
        serve(app, ssl_certfile=missing).start()


def test_a_failing_start_up_of_the_application_is_an_error_with_its_reason(either_loop):
    @asynccontextmanager
    async def lifespan(_app):
        message = "the model is gone"
        raise ValueError(message)
        yield

    server = serve(Starlette(lifespan=lifespan))
    with pytest.raises(StartupError, match="ValueError: the model is gone") as caught:
        server.start()
    assert isinstance(caught.value.__cause__, ValueError)
    assert not server.running


def test_a_start_up_that_reports_its_failure_is_an_error_with_that_report():
    async def app(_scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database."})

    with pytest.raises(StartupError, match=r"did not start: no database\.$"):
        BackgroundServer(app, name="t").start()


def test_a_start_up_that_takes_too_long_is_ended_and_frees_the_port(either_loop, caplog):
    async def hang():
        await asyncio.sleep(60)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = serve(App(startup=hang), port=port)
    with pytest.raises(StartupError, match=r"did not finish its start-up within 0\.2 s"):
        server.start(timeout=0.2)
    with serve(App(), port=port) as successor:
        assert httpx.get(successor.url).text == "answered"
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_an_answer_on_a_kept_connection_takes_no_40_ms(app, either_loop):
    with serve(app) as server, httpx.Client() as client:
        client.get(server.url)
        assert min(seconds_of(client.get, server.url) for _ in range(20)) < 0.03


def test_a_websocket_outlives_the_deadline_for_headers(app):
    with serve(app, header_timeout=0.1) as server:
        url = server.url.replace("http", "ws")
        with websockets.sync.client.connect(url) as client:
            time.sleep(0.3)
            client.send("echo")
            assert client.recv(timeout=5) == "echo"


def test_nobody_can_claim_another_address_and_the_software_is_not_told(app):
    with serve(app) as server:
        headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        answer = httpx.get(server.url, headers=headers)
    assert (app.scopes[0]["client"][0], app.scopes[0]["scheme"]) == ("127.0.0.1", "http")
    assert "server" not in answer.headers


def test_a_task_that_exits_does_not_end_the_server(app, either_loop):
    with serve(app) as server:
        assert httpx.get(f"{server.url}/exit_in_task").text == "answered"
        assert app.task_ended.wait(5)
        assert isinstance(app.task.exception(), SystemExit)
        assert httpx.get(server.url).text == "answered"


def test_every_server_keeps_its_own_lines(app):
    with serve(app) as one, serve(App()) as other:
        httpx.get(f"{one.url}/fail")
    assert any("ERROR" in line and line.endswith("KeyError") for line in one.logs())
    assert not any("ERROR" in line for line in other.logs())
    assert any("raise KeyError" in line for line in one.logs(tracebacks=True))


def test_nothing_is_printed_and_nothing_reaches_the_loggers_of_the_user(app, capfd, caplog):
    caplog.set_level(logging.INFO)
    with serve(app) as server:
        httpx.get(f"{server.url}/fail")
        httpx.get(server.url)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_loggers_are_afterwards_as_they_were_before(app):
    names = ["uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "asyncio", "nbdeploy"]

    def state():
        loggers = [logging.getLogger(name) for name in names]
        return [(x.level, x.propagate, list(x.handlers), list(x.filters)) for x in loggers]

    handler = logging.NullHandler()
    logging.getLogger("uvicorn.access").addHandler(handler)
    before = state()
    try:
        with serve(app) as server:
            httpx.get(server.url)
        assert state() == before
    finally:
        logging.getLogger("uvicorn.access").removeHandler(handler)
