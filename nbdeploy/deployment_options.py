"""How deployments are reached, and how models become the routes and services of theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nbdeploy.exceptions import SignatureError
from nbdeploy.models.baseline import Baseline
from nbdeploy.models.predictor import predictor_for
from nbdeploy.models.serializer import snapshot
from nbdeploy.models.signature import Signature
from nbdeploy.monitoring.request_log import RequestLog, require_columns
from nbdeploy.registry.recognition import is_model_version
from nbdeploy.serving.addresses import address_of, surroundings
from nbdeploy.serving.names import checked_name, name_from
from nbdeploy.serving.rehearsal import few_of
from nbdeploy.serving.routing import Route, route_from_file, route_from_model, route_from_version
from nbdeploy.serving.security import AccessPolicy, choose_token, is_loopback, is_shared_machine
from nbdeploy.serving.service import ModelService

if TYPE_CHECKING:
    from nbdeploy.registry.version_control import ModelVersionControl

__all__ = [
    "DeployKeywords",
    "Options",
    "Recipe",
    "kept_rows",
    "name_of",
    "route_of",
    "service_for",
    "signature_for",
]


class DeployKeywords(TypedDict, total=False):
    """The keywords of `deploy`, for its overloads."""

    name: str | None
    example: Any
    port: int | None
    host: str
    token: str | None
    expose: bool
    allowed_hosts: Iterable[str] | None
    trust: Any
    copy: bool
    compile: bool
    max_batch_size: int | None
    batch_timeout: float
    max_concurrency: int | None
    max_queue: int
    timeout: float
    where: str
    store_example: bool
    request_log: str | os.PathLike[str] | RequestLog | None
    ssl_certfile: str | os.PathLike[str] | None
    ssl_keyfile: str | os.PathLike[str] | None


@dataclass(frozen=True)
class Options:
    """How a deployment is reached; a change of it needs another server."""

    host: str
    port: int | None
    token: str | None = field(repr=False)
    expose: bool
    allowed_hosts: frozenset[str]
    timeout: float
    max_batch_size: int | None
    batch_timeout: float
    max_concurrency: int | None
    max_queue: int
    where: str
    request_log: RequestLog | None
    ssl_certfile: Path | None
    ssl_keyfile: Path | None

    def leaves_in_place(self, running: Options, *, port: int) -> bool:
        """Tell whether a server that runs with other options, on that port, can stay."""
        return replace(self, port=self.port or port) == replace(running, port=port)

    def of_service(self) -> dict[str, Any]:
        """Give what a `ModelService` takes of it."""
        return {
            "timeout": self.timeout,
            "max_batch_size": self.max_batch_size,
            "batch_timeout": self.batch_timeout,
            "max_concurrency": self.max_concurrency,
            "max_queue": self.max_queue,
            # A service in a process of its own is told in JSON.
            "request_log": None if self.request_log is None else self.request_log.to_dict(),
        }

    def prepare_request_log(self, *signatures: Signature) -> None:
        """Make the folder of the log, where there is one, and look at what shall be redacted.

        Raises
        ------
        ServingError
            If nothing can be written there, or a name is a column of no model.
        """
        if self.request_log is not None:
            known = dict.fromkeys(name for each in signatures for name in each.names)
            require_columns(self.request_log.redact, known)
            self.request_log.prepare()

    def of_server(self) -> dict[str, Any]:
        """Give what a server takes of it."""
        return {
            "host": self.host,
            "port": self.port,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
        }


@dataclass(frozen=True)
class Recipe:
    """How models of a deployment are made into routes."""

    registry: ModelVersionControl | None
    example: Any = field(repr=False)
    trust: Any = field(repr=False)
    copy: bool
    compile: bool


def route_of(
    model: Any,
    *,
    example: Any,
    trust: Any,
    copy: bool,
    compile: bool,  # noqa: A002 -- what deploy() calls it
    signature: Signature | None = None,
    baseline: Baseline | None = None,
) -> Route:
    """Load a model and learn what its rows look like."""
    if is_model_version(model):
        return route_from_version(model, trust=trust, example=example, compile=compile)
    if isinstance(model, (str, os.PathLike)):
        return route_from_file(model, trust=trust, example=example, compile=compile)
    # Unfitted and unfit objects are told before time is spent on a copy.
    predictor_for(model)
    if not copy:
        return route_from_model(
            model, signature=signature, example=example, baseline=baseline, compile=False
        )
    twin, digest = snapshot(model)
    return route_from_model(
        twin,
        signature=signature,
        example=example,
        digest=digest,
        compile=compile,
        baseline=baseline,
    )


def let_rows_go(route: Route) -> None:
    """Ask the model for the predictions of its baseline now: their rows are kept until then."""
    if route.drift is not None:
        route.drift.baseline()


def kept_rows(model: Any, example: Any) -> Any:
    """Choose the few rows that further versions are asked before they go live."""
    if example is None and is_model_version(model):
        return model.example()
    return few_of(example)


def signature_for(model: Any, live: Signature) -> Signature | None:
    """Give the signature of the live model for one that was fitted on the same columns."""
    try:
        own = Signature.learn(model)
    except SignatureError:
        # It tells nothing of its own: the rehearsal will show whether it takes these rows.
        return live
    is_same = own.width == live.width and (own.kind == "array" or own.names == live.names)
    return live if is_same else own


def service_for(name: str, route: Route, options: Options, *, token: str | None) -> ModelService:
    """Make the application of a route; a token that was made up stays the one that it was."""
    chosen = choose_token(
        options.token, host=options.host, expose=options.expose, is_shared=_is_shared
    )
    if options.token == "auto" and chosen is not None and token is not None:  # noqa: S105
        # Callers keep the token that they have.
        chosen = token
    policy = AccessPolicy(
        chosen, loopback_only=is_loopback(options.host), allowed_hosts=options.allowed_hosts
    )
    return ModelService(
        route,
        name=name,
        access=policy,
        **options.of_service(),
    )


def name_of(model: Any, route: Route) -> str:
    """Find a name for a deployment that was given none."""
    if is_model_version(model):
        return name_from(model.registry.name)
    if isinstance(model, (str, os.PathLike)):
        return checked_name(Path(model).stem)
    return name_from(route.predictor.model_type)


def _is_shared() -> bool:
    # A browser that comes by the name of another machine cannot be told from a foreign page.
    return is_shared_machine() or address_of("http://127.0.0.1:80", surroundings()).is_elsewhere
