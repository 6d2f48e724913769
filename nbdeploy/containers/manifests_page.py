"""How the objects of a cluster look in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdeploy.display.html import element, escape, fragment

__all__ = ["EXPLAINED", "manifests_html"]

#: What each kind of object is for, in one line.
EXPLAINED = {
    "ServiceAccount": "who the pods are in the cluster: nobody with any right",
    "Secret": "the token that callers must send; only the pods read it",
    "Service": "one address for all pods",
    "Deployment": "keeps the pods running, and changes them one by one without losing a request",
    "HorizontalPodAutoscaler": "as many pods as the load needs, by the policy",
    "PodDisruptionBudget": "maintenance of nodes takes one pod at a time",
    "NetworkPolicy": "nothing reaches a pod but its port",
    "Ingress": "a DNS name for callers outside of the cluster",
    "ServiceMonitor": "tells Prometheus' operator to read /metrics",
}


def manifests_html(
    name: str, image: str, objects: Sequence[dict[str, Any]], notes: Sequence[str]
) -> str:
    """Draw objects, each closed, with one line on what it is for.

    Parameters
    ----------
    name, image
        What runs.
    objects
        As dicts, without secrets.
    notes
        Sentences below them.
    """
    import yaml  # noqa: PLC0415 -- only who shows YAML

    head = element(
        "div",
        element("strong", element("bdi", name), class_="nbd-name"),
        " ",
        element("span", element("bdi", image), class_="nbd-quiet"),
        class_="nbd-head",
    )
    shown = (
        element(
            "details",
            element(
                "summary",
                element("strong", each["kind"]),
                element("span", f" {EXPLAINED[each['kind']]}", class_="nbd-quiet"),
            ),
            element(
                "pre",
                escape(yaml.safe_dump(each, sort_keys=False, allow_unicode=True), keep="\n"),
                class_="nbd-copy",
            ),
        )
        for each in objects
    )
    told = (element("p", note, class_="nbd-note") for note in notes)
    return fragment(head, *shown, *told, class_="nbd-card")
