"""Malformed requests on a real socket: no hang, no 5xx, the server lives, the next is answered."""

from __future__ import annotations

import re
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nbdeploy.serving import server as server_module
from nbdeploy.serving.http_protocol import http_protocol
from nbdeploy.serving.routing import route_from_model
from nbdeploy.serving.server import BackgroundServer
from nbdeploy.serving.service import ModelService
from tests.serving.raw_requests import CASES, GOOD, H11_READS, Raw

LONGEST = 5.0


class Outcome(NamedTuple):
    """What a client saw: the statuses of the answers, and the seconds to the first or the end."""

    answer: bytes
    seconds: float
    next_status: int

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.answer)]


class Outcomes(dict[str, Outcome]):
    """What became of every case, with one of the parsers."""

    parser: type


def is_complete(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    if head.startswith(b"HTTP/1.1 100"):
        return is_complete(body)
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return b"chunked" not in head.lower() or body.endswith(b"0\r\n\r\n")


def everything_from(client: socket.socket) -> bytes:
    answer = b""
    while not is_complete(answer):
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        answer += part
    return answer


def send(address: tuple[str, int], raw: Raw) -> tuple[bytes, float]:
    with socket.create_connection(address, timeout=30) as client:
        began = time.monotonic()
        # The server may have seen enough.
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(raw.sent)
        if raw.then == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if raw.then in {"close", "reset"}:
            return b"", 0.0
        if raw.then == "half close":
            client.shutdown(socket.SHUT_WR)
        return everything_from(client), time.monotonic() - began


@pytest.fixture(scope="module", params=[HttpToolsProtocol, H11Protocol], ids=["httptools", "h11"])
def outcomes(request):
    """Send everything, thirty at a time as the slow ones wait, and a good request after each."""
    iris = load_iris()
    model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)
    service = ModelService(route_from_model(model), name="iris", token=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            server_module,
            "http_protocol",
            lambda **limits: http_protocol(**limits, base=request.param),
        )
        with BackgroundServer(service.app, name="iris") as server:
            address = (server.host, server.port)

            def outcome(raw: Raw) -> Outcome:
                answer, seconds = send(address, raw)
                following, _ = send(address, Raw(GOOD))
                return Outcome(answer, seconds, int(following[9:12] or 0))

            with ThreadPoolExecutor(30) as threads:
                found = Outcomes(zip(CASES, threads.map(outcome, CASES.values()), strict=True))
            assert server.running
            found.parser = request.param
            yield found


@pytest.mark.parametrize("name", CASES)
def test_nothing_hangs_fails_or_ends_the_server(outcomes, name):
    outcome = outcomes[name]

    assert outcome.seconds < LONGEST
    assert all(status < 500 for status in outcome.statuses), outcome.answer
    assert outcome.next_status == 200


@pytest.mark.parametrize("name", [name for name, raw in CASES.items() if raw.is_refused])
def test_what_is_no_request_gets_no_answer_of_one(outcomes, name):
    outcome = outcomes[name]
    if name in H11_READS and outcomes.parser is H11Protocol:
        assert outcome.statuses == [200]
        return

    assert 200 not in outcome.statuses, outcome.answer
    assert b"prediction" not in outcome.answer


def test_what_is_strange_but_right_is_answered(outcomes):
    answered = {name for name, outcome in outcomes.items() if 200 in outcome.statuses}

    assert {"a trailer", "requests sent at once", "a body on GET"} <= answered
    assert "no length at all" not in answered


@pytest.fixture(scope="module")
def service_address():
    iris = load_iris()
    model = LogisticRegression(max_iter=500).fit(iris.data, iris.target)
    service = ModelService(route_from_model(model), name="iris", token=None)
    with BackgroundServer(service.app, name="iris") as server:
        yield server.host, server.port


@settings(deadline=None)
@given(
    st.sampled_from([GOOD, *(raw.sent for raw in CASES.values() if 0 < len(raw.sent) < 500)]),
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 12), st.binary(max_size=6)),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_is_changed_in_a_request_nothing_fails(service_address, sent, changes):
    for start, length, put in changes:
        place = start % len(sent)
        sent = sent[:place] + put + sent[place + length :] or b"x"

    answer, seconds = send(service_address, Raw(sent, "half close"))
    following, _ = send(service_address, Raw(GOOD))

    assert seconds < LONGEST
    assert all(status < 500 for status in Outcome(answer, seconds, 0).statuses), (sent, answer)
    assert following.startswith(b"HTTP/1.1 200 ")
