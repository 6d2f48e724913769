"""What a cluster refuses, in words that say what to do."""

from __future__ import annotations

import json
from typing import Any

from nbdeploy.display.html import visible
from nbdeploy.display.table import shortened
from nbdeploy.exceptions import ClusterError

__all__ = ["HOW_TO_GET_A_CLUSTER", "cluster_error", "unreachable"]

#: For those who have none.
HOW_TO_GET_A_CLUSTER = (
    "A small cluster on this machine takes one command with Docker: `kind create cluster`, or "
    "`minikube start`; then run this cell again. Manifests render, check and save without one."
)

_BAD, _UNAUTHORIZED, _FORBIDDEN, _MISSING, _CONFLICT, _INVALID = 400, 401, 403, 404, 409, 422
_MOST = 500


def cluster_error(status: int, body: object, what: str) -> ClusterError:
    """Say what an answer of the API server means.

    Parameters
    ----------
    status
        Of the HTTP answer.
    body
        Its body, a ``Status`` of Kubernetes as a rule.
    what
        What was tried: ``"apply Deployment/churn in 'default'"``.
    """
    answer = _read(body)
    said = visible(shortened(str(answer.get("message") or f"HTTP status {status}"), _MOST))
    message = f"Could not {what}: {said.rstrip('.')}. {_advice(status, answer)}"
    return ClusterError(message, status=status)


def unreachable(host: str, error: BaseException) -> ClusterError:
    """Say that nobody answers."""
    why = visible(shortened(f"{type(error).__name__}: {error}", 200))
    return ClusterError(
        f"No cluster answers at {host} ({why}). Expected a running API server: see `kubectl "
        f"cluster-info`, a VPN, or the context. {HOW_TO_GET_A_CLUSTER}"
    )


def _advice(status: int, answer: dict[str, Any]) -> str:
    said = str(answer.get("message", ""))
    if status == _CONFLICT and _causes(answer):
        fields = "; ".join(_causes(answer))
        return (
            f"Somebody else set these fields: {fields}. Leave them out, agree with them, or take "
            "them over with force=True."
        )
    if "exceeded quota" in said:
        return (
            "The namespace has a quota: ask for less (Resources, replicas), delete what is not "
            "needed, or see `kubectl describe quota`."
        )
    if "could not find the requested resource" in said:
        return (
            "The cluster does not know this kind of object. A ServiceMonitor needs Prometheus' "
            "operator: install it, or leave it out with service_monitor=False."
        )
    if "namespaces" in said and status == _MISSING:
        return "Make the namespace first: `kubectl create namespace NAME`."
    return {
        _BAD: "A value has a form that the cluster does not read.",
        _UNAUTHORIZED: "Log in to the cluster again: the credentials of the kubeconfig are not "
        "valid, or not any more.",
        _FORBIDDEN: "Ask who owns the cluster for the right (`kubectl auth can-i --list`), or use "
        "another namespace= or context=. Pod Security may have refused the pod, too.",
        _MISSING: "See `kubectl get deployments` for what there is, and the namespace.",
        _CONFLICT: "It was changed at the same time: run the cell again.",
        _INVALID: "The value named above cannot be used there. An unchangeable field, such as the "
        "selector, needs delete() first.",
    }.get(status, "Try again in a moment; if it stays, see the log of the API server.")


def _causes(answer: dict[str, Any]) -> list[str]:
    details = answer.get("details") or {}
    causes = details.get("causes") or []
    return [
        visible(f"{cause.get('field')} ({cause.get('message')})")
        for cause in causes
        if isinstance(cause, dict) and cause.get("field")
    ]


def _read(body: object) -> dict[str, Any]:
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    if not isinstance(body, str):
        return {}
    try:
        read = json.loads(body)
    except ValueError:
        return {"message": body[:_MOST]}
    return read if isinstance(read, dict) else {}
