"""The HTTP of an API server in front of a `Cluster`: objects, logs, tunnels, discovery, watch."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SPEC = importlib.util.spec_from_file_location(
    "contract_cluster", Path(__file__).with_name("contract_cluster.py")
)
contract_cluster = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(contract_cluster)
Cluster, Refusal = contract_cluster.Cluster, contract_cluster.Refusal

TOKEN = "contract-token"
_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NAMESPACED = re.compile(r"/namespaces/([^/]+)/")
_KINDS = {
    "v1": {"pods": "Pod", "services": "Service", "secrets": "Secret",
           "serviceaccounts": "ServiceAccount"},
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    @property
    def cluster(self):
        return self.server.cluster

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        try:
            with self.cluster.lock:
                self.cluster.requests.append((self.command, address.path))
                self._allow()
                if address.path.endswith("/portforward"):
                    backend = self._backend(address.path)
                elif address.path.endswith("/log"):
                    return self._send(200, self._log(address.path, query), "text/plain")
                elif query.get("watch") != "true":
                    document = self._found(address.path, query, json.loads(body or b"null"))
                    return self._send(200, json.dumps(document))
        except Refusal as refusal:
            return self._send(refusal.body["code"], json.dumps(refusal.body))
        if address.path.endswith("/portforward"):
            return self._tunnel(backend, int(query["ports"]))
        return self._watch(address.path, query)

    def _allow(self):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized")
        if self.cluster.refusal is not None:
            raise self.cluster.refusal

    def _send(self, code, text, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _found(self, path, query, body):
        cluster = self.cluster
        if (known := discovery(path)) is not None and self.command == "GET":
            return known
        if path.startswith("/api/v1/namespaces") and path.count("/") <= 4:
            return self._namespace(path, body)
        namespace = _NAMESPACED.search(path + "/")[1]
        if "monitoring.coreos.com" in path and not cluster.has_monitoring:
            raise Refusal(404, "the server could not find the requested resource")
        if self.command == "GET" and path.rsplit("/", 2)[0].endswith("/namespaces"):
            return {"kind": "List", "items": cluster.listed(path, query.get("labelSelector"))}
        if self.command == "PATCH":
            if namespace not in cluster.namespaces:
                raise Refusal(404, f'namespaces "{namespace}" not found')
            options = {
                "force": query.get("force", "").lower() == "true",
                "dry_run": query.get("dryRun") == "All",
            }
            return cluster.apply(path, body, query["fieldManager"], **options)
        if path not in cluster.objects:
            raise Refusal(404, f'"{path.rpartition("/")[2]}" not found')
        if self.command == "DELETE":
            cluster.delete(path, ((body or {}).get("preconditions") or {}).get("uid"))
            return {"kind": "Status", "status": "Success"}
        if cluster.pace is not None and "/deployments/" in path:
            cluster.roll(path)
        return cluster.objects[path]

    def _namespace(self, path, body):
        name = path.rpartition("/")[2] if self.command != "POST" else body["metadata"]["name"]
        if self.command == "POST":
            self.cluster.namespaces.add(name)
        elif name not in self.cluster.namespaces:
            raise Refusal(404, f'namespaces "{name}" not found')
        if self.command == "DELETE":
            self.cluster.delete_namespace(name)
        return {"kind": "Namespace", "metadata": {"name": name}}

    def _pod(self, path):
        found = self.cluster.objects.get(path.rpartition("/")[0])
        if found is None:
            raise Refusal(404, f'pods "{path.split("/")[-2]}" not found')
        return found

    def _log(self, path, query):
        name = self._pod(path)["metadata"]["name"]
        if not self._pod(path)["ready"]:
            raise Refusal(400, f'container in pod "{name}" is waiting to start: not pulled')
        lines = self.cluster.logs.get(name, [])
        return "".join(f"{line}\n" for line in lines[-int(query["tailLines"]) :])

    def _backend(self, path):
        name = self._pod(path)["metadata"]["name"]
        address = self.cluster.backends.get(name, self.cluster.backends.get("*"))
        if address is None:
            raise Refusal(500, "the kubelet does not answer")
        return address

    def _tunnel(self, backend, port):
        """Speak v4.channel.k8s.io: channel 0 carries the bytes, channel 1 errors."""
        key = self.headers["Sec-WebSocket-Key"] + _WEBSOCKET
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n".encode()
            + b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
        )
        self.close_connection = True
        for channel in (b"\0", b"\1"):
            self._frame(channel + struct.pack("<H", port))
        with socket.create_connection(backend) as pod:
            threading.Thread(target=self._copy, args=(pod,), daemon=True).start()
            while (data := self._read_frame()) is not None:
                pod.sendall(data[1:])
            pod.shutdown(socket.SHUT_RDWR)

    def _copy(self, pod):
        try:
            while data := pod.recv(60_000):
                self._frame(b"\0" + data)
            self._frame(b"", opcode=8)
        except OSError:
            pass  # the caller is gone

    def _frame(self, data, opcode=2):
        size = len(data)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
        self.wfile.write(bytes([0x80 | opcode]) + length + data)

    def _read_frame(self):
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            return None
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.rfile.read(8))[0]
        mask = self.rfile.read(4)
        data = self.rfile.read(size)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

    def _watch(self, path, query):
        """Tell every change of a list, one JSON document a line, until the time is over."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        seen, end = {}, time.monotonic() + float(query.get("timeoutSeconds", 1))
        while not seen or time.monotonic() < end:
            with self.cluster.lock:
                listed = self.cluster.listed(path, query.get("labelSelector"))
                now = {each["metadata"]["name"]: json.dumps(each) for each in listed}
            for name in {**seen, **now}:
                if seen.get(name) == now.get(name):
                    continue
                kind = "ADDED" if name not in seen else "MODIFIED" if name in now else "DELETED"
                text = now.get(name, seen.get(name))
                self.wfile.write(f'{{"type": "{kind}", "object": {text}}}\n'.encode())
            seen = now
            if time.monotonic() >= end:
                return
            time.sleep(0.02)

    do_GET = do_PATCH = do_DELETE = do_POST = _answer


def discovery(path):
    """Answer what clients ask to learn which kinds there are."""
    groups = [each for each in _KINDS if "/" in each]
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        named = [
            (each.partition("/")[0], {"groupVersion": each, "version": each.rpartition("/")[2]})
            for each in groups
        ]
        return {"kind": "APIGroupList", "groups": [
            {"name": name, "versions": [version], "preferredVersion": version}
            for name, version in named
        ]}  # fmt: skip
    version = path.removeprefix("/apis/") if path.startswith("/apis/") else path[5:]
    if version not in _KINDS:
        return None
    verbs = ["get", "list", "watch", "patch", "delete"]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": [
        {"name": plural, "kind": kind, "namespaced": True, "verbs": verbs, "singularName": ""}
        for plural, kind in _KINDS[version].items()
    ]}  # fmt: skip


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
