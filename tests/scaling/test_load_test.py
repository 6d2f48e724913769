"""Real loads, from a process of its own, on small servers of this process."""

import _thread
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import psutil
import pytest

from nbdeploy import ScalingError
from nbdeploy.scaling.load_generator import Plan
from nbdeploy.scaling.load_test import Target, load_test, search_capacity


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((json.loads(body), dict(self.headers)))
        status = self.server.answer(len(self.server.asked))
        self.send_response(status)
        self.send_header("X-Model-Version", "1.0")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        server.asked = []
        server.answer = lambda _: 200
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def target_of(server, **options):
    bodies = [json.dumps({"features": [number]}) for number in range(3)]
    return Target(f"http://127.0.0.1:{server.server_port}", bodies, **options)


def test_an_open_loop_sends_every_row_in_turn_and_counts_every_answer(server):
    server.answer = lambda number: 503 if number % 10 == 0 else 200

    result = load_test(target_of(server, token="s3cret", replicas=lambda: 2), rps=50, seconds=1)

    assert len(server.asked) == len(result.samples) == 50
    assert result.errors == {"503": 5}
    assert result.versions == {"1.0": 45}
    rows = Counter(body["features"][0] for body, _ in server.asked)
    assert rows == {0: 17, 1: 17, 2: 16}
    assert all(headers["X-API-Key"] == "s3cret" for _, headers in server.asked)
    assert {count for _, count in result.replicas} == {2}
    assert "s3cret" not in repr(result)


def test_an_answer_that_is_late_counts_from_when_its_request_was_due(server):
    server.answer = lambda _: time.sleep(0.2) or 200

    result = load_test(target_of(server), rps=20, seconds=1, concurrency=1)

    # One at a time, five a second: the last of twenty was due after 0.95 s and came after 4 s.
    assert result.latency["max"] > 2.5
    assert "left" in result.to_text()


def test_a_closed_loop_sends_the_next_when_the_one_before_is_answered(server):
    server.answer = lambda _: time.sleep(0.05) or 200

    result = load_test(target_of(server), concurrency=2, seconds=1)

    assert 10 <= len(result.samples) <= 42
    assert result.sent == "2 callers one request after the other, for 1.00 s"
    assert result.error_rate == 0


def test_nobody_there_and_silence_are_told(server):
    gone = Target("http://127.0.0.1:9", ["{}"])
    assert load_test(gone, rps=20, seconds=0.5).errors == {"refused": 10}
    server.answer = lambda _: time.sleep(2) or 200
    assert load_test(target_of(server, timeout=0.3), rps=4, seconds=0.5).errors == {"timeout": 2}


def test_a_connection_that_breaks_is_told(server):
    def broken(_):
        raise ConnectionResetError

    server.answer = broken
    server.handle_error = lambda *_: None

    assert load_test(target_of(server), rps=10, seconds=0.5).errors == {"broken": 5}


def test_an_interrupt_ends_it_with_what_there_is(server):
    began, before = time.monotonic(), psutil.Process().children()
    threading.Timer(1.5, _thread.interrupt_main).start()

    result = load_test(target_of(server), rps=20, seconds=60)

    assert time.monotonic() - began < 20
    assert result.is_interrupted
    assert result.error_rate == 0
    assert psutil.Process().children() == before


def test_the_generator_ends_when_who_started_it_is_killed(server):
    plan = Plan(f"http://127.0.0.1:{server.server_port}", "/predict", ("{}",), 60.0, rates=(5.0,))
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'nbdeploy.scaling.load_generator'],"
        " stdin=subprocess.PIPE, text=True, start_new_session=True)\n"
        f"child.stdin.write({plan.to_json()!r} + chr(10)); child.stdin.flush()\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        generator = psutil.Process(int(parent.stdout.readline()))
        # The child writes its samples to the same pipe: one line says that it runs.
        parent.stdout.readline()
        os.kill(parent.pid, signal.SIGKILL)
        generator.wait(timeout=20)

    assert not generator.is_running()


def test_a_generator_that_cannot_start_is_told(monkeypatch, server):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(ScalingError, match="generator ended early"):
        load_test(target_of(server), rps=1, seconds=1)


def test_capacity_is_found_and_the_front_is_measured(server):
    lock = threading.Lock()

    def one_at_a_time(_):
        with lock:
            time.sleep(0.05)
        return 200

    server.answer = one_at_a_time

    found = search_capacity(target_of(server), goal_p95=0.4, seconds=1.0, first=4.0)

    # 20 a second is what it can do; on a busy machine less, and a queue of a second hides a few.
    assert 1 <= found.rate <= 23
    assert found.front_rate > found.rate
    assert not found.is_limited_by_front


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"concurrency": 0}, "concurrency=0 sends nothing"),
        ({"rps": -1}, "is no load"),
        ({"seconds": 0}, "no length of time"),
    ],
    ids=["nobody", "negative", "no time"],
)
def test_what_is_no_load_is_told_before_anything_starts(options, told):
    with pytest.raises(ScalingError, match=told):
        load_test(Target("http://127.0.0.1:9", ["{}"]), **options)


def test_what_is_no_goal_is_told():
    with pytest.raises(ScalingError, match="goal_p95=0 is no latency"):
        search_capacity(Target("http://127.0.0.1:9", ["{}"]), goal_p95=0)


def test_a_plan_hides_its_headers_and_survives_the_pipe():
    plan = Plan("http://a:1/p/", "/predict", ("{}",), 1.0, headers={"X-API-Key": "s3cret"})

    assert Plan.from_json(plan.to_json()) == plan
    assert "s3cret" not in repr(plan)
    assert plan.requests()[0].startswith(b"POST /p/predict HTTP/1.1\r\nHost: a:1\r\n")
