"""Who may call: one decision that every route and every lane passes.

`decide` is the decision, a pure function of what a request shows and of an `AccessPolicy`.
`AccessControl` puts it in front of an ASGI application. Nothing else in nbdeploy refuses a caller.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.requests import cookie_parser

from nbdeploy.exceptions import ServingError
from nbdeploy.models.predictor import METHODS

__all__ = [
    "OPEN_PATHS",
    "AccessPolicy",
    "Caller",
    "OneTimeCodes",
    "Refusal",
    "caller_of",
    "choose_token",
    "decide",
    "is_loopback",
    "is_shared_machine",
    "login_code",
    "open_paths_of",
    "session_cookie",
]

_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_.~:-]+)+")
_NOT_HEALTH = frozenset({*METHODS, "docs", "feedback", "infer", "invocations", "metrics", "stats"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?")
COOKIE_PREFIX = "nbdeploy_"
LOGIN_PATH = "/login"
ONE_TIME_SECONDS = 60.0

OPEN_PATHS = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/healthz",
        "/livez",
        "/ping",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
    }
)


@dataclass(frozen=True)
class AccessPolicy:
    """What a caller must show.

    Parameters
    ----------
    token
        The secret that callers send; ``None`` asks for none.
    loopback_only
        Without a token: only callers on this machine, and only under a name of this machine.
        A page of a foreign site that points its own name at 127.0.0.1 (DNS rebinding) fails here.
    allowed_hosts
        Names that callers may use beside those of this machine, without port. Where a token or the
        network decides who may call, any name is good as long as none is listed here.
    open_paths
        Paths that need no token.
    """

    token: str | None = field(default=None, repr=False)
    loopback_only: bool = True
    allowed_hosts: frozenset[str] = frozenset()
    open_paths: frozenset[str] = OPEN_PATHS


class Caller(NamedTuple):
    """What a request shows of who sent it, before its body is read."""

    path: str
    host: str = ""
    origins: tuple[str, ...] = ()
    address: str | None = None
    credentials: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Caller({self.path!r}, host={self.host!r}, address={self.address!r})"


@dataclass(frozen=True)
class Refusal:
    """Why a caller is turned away, as an HTTP status and a sentence."""

    status: int
    message: str


def decide(caller: Caller, policy: AccessPolicy) -> Refusal | None:
    """Turn a caller away, or let it pass with ``None``.

    Examples
    --------
    >>> local = AccessPolicy()
    >>> decide(Caller("/predict", host="127.0.0.1:8000", address="127.0.0.1"), local)
    >>> decide(Caller("/predict", host="evil.example", address="127.0.0.1"), local).status
    421
    >>> decide(Caller("/predict", host="pod:80"), AccessPolicy(token="s3cret")).status
    401
    """
    refusal = _decide_on_place(caller, policy)
    if refusal is not None:
        return refusal
    if caller.origins and not _are_own(caller.origins, caller.host):
        return Refusal(403, "A page of another origin may not call this service.")
    if policy.token is None or caller.path in policy.open_paths or _shows(policy.token, caller):
        return None
    return Refusal(401, "Send the token as 'Authorization: Bearer TOKEN' or as 'X-API-Key: TOKEN'.")


def _decide_on_place(caller: Caller, policy: AccessPolicy) -> Refusal | None:
    """Turn away who calls from the wrong machine, or under a wrong name."""
    guarded_by_address = policy.token is None and policy.loopback_only
    if guarded_by_address and not _is_local_peer(caller.address):
        return Refusal(403, "This service has no token and answers only this machine.")
    # Probes of a cluster call a pod by its address, whatever its clients may call it.
    names_count = policy.allowed_hosts and caller.path not in policy.open_paths
    if (guarded_by_address or names_count) and not _is_known_host(caller, policy):
        return Refusal(
            421,
            "This service does not answer under this Host name. Call it as 127.0.0.1 or "
            "localhost, or name the host in allowed_hosts=.",
        )
    if caller.host and not _host_name(caller.host):
        return Refusal(400, "The Host header is no name of a host, or there are several of them.")
    return None


def _shows(token: str, caller: Caller) -> bool:
    pairs = [(sent, token) for sent in caller.credentials]
    pairs += [(sent, session_of(token)) for sent in caller.sessions]
    # Every pair is compared, so the time says nothing about which one was close.
    results = [hmac.compare_digest(sent.encode(), right.encode()) for sent, right in pairs]
    return any(results)


def session_of(token: str) -> str:
    """Derive what a browser's cookie holds: it opens this service, and does not tell the token."""
    return hmac.new(token.encode(), b"nbdeploy browser session", "sha256").hexdigest()


def session_cookie(token: str, *, path: str = "/", is_encrypted: bool = False) -> str:
    """Write the ``Set-Cookie`` value of a browser session.

    Cookies know no port: the name holds a part of the session, so that two services on one machine
    keep one each.

    Parameters
    ----------
    token
        The secret of the service.
    path
        Where the browser finds the service: behind a proxy, others share its origin.
    is_encrypted
        Whether the browser came by https; the cookie then never travels without.
    """
    session = session_of(token)
    name = COOKIE_PREFIX + session[:8]
    secure = "; Secure" if is_encrypted else ""
    return f"{name}={session}; Path={path}; HttpOnly; SameSite=Strict{secure}"


def _is_local_peer(address: str | None) -> bool:
    # A unix socket has no address; "testclient" is what Starlette's in-process test client
    # calls itself, and no socket ever has a peer of that name.
    return address is None or address == "testclient" or is_loopback(address)


def _is_known_host(caller: Caller, policy: AccessPolicy) -> bool:
    name = _host_name(caller.host)
    if caller.address == "testclient" and name == "testserver":
        return True
    return is_loopback(name) or name in policy.allowed_hosts


@lru_cache(maxsize=256)
def _host_name(host: str) -> str:
    """Take the name out of a Host header: no port, no brackets, no trailing dot."""
    match = _HOST.fullmatch(host.lower())
    return match["name"].strip("[]").removesuffix(".") if match else ""


def _are_own(origins: tuple[str, ...], host: str) -> bool:
    return all(_is_same_origin(origin, host) for origin in origins)


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if not host or parts.scheme not in ("http", "https"):
        return False
    default = ":443" if parts.scheme == "https" else ":80"
    return parts.netloc.lower().removesuffix(default) == host.lower().removesuffix(default)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's loopback.

    Examples
    --------
    >>> [is_loopback(host) for host in ("localhost", "127.8.0.1", "::1", "0.0.0.0", "10.0.0.1")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_shared_machine(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether other people can reach this machine's loopback address.

    True on a JupyterHub, whose users often share one host, and when another user is logged in.
    """
    env = os.environ if environment is None else environment
    if any(name in env for name in ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_API_TOKEN")):
        return True
    import psutil  # noqa: PLC0415 -- 20 ms, only when a service starts

    me = psutil.Process().username()
    return any(user.name != me for user in psutil.users())


def choose_token(
    token: str | None,
    *,
    host: str,
    expose: bool = False,
    is_shared: Callable[[], bool] = is_shared_machine,
) -> str | None:
    """Choose the token of a service.

    Parameters
    ----------
    token
        A secret of the caller's own; ``"auto"`` makes one unless the service is on the loopback
        address of a machine that is nobody else's; ``None`` wants none.
    host
        The address that the service binds.
    expose
        Whether the user allowed an address that other machines reach.

    Raises
    ------
    ServingError
        If the address is open to others without ``expose=True``, or exposed without a token.
    """
    if not is_loopback(host) and not expose:
        message = (
            f"host={host!r} lets other machines call this service. Pass expose=True if that is "
            "what you want (a token is then required of callers), or keep host='127.0.0.1'."
        )
        raise ServingError(message)
    if token is None and expose:
        message = (
            "expose=True needs a token: keep token='auto', or pass a secret of your own as token=."
        )
        raise ServingError(message)
    if token == "auto":  # noqa: S105 -- a keyword, not a secret
        needed = expose or is_shared()
        return secrets.token_urlsafe(24) if needed else None
    if token is not None and (not token.strip() or not token.isascii() or not token.isprintable()):
        message = (
            "token= must be printable ASCII and not empty: it travels in a header. "
            "token='auto' makes a good one."
        )
        raise ServingError(message)
    return token


def open_paths_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Tell which paths need no token: health, under the name that a platform asks for as well.

    Vertex AI tells a container in ``AIP_HEALTH_ROUTE`` where it will ask whether it is healthy.

    Raises
    ------
    ServingError
        If that is no path, or one where more than health is answered.

    Examples
    --------
    >>> sorted(open_paths_of({"AIP_HEALTH_ROUTE": "/v1/endpoints/7"}) - OPEN_PATHS)
    ['/v1/endpoints/7']
    """
    path = environment.get("AIP_HEALTH_ROUTE", "")
    if not path:
        return OPEN_PATHS
    answers_more = path == environment.get("AIP_PREDICT_ROUTE") or (
        path.rpartition("/")[2].rpartition(":")[2] in _NOT_HEALTH
    )
    if _PLAIN_PATH.fullmatch(path) is None or answers_more:
        message = (
            f"AIP_HEALTH_ROUTE is {path!r}; expected a path such as /health, of plain letters, "
            "where nothing but health is asked: it is open without a token."
        )
        raise ServingError(message)
    return OPEN_PATHS | {path}


class OneTimeCodes:
    """Codes that open a browser session once, within `ONE_TIME_SECONDS`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self) -> str:
        """Make a code."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            now = self._clock()
            self._expiry = {known: end for known, end in self._expiry.items() if end > now}
            self._expiry[code] = now + ONE_TIME_SECONDS
        return code

    def redeem(self, code: str) -> bool:
        """Use a code up; tell whether it was good."""
        with self._lock:
            return self._expiry.pop(code, 0.0) > self._clock()


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """Read from an ASGI scope what a request shows of its sender."""
    host = ""
    origins: list[str] = []
    credentials: list[str] = []
    sessions: list[str] = []
    for name, raw in scope["headers"]:
        if name == b"host":
            # Two Host headers that disagree name no host at all.
            host = f"{host},{raw.decode('latin-1')}" if host else raw.decode("latin-1")
        elif name == b"origin":
            origins.append(raw.decode("latin-1"))
        elif name == b"x-api-key":
            credentials.append(raw.decode("latin-1"))
        elif name == b"authorization":
            kind, _, value = raw.decode("latin-1").partition(" ")
            if kind.lower() == "bearer":
                credentials.append(value.strip())
        elif name == b"cookie":
            sessions.extend(_cookie_sessions(raw.decode("latin-1")))
    client = scope.get("client")
    return Caller(
        path=scope["path"],
        host=host,
        origins=tuple(origins),
        address=client[0] if client else None,
        credentials=tuple(credentials),
        sessions=tuple(sessions),
    )


def _cookie_sessions(header: str) -> list[str]:
    # All programs on this machine share its cookies. http.cookies drops everything behind one that
    # it does not like, such as JSON; this parser reads as browsers write.
    cookies = cookie_parser(header)
    return [value for name, value in cookies.items() if name.startswith(COOKIE_PREFIX)]


def login_code(scope: Mapping[str, Any]) -> str | None:
    """Take the one-time code out of a request for `LOGIN_PATH`, if it is one."""
    if scope["path"] != LOGIN_PATH or scope.get("method") != "GET":
        return None
    raw: bytes = scope.get("query_string", b"")
    return parse_qs(raw.decode("latin-1")).get("code", [""])[0]
