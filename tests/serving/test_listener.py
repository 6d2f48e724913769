from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nbdeploy.exceptions import PortInUseError, StartupError
from nbdeploy.serving.listener import bind_listener, release_descriptor


def port_of(listener):
    return listener.getsockname()[1]


def test_no_port_means_a_free_one():
    with bind_listener("127.0.0.1") as one, bind_listener("127.0.0.1") as other:
        assert port_of(one) != port_of(other)


def test_clients_can_connect_before_anybody_accepts():
    with bind_listener("127.0.0.1") as listener:
        socket.create_connection(listener.getsockname(), timeout=2).close()


def test_answers_of_accepted_connections_leave_at_once():
    with (
        bind_listener("127.0.0.1") as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_an_error_that_names_it_and_the_way_out():
    with bind_listener("127.0.0.1") as listener:
        port = port_of(listener)
        with pytest.raises(PortInUseError, match=f"Port {port} .* port=None") as caught:
            bind_listener("127.0.0.1", port)
    assert "of this very process" in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert caught.value.__cause__.errno == errno.EADDRINUSE


def test_the_process_that_holds_a_port_is_named():
    code = (
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        port = int(process.stdout.readline())
        with pytest.raises(PortInUseError, match=rf"by process {process.pid} \(python.*\)"):
            bind_listener("127.0.0.1", port)
        process.communicate(b"\n")


def test_the_port_of_a_closed_connection_can_be_bound_again_at_once():
    listener = bind_listener("127.0.0.1")
    port = port_of(listener)
    with listener, socket.create_connection(("127.0.0.1", port)) as client:
        accepted = listener.accept()[0]
        accepted.close()
        client.recv(1)
    bind_listener("127.0.0.1", port).close()


@pytest.mark.parametrize(
    ("host", "words"),
    [("no-such-host.invalid", "unknown"), ("203.0.113.7", "no address of this machine")],
)
def test_a_host_that_is_not_this_machine_is_an_error_that_says_so(host, words):
    with pytest.raises(StartupError, match=words):
        bind_listener(host)


@pytest.mark.skipif(not socket.has_ipv6, reason="Python was built without IPv6")
def test_every_interface_includes_ipv4():
    try:
        listener = bind_listener("::")
    except StartupError:
        pytest.skip("this machine has no IPv6")
    with listener:
        socket.create_connection(("127.0.0.1", port_of(listener)), timeout=2).close()


def test_a_released_socket_is_closed_and_its_number_stays_taken():
    listener = bind_listener("127.0.0.1")
    port, number = port_of(listener), listener.fileno()
    release_descriptor(number)
    bind_listener("127.0.0.1", port).close()
    assert os.fstat(number).st_rdev == Path(os.devnull).stat().st_rdev
    listener.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
