"""As much of the Kubernetes API as the contract needs: objects, server-side apply, rollouts.

Leaf paths have owners, as managedFields tell them. A Deployment's pods come at once; those of an
image whose name holds "missing" cannot be pulled.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "contract-token"


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaves(child, (*path, f"f:{key}"))
    else:
        yield path, value


def put(tree, path, value):
    *parents, last = (step[2:] for step in path)
    for step in parents:
        tree = tree.setdefault(step, {})
    tree[last] = copy.deepcopy(value)


def drop(tree, path):
    *parents, last = (step[2:] for step in path)
    for step in parents:
        tree = tree.get(step, {})
    tree.pop(last, None)


def nested(paths):
    tree = {}
    for path in paths:
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


class Refusal(Exception):
    def __init__(self, code, message, causes=()):
        super().__init__(message)
        self.body = {"kind": "Status", "code": code, "message": message}
        if causes:
            self.body["details"] = {"causes": list(causes)}


class Cluster:
    def __init__(self):
        self.objects = {}
        self.owners = {}
        self.writes = 0
        self.lock = threading.RLock()
        self.refusal = None

    def patch(self, path, body, manager, *, force, dry_run):
        old = self.objects.get(path, {})
        fields = {
            leaf: value
            for leaf, value in leaves({**body, "metadata": dict(body["metadata"])})
            if leaf[:1] == ("f:spec",) or leaf[1:2] in (("f:labels",), ("f:annotations",))
            or leaf[0] in ("f:data", "f:type")
        }  # fmt: skip
        owners = self._taken(path, fields, dict(leaves(old)), manager, force=force)
        new = copy.deepcopy(old) or {"apiVersion": body["apiVersion"], "kind": body["kind"]}
        new.setdefault("metadata", {})["name"] = body["metadata"]["name"]
        for leaf in owners.get(manager, set()) - set(fields):
            if not any(leaf in held for who, held in owners.items() if who != manager):
                drop(new, leaf)
        for leaf, value in fields.items():
            put(new, leaf, value)
        owners[manager] = set(fields)
        if body["kind"] == "Deployment":
            new["spec"].setdefault("replicas", 1)
        changed = dict(leaves(new.get("spec"))) != dict(leaves(old.get("spec")))
        if dry_run:
            return new
        self.owners[path] = owners
        if changed or not old or self._with_owners(new, owners) != old:
            self.writes += 1
            meta = new["metadata"]
            meta["resourceVersion"] = str(self.writes)
            meta.setdefault("uid", f"uid-{self.writes}")
            meta["generation"] = meta.get("generation", 0) + bool(changed)
        self.objects[path] = self._with_owners(new, owners)
        if new["kind"] == "Deployment":
            self.roll(path)
        return self.objects[path]

    def _taken(self, path, fields, before, manager, *, force):
        owners = copy.deepcopy(self.owners.get(path, {}))
        causes = []
        for leaf, value in fields.items():
            others = [who for who, held in owners.items() if who != manager and leaf in held]
            if not others or before.get(leaf) == value:
                continue
            where = "." + ".".join(step[2:] for step in leaf)
            causes.append({"field": where, "message": f'conflict with "{others[0]}"'})
            for who in others:
                owners[who].discard(leaf)
        if causes and not force:
            raise Refusal(409, "Apply failed with conflicts", causes)
        return owners

    @staticmethod
    def _with_owners(made, owners):
        made["metadata"]["managedFields"] = [
            {"manager": who, "operation": "Apply" if who == "nbdeploy" else "Update",
             "fieldsV1": nested(sorted(held))}
            for who, held in sorted(owners.items())
        ]  # fmt: skip
        return made

    def roll(self, path):
        made = self.objects[path]
        spec, meta = made["spec"], made["metadata"]
        root = path.rpartition("/deployments/")[0]
        template = spec["template"]
        digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        sets = {
            key: each for key, each in self.objects.items()
            if each["kind"] == "ReplicaSet" and each["metadata"]["owner"] == path
        }  # fmt: skip
        key = f"{root}/replicasets/{meta['name']}-{digest}"
        newest = max(
            (int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
             for each in sets.values()), default=0,
        )  # fmt: skip
        annotations = meta.setdefault("annotations", {})
        if annotations.get("rolled") != digest:
            annotations["rolled"] = digest
            revision = str(newest + 1)
            labelled = copy.deepcopy(template)
            labelled["metadata"]["labels"]["pod-template-hash"] = digest
            self.objects[key] = {
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{digest}", "owner": path,
                    "labels": labelled["metadata"]["labels"],
                    "annotations": {"deployment.kubernetes.io/revision": revision},
                    "ownerReferences": [{"uid": meta["uid"]}],
                },
                "spec": {"template": labelled},
            }  # fmt: skip
            annotations["deployment.kubernetes.io/revision"] = revision
        image = template["spec"]["containers"][0]["image"]
        is_bad, wanted = "missing" in image, spec["replicas"]
        old = made.get("status", {}).get("availableReplicas", 0)
        made["status"] = {
            "observedGeneration": meta["generation"],
            "replicas": old + 1 if is_bad else wanted,
            "updatedReplicas": 1 if is_bad else wanted,
            "availableReplicas": old if is_bad else wanted,
        }
        state = {"waiting": {"reason": "ImagePullBackOff"}} if is_bad else {"running": {}}
        pod = f"{root.replace('/apis/apps/v1', '/api/v1')}/pods/{meta['name']}"
        self.objects[pod] = {
            "kind": "Pod",
            "metadata": {"name": meta["name"], "owner": path,
                         "labels": self.objects[key]["metadata"]["labels"]},
            "status": {"containerStatuses": [{"image": image, "state": state}]},
        }  # fmt: skip

    def listed(self, path, selector):
        wanted = dict(pair.split("=") for pair in selector.split(",")) if selector else {}
        return [
            each for key, each in self.objects.items()
            if key.rpartition("/")[0] == path
            and wanted.items() <= each["metadata"].get("labels", {}).items()
        ]  # fmt: skip

    def delete(self, path):
        del self.objects[path]
        self.owners.pop(path, None)
        for key in [k for k, v in self.objects.items() if v["metadata"].get("owner") == path]:
            del self.objects[key]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            with self.server.cluster.lock:
                code, text = 200, json.dumps(self._found(body))
        except Refusal as refusal:
            code, text = refusal.body["code"], json.dumps(refusal.body)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _found(self, body):
        cluster = self.server.cluster
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        path = address.path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized")
        if cluster.refusal is not None:
            raise cluster.refusal
        if self.command == "GET" and path.rsplit("/", 2)[0].endswith("/namespaces"):
            return {"items": cluster.listed(path, query.get("labelSelector"))}
        if self.command == "PATCH":
            return cluster.patch(
                path,
                json.loads(body),
                query["fieldManager"],
                force=query.get("force", "").lower() == "true",
                dry_run=query.get("dryRun") == "All",
            )
        if path not in cluster.objects:
            raise Refusal(404, f'"{path.rpartition("/")[2]}" not found')
        if self.command == "DELETE":
            cluster.delete(path)
            return {"kind": "Status", "status": "Success"}
        return cluster.objects[path]

    do_GET = do_PATCH = do_DELETE = _answer


class ContractServer:
    def __init__(self):
        self.cluster = Cluster()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.cluster = self.cluster
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
