"""The server in a real kernel: outputs, interrupts, restarts, forks, the end."""

from __future__ import annotations

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import psutil
import pytest

from tests.kernel.running_kernel import SAY_WHEN_WAITING

APP = """
import asyncio, threading, time
import anyio.to_thread
from nbdeploy.serving.server import BackgroundServer

arrived = threading.Event()

async def app(scope, receive, send):
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/async":
        print("said by the handler")
    if path == "/thread":
        await anyio.to_thread.run_sync(print, "said by a worker thread")
    if path in {"/slow", "/sleep", "/stuck", "/hang"}:
        print("arrived", flush=True)
        arrived.set()
    if path == "/slow":
        await asyncio.sleep(1)
    if path == "/sleep":
        await asyncio.sleep(600)
    if path == "/stuck":
        time.sleep(600)
    if path == "/hang":
        await anyio.to_thread.run_sync(time.sleep, 600)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})
"""
START = "server = BackgroundServer(app, name='t').start(); print(server.url)"
STOP = "server.stop()"


def url_of(result):
    return result.stdout.strip()


def answer(url, path="/"):
    return httpx.get(url + path, timeout=10).raise_for_status().text


@pytest.fixture
def serving(kernel):
    """A shared kernel with a server in it: the cell that started it, and its URL."""
    kernel.run(APP)
    cell = kernel.start(START)
    yield cell, url_of(cell.wait())
    kernel.run(STOP)


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()
    return True


def test_a_cell_starts_a_server_and_the_next_cells_go_on(kernel, serving):
    _, url = serving
    assert answer(url) == "answered"
    assert kernel.run("6 * 7").results == ["42"]


def test_nothing_of_the_server_itself_is_shown_in_any_cell(kernel, serving):
    cell, url = serving
    answer(url)
    stopping = kernel.run(STOP)
    assert (cell.result.stdout.strip(), cell.result.stderr) == (url, "")
    assert (stopping.stdout, stopping.stderr) == ("", "")


@pytest.mark.parametrize("path", ["/async", "/thread"])
def test_what_a_handler_prints_is_shown_under_the_cell_of_the_start(kernel, serving, path):
    cell, url = serving
    busy = kernel.start("for _ in range(20): print('mine'); time.sleep(0.05)")
    busy.wait_for("mine")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: answer(url, path), range(5)))
    cell.wait_for("said by", times=5)
    assert busy.wait().stdout.split() == ["mine"] * 20


def test_the_output_moves_to_the_cell_that_asks_for_it(kernel, serving):
    first, url = serving
    answer(url, "/thread")
    first.wait_for("said by a worker")
    second = kernel.start("server.pin_to_current_cell()")
    second.wait()
    kernel.run("pass")
    answer(url, "/thread")
    answer(url, "/async")
    second.wait_for("said", times=2)
    assert first.result.stdout.count("said") == 1


def test_the_stop_button_stops_the_cell_and_leaves_the_server(kernel, serving):
    _, url = serving
    kernel.interrupt()
    assert answer(url) == "answered"
    busy = kernel.start("print('busy')\nwhile True: pass")
    busy.wait_for("busy")
    kernel.interrupt()
    assert "KeyboardInterrupt" in busy.wait(check=False).error
    assert answer(url) == "answered"


def test_wait_blocks_a_cell_until_the_stop_button_and_leaves_the_server(kernel, serving):
    _, url = serving
    waiting = kernel.start(f"{SAY_WHEN_WAITING}\nserver.wait()")
    waiting.wait_for("waits")
    assert answer(url) == "answered"
    kernel.interrupt()
    assert waiting.wait().error is None
    assert answer(url) == "answered"


def test_the_server_answers_while_a_cell_computes(kernel, serving):
    _, url = serving
    busy = kernel.start(
        "print('busy')\nend = time.monotonic() + 1\nwhile time.monotonic() < end: 0"
    )
    busy.wait_for("busy")
    assert [answer(url) for _ in range(5)] == ["answered"] * 5
    assert not busy.result.error
    busy.wait()


def test_a_forked_child_neither_keeps_the_port_nor_lets_clients_hang(kernel, serving):
    _, url = serving
    port = int(url.rsplit(":", 1)[1])
    with httpx.Client() as client:
        client.get(url)
        kernel.run(
            "import multiprocessing, warnings\n"
            "warnings.simplefilter('ignore', DeprecationWarning)\n"
            "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(30,))\n"
            "child.start()"
        )
        try:
            assert client.get(url).text == "answered"
            kernel.run(STOP)
            assert port_is_free(port)
            for get in (httpx.get, client.get):
                with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
                    get(url, timeout=5)
            assert kernel.run("child.is_alive()").results == ["True"]
        finally:
            kernel.run("child.terminate(); child.join()")


def test_a_server_works_in_a_forked_child_and_its_exit_hurts_nobody(kernel, serving):
    _, url = serving
    result = kernel.run(
        "import multiprocessing, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "def child(running):\n"
        "    running.put(server.running)\n"
        "    server.stop()\n"
        "context = multiprocessing.get_context('fork')\n"
        "running = context.SimpleQueue()\n"
        "process = context.Process(target=child, args=(running,))\n"
        "process.start(); process.join(10)\n"
        "print(running.get(), process.exitcode)"
    )
    assert result.stdout.split() == ["False", "0"]
    assert answer(url) == "answered"


def test_a_restart_frees_the_port_at_once(fresh_kernel):
    fresh_kernel.run(APP)
    url = url_of(fresh_kernel.run(START))
    port = url.rsplit(":", 1)[1]
    fresh_kernel.restart()
    fresh_kernel.run(APP)
    fresh_kernel.run(f"server = BackgroundServer(app, name='t', port={port}).start()")
    assert answer(url) == "answered"


def test_a_shutdown_is_quick_and_clean_with_requests_in_flight(fresh_kernel, tmp_path):
    fresh_kernel.run(APP)
    cell = fresh_kernel.start(START)
    url = url_of(cell.wait())
    marker = tmp_path / "ended"
    fresh_kernel.run(
        f"import atexit, pathlib; atexit.register(pathlib.Path({str(marker)!r}).touch)"
    )
    process = psutil.Process(fresh_kernel.pid)
    with ThreadPoolExecutor() as pool:
        request = pool.submit(answer, url, "/slow")
        cell.wait_for("arrived")
        fresh_kernel.shutdown()
        assert request.result() == "answered"
    # Whoever takes too long is killed, and gets no further than that.
    assert marker.exists()
    assert not process.is_running()
    assert port_is_free(int(url.rsplit(":", 1)[1]))


def test_a_shutdown_is_quick_with_a_request_that_hangs(fresh_kernel, tmp_path):
    fresh_kernel.run(APP)
    cell = fresh_kernel.start(START)
    url = url_of(cell.wait())
    marker = tmp_path / "ended"
    fresh_kernel.run(
        f"import atexit, pathlib; atexit.register(pathlib.Path({str(marker)!r}).touch)"
    )
    process = psutil.Process(fresh_kernel.pid)
    with ThreadPoolExecutor() as pool:
        request = pool.submit(answer, url, "/hang")
        cell.wait_for("arrived")
        fresh_kernel.shutdown()
        assert isinstance(request.exception(), httpx.HTTPError)
    assert marker.exists()
    assert not process.is_running()


@pytest.mark.parametrize("path", ["/sleep", "/stuck"])
def test_a_script_that_ends_with_a_request_in_flight_ends_quickly(interpreter, tmp_path, path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""{APP}
import socket
server = BackgroundServer(app, name="t").start()
client = socket.create_connection((server.host, server.port))
client.sendall(b"GET {path} HTTP/1.1\\r\\nhost: t\\r\\n\\r\\n")
assert arrived.wait(10)
"""
    )
    # The request takes ten times as long as the script is given.
    done = subprocess.run([interpreter, script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_in_a_script_that_waits_ends_it_without_a_traceback(interpreter, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""{APP}
import signal, sys
server = BackgroundServer(app, name="t").start()
def interrupt_the_wait():
    while True:
        time.sleep(0.01)
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None:
            if frame.f_code.co_name == "await_end":
                return signal.raise_signal(signal.SIGINT)
            frame = frame.f_back
threading.Thread(target=interrupt_the_wait, daemon=True).start()
server.wait()
print(server.running)
"""
    )
    done = subprocess.run([interpreter, script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")
