"""Where a service is: for the browser of its user, for the kernel, and as a request tells it.

`address_of` decides, a pure function of where the notebook runs. `surroundings` looks around once:
nothing else in nbdeploy reads the environment for an address.

=====================  ============================================  ===========================
the notebook runs in   what tells                                    the browser opens
=====================  ============================================  ===========================
Kaggle                 ``KAGGLE_KERNEL_RUN_TYPE``                    nothing
Colab                  the package ``google.colab``                  what Colab is asked for
Databricks             ``DATABRICKS_RUNTIME_VERSION``                nothing
Codespaces             ``CODESPACE_NAME``                            a name made of it
code-server, Coder     ``VSCODE_PROXY_URI``                          that, filled in
JupyterHub, Binder     ``JUPYTERHUB_SERVICE_PREFIX``                 ``<prefix>proxy/<port>/``
SageMaker              ``SAGEMAKER_*``, ``AWS_SAGEMAKER_*``          ``<base url>proxy/<port>/``
Jupyter, far           its own notice: it listens to more than       ``<base url>proxy/<port>/``
                       this machine, or ``SSH_CONNECTION``
Jupyter, here          its own notice                                ``http://127.0.0.1:<port>/``
VS Code, a terminal    none of these                                 ``http://127.0.0.1:<port>/``,
                                                                     forwarded if by ssh
=====================  ============================================  ===========================

``proxy/`` is what the package jupyter-server-proxy answers, in the environment of Jupyter itself.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbdeploy.exceptions import ServingError
from nbdeploy.serving.security import AccessPolicy, is_loopback

__all__ = [
    "Address",
    "Jupyter",
    "Surroundings",
    "address_of",
    "browser_note",
    "browser_page",
    "came_encrypted",
    "forwarded_prefix",
    "surroundings",
]

_NO_URL = "{place} lets no browser reach a port. try_it() is a form that needs none."
_NO_PROXY = (
    "The browser reaches this service through Jupyter, once the package jupyter-server-proxy is "
    "installed where Jupyter itself runs. try_it() is a form that needs no address."
)
_PERHAPS_NO_PROXY = (
    "The link needs the package jupyter-server-proxy where Jupyter itself runs. try_it() is a "
    "form that needs no link."
)
_NO_HTTPS = (
    "Jupyter's proxy does not reach a service that speaks https. try_it() is a form that needs no "
    "address; without ssl_certfile= there is a link."
)
_FORWARDED = (
    "In a remote window VS Code forwards the port, see its view 'Ports'. try_it() is a form that "
    "needs no address."
)
_BY_SSH = (
    "You are connected by ssh: the link works once the port is forwarded. VS Code does that by "
    "itself."
)
_NAME_IT = (
    "Without a token the page answers only under the names in allowed_hosts=: put the name there "
    "that your browser shows for Jupyter."
)
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9._:-]+(/[^\s\"'<>]*)?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~%@:+-]+)+")
_LONGEST_PREFIX = 512


@dataclass(frozen=True)
class Jupyter:
    """What a running Jupyter tells of itself in its runtime folder.

    Parameters
    ----------
    base_url
        The path under which it answers.
    hostname
        What it listens on.
    has_proxy
        Whether jupyter-server-proxy is installed beside it; ``None`` when that cannot be seen.
    """

    base_url: str = "/"
    hostname: str = "localhost"
    has_proxy: bool | None = None


@dataclass(frozen=True)
class Surroundings:
    """Where this process runs, as far as an address depends on it.

    Parameters
    ----------
    environment
        The environment variables.
    jupyter
        The Jupyter that started this kernel.
    in_colab
        Whether this is a kernel of Google Colab.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    jupyter: Jupyter | None = None
    in_colab: bool = False


@dataclass(frozen=True)
class Address:
    """Where a service is.

    Parameters
    ----------
    kernel
        Where programs on this machine reach it, without a slash at the end.
    browser
        What a browser opens, with a slash at the end: a whole address, or a path on the server
        that shows the notebook. ``None`` where there is no such thing.
    note
        What the reader should know about it, or do.
    is_elsewhere
        Whether the browser calls the service by a name that is not of this machine: a token then
        tells callers apart, the name cannot.
    asks_colab
        Whether only Colab's page can make the address.
    """

    kernel: str
    browser: str | None
    note: str = ""
    is_elsewhere: bool = False
    asks_colab: bool = False

    def page(self, path: str) -> str | None:
        """Give what the browser opens for a page of the service, such as ``docs``."""
        return None if self.browser is None else self.browser + path


def address_of(kernel: str, around: Surroundings) -> Address:
    """Decide where a service is.

    Parameters
    ----------
    kernel
        Where this machine reaches it: scheme, host and port.
    around
        Where this process runs.

    Examples
    --------
    >>> address_of("http://127.0.0.1:8000", Surroundings()).browser
    'http://127.0.0.1:8000/'
    >>> hub = Surroundings({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"})
    >>> address_of("http://127.0.0.1:8000", hub).page("docs")
    '/user/ada/proxy/8000/docs'
    """
    port = urlsplit(kernel).port or 0
    environment, jupyter = around.environment, around.jupyter
    closed = next((place for name, place in _CLOSED.items() if name in environment), None)
    if closed is not None:
        return Address(kernel, None, _NO_URL.format(place=closed), is_elsewhere=True)
    if around.in_colab:
        return Address(
            kernel, None, "open() asks Colab for a link.", is_elsewhere=True, asks_colab=True
        )
    forwarded = _forwarded_by_vscode(environment, port)
    if forwarded is not None:
        return _public(kernel, forwarded)
    prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX") or _sagemaker_prefix(around)
    if prefix is not None:
        return _through_jupyter(kernel, port, prefix, jupyter.has_proxy if jupyter else None)
    if jupyter is not None and not _is_here(jupyter, environment):
        return _through_jupyter(kernel, port, jupyter.base_url, jupyter.has_proxy)
    by_ssh = jupyter is None and "SSH_CONNECTION" in environment
    return Address(kernel, f"{kernel}/", _BY_SSH if by_ssh else "")


_CLOSED = {"KAGGLE_KERNEL_RUN_TYPE": "Kaggle", "DATABRICKS_RUNTIME_VERSION": "Databricks"}
_SAGEMAKER = ("SAGEMAKER_", "AWS_SAGEMAKER_")


def _forwarded_by_vscode(environment: Mapping[str, str], port: int) -> str | None:
    name = environment.get("CODESPACE_NAME")
    if name:
        domain = environment.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
        return f"https://{name}-{port}.{domain}/"
    template = environment.get("VSCODE_PROXY_URI")
    if template:
        return template.replace("{{port}}", str(port)).rstrip("/") + "/"
    return None


def _public(kernel: str, url: str) -> Address:
    if _WEB_ADDRESS.fullmatch(url) is None:
        # Relative to the page of the editor, which an output of a notebook does not know.
        return Address(kernel, None, _FORWARDED, is_elsewhere=True)
    return Address(kernel, url, is_elsewhere=True)


def _sagemaker_prefix(around: Surroundings) -> str | None:
    if not any(name.startswith(_SAGEMAKER) for name in around.environment):
        return None
    return around.jupyter.base_url if around.jupyter is not None else "/jupyter/default/"


def _is_here(jupyter: Jupyter, environment: Mapping[str, str]) -> bool:
    """Tell whether the browser is on this machine, as far as one can see from here."""
    return is_loopback(jupyter.hostname) and "SSH_CONNECTION" not in environment


def _through_jupyter(kernel: str, port: int, prefix: str, has_proxy: bool | None) -> Address:
    path = f"/{prefix.strip('/')}/proxy/{port}/".replace("//", "/")
    if kernel.startswith("https"):
        return Address(kernel, None, _NO_HTTPS, is_elsewhere=True)
    if has_proxy is False:
        return Address(kernel, None, _NO_PROXY, is_elsewhere=True)
    note = "" if has_proxy else _PERHAPS_NO_PROXY
    return Address(kernel, path, note, is_elsewhere=True)


def browser_page(address: Address, path: str) -> str:
    """Give what the browser opens for a page of the service, or say why there is no such thing.

    Raises
    ------
    ServingError
        If no browser can reach the service from where the notebook runs.
    """
    if address.asks_colab:
        return f"{_ask_colab(urlsplit(address.kernel).port or 0)}{path}"
    page = address.page(path)
    if page is None:
        raise ServingError(address.note)
    return page


def browser_note(address: Address, access: AccessPolicy) -> str:
    """Write how a service is opened in a browser, where that is not plain; or why it is not."""
    if access.token is None:
        is_refused = address.is_elsewhere and address.browser and not access.allowed_hosts
        return f"{address.note} {_NAME_IT}".strip() if is_refused else address.note
    if address.browser is None and not address.asks_colab:
        return address.note
    return f"open() gives a link that works once, within a minute. {address.note}".strip()


def _ask_colab(port: int) -> str:
    from google.colab import output  # noqa: PLC0415 -- only Colab has it

    url: str = output.eval_js(f"google.colab.kernel.proxyPort({port}, {{'cache': true}})")
    return url.rstrip("/") + "/"


def surroundings() -> Surroundings:
    """Look around: environment, Jupyter's notice, Colab."""
    return Surroundings(os.environ.copy(), _jupyter(os.environ), "google.colab" in sys.modules)


def _jupyter(environment: Mapping[str, str]) -> Jupyter | None:
    """Read the notice of the Jupyter that started this kernel; its token stays where it is."""
    parent = environment.get("JPY_PARENT_PID", "")
    if not parent.isdigit() or "ipykernel" not in sys.modules:
        return None
    from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415 -- every kernel has it

    notice = Path(jupyter_runtime_dir()) / f"jpserver-{parent}.json"
    try:
        told = json.loads(notice.read_text(encoding="utf-8"))
        return Jupyter(str(told["base_url"]), str(told["hostname"]), _has_proxy(int(parent)))
    except (OSError, ValueError, KeyError, TypeError):
        # Not a Jupyter server, but what else starts kernels: VS Code, nbconvert, a test.
        return None


def _has_proxy(pid: int) -> bool | None:
    """Tell whether jupyter-server-proxy is installed for the Python that runs as `pid`."""
    try:
        folders = _package_folders(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except OSError:
        return None
    found = any((folder / "jupyter_server_proxy").is_dir() for folder in folders)
    return found if folders else None


def _package_folders(command: list[bytes]) -> list[Path]:
    # The first words are the interpreter and, for `jupyter lab`, a script beside it.
    paths = [Path(os.fsdecode(word)) for word in command[:2]]
    roots = [path.parent.parent for path in paths if path.is_absolute()]
    patterns = ("lib/python3*/site-packages", "lib/python3*/dist-packages")
    return [folder for root in roots for pattern in patterns for folder in root.glob(pattern)]


def forwarded_prefix(scope: Mapping[str, Any]) -> str:
    """Tell under which path a browser finds the service, as the proxy in front says.

    Only a proxy on this machine is believed: a caller from elsewhere could send any prefix, and
    so could a header that is not a plain path.
    """
    sent = _forwarded(scope, b"x-forwarded-prefix").rstrip("/")
    is_plain = len(sent) <= _LONGEST_PREFIX and _PREFIX.fullmatch(sent) and "/.." not in sent
    return sent if is_plain else ""


def came_encrypted(scope: Mapping[str, Any]) -> bool:
    """Tell whether the browser speaks https, to this service or to the proxy in front."""
    return scope.get("scheme") == "https" or _forwarded(scope, b"x-forwarded-proto") == "https"


def _forwarded(scope: Mapping[str, Any], name: bytes) -> str:
    client = scope.get("client")
    if client is None or not is_loopback(client[0]):
        return ""
    values: list[bytes] = [value for sent, value in scope["headers"] if sent == name]
    # Two proxies that disagree tell nothing.
    return values[0].decode("latin-1") if len(values) == 1 else ""
