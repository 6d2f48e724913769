"""A real Jupyter kernel that tests drive: every output is filed under the cell it was shown in."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

_STARTUP_TIMEOUT = 60.0
_POLL = 0.01
# Put before a cell that waits for a server: it prints "waits" once the cell does. An interrupt
# that came before would interrupt something else.
SAY_WHEN_WAITING = """
import sys, threading, time
def say_when_waiting():
    names = set()
    while "await_end" not in names:
        time.sleep(0.01)
        frame = sys._current_frames()[threading.main_thread().ident]
        names = set()
        while frame is not None:
            names.add(frame.f_code.co_name)
            frame = frame.f_back
    print("waits", flush=True)
threading.Thread(target=say_when_waiting, daemon=True).start()
"""


def environment(home: str) -> dict[str, str]:
    """Return this process's environment, without the user's own IPython profile and history."""
    return {**os.environ, "IPYTHONDIR": home, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def close_event_loop() -> None:
    """Close the loop that the blocking calls of Jupyter's client keep for the calling thread."""
    ensure_event_loop().close()


class _OneInterpreter(KernelSpecManager):
    """Knows one kernel: ipykernel in the interpreter given, whatever else is installed."""

    executable = sys.executable

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [self.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


@dataclass(frozen=True)
class CellResult:
    """What one cell has shown so far."""

    stdout: str
    stderr: str
    results: list[str]
    html: list[str]
    error: str | None


@dataclass
class Cell:
    """A cell that was sent to the kernel."""

    _outputs: list[tuple[str, Any]] = field(default_factory=list)
    # A notebook sends the next cell once it has the reply; some kernels lose one sent earlier.
    _open: set[str] = field(default_factory=lambda: {"idle", "execute_reply"})
    _ended: threading.Event = field(default_factory=threading.Event)

    def receive(self, kind: str, content: dict[str, Any]) -> None:
        self._outputs.append((kind, content))
        self._open.discard(content["execution_state"] if kind == "status" else kind)
        if not self._open:
            self._ended.set()

    @property
    def result(self) -> CellResult:
        """What it has shown by now; a server may add to it long after the cell has ended."""
        outputs = list(self._outputs)
        shown = [c["data"] for kind, c in outputs if kind in {"display_data", "execute_result"}]
        errors = ["\n".join(c["traceback"]) for kind, c in outputs if kind == "error"]
        return CellResult(
            stdout="".join(
                c["text"] for k, c in outputs if k == "stream" and c["name"] == "stdout"
            ),
            stderr="".join(
                c["text"] for k, c in outputs if k == "stream" and c["name"] == "stderr"
            ),
            results=[data["text/plain"] for data in shown if "text/plain" in data],
            html=[data["text/html"] for data in shown if "text/html" in data],
            error=errors[0] if errors else None,
        )

    def wait(self, timeout: float = 60.0, *, check: bool = True) -> CellResult:
        """Wait for its end; a cell that raised fails the test, unless ``check`` is off."""
        assert self._ended.wait(timeout), f"the cell still runs after {timeout:g} s: {self.result}"
        result = self.result
        assert not (check and result.error), result.error
        return result

    def wait_for(self, text: str, times: int = 1, *, timeout: float = 30.0) -> CellResult:
        """Wait until its output contains the text so many times."""
        end = time.monotonic() + timeout
        while self.result.stdout.count(text) < times:
            assert time.monotonic() < end, f"{text!r} was not shown in {timeout:g} s: {self.result}"
            time.sleep(_POLL)
        return self.result


class RunningKernel:
    """One kernel process, from start to `shutdown`."""

    def __init__(
        self, executable: str = sys.executable, *, env: dict[str, str] | None = None
    ) -> None:
        specs = _OneInterpreter()
        specs.executable = executable
        self._manager = KernelManager(kernel_spec_manager=specs)
        self._cells: dict[str, Cell] = {}
        self._unsent: queue.SimpleQueue[tuple[str, Cell]] = queue.SimpleQueue()
        self._manager.start_kernel(env=env)
        self._client = self._manager.client()
        self._client.start_channels(stdin=False, hb=False)
        self._connect()

    @property
    def pid(self) -> int:
        pid: int = self._manager.provisioner.pid
        return pid

    def start(self, code: str) -> Cell:
        """Send a cell, and do not wait for it."""
        cell = Cell()
        self._unsent.put((code, cell))
        return cell

    def run(self, code: str, timeout: float = 60.0, *, check: bool = True) -> CellResult:
        """Run a cell to its end; one that raises fails the test, unless ``check`` is off."""
        return self.start(code).wait(timeout, check=check)

    def interrupt(self) -> None:
        """Do what the stop button does."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """Do what the restart button does."""
        self._disconnect()
        self._manager.restart_kernel()
        self._connect()

    def shutdown(self) -> None:
        """End the kernel as closing the notebook does; a second call does nothing."""
        if self._talker.is_alive():
            self._disconnect()
            self._manager.shutdown_kernel()
            self._client.stop_channels()
            self._manager.cleanup_resources()

    def _connect(self) -> None:
        self._client.wait_for_ready(timeout=_STARTUP_TIMEOUT)
        self._closing = threading.Event()
        self._talker = threading.Thread(target=self._talk, name="kernel channels", daemon=True)
        self._talker.start()

    def _disconnect(self) -> None:
        self._closing.set()
        self._talker.join()

    def _talk(self) -> None:
        # One thread sends and receives, because a socket of ZeroMQ belongs to one thread. It does
        # without the client's own receiving calls: they open an event loop and never close it.
        poller = zmq.Poller()
        for channel in (self._client.iopub_channel, self._client.shell_channel):
            poller.register(channel.socket, zmq.POLLIN)
        while not self._closing.is_set():
            while not self._unsent.empty():
                code, cell = self._unsent.get()
                self._cells[self._client.execute(code)] = cell
            for socket, _ in poller.poll(_POLL * 1000):
                self._file(self._client.session.recv(socket)[1])

    def _file(self, message: dict[str, Any]) -> None:
        cell = self._cells.get(message["parent_header"].get("msg_id"))
        if cell is not None:
            cell.receive(message["msg_type"], message["content"])
