"""A port of this machine whose connections end in the pods of a Deployment."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from itertools import count
from typing import Any

from nbdeploy.containers.cluster_connection import ClusterConnection
from nbdeploy.containers.cluster_objects import NamespaceReader
from nbdeploy.exceptions import ClusterError
from nbdeploy.with_blocks import ClosesOnExit

__all__ = ["PortForward"]

_CHUNK = 1 << 16
_TRIES = 2


class PortForward(ClosesOnExit):
    """What `KubernetesDeployer.port_forward` opens.

    Parameters
    ----------
    cluster, reader
        Where the pods are.
    name
        The Deployment.
    port
        On this machine; a free one when 0.
    pod
        The only pod to ask; any of them when ``None``.

    Raises
    ------
    ClusterError
        If no pod answers, or the port is taken.
    """

    def __init__(
        self,
        cluster: ClusterConnection,
        reader: NamespaceReader,
        name: str,
        port: int = 0,
        *,
        pod: str | None = None,
    ) -> None:
        self.name = name
        self._cluster, self._reader, self._only = cluster, reader, pod
        self._turn = count()
        self._lock = threading.Lock()
        self._pods = self._ready()
        try:
            self._listener = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            message = (
                f"Port {port} of this machine cannot be had ({error.strerror or error}). Expected "
                "a free one; port=0 takes any."
            )
            raise ClusterError(message) from error
        self._open: set[socket.socket] = set()
        self._is_closed = False
        thread = threading.Thread(target=self._accept, name="nbdeploy-port-forward", daemon=True)
        thread.start()
        self._thread = thread

    @property
    def url(self) -> str:
        """Where this machine reaches the pods."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def _port(self) -> int:
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """End it, with all connections; again does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            mine = list(self._open)
        # Closing alone would leave the thread in accept().
        for each in (self._listener, *mine):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self._listener.close()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open"
        return f"<PortForward to {self._only or self.name!r} {state}>"

    def _ready(self) -> list[tuple[str, int]]:
        pods = self._reader.ready_pods(self.name)
        found = [(pod["metadata"]["name"], _port_of(pod)) for pod in pods]
        if self._only is None:
            return found
        chosen = [each for each in found if each[0] == self._only]
        if not chosen:
            message = (
                f"Pod {self._only!r} is none of {self.name!r} that answers. Expected one of "
                f"{', '.join(name for name, _ in found)}."
            )
            raise ClusterError(message)
        return chosen

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(caller,), name="nbdeploy-port-forward", daemon=True
            ).start()

    def _serve(self, caller: socket.socket) -> None:
        with self._lock:
            is_late = self._is_closed
            self._open.add(caller)
        try:
            tunnel, port = (None, 0) if is_late else self._tunnel()
            if tunnel is not None:
                _join(caller, tunnel.socket(port))
                tunnel.close()
        finally:
            with self._lock:
                self._open.discard(caller)
            caller.close()

    def _tunnel(self) -> tuple[Any, int]:
        """Reach the next pod; who is gone since the last look is looked for once more."""
        for attempt in range(_TRIES):
            try:
                if attempt:
                    self._pods = self._ready()
                pods = self._pods
                pod, port = pods[next(self._turn) % len(pods)]
                path = self._reader.path("v1", "Pod", pod)
                return self._cluster.tunnel(path, f"reach Pod/{pod}", port), port
            except ClusterError:
                continue  # the caller sees a connection that ends
        return None, 0


def _port_of(pod: dict[str, Any]) -> int:
    for container in pod["spec"].get("containers", []):
        for port in container.get("ports", []):
            return int(port["containerPort"])
    message = f"Pod/{pod['metadata']['name']} names no port to forward to."
    raise ClusterError(message)


def _join(one: socket.socket, other: Any) -> None:
    """Carry bytes both ways until one side ends."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other.fileno(), selectors.EVENT_READ, one)
        while True:
            for key, _ in waiting.select():
                source = one if key.fileobj is one else other
                try:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    key.data.sendall(data)
                except OSError:
                    return
