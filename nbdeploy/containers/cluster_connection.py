"""One API server: its address and credentials, and plain dicts in and out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from nbdeploy.containers.cluster_errors import HOW_TO_GET_A_CLUSTER, cluster_error, unreachable
from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import ClusterError

__all__ = ["FIELD_MANAGER", "ClusterConnection", "object_path"]

#: Who sets the fields that nbdeploy applies.
FIELD_MANAGER = "nbdeploy"

_PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "Secret": "secrets",
    "Service": "services",
    "Pod": "pods",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies",
    "Ingress": "ingresses",
    "ServiceMonitor": "servicemonitors",
}
_MISSING = 404
# What the client's loader ends with when a file holds something else.
_MALFORMED = (OSError, ValueError, TypeError, AttributeError, KeyError)
_HANDSHAKE = re.compile(r"Handshake status (\d{3})")


class _NoDiscovery:
    """In place of the client's own, which keeps what it found in a file that all users share."""

    def __init__(self, client: Any, cache_file: Any) -> None:
        pass


class ClusterConnection:
    """Requests to one API server.

    Parameters
    ----------
    kubeconfig
        A file; ``KUBECONFIG`` or ``~/.kube/config`` when ``None``, and inside of a pod its
        ServiceAccount.
    context
        One of the file's; its current one when ``None``.
    timeout
        Seconds for a request.

    Raises
    ------
    ClusterError
        If there is no such file or context.
    """

    def __init__(
        self, kubeconfig: str | None = None, context: str | None = None, timeout: float = 15.0
    ) -> None:
        from kubernetes import dynamic  # noqa: PLC0415 -- half a second

        self._timeout = timeout
        connect: Any = dynamic.DynamicClient
        self._client = connect(_configured(kubeconfig, context), discoverer=_NoDiscovery)
        self.host = str(self._client.configuration.host)

    def get(self, path: str, what: str, **options: Any) -> dict[str, Any]:
        """Read one object or a list."""
        return self._read(self._request("get", path, what, **options), what)

    def find(self, path: str, what: str) -> dict[str, Any] | None:
        """Read one object; ``None`` when there is none."""
        try:
            return self.get(path, what)
        except ClusterError as error:
            if error.status == _MISSING:
                return None
            raise

    def text(self, path: str, what: str, query: list[tuple[str, str]]) -> str:
        """Read what is no object, such as a log."""
        accept = {"Accept": "*/*"}
        data: bytes = self._request(
            "get", path, what, query_params=query, header_params=accept
        ).data
        return data.decode(errors="replace")

    def apply(
        self,
        path: str,
        body: Mapping[str, Any],
        what: str,
        *,
        force: bool,
        dry_run: bool,
        manager: str = FIELD_MANAGER,
    ) -> dict[str, Any]:
        """Apply an object on the server's side: only its fields are set, conflicts are refused."""
        response = self._request(
            "patch",
            path,
            what,
            body=dict(body),
            content_type="application/apply-patch+yaml",
            field_manager=manager,
            force_conflicts=True if force else None,
            dry_run="All" if dry_run else None,
        )
        return self._read(response, what)

    def delete(self, path: str, what: str, uid: str | None = None) -> None:
        """Delete an object, with what belongs to it; only the one of this uid, if it is told."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        body["propagationPolicy"] = "Background"
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        self._request("delete", path, what, body=body)

    def tunnel(self, path: str, what: str, port: int) -> Any:
        """Open a connection to a port of a pod; its ``socket(port)`` reads and writes."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 -- see __init__
        from kubernetes.stream import ws_client  # noqa: PLC0415 -- as above

        configuration = self._client.configuration
        bearer = configuration.auth_settings().get("BearerToken", {}).get("value")
        connect: Any = ws_client.portforward_call
        try:
            return connect(
                configuration,
                "GET",
                f"{self.host}{path}/portforward",
                query_params=[("ports", str(port))],
                headers={
                    **({"authorization": bearer} if bearer else {}),
                    "sec-websocket-protocol": "v4.channel.k8s.io",
                },
            )
        except ApiException as error:
            # What it says holds all headers of the answer.
            status = _HANDSHAKE.search(str(error.reason))
            if status is None:
                raise unreachable(self.host, OSError(str(error.reason)[:80])) from None
            raise cluster_error(int(status[1]), None, what) from None

    def _request(self, method: str, path: str, what: str, **options: Any) -> Any:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415 -- see __init__
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 -- comes with kubernetes

        options.setdefault("query_params", [])
        options.setdefault("header_params", {})
        try:
            return self._client.request(
                method,
                path,
                serialize=False,
                _request_timeout=self._timeout,
                **options,
            )
        except ApiException as error:
            # Not from it: its text holds headers.
            raise cluster_error(int(error.status or 0), error.body, what) from None
        except (HTTPError, OSError) as error:
            raise unreachable(self.host, error) from error

    def _read(self, response: Any, what: str) -> dict[str, Any]:
        try:
            read = json.loads(response.data)
        except ValueError:
            read = None
        if not isinstance(read, dict):
            message = (
                f"Could not {what}: {self.host} answers, but not as an API server does. Expected a "
                "cluster there: a proxy or a page to log in may be in between."
            )
            raise ClusterError(message)
        return read


def object_path(api_version: str, kind: str, namespace: str, name: str = "") -> str:
    """Write the path of an object, or of all of a kind.

    Examples
    --------
    >>> object_path("apps/v1", "Deployment", "default", "churn")
    '/apis/apps/v1/namespaces/default/deployments/churn'
    """
    root = "apis" if "/" in api_version else "api"
    return f"/{root}/{api_version}/namespaces/{namespace}/{_PLURALS[kind]}/{name}".rstrip("/")


def _configured(kubeconfig: str | None, context: str | None) -> Any:
    import yaml  # noqa: PLC0415 -- see above
    from kubernetes import client  # noqa: PLC0415 -- see above
    from kubernetes import config as kubernetes_config  # noqa: PLC0415 -- see above

    config: Any = kubernetes_config  # its loaders have no types

    configuration = client.Configuration()
    configuration.retries = False
    is_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and kubeconfig is None and context is None
    # The client reads KUBECONFIG when it is imported: what a cell sets afterwards would not count.
    kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or None
    try:
        if is_in_pod and kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(kubeconfig, context, client_configuration=configuration)
    except (kubernetes_config.ConfigException, *_MALFORMED, yaml.YAMLError) as error:
        where = "the usual place" if kubeconfig is None else repr(kubeconfig)
        message = (
            f"No cluster is configured in {where}: {_told(error)}. Expected a kubeconfig file with "
            f"the context. {HOW_TO_GET_A_CLUSTER}"
        )
        raise ClusterError(message) from error
    return client.ApiClient(configuration)


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror or type(error).__name__)
    # A parser tells the lines around the fault, and a kubeconfig holds credentials.
    if type(error).__name__ != "ConfigException":
        return type(error).__name__
    return visible(shortened(str(error).partition("\n")[0], 160)).rstrip(".")
