"""The state of a cluster as the contract needs it: server-side apply, rollouts, an HPA.

Fields have owners, as managedFields tell them. A Deployment's pods come at once; those of an image
whose name holds "missing" cannot be pulled, and with a ``pace`` they come one by one.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading

import kubernetes_validate

VERSION = "1.36"
KEYS = {
    "containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",),
    "volumeMounts": ("mountPath",), "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}  # fmt: skip
# One value for the API, however much is in it.
ATOMIC = {"selector", "labelSelector", "podSelector", "scaleTargetRef", "secretKeyRef"}
POD_DEFAULTS = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default"}
DEFAULTS = {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
VALID = set()  # what the validator read already; it takes a tenth of a second
REVISION = "deployment.kubernetes.io/revision"


class Refusal(Exception):
    def __init__(self, code, message, causes=()):
        super().__init__(message)
        self.body = {"kind": "Status", "code": code, "message": message}
        if causes:
            self.body["details"] = {"causes": list(causes)}


def keys_of(name, items):
    keys = KEYS.get(name)
    if name == "ports":
        keys = ("containerPort" if "containerPort" in items[0] else "port", "protocol")
    return (
        keys if keys and all(isinstance(each, dict) and keys[0] in each for each in items) else ()
    )


def flat(value, path=()):
    """Give the fields of an object by their paths, as fieldsV1 writes them."""
    name = path[-1][2:] if path else ""
    if isinstance(value, dict) and value and name not in ATOMIC:
        found = {}
        for key, child in value.items():
            found |= flat(child, (*path, f"f:{key}"))
        return found
    if isinstance(value, list) and value and (keys := keys_of(name, value)):
        found = {}
        for item in value:
            key = {each: item[each] for each in keys if each in item}
            found |= flat(item, (*path, f"k:{json.dumps(key, separators=(',', ':'))}"))
        return found
    return {path: value}


def unflat(fields):
    tree = {}
    for path, value in fields.items():
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = copy.deepcopy(value)
    return _listed(tree)


def _listed(node):
    if not isinstance(node, dict) or not node:
        return node
    if all(key[:2] == "k:" for key in node):
        return [_listed(each) for each in node.values()]
    if all(key[:2] == "f:" for key in node):
        return {key[2:]: _listed(each) for key, each in node.items()}
    return node


def nested(paths):
    tree = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
            if step[:2] == "k:":
                node.setdefault(".", {})
    return tree


def is_managed(path):
    if path[0] == "f:metadata":
        return path[1:2] in (("f:labels",), ("f:annotations",))
    return path[0] not in ("f:apiVersion", "f:kind", "f:status")


class Cluster:
    def __init__(self):
        self.objects, self.owners, self.logs, self.backends = {}, {}, {}, {}
        self.namespaces = {"default"}
        self.lock = threading.RLock()
        self.writes = 0
        self.refusal = None
        self.has_monitoring = True
        self.pace = None
        self.requests = []

    def apply(self, path, body, manager, *, force, dry_run):
        """Apply on the server's side."""
        who = (manager, "Apply", None)
        fields = {key: each for key, each in flat(body).items() if is_managed(key)}
        old = self.objects.get(path)
        before = flat(old) if old else {}
        # To apply {} where there is something takes nothing away.
        fields = {leaf: each for leaf, each in fields.items() if each != {} or leaf in before}
        owners = copy.deepcopy(self.owners.get(path, {}))
        self._resolve(before, fields, owners, who, force=force)
        kept = dict(before)
        for leaf in owners.get(who, set()) - set(fields):
            if not any(leaf in held for other, held in owners.items() if other != who):
                kept.pop(leaf, None)
        owners[who] = set(fields)
        made = unflat(kept | fields)
        made |= {"apiVersion": body["apiVersion"], "kind": body["kind"]}
        made.setdefault("metadata", {}).update(
            {key: body["metadata"][key] for key in ("name", "namespace") if key in body["metadata"]}
        )
        self._check(made)
        return self._store(path, made, owners, dry_run=dry_run)

    def update(self, path, leaf, value, manager, subresource=None):
        """Set a field as another client does: it takes the field."""
        who = (manager, "Update", subresource)
        owners = copy.deepcopy(self.owners[path])
        for held in owners.values():
            held.discard(leaf)
        owners.setdefault(who, set()).add(leaf)
        self._store(path, unflat(flat(self.objects[path]) | {leaf: value}), owners)

    def _resolve(self, before, fields, owners, who, *, force):
        causes = []
        for leaf, value in fields.items():
            others = [each for each, held in owners.items() if each != who and leaf in held]
            if not others or before.get(leaf) == value:
                continue
            where = "." + ".".join(step[2:] for step in leaf)
            causes.append({"field": where, "message": f'conflict with "{others[0][0]}"'})
            for each in others:
                owners[each].discard(leaf)
        if causes and not force:
            raise Refusal(409, "Apply failed with conflicts", causes)

    def _check(self, made):
        known = stated(made)
        known["metadata"].pop("namespace", None)
        text = json.dumps(known, sort_keys=True)
        try:
            if text not in VALID:
                kubernetes_validate.validate(json.loads(text), VERSION, strict=True)
                VALID.add(text)
        except kubernetes_validate.ValidationError as error:
            raise Refusal(400, f".{'.'.join(map(str, error.path))}: {error.message}") from error
        except kubernetes_validate.SchemaNotFoundError:
            pass  # of a custom resource
        if made["kind"] == "Deployment":
            labels = made["spec"]["template"]["metadata"]["labels"]
            if not made["spec"]["selector"]["matchLabels"].items() <= labels.items():
                raise Refusal(422, "spec.template.metadata.labels: `selector` does not match")

    def _store(self, path, made, owners, *, dry_run=False):
        old = self.objects.get(path, {})
        if made["kind"] == "Deployment":
            made["spec"] = {**DEFAULTS, "replicas": 1, **made["spec"]}
            template = made["spec"]["template"]
            template["spec"] = {**POD_DEFAULTS, **template["spec"]}
        changed = made.get("spec") != old.get("spec")
        owners = {who: held for who, held in owners.items() if held}
        made["metadata"]["managedFields"] = [
            {"manager": name, "operation": operation, "fieldsType": "FieldsV1",
             "fieldsV1": nested(held)} | ({"subresource": sub} if sub else {})
            for (name, operation, sub), held in owners.items()
        ]  # fmt: skip
        if dry_run:
            return made
        self.owners[path] = owners
        if made != old:
            self.writes += 1
            meta = made["metadata"]
            meta["resourceVersion"] = str(self.writes)
            meta.setdefault("uid", f"uid-{self.writes}")
            meta["generation"] = meta.get("generation", 0) + bool(changed)
        self.objects[path] = made
        if made["kind"] in ("Deployment", "HorizontalPodAutoscaler"):
            self._control(path)
        return self.objects[path]

    def _control(self, path):
        """Do at once what the controllers of a cluster do a moment later."""
        namespace = path.split("/namespaces/")[1].split("/")[0]
        root = f"/namespaces/{namespace}"
        for each in list(self.objects.values()):
            if each["kind"] == "HorizontalPodAutoscaler" and root in self._path_of(each):
                name = each["spec"]["scaleTargetRef"]["name"]
                target = f"/apis/apps/v1{root}/deployments/{name}"
                least = each["spec"]["minReplicas"]
                if target in self.objects and self.objects[target]["spec"]["replicas"] < least:
                    leaf = ("f:spec", "f:replicas")
                    self.update(target, leaf, least, "kube-controller-manager", "scale")
                    return
        if path in self.objects and self.objects[path]["kind"] == "Deployment":
            self.roll(path)

    def _path_of(self, made):
        return next(path for path, each in self.objects.items() if each is made)

    def roll(self, path):
        made = self.objects[path]
        spec, meta = made["spec"], made["metadata"]
        root = path.rpartition("/deployments/")[0]
        template = copy.deepcopy(spec["template"])
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        key = f"{root}/replicasets/{meta['name']}-{digest}"
        mine = [each for each in self.objects.values() if owner_of(each) == meta["uid"]]
        newest = max((revision_of(each) for each in mine), default=0)
        if key not in self.objects or revision_of(self.objects[key]) < newest:
            template["metadata"]["labels"]["pod-template-hash"] = digest
            self.objects[key] = {
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{digest}", "labels": template["metadata"]["labels"],
                    "annotations": {REVISION: str(newest + 1)},
                    "creationTimestamp": f"2026-11-26T12:00:{newest:02}Z",
                    "ownerReferences": [{"uid": meta["uid"]}],
                },
                "spec": {"template": template},
            }  # fmt: skip
        meta.setdefault("annotations", {})[REVISION] = str(revision_of(self.objects[key]))
        self._pods(path, self.objects[key])

    def _pods(self, path, newest):
        made = self.objects[path]
        spec, meta, template = made["spec"], made["metadata"], newest["spec"]["template"]
        pods = path.rpartition("/deployments/")[0].replace("/apis/apps/v1", "/api/v1") + "/pods/"
        image, wanted = template["spec"]["containers"][0]["image"], spec["replicas"]
        name = newest["metadata"]["name"]
        mine = {
            key: each for key, each in self.objects.items()
            if each["kind"] == "Pod" and each["owner"] == path
        }  # fmt: skip
        is_bad = "missing" in image
        old = [key for key, each in mine.items() if not each["metadata"]["name"].startswith(name)]
        new = len(mine) - len(old)
        count = 1 if is_bad else wanted if self.pace is None else min(new + 1, wanted)
        self.pace = self.pace and self.pace - 1
        for key in set(mine) - set(old):
            del self.objects[key]
        for number in range(count):
            self.objects[f"{pods}{name}-{number}"] = pod(f"{name}-{number}", path, template, is_bad)
        if not is_bad:
            for key in old[: len(old) - max(wanted - count, 0)]:
                del self.objects[key]
        mine = [each for each in self.objects.values() if each.get("owner") == path]
        for each in self.objects.values():
            if owner_of(each) == meta["uid"]:
                same = [
                    one
                    for one in mine
                    if one["metadata"]["name"].startswith(each["metadata"]["name"])
                ]
                each["status"] = {"replicas": len(same)}
        made["status"] = {
            "observedGeneration": meta["generation"],
            "replicas": len(mine), "updatedReplicas": count,
            "availableReplicas": sum(each["ready"] for each in mine),
        }  # fmt: skip

    def listed(self, path, selector):
        wanted = dict(pair.split("=") for pair in selector.split(",")) if selector else {}
        return [
            each for key, each in self.objects.items()
            if key.rpartition("/")[0] == path
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]  # fmt: skip

    def delete(self, path, uid=None):
        made = self.objects[path]
        if uid not in (None, made["metadata"].get("uid")):
            raise Refusal(409, "Precondition failed: UID in precondition is another one")
        del self.objects[path]
        self.owners.pop(path, None)
        for key, each in list(self.objects.items()):
            if each.get("owner") == path or (
                made["metadata"].get("uid") and owner_of(each) == made["metadata"]["uid"]
            ):
                del self.objects[key]

    def delete_namespace(self, name):
        self.namespaces.discard(name)
        for path in [each for each in self.objects if f"/namespaces/{name}/" in each]:
            self.objects.pop(path)
            self.owners.pop(path, None)


def pod(name, owner, template, is_bad):
    image = template["spec"]["containers"][0]["image"]
    state = {"waiting": {"reason": "ImagePullBackOff"}} if is_bad else {"running": {}}
    container = template["spec"]["containers"][0]["name"]
    return {
        "apiVersion": "v1", "kind": "Pod", "owner": owner, "ready": not is_bad,
        "metadata": {"name": name, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
        "status": {
            "conditions": [{"type": "Ready", "status": "False" if is_bad else "True"}],
            "containerStatuses": [{"name": container, "image": image, "state": state}],
        },
    }  # fmt: skip


def stated(made):
    metadata = {key: each for key, each in made["metadata"].items() if key != "managedFields"}
    return {key: each for key, each in made.items() if key != "status"} | {"metadata": metadata}


def owner_of(made):
    return next((each["uid"] for each in made["metadata"].get("ownerReferences", ())), None)


def revision_of(made):
    return int(made["metadata"].get("annotations", {}).get(REVISION, 0))
