"""An application that does what the path says, and a server for it."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio.to_thread

from nbdeploy.serving.server import BackgroundServer


class App:
    """An application that does what the path says; `events` tells the test where it is."""

    def __init__(self, *, startup=None, shutdown=None):
        self.startup = startup
        self.shutdown = shutdown
        self.reached = threading.Semaphore(0)
        self.release = threading.Event()
        self.task_ended = threading.Event()
        self.scopes = []
        self.server = None

    async def __call__(self, scope, receive, send):
        await getattr(self, scope["type"])(scope, receive, send)

    async def lifespan(self, _scope, receive, send):
        for name in ("startup", "shutdown"):
            await receive()
            step = getattr(self, name)
            if step is not None:
                await step()
            await send({"type": f"lifespan.{name}.complete"})

    async def http(self, scope, receive, send):
        self.scopes.append(scope)
        self.reached.release()
        await getattr(self, scope["path"].strip("/") or "home")()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"answered"})

    async def websocket(self, _scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})

    async def home(self):
        pass

    async def second(self):
        await asyncio.sleep(1)

    async def hang(self):
        await asyncio.sleep(60)

    async def thread(self):
        await anyio.to_thread.run_sync(self.release.wait, 60)

    async def stuck(self):
        self.release.wait(60)

    async def fail(self):
        raise KeyError

    async def stop(self):
        self.server.stop()

    async def stop_in_thread(self):
        await anyio.to_thread.run_sync(self.server.stop)

    async def exit_in_task(self):
        async def leave():
            raise SystemExit(1)

        self.task = asyncio.get_running_loop().create_task(leave())
        self.task.add_done_callback(lambda _: self.task_ended.set())


def serve(app, **options):
    server = BackgroundServer(app, name="t", **options)
    app.server = server
    return server


# Seconds that a call may take longer because other programs keep the processors busy.
BUSY = 2.0


def seconds_of(call, *args):
    began = time.monotonic()
    call(*args)
    return time.monotonic() - began
