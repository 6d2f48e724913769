"""Ask a deployed model from Python: rows in, predictions out, errors as Python errors."""

from __future__ import annotations

import asyncio
import os
import ssl
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2 as httpx

from nbdeploy.exceptions import DeadlineError, NbdeployError, RequestError, UnreachableError
from nbdeploy.models.forms import form_of, plain_values
from nbdeploy.models.predictor import METHODS, register_predictor
from nbdeploy.scaling.strategies import checked_strategy
from nbdeploy.serving.errors import error_of
from nbdeploy.serving.protocols.native import dump_json, parse_json
from nbdeploy.serving.security import is_loopback
from nbdeploy.with_blocks import ClosesOnExit

if TYPE_CHECKING:
    from nbdeploy.scaling.balanced_transport import BalancedTransport
    from nbdeploy.scaling.load_balancer import LoadBalancer

__all__ = ["Client", "RemotePredictor"]

# Stands for the address until the balancer has chosen one.
_ANY_OF_THEM = "http://balanced.invalid"


class Client(ClosesOnExit):
    """A caller of one deployed model.

    Parameters
    ----------
    url
        Where the service is, for example ``http://127.0.0.1:8000``; or a list of addresses that
        serve the same: each call goes to one of them, and to another one when that one fails.
    strategy
        How to choose of several: ``"least_request"``, ``"round_robin"``, ``"random"``,
        ``"weighted"`` or ``"smooth_weighted"``.
    weights
        For the weighted strategies, by address.
    token
        The service's token, or the path of a file that holds it; the environment's
        ``NBDEPLOY_TOKEN`` when ``None``.
    timeout
        Seconds until an answer must be there.
    certificate
        A PEM file with the certificate of the service, where no authority vouches for it: exactly
        that one is then accepted, under whatever name it was made for.

    Examples
    --------
    >>> client = Client("http://127.0.0.1:8000")
    >>> client
    <Client of http://127.0.0.1:8000>
    """

    #: Which endpoints there are and how they do; ``None`` for a single address.
    balancer: LoadBalancer | None

    def __init__(
        self,
        url: str | Iterable[str],
        *,
        strategy: str = "least_request",
        weights: Mapping[str, float] | None = None,
        token: str | Path | None = None,
        timeout: float = 30.0,
        certificate: str | Path | None = None,
    ) -> None:
        self.balancer = None if isinstance(url, str) else _balancer(url)
        self.url = _checked_url(url) if isinstance(url, str) else self._urls()[0]
        self._strategy = checked_strategy(strategy)
        self._weights = weights
        self._token = _read_token(token)
        self._timeout = timeout
        self._certificate = certificate
        self._session: httpx.Client | None = None
        self._known: dict[str, Any] | None = None

    def predict(
        self,
        rows: Any,
        *,
        with_id: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Predict rows.

        Parameters
        ----------
        rows
            A DataFrame, an array of shape ``[n, columns]``, a list of rows, one row as a dict or
            a flat array or list.
        with_id
            Give the id of the prediction too, to tell the truth about it later with `feedback`.
        headers
            To send along, ``{"X-Routing-Key": "ana"}`` for example: while the service tries
            several versions, one key is always answered by the same.

        Returns
        -------
        predictions
            In the form of the rows: a Series with the DataFrame's index, an array for an array,
            a list for a list, a single value for one row. With ``with_id`` a tuple of it and the
            id.

        Raises
        ------
        SignatureError
            If the rows do not fit the model; it names row, column and value.
        PredictionError
            If the model itself raised.
        OverloadedError, DeadlineError
            If the service is too busy.
        UnreachableError
            If nobody answers at the address.
        RequestError
            If the service refused the request, a missing token for example.
        """
        return self.call("predict", rows, with_id=with_id, headers=headers)

    def predict_proba(
        self,
        rows: Any,
        *,
        with_id: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Predict the probability of every class; see `predict` for rows and errors.

        Returns
        -------
        probabilities
            Shape ``[n, classes]``; of a DataFrame a DataFrame with the classes as columns.
        """
        return self.call("predict_proba", rows, with_id=with_id, headers=headers)

    def call(
        self,
        method: str,
        rows: Any,
        *,
        with_id: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Call any method that the model has, ``"transform"`` for example; see `predict`."""
        form = form_of(rows, is_text=lambda: self._facts()["input"] == "values")
        path = f"/{_checked_method(method)}" + "?with_id=true" * with_id
        response = self._request("POST", path, form.body, headers)
        output = _output(self._read(response))
        predictions = form.restore(output, lambda: self._classes(method, response))
        return (predictions, response.headers.get("X-Prediction-ID")) if with_id else predictions

    def feedback(self, prediction_id: str, truth: Any) -> bool:
        """Tell the truth about a prediction, once it is known.

        Parameters
        ----------
        prediction_id
            What `predict` gave with ``with_id=True``: the header ``X-Prediction-ID``.
        truth
            One value a row, as a list, an array or a Series; a single value for a single row;
            ``None`` for a row whose truth is not known.

        Returns
        -------
        bool
            Whether it was the first truth about it: a second one changes nothing.

        Raises
        ------
        UnknownPredictionError
            If there is no prediction of this id, or none any more.
        SignatureError
            If the truth is none of this prediction.
        """
        body = dump_json({"prediction_id": prediction_id, "truth": plain_values(truth)})
        return bool(self._read(self._request("POST", "/feedback", body))["accepted"])

    async def predict_async(self, rows: Any, **options: Any) -> Any:
        """Predict rows without blocking the event loop; see `predict`."""
        return await self.call_async("predict", rows, **options)

    async def call_async(self, method: str, rows: Any, **options: Any) -> Any:
        """Call any method of the model without blocking the event loop; see `call`."""
        # An asynchronous session belongs to one event loop; a thread serves any of them.
        return await asyncio.to_thread(self.call, method, rows, **options)

    def info(self) -> dict[str, Any]:
        """Ask what is served: name, version, model type, features, methods, classes."""
        self._known = dict(self._read(self._request("GET", "/model/info")))
        return dict(self._known)

    def stats(self) -> dict[str, Any]:
        """Ask what the monitor counted; the keys of `ModelMonitor.get_statistics`."""
        return dict(self._read(self._request("GET", "/stats")))

    def is_ready(self) -> bool:
        """Tell whether the service is there and ready."""
        try:
            return self._request("GET", "/health/ready").status_code == httpx.codes.OK
        except UnreachableError:
            return False

    def page(self, path: str) -> str:
        """Read what a service shows at a path: HTML or text.

        Raises
        ------
        NbdeployError
            If it refuses, or nobody answers.
        """
        response = self._request("GET", path)
        if not response.is_success:
            self._read(response)
        return response.text

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # The token stays here: wherever it is loaded, it takes the one of that place.
        where = self.url if self.balancer is None else self._urls()
        certificate = None if self._certificate is None else str(self._certificate)
        choices = (self._strategy, self._weights, self._timeout, certificate)
        return _at, (where, *choices, self._known)

    def __repr__(self) -> str:
        return f"<Client of {self._where()}>"

    def _urls(self) -> list[str]:
        return [self.url] if self.balancer is None else self.balancer.endpoints

    def _where(self) -> str:
        return " and ".join(self._urls())

    def _facts(self) -> dict[str, Any]:
        return self._known if self._known is not None else self.info()

    def _classes(self, method: str, response: httpx.Response) -> list[Any] | None:
        if method not in ("predict_proba", "predict_log_proba", "decision_function"):
            return None
        version = str(response.headers.get("X-Model-Version"))
        if version not in _classes_by_version(self._facts()):
            self.info()
        return _classes_by_version(self._facts()).get(version)

    def _read(self, response: httpx.Response) -> Any:
        try:
            document = parse_json(response.content)
        except RequestError:
            document = response.text
        if response.is_success:
            return document
        raise self._error(response, document)

    def _error(self, response: httpx.Response, document: Any) -> NbdeployError:
        wait = response.headers.get("Retry-After")
        return error_of(response.status_code, document, retry_after=wait)

    def _request(
        self,
        verb: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._connected().request(verb, path, content=body, headers=headers)
        except httpx.TimeoutException as error:
            message = f"No answer from {self._where()} within {self._timeout:g} s."
            raise DeadlineError(message) from error
        except httpx.HTTPError as error:
            message = (
                f"Nobody answers at {self._where()} ({type(error).__name__}: {error}). "
                "Is the service running?"
            )
            raise UnreachableError(message) from error

    def _connected(self) -> httpx.Client:
        if self._session is None:
            parts = urlsplit(self.url)
            headers = {"Content-Type": "application/json"}
            if self._token is not None:
                headers["X-API-Key"] = self._token
            self._session = httpx.Client(
                base_url=self.url if self.balancer is None else _ANY_OF_THEM,
                headers=headers,
                timeout=self._timeout,
                # A proxy cannot reach this machine's own loopback.
                trust_env=not is_loopback(parts.hostname or ""),
                # Loading certificates takes longer than a prediction; http needs none.
                verify=_trust_of(self._certificate) if parts.scheme == "https" else False,
                transport=self._transport(),
            )
            # A client that is forgotten in a notebook leaves no open socket.
            weakref.finalize(self, self._session.close)
        return self._session

    def _transport(self) -> BalancedTransport | None:
        if self.balancer is None:
            return None
        is_secure = any(urlsplit(url).scheme == "https" for url in self._urls())
        from nbdeploy.scaling.balanced_transport import (  # noqa: PLC0415 -- for several only
            BalancedTransport,
        )

        transport = BalancedTransport(
            self.balancer,
            httpx.HTTPTransport(verify=_trust_of(self._certificate) if is_secure else False),
            strategy=self._strategy,
            weights=self._weights,
            timeout=self._timeout,
        )
        transport.watch()
        return transport


def _balancer(urls: Iterable[str]) -> LoadBalancer:
    endpoints = [_checked_url(url) for url in urls]
    if not endpoints:
        message = "Client([]) has nobody to ask. Expected http://host:port, or several of them."
        raise RequestError(message)
    from nbdeploy.scaling.load_balancer import LoadBalancer  # noqa: PLC0415 -- for several only

    return LoadBalancer(endpoints)


@register_predictor(Client)
class RemotePredictor:
    """A service elsewhere as a model here: a member of an ensemble, for example.

    Parameters
    ----------
    client
        Where it is. What it serves is asked once; while nobody answers, only ``predict`` is known.
    """

    is_elsewhere = True
    """To ask it is a request to somebody else, not to be made without need."""

    def __init__(self, client: Client) -> None:
        self.model = client
        try:
            facts = client._facts()  # noqa: SLF001 -- this is the client seen as a model
        except UnreachableError:
            facts = {}
        self.model_type = f"remote {facts.get('model_type', 'model')}"
        self.methods: tuple[str, ...] = tuple(facts.get("methods", ["predict"]))
        self.classes: list[Any] | None = facts.get("classes")
        is_frame = facts.get("input") == "frame"
        self.names: tuple[str, ...] | None = tuple(facts["features"]) if is_frame else None

    def call(self, method: str, batch: Any) -> Any:
        """Ask the service."""
        return self.model.call(method, batch)


def _at(
    url: str | list[str],
    strategy: str,
    weights: Mapping[str, float] | None,
    timeout: float,
    certificate: str | None,
    known: dict[str, Any] | None,
) -> Client:
    """Make a client again that was saved, with the token of this place."""
    client = Client(
        url, strategy=strategy, weights=weights, timeout=timeout, certificate=certificate
    )
    client._known = known  # noqa: SLF001 -- as above
    return client


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = f"{url!r} is no address of a service. Expected http://host:port."
        raise RequestError(message)
    return url.rstrip("/")


def _checked_method(method: str) -> str:
    if method not in METHODS:
        message = f"{method!r} is no method of a model. Expected one of {', '.join(METHODS)}."
        raise RequestError(message)
    return method


def _trust_of(certificate: str | Path | None) -> ssl.SSLContext | bool:
    if certificate is None:
        # Of the authorities the session knows its own list.
        return True
    from nbdeploy.scaling.tls_trust import trust_of  # noqa: PLC0415 -- for a certificate only

    return trust_of(certificate)


def _classes_by_version(facts: dict[str, Any]) -> dict[str, list[Any] | None]:
    several = facts.get("classes_by_version")
    return several if isinstance(several, dict) else {facts["version"]: facts["classes"]}


def _read_token(token: str | Path | None) -> str | None:
    if isinstance(token, Path):
        return token.expanduser().read_text().strip()
    return token if token is not None else os.environ.get("NBDEPLOY_TOKEN")


def _output(document: Any) -> list[Any]:
    if isinstance(document, dict) and isinstance(document.get("prediction"), list):
        return list(document["prediction"])
    message = f"The server's answer has no predictions: {str(document)[:200]}"
    raise RequestError(message)
