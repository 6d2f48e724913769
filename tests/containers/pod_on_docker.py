"""The pod of a Deployment as arguments of ``docker run``: what a kubelet gives the container."""

from __future__ import annotations

import re

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9, "": 1}


def pod_of(objects):
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    return deployment["spec"]["template"]["spec"]


def number(quantity):
    found = re.fullmatch(r"([0-9.]+)(m|[KMGT]i|[kMG])?", quantity)
    unit = found[2] or ""
    return float(found[1]) / 1000 if unit == "m" else float(found[1]) * _UNITS[unit]


def docker_run_arguments(objects, *, publish=None):
    """Give options and image; the variables that come of a Secret are passed on by their name.

    The caller sets these, see `secret_variables`, in the environment of the ``docker`` command.
    """
    pod = pod_of(objects)
    (container,) = pod["containers"]
    security = {**pod["securityContext"], **container["securityContext"]}
    limits = container["resources"]["limits"]
    arguments = [
        "--user", f"{security['runAsUser']}:{security['runAsGroup']}",
        "--memory", str(int(number(limits["memory"]))),
        "--memory-swap", str(int(number(limits["memory"]))),
        "--cpus", f"{number(limits['cpu']):g}",
        "--stop-timeout", str(pod["terminationGracePeriodSeconds"]),
    ]  # fmt: skip
    if security.get("readOnlyRootFilesystem"):
        arguments.append("--read-only")
    if security.get("allowPrivilegeEscalation") is False:
        arguments += ["--security-opt", "no-new-privileges"]
    for capability in security.get("capabilities", {}).get("drop", ()):
        arguments += ["--cap-drop", capability]
    sizes = {each["name"]: each["emptyDir"]["sizeLimit"] for each in pod.get("volumes", ())}
    for mount in container.get("volumeMounts", ()):
        size = int(number(sizes[mount["name"]]))
        arguments += ["--tmpfs", f"{mount['mountPath']}:size={size},mode=1777"]
    for variable in container["env"]:
        has_value = "value" in variable
        arguments += [
            "--env",
            "{name}={value}".format(**variable) if has_value else variable["name"],
        ]
    if publish is not None:
        arguments += ["--publish", f"{publish}:{container['ports'][0]['containerPort']}"]
    return [*arguments, container["image"], *container.get("args", ())]


def secret_variables(objects):
    """Give the variables that come of the Secret of the set, with their values."""
    import base64

    secrets = {
        each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "Secret"
    }
    (container,) = pod_of(objects)["containers"]
    found = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {}).get("secretKeyRef")
        if source:
            found[variable["name"]] = base64.b64decode(
                secrets[source["name"]][source["key"]]
            ).decode()
    return found


def probes(objects):
    """Give the path and the port that each probe asks."""
    (container,) = pod_of(objects)["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    return {
        name: (container[name]["httpGet"]["path"], ports[container[name]["httpGet"]["port"]])
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
