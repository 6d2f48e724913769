"""The command line: ``nbdeploy serve | demo | lab | ready | trust``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbdeploy import __version__
from nbdeploy.exceptions import NbdeployError, PortInUseError, ServingError

__all__ = ["main"]

_FAILED = 1
_INTERRUPTED = 130
_GRACE = 8  # seconds for requests in flight; Docker kills after 10
_PLATFORM_PORTS = ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT")  # of Vertex AI, of SageMaker
_SAGEMAKER_PORT = 8080


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments
        What stands behind ``nbdeploy``; the process's own when ``None``.

    Returns
    -------
    code
        0 for success, 1 for a failure that was told on stderr, 2 for a wrong call (by exit),
        130 after an interrupt.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(words, argparse.Namespace(words=words))
    try:
        code: int = options.run(options)
    except NbdeployError as error:
        _tell(f"nbdeploy: {error}")
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nbdeploy",
        description="From a notebook cell to a live, monitored, versioned model service.",
        epilog="Exit codes: 0 success, 1 failure, 2 wrong call, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"nbdeploy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    demo = commands.add_parser(
        "demo",
        help="run the quickstart notebook in a real kernel",
        description="Run the quickstart in a real Jupyter kernel, print what its cells print, "
        "and write the executed page.",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("build/quickstart.html"),
        help="the page to write (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)
    lab = commands.add_parser(
        "lab",
        help="open the notebooks in JupyterLab",
        description="Open the index of the notebooks in JupyterLab, in the browser.",
    )
    lab.add_argument(
        "jupyter", nargs="*", metavar="OPTION", help="passed on to jupyter lab (after --)"
    )
    lab.set_defaults(run=_lab)
    ready = commands.add_parser(
        "ready",
        help="check that this machine can run the notebooks",
        description="Check that this machine can run the notebooks: one line for each thing that "
        "they need, with what to do about it. The exit code is 1 if one of them has a problem.",
    )
    ready.set_defaults(run=_ready)
    trust = commands.add_parser(
        "trust",
        help="vouch for the saved models in a folder",
        description="Record the digests of the saved models in FOLDER, once: they load from then "
        "on without trust=. Loading a model runs the code in it: trust only what you know.",
    )
    trust.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a folder of models, or one model"
    )
    trust.set_defaults(run=_trust)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a saved model",
        description="Serve a saved model over HTTP until interrupted. The token is read from the "
        "environment variable NBDEPLOY_TOKEN.",
    )
    model = os.environ.get("NBDEPLOY_MODEL")
    serve.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        nargs="?" if model else None,
        default=model,
        help="a file written by save_model(); may be left out where NBDEPLOY_MODEL names one",
    )
    serve.add_argument(
        "--host",
        default=os.environ.get("NBDEPLOY_HOST") or "127.0.0.1",
        help="address to listen on (default: NBDEPLOY_HOST, or 127.0.0.1); any other than this "
        "machine needs a token or --no-token",
    )
    serve.add_argument(
        "--port",
        type=_port,
        default=_port_of_environment(),
        help="0 for any free one (default: what the platform tells, NBDEPLOY_PORT, or 8000)",
    )
    serve.add_argument("--name", help="what the service is called (default: the file's stem)")
    serve.add_argument(
        "--trust",
        metavar="sha256:...",
        default=os.environ.get("NBDEPLOY_TRUST"),
        help="digest of the file, if you did not save it here yourself",
    )
    serve.add_argument(
        "--no-token",
        action="store_true",
        default=os.environ.get("NBDEPLOY_NO_TOKEN") == "1",
        help="answer whoever can reach the port: for a container behind something "
        "that authenticates; NBDEPLOY_NO_TOKEN=1 says the same",
    )
    serve.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a Host name that callers may use while there is no token; repeatable",
    )
    _add_request_log(serve)
    serve.add_argument(
        "--ssl-certfile", metavar="FILE", help="certificate (PEM): speak https and nothing else"
    )
    serve.add_argument(
        "--ssl-keyfile", metavar="FILE", help="its key (PEM), unless the certificate's file has it"
    )
    serve.set_defaults(run=_serve)


def _add_request_log(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--request-log",
        metavar="FOLDER",
        default=os.environ.get("NBDEPLOY_REQUEST_LOG"),
        help="record requests and answers here, one JSON object a line, at most 100 MB "
        "(default: NBDEPLOY_REQUEST_LOG)",
    )
    serve.add_argument(
        "--request-log-sample",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="the share of the requests that is recorded (default: all)",
    )
    serve.add_argument(
        "--request-log-redact",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column whose cells are not recorded; repeatable",
    )


def _request_log(options: argparse.Namespace) -> Any:
    if not options.request_log:
        return None
    from nbdeploy.monitoring.request_log import RequestLog  # noqa: PLC0415 -- who serves only

    try:
        return RequestLog(
            options.request_log,
            sample=options.request_log_sample,
            redact=options.request_log_redact,
        )
    except ValueError as error:
        raise ServingError(str(error)) from None


def _serve(options: argparse.Namespace) -> int:
    import uvicorn  # noqa: PLC0415 -- only this command serves

    from nbdeploy.serving.event_loop import new_event_loop  # noqa: PLC0415 -- as above
    from nbdeploy.serving.http_protocol import http_protocol  # noqa: PLC0415 -- as above
    from nbdeploy.serving.limits import limits_from  # noqa: PLC0415 -- as above
    from nbdeploy.serving.listener import bind_listener  # noqa: PLC0415 -- as above
    from nbdeploy.serving.security import is_loopback  # noqa: PLC0415 -- as above
    from nbdeploy.serving.service import ModelService  # noqa: PLC0415 -- as above

    has_token = bool(os.environ.get("NBDEPLOY_TOKEN"))
    if not is_loopback(options.host) and not has_token and not options.no_token:
        message = (
            f"--host {options.host} lets other machines call this service. Set NBDEPLOY_TOKEN to "
            "the secret that callers send, or pass --no-token if something in front asks for it."
        )
        raise ServingError(message)
    if not options.path.exists():
        # The model loads after the server started; a wrong path is told before.
        message = f"There is no file {str(options.path)!r}."
        raise ServingError(message)
    service = ModelService(
        options.path,
        name=options.name,
        trust=options.trust,
        token=None if options.no_token else "auto",
        allowed_hosts=options.allowed_host,
        load=False,
        request_log=_request_log(options),
        **limits_from(os.environ),
    )
    config = uvicorn.Config(
        service.app,
        http=http_protocol(direct=service.app.direct),
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        server_header=False,
        proxy_headers=False,
        ws="none",
        ssl_certfile=options.ssl_certfile,
        ssl_keyfile=options.ssl_keyfile,
    )
    _load_certificate(config)
    server = uvicorn.Server(config)
    # A model that cannot be loaded now cannot be loaded later: end, so that whoever started this
    # command sees it. The log has told why.
    service.health.on_failure(lambda: setattr(server, "should_exit", True))
    # uvicorn would tell of a taken port in its log, and exit in a way of its own.
    listeners = [bind_listener(options.host, options.port or None)]
    port = listeners[0].getsockname()[1]
    _tell(f"nbdeploy: {service.name} listens on {options.host}, port {port}. Ctrl+C stops it.")
    if _is_started_by_sagemaker(options):
        try:
            listeners.append(bind_listener(options.host, _SAGEMAKER_PORT))
            _tell(f"nbdeploy: and on port {_SAGEMAKER_PORT}: `serve` alone is SageMaker's word.")
        except PortInUseError as error:
            _tell(f"nbdeploy: SageMaker would not reach it. {error}")
    # Told to end by whoever started it, it ends well: uvicorn would raise the signal once more.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server.serve(sockets=listeners))
    return _FAILED if service.health.has_failed else 0


def _is_started_by_sagemaker(options: argparse.Namespace) -> bool:
    """Tell whether this is an image that was started with ``serve``, and asked nothing else.

    SageMaker does so, and then asks at one port whatever the image listens on.
    """
    told = any(os.environ.get(name) for name in _PLATFORM_PORTS)
    is_image = bool(os.environ.get("NBDEPLOY_MODEL") and os.environ.get("NBDEPLOY_HOST"))
    is_bare: bool = options.words == ["serve"]
    return is_bare and is_image and not told and options.port != _SAGEMAKER_PORT


def _port_of_environment() -> str:
    """Find the port that a platform wants: Vertex AI, then SageMaker, then our own variable."""
    told = (os.environ.get(name) for name in (*_PLATFORM_PORTS, "NBDEPLOY_PORT"))
    return next((port for port in told if port), "8000")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 -- what TCP has
        message = f"{port} is no port; expected 0 to 65535"
        raise argparse.ArgumentTypeError(message)
    return port


def _load_certificate(config: Any) -> None:
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        message = (
            f"The certificate {str(config.ssl_certfile or '')!r} cannot be used: {error}. Expected "
            "--ssl-certfile and --ssl-keyfile to be PEM files that belong together."
        )
        raise ServingError(message) from error


def _demo(options: argparse.Namespace) -> int:
    from nbdeploy.teach.demo import run_quickstart  # noqa: PLC0415 -- Jupyter is imported there

    _require_jupyter()
    run_quickstart(options.output, tell=_tell_out)
    return 0


def _require_jupyter() -> None:
    needed = ("jupyterlab", "ipykernel", "nbclient", "nbconvert", "palmerpenguins")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        message = (
            f"The notebooks need {', '.join(missing)}, which is not installed here. "
            'Run: pip install "nbdeploy[notebooks]"'
        )
        raise ServingError(message)


def _lab(options: argparse.Namespace) -> int:
    from nbdeploy.teach.demo import notebooks_folder  # noqa: PLC0415 -- as above

    _require_jupyter()
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={notebooks_folder()}",
        "--LabApp.default_url=/lab/tree/index.ipynb",
    ]
    os.execv(sys.executable, [*command, *options.jupyter])  # noqa: S606 -- becomes JupyterLab


def _ready(_: argparse.Namespace) -> int:
    from nbdeploy.teach.ready import ready_check  # noqa: PLC0415 -- imports every package

    result = ready_check()
    _tell_out(str(result))
    return 0 if result.ok else _FAILED


def _trust(options: argparse.Namespace) -> int:
    from nbdeploy.models.trust import trust_folder  # noqa: PLC0415 -- only this command

    digests = trust_folder(options.folder)
    if not digests:
        message = f"There is no saved model in {str(options.folder)!r}."
        raise ServingError(message)
    for digest in digests:
        _tell_out(digest)
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 -- a command speaks on its streams


def _tell_out(text: str) -> None:
    print(text, flush=True)  # noqa: T201 -- a command speaks on its streams
