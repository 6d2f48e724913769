"""Wait until a process ends, or until somebody has news."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Sequence
from contextlib import suppress

from nbdeploy.scaling.replica import Replica

__all__ = ["Watch"]


class Watch:
    """What a thread waits with that looks after replicas."""

    def __init__(self) -> None:
        self._heard, self._said = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._said, False)
        self._lock = threading.Lock()
        self._is_closed = False

    def wake(self) -> None:
        """End the wait of the other thread, or its next one."""
        with self._lock, suppress(BlockingIOError):
            if not self._is_closed:
                os.write(self._said, b"!")

    def wait(self, replicas: Sequence[Replica], timeout: float) -> list[Replica]:
        """Wait until a process ends, somebody wakes, or the time is over; tell who ended."""
        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        for replica in replicas:
            if (descriptor := replica.fileno()) >= 0:
                poll.register(descriptor, 0)
        # Rounded up: a wait that ends a little too early is followed by another.
        poll.poll(int(timeout * 1000) + 1)
        with suppress(BlockingIOError):
            while os.read(self._heard, 1024):
                pass
        return [replica for replica in replicas if not replica.is_alive]

    def close(self) -> None:
        """Close both ends."""
        with self._lock:
            self._is_closed = True
            os.close(self._heard)
            os.close(self._said)
