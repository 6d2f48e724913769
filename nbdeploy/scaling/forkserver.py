"""The process that workers are forked from: the libraries are loaded in it once.

A worker that starts from nothing imports for seconds. This process has imported numpy, pandas and
scikit-learn, runs no thread, holds no model, and forks a worker in milliseconds. All pools of a
process share one; the last that closes ends it.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import NoReturn

from nbdeploy.exceptions import ScalingError
from nbdeploy.serving.frames import Channel, ChannelClosedError
from nbdeploy.serving.life_line import LifeLine, end_with

__all__ = ["THREAD_VARIABLES", "Forkserver", "main"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
"""What libraries read, each its own: replicas share the cores, so one takes one."""

_COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nbdeploy.scaling.forkserver import main; main(int(sys.argv[2]))"
)
_LIBRARIES = frozenset({"numpy", "pandas", "sklearn", "scipy", "joblib"})
_ALWAYS = ("nbdeploy.scaling.worker", "pandas", "sklearn.utils.validation", "threadpoolctl")
_END_SECONDS = 5.0


class Forkserver:
    """Fork workers on demand; started for the first pool, and again if it was killed.

    It ends together with the process that made it, like every worker.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._line: LifeLine | None = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def join(self) -> None:
        """Count one more pool that uses it, and start it: it loads while the pool prepares.

        Raises
        ------
        ScalingError
            If no process can be started.
        """
        with self._lock:
            self._ensure()
            self._users += 1

    def leave(self) -> None:
        """Count one pool less; the last ends it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._end()

    def keep_alive(self) -> None:
        """Start it again if it was killed."""
        with self._lock:
            if self._users:
                self._ensure()

    def fork(self) -> tuple[Channel, LifeLine]:
        """Ask for a worker.

        Returns
        -------
        tuple
            What the worker is talked to by, and what ends it. The worker says who it is as soon
            as it runs; a channel that closes instead tells that it does not.

        Raises
        ------
        ScalingError
            If no process can be started.
        """
        here, there = Channel.pair()
        line = LifeLine()
        end = line.take_other_end()
        try:
            with self._lock:
                self._send_fork(there.fileno(), end)
        except BaseException:
            here.close()
            line.cut()
            raise
        finally:
            there.close()
            os.close(end)
        return here, line

    def _send_fork(self, connection: int, end: int) -> None:
        for _ in range(2):
            channel = self._ensure()
            try:
                channel.send({"fork": True}, files=[connection, end], timeout=_END_SECONDS)
            except (ChannelClosedError, TimeoutError):
                # Killed since the last look, or stopped: another one will do.
                self._end()
            else:
                return
        message = (
            "The process that replicas are forked from ended as soon as it was started. Its last "
            "words are on this process's standard error."
        )
        raise ScalingError(message)

    def _ensure(self) -> Channel:
        if self._channel is not None and self.pid is not None:
            return self._channel
        self._end()
        here, there = Channel.pair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- this very interpreter
                [sys.executable, "-c", _COMMAND, json.dumps(sys.path), str(there.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")},
            )
        except OSError as error:
            here.close()
            message = f"No process can be started for replicas: {error}."
            raise ScalingError(message) from error
        finally:
            there.close()
        self._channel, self._line = here, LifeLine()
        end = self._line.take_other_end()
        try:
            with suppress(ChannelClosedError):
                here.send({"preload": _worth_loading()}, files=[end])
        finally:
            os.close(end)
        return here

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._line is not None:
            self._line.cut()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
        self._process = self._channel = self._line = None


def _worth_loading() -> list[str]:
    """List what this process has loaded of the libraries that models are made of."""
    loaded = {
        name
        for name in list(sys.modules)
        if name.partition(".")[0] in _LIBRARIES and "._" not in name and "test" not in name
    }
    return sorted({*loaded, *_ALWAYS})


def main(descriptor: int) -> None:
    """Fork workers until the owner hangs up.

    Parameters
    ----------
    descriptor
        The socket of the owner.
    """
    # The stop button of a notebook reaches the whole group of processes: not these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nobody waits for a worker here: the system takes it away.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    with suppress(ChannelClosedError):
        first = channel.receive()
        # No thread watches beside: what is forked beside a thread may never run.
        end_with(first.files[0], watch=False)
        for name in first.document["preload"]:
            # What is missing here, a worker will miss too, and say so.
            with suppress(Exception):
                importlib.import_module(name)
        while True:
            _fork(channel)


def _fork(channel: Channel) -> None:
    files = channel.receive().files
    # Without a process the files close, and the owner hears of it.
    with suppress(OSError):
        if os.fork() == 0:
            channel.close()
            _become_worker(*files)
    for file in files:
        os.close(file)


def _become_worker(connection: int, end: int) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end_with(end)
        _draw_anew()
        importlib.import_module("nbdeploy.scaling.worker").work(connection)
        status = 0
    except BaseException:  # noqa: BLE001 -- told here: the process has no caller
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # What the copied process would clean up is not this one's.
        os._exit(status)


def _draw_anew() -> None:
    """Let replicas draw different numbers: all were forked with the same state."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
