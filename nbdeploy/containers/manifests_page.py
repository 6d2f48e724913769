"""How the objects of a cluster look in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdeploy.display.code_view import highlighted
from nbdeploy.display.html import Html, element, fragment, style
from nbdeploy.display.table import Table

__all__ = ["CARRIED", "EXPLAINED", "manifests_html"]

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

#: What becomes of the verbs of a notebook's service.
CARRIED = (
    ("predict, every protocol, the schema", "the same: the image holds the same service"),
    ("limits: timeout, queue, batches", "the same: they are variables of the image"),
    ("the token", "a Secret, which the pods read when they start"),
    ("stats, monitor, dashboard", "each pod counts for itself; the handle asks all and adds up"),
    ("scale", "pods instead of processes"),
    ("autoscale", "an HPA of the same policy"),
    ("rollout, rollback", "another image, pod by pod, and back"),
    ("split, shadow, compare", "no: every pod serves the one version of its image"),
    ("errors", "no: tracebacks stay in the pods, see logs()"),
)
_SHORT = {"HorizontalPodAutoscaler": "HPA", "PodDisruptionBudget": "PDB"}


def manifests_html(
    name: str, image: str, objects: Sequence[dict[str, Any]], notes: Sequence[str]
) -> str:
    """Draw objects as tabs, each with one line on what it is for and its YAML.

    Parameters
    ----------
    name, image
        What runs.
    objects
        As dicts, without secrets.
    notes
        Sentences in the first tab.
    """
    head = element(
        "div",
        element("strong", element("bdi", name), class_="nbd-name"),
        " ",
        element("span", element("bdi", image), class_="nbd-quiet"),
        class_="nbd-head",
    )
    tabs = [_tab("Overview", _overview(objects, notes), is_open=True)]
    tabs += [_tab(_SHORT.get(each["kind"], each["kind"]), _shown(each)) for each in objects]
    # The buttons of one form are one group, so that two outputs do not close each other's tabs;
    # without style, or where a front end takes the buttons away, everything stands in a row.
    form = element("form", *tabs, class_="nbd-tabs")
    sheets = style("code_view.css"), style("tabs.css")
    return fragment(*sheets, head, form, class_="nbd-card nbd-file")


def _tab(title: str, content: Html, *, is_open: bool = False) -> Html:
    checked = Html(' checked=""' if is_open else "")
    button = Html(f'<input type="radio" name="tab"{checked}>')
    return Html(element("label", button, element("span", title)) + element("section", content))


def _overview(objects: Sequence[dict[str, Any]], notes: Sequence[str]) -> Html:
    made = [(each["kind"], EXPLAINED[each["kind"]]) for each in objects]
    parts = (
        Table(("object", "what it is for"), made).element(),
        element("p", "What carries over from the service in the notebook:", class_="nbd-label"),
        Table(("in the notebook", "in the cluster"), CARRIED).element(),
        *(element("p", note, class_="nbd-note") for note in notes),
    )
    return Html("".join(parts))


def _shown(made: dict[str, Any]) -> Html:
    import yaml  # noqa: PLC0415 -- only who shows YAML

    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True)
    explained = element("p", EXPLAINED[made["kind"]].capitalize() + ".")
    return Html(explained + element("pre", highlighted(text, "objects.yaml")))
