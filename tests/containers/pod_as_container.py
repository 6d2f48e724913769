"""Run the pod of a manifest as a container: what a node does with it, in the words of Docker.

Whatever stands in the pod is either translated here or named as a matter of the cluster; a field
that is neither is an error, so that none is passed over in silence.
"""

from __future__ import annotations

import re
import time

import httpx2

# Who runs where, who may pull, what is mounted on its own: no container knows.
OF_THE_CLUSTER = {
    "affinity", "automountServiceAccountToken", "enableServiceLinks", "imagePullSecrets",
    "serviceAccountName", "topologySpreadConstraints",
}  # fmt: skip
PROBES = {"startupProbe", "readinessProbe", "livenessProbe"}
_UNITS = {"Ki": "k", "Mi": "m", "Gi": "g"}


def pod_of(objects):
    """Find the pod of a Deployment among objects."""
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]


def run_arguments(pod, secrets):
    """Translate a pod of one container; secrets go by the environment, which is returned too."""
    rest = {name: value for name, value in pod.items() if name not in OF_THE_CLUSTER}
    (container,) = rest.pop("containers")
    volumes = {each["name"]: each["emptyDir"] for each in rest.pop("volumes")}
    options = [f"--stop-timeout={rest.pop('terminationGracePeriodSeconds')}"]
    options += _security_of_the_pod(rest.pop("securityContext"))
    assert not rest, f"not translated: {rest}"

    container = {name: container[name] for name in container if name not in PROBES}
    del container["name"], container["imagePullPolicy"], container["lifecycle"]
    image = container.pop("image")
    (port,) = container.pop("ports")
    options.append(f"--publish=127.0.0.1::{port['containerPort']}")
    variables, environment = _environment(container.pop("env"), secrets)
    options += variables + _limits(container.pop("resources")["limits"])
    options += _security(container.pop("securityContext"))
    options += [_mounted(each, volumes) for each in container.pop("volumeMounts")]
    words = [*container.pop("command", []), *container.pop("args", [])]
    assert not container, f"not translated: {container}"
    return [*options, image, *words], environment


def _security_of_the_pod(context):
    context = dict(context)
    assert context.pop("runAsNonRoot") is True
    user, group = context.pop("runAsUser"), context.pop("runAsGroup")
    assert user != 0
    # Docker has a profile of seccomp unless it is told otherwise: that is "RuntimeDefault".
    assert context.pop("seccompProfile") == {"type": "RuntimeDefault"}
    options = [f"--user={user}:{group}", f"--group-add={context.pop('fsGroup')}"]
    assert not context, f"not translated: {context}"
    return options


def _security(context):
    context = dict(context)
    assert context.pop("allowPrivilegeEscalation") is False
    assert context.pop("readOnlyRootFilesystem") is True
    capabilities = context.pop("capabilities")
    assert not context, f"not translated: {context}"
    assert set(capabilities) == {"drop"}
    dropped = [f"--cap-drop={each}" for each in capabilities["drop"]]
    return ["--security-opt=no-new-privileges", "--read-only", *dropped]


def _environment(entries, secrets):
    options, environment = [], {}
    for entry in entries:
        if "value" in entry:
            options.append(f"--env={entry['name']}={entry['value']}")
        else:
            source = entry["valueFrom"]["secretKeyRef"]
            options.append(f"--env={entry['name']}")
            environment[entry["name"]] = secrets[source["name"]][source["key"]]
    return options, environment


def _limits(limits):
    limits = dict(limits)
    limits.pop("ephemeral-storage")  # what a node measures now and then; Docker does not
    cpu = limits.pop("cpu")
    cpus = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    memory = _bytes(limits.pop("memory"))
    assert not limits, f"not translated: {limits}"
    # No swap beyond it, as on a node.
    return [f"--cpus={cpus:g}", f"--memory={memory}", f"--memory-swap={memory}"]


def _mounted(mount, volumes):
    return f"--tmpfs={mount['mountPath']}:size={_bytes(volumes[mount['name']]['sizeLimit'])}"


def _bytes(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", quantity).groups()
    return number + _UNITS[unit]


class Kubelet:
    """Ask the probes of a pod as a node asks them, and end it as a node ends it."""

    def __init__(self, pod, url, sleep=time.sleep):
        (self._container,) = pod["containers"]
        self._grace = pod["terminationGracePeriodSeconds"]
        self._url = url
        self._sleep = sleep

    def passes(self, probe):
        """Ask once."""
        told = self._container[probe]
        asked = told["httpGet"]
        assert asked["port"] in {each["name"] for each in self._container["ports"]}
        try:
            answer = httpx2.get(self._url + asked["path"], timeout=told["timeoutSeconds"])
        except httpx2.TransportError:
            return False
        return 200 <= answer.status_code < 400

    def starts(self):
        """Ask until it has started, and then until it is ready; tell whether it came to that."""
        # A node kills it after so many failures; a rollout gives up after progressDeadlineSeconds.
        tries = self._container["startupProbe"]["failureThreshold"]
        return self._until("startupProbe", tries) and self._until("readinessProbe", tries)

    def _until(self, probe, tries):
        for _ in range(tries):
            if self.passes(probe):
                return True
            self._sleep(self._container[probe]["periodSeconds"])
        return False

    def end(self, stop):
        """Wait as ``preStop`` says, then stop with the seconds that are left."""
        seconds = self._container["lifecycle"]["preStop"]["sleep"]["seconds"]
        self._sleep(seconds)
        stop(self._grace - seconds)
