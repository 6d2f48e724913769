"""What a client may send, and how long it may take, on real sockets."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nbdeploy.serving import request_limits
from nbdeploy.serving import server as server_module
from nbdeploy.serving.http_protocol import http_protocol
from nbdeploy.serving.server import BackgroundServer

STALL = 0.3
HOST = b"host: 127.0.0.1\r\n"


async def app(scope, receive, send):
    assert scope["type"] == "http"
    parts = []
    if scope["path"] != "/early":
        more = True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
    said = b"%d" % len(b"".join(parts))
    seen = b",".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", b"%d" % len(said)), (b"seen", seen)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
def connect(request, monkeypatch):
    def with_this_parser(**limits):
        return http_protocol(**limits, base=request.param)

    monkeypatch.setattr(server_module, "http_protocol", with_this_parser)
    monkeypatch.setattr(request_limits, "BODY_STALL", STALL)
    monkeypatch.setattr(request_limits, "LINGER_SECONDS", STALL)
    clients = []
    with BackgroundServer(app, name="t") as server:

        def open_connection():
            client = socket.create_connection((server.host, server.port), timeout=5)
            clients.append(client)
            return client

        yield open_connection
        for client in clients:
            client.close()


def everything_from(client):
    began = time.monotonic()
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
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


def body_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    "head", [b"content-length: 100\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n3\r\n"]
)
def test_a_body_that_stands_still_is_answered_408_in_words(connect, head):
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\n" + HOST + head + b"abc")

    answer, seconds = everything_from(client)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert "body did not come" in body_of(answer)["detail"]
    assert STALL * 0.9 < seconds < STALL + 2


def test_a_body_that_drips_is_given_up_though_it_never_stands_still(connect):
    client = connect()
    client.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 100000\r\n\r\n")
    client.settimeout(STALL / 6)
    began = time.monotonic()
    answer = b""
    while not answer and time.monotonic() - began < 5:
        client.sendall(b"a")
        try:
            answer = client.recv(1000)
        except TimeoutError:
            continue

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < STALL + 2


def test_a_body_that_takes_longer_and_moves_is_read(connect):
    client = connect()
    size, parts = 30_000, 6
    client.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % size)
    for _ in range(parts):
        time.sleep(STALL / 3)
        client.sendall(b"a" * (size // parts))

    assert received(client, b"\r\n\r\n30000")


def test_every_request_of_a_connection_has_its_own_time(connect):
    client = connect()
    for _ in range(2):
        client.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 4\r\n\r\nbo")
        time.sleep(STALL * 0.7)
        client.sendall(b"dy")
        assert received(client, b"\r\n\r\n4")


def test_an_answer_that_came_early_can_be_read_and_the_rest_is_not_taken(connect):
    client = connect()
    client.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"content-length: 100000000\r\n\r\n")
    sent = 0
    try:
        while sent < 100_000_000:
            sent += client.send(b"a" * 65536)
    except (BrokenPipeError, ConnectionResetError):
        pass

    answer, _ = everything_from(client)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert sent < 20_000_000


def test_after_an_early_answer_a_client_that_sends_no_more_is_hung_up_on(connect):
    client = connect()
    client.sendall(b"POST /early HTTP/1.1\r\n" + HOST + b"content-length: 1000\r\n\r\nabc")

    answer, seconds = everything_from(client)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seconds < STALL + 2


def test_headers_after_the_body_are_no_headers(connect):
    client = connect()
    chunks = b"3\r\nabc\r\n0\r\nx-api-key: late\r\n\r\n"
    client.sendall(b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n" + chunks)

    answer = b""
    while not answer.endswith(b"\r\n\r\n3"):
        answer += client.recv(65536)

    assert b"x-api-key" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"x-one: " + b"a" * 300_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"x: y\r\n" * 50_000 + b"\r\n",
    ],
    ids=["one header", "the address", "many headers"],
)
def test_a_head_that_is_too_large_is_refused(connect, head):
    client = connect()
    client.sendall(head)

    answer, seconds = everything_from(client)

    # The slower parser says 400 of its own.
    assert re.match(rb"HTTP/1\.1 (431|400) ", answer)
    assert body_of(answer)["error"] == {"type": "RequestError"}
    assert seconds < 2


def test_a_process_that_stood_still_does_not_blame_the_client():
    class Clock:
        now = 100.0

        def time(self):
            return self.now

        def call_later(self, seconds, _):
            waits.append(seconds)

            class Handle:
                def cancel(self):
                    pass

            return Handle()

    class Cycle:
        more_body, response_complete, response_started = True, False, False
        waiting_for_100_continue = False

    class Flow:
        read_paused = False

    class Transport:
        def is_closing(self):
            return False

    waits = []
    limits = request_limits.SendingLimits()
    limits.loop, limits.cycle, limits.flow = Clock(), Cycle(), Flow()
    limits.transport = Transport()

    limits._body_has_moved(limits.cycle, 5000)
    limits.loop.now += 60
    limits._check_body()

    assert waits == [request_limits.BODY_STALL, request_limits.BODY_STALL]


MEMORY = """
import json, resource, socket, sys
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from nbdeploy import deploy

iris = load_iris()
service = deploy(LogisticRegression(max_iter=500).fit(iris.data, iris.target), name="iris")
service.predict(iris.data[:3])
process = psutil.Process()
address = ("127.0.0.1", int(service.url.rpartition(":")[2]))


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def ask(head, parts):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is now what is in use
    before = process.memory_info().rss / 2**20
    sent = 0
    with socket.create_connection(address, 10) as client:
        client.sendall(b"POST /predict HTTP/1.1\\r\\nhost: 127.0.0.1\\r\\n")
        client.sendall(head + b"\\r\\n\\r\\n")
        try:
            for part in parts:
                client.sendall(part)
                sent += len(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = client.recv(65536)
    print(json.dumps([int(answer[9:12]), sent, round(peak() - before, 1)]))


mega = b"[" * 2**20
ask(b"content-length: 100000000", (mega for _ in range(96)))
ask(b"transfer-encoding: chunked", (b"%x\\r\\n%s\\r\\n" % (len(mega), mega) for _ in range(96)))
deep = b'{"features": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
ask(b"content-length: %d" % len(deep), [deep])
nested = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
ask(b"content-length: %d" % len(nested), [nested])
assert service.predict(iris.data[:1]).tolist() == [0]
service.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_100_mb_and_a_depth_of_100000_cost_no_memory(tmp_path):
    script = tmp_path / "memory.py"
    script.write_text(MEMORY)

    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )

    declared, streamed, deep, nested = map(json.loads, done.stdout.splitlines())
    assert [found[0] for found in (declared, streamed, deep, nested)] == [413, 413, 400, 400]
    # Beyond what was read, some megabytes fit into the buffers of the two sockets.
    assert declared[1] < 20_000_000
    assert streamed[1] < 30_000_000
    assert all(found[2] < 20 for found in (declared, deep, nested)), done.stdout
    assert streamed[2] < 30
