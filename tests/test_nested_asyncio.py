"""The opt-in patch, and the server beside it, in real kernels."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
import uvloop

from nbdeploy.exceptions import NbdeployError
from nbdeploy.nested_asyncio import allow_nested_asyncio

ONLY = {
    "nest_asyncio": "import sys; sys.modules['nest_asyncio2'] = None",
    "nest_asyncio2": "import sys; sys.modules['nest_asyncio'] = None",
}
# On Python 3.12 and newer, nest_asyncio brings a warning, which has a test of its own.
ALLOW = """
import asyncio, warnings
from nbdeploy import allow_nested_asyncio
with warnings.catch_warnings():
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "nest_asyncio does not know", RuntimeWarning)
    allow_nested_asyncio()
"""
RUN = "async def double(x): await asyncio.sleep(0.01); return 2 * x\nasyncio.run(double(21))"
SERVE = """
import anyio.to_thread, httpx2 as httpx, time
from nbdeploy.serving.server import BackgroundServer

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await anyio.to_thread.run_sync(time.sleep, 0.01)
    async with asyncio.timeout(5):
        await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.01))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})

server = BackgroundServer(app, name="t").start()
"""
ASK = "[httpx.get(server.url).text for _ in range(3)]"
ASK_NESTED = """
async def ask():
    async with httpx.AsyncClient() as client:
        return (await client.get(server.url)).text
asyncio.run(ask())
"""


@pytest.mark.parametrize("package", ONLY)
def test_asyncio_run_works_in_a_cell_and_the_server_before_and_after(fresh_kernel, package):
    fresh_kernel.run(ONLY[package])
    fresh_kernel.run("import asyncio")
    fresh_kernel.run(SERVE)
    assert "RuntimeError" in fresh_kernel.run(RUN, check=False).error
    fresh_kernel.run(ALLOW)
    assert fresh_kernel.run(RUN).results == ["42"]
    assert fresh_kernel.run(ASK).results == ["['answered', 'answered', 'answered']"]
    assert fresh_kernel.run(ASK_NESTED).results == ["'answered'"]
    fresh_kernel.run("server.stop()")
    fresh_kernel.run(SERVE)
    assert fresh_kernel.run(ASK).results == ["['answered', 'answered', 'answered']"]
    fresh_kernel.run("server.stop()")
    assert fresh_kernel.run("server.running").results == ["False"]


@pytest.mark.parametrize("package", ONLY)
def test_a_server_starts_where_the_user_patched_asyncio_first(fresh_kernel, package):
    fresh_kernel.run(f"import asyncio, {package}; {package}.apply()")
    assert fresh_kernel.run("import sys; 'uvicorn' in sys.modules").results == ["False"]
    cell = fresh_kernel.run(SERVE)
    assert fresh_kernel.run(ASK).results == ["['answered', 'answered', 'answered']"]
    fresh_kernel.run("server.stop()")
    assert (cell.stdout, cell.stderr) == ("", "")


def test_what_patched_first_goes_on(fresh_kernel):
    fresh_kernel.run("import nest_asyncio; nest_asyncio.apply()")
    fresh_kernel.run(ALLOW)
    assert fresh_kernel.run("import sys; 'nest_asyncio2' in sys.modules").results == ["False"]
    assert fresh_kernel.run(RUN).results == ["42"]


def test_the_successor_is_preferred(fresh_kernel):
    fresh_kernel.run(ALLOW)
    assert fresh_kernel.run("import sys; 'nest_asyncio2' in sys.modules").results == ["True"]
    fresh_kernel.run(ALLOW)
    assert fresh_kernel.run(RUN).results == ["42"]


def test_what_nest_asyncio_breaks_on_newer_pythons_is_said(fresh_kernel):
    if fresh_kernel.run("import sys; sys.version_info >= (3, 12)").results == ["False"]:
        pytest.skip("asyncio.run() has no loop_factory before Python 3.12")
    fresh_kernel.run(ONLY["nest_asyncio"])
    code = "from nbdeploy import allow_nested_asyncio; allow_nested_asyncio()"
    assert "pip install nest-asyncio2" in fresh_kernel.run(code).stderr


def test_a_loop_that_cannot_be_patched_is_named_and_nothing_is_changed():
    run, task = asyncio.run, asyncio.Task

    async def cell():
        allow_nested_asyncio()

    loop = uvloop.new_event_loop()
    with pytest.raises(NbdeployError, match=r"uvloop\.Loop.*cannot be patched.*[Aa]wait"):
        loop.run_until_complete(cell())
    loop.close()
    assert (asyncio.run, asyncio.Task) == (run, task)


def test_a_missing_package_is_an_error_that_says_how_to_get_it(monkeypatch):
    for name in ("nest_asyncio", "nest_asyncio2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NbdeployError, match="pip install nest-asyncio2"):
        allow_nested_asyncio()


def test_serving_patches_nothing():
    code = (
        "import asyncio, sys\n"
        "async def app(scope, receive, send): raise NotImplementedError\n"
        "from nbdeploy.serving.server import BackgroundServer\n"
        "BackgroundServer(app, name='t').start().stop()\n"
        "assert not hasattr(asyncio, '_nest_patched')\n"
        "assert not {'nest_asyncio', 'nest_asyncio2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
