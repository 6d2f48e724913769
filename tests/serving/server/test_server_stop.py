"""Stopping: whoever was asked answers, whoever hangs is cut short, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

import httpx2 as httpx
import psutil
import pytest

from tests.serving.server.answering_app import BUSY, App, seconds_of, serve


def test_twenty_requests_in_flight_are_all_answered(app, background, either_loop):
    with serve(app) as server:
        requests = [background(httpx.get, f"{server.url}/second") for _ in range(20)]
        for _ in requests:
            assert app.reached.acquire(timeout=5)
        server.stop()
    assert [request.result().text for request in requests] == ["answered"] * 20


@pytest.mark.parametrize("path", ["hang", "thread"])
def test_a_request_that_hangs_is_cancelled_in_time(app, background, path, either_loop):
    server = serve(app, graceful_timeout=0.3).start()
    request = background(httpx.get, f"{server.url}/{path}")
    assert app.reached.acquire(timeout=5)
    assert seconds_of(server.stop) < 1.3 + BUSY
    assert request.result().status_code == 500
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_request_that_blocks_the_loop_itself_neither_blocks_stop_nor_the_port(
    app, background, either_loop
):
    server = serve(app).start()
    request = background(httpx.get, f"{server.url}/stuck")
    assert app.reached.acquire(timeout=5)
    assert seconds_of(server.stop, 0.2) < 1.2 + BUSY
    with serve(App(), port=server.port) as successor:
        assert httpx.get(successor.url).text == "answered"
    app.release.set()
    assert isinstance(request.exception(), httpx.TransportError)


def test_a_shutdown_of_the_application_that_hangs_is_cut_short():
    async def hang():
        await asyncio.sleep(60)

    server = serve(App(shutdown=hang), graceful_timeout=0.2).start()
    assert seconds_of(server.stop) < 1.2 + BUSY


def test_idle_clients_do_not_delay_a_stop(app, either_loop):
    server = serve(app).start()
    with httpx.Client() as client, socket.create_connection((server.host, server.port)):
        client.get(server.url)
        assert seconds_of(server.stop) < 1 + BUSY


@pytest.mark.parametrize("path", ["stop", "stop_in_thread"])
def test_a_request_may_stop_its_own_server_and_is_answered(app, path):
    server = serve(app).start()
    assert httpx.get(f"{server.url}/{path}").text == "answered"
    server.wait()
    assert not server.running


def test_a_server_that_still_stops_can_be_started_again_on_its_port(app):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = serve(app, port=port).start()
    httpx.get(f"{server.url}/stop")
    with server.start():
        assert httpx.get(server.url).text == "answered"


def test_many_threads_may_stop_it_at_once(app, background):
    server = serve(app).start()
    for stopping in [background(server.stop) for _ in range(10)]:
        stopping.result(timeout=5)
    assert not server.running


def test_wait_returns_when_another_thread_stops_it(app, background):
    server = serve(app).start()
    waiting = background(server.wait)
    server.stop()
    waiting.result(timeout=5)


def assert_no_leak(cycles):
    def cycle():
        app = App()
        with serve(app) as server:
            app.release.set()
            httpx.get(f"{server.url}/thread", headers={"connection": "close"})

    def used():
        gc.collect()
        process = psutil.Process()
        return threading.active_count(), process.num_fds(), process.memory_info().rss

    for _ in range(3):
        cycle()
    threads, files, memory = used()
    for _ in range(cycles):
        cycle()
    threads_after, files_after, memory_after = used()
    # Those of tests before may end meanwhile.
    assert threads_after <= threads
    assert files_after <= files
    assert memory_after - memory < 20_000_000


def test_starts_and_stops_leave_no_thread_no_file_and_no_memory():
    assert_no_leak(cycles=20)


@pytest.mark.acceptance
def test_two_hundred_starts_and_stops_leave_nothing_behind(either_loop):
    assert_no_leak(cycles=200)
