"""What a bundle tells its readers: the README in the folder, and the card in the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbdeploy.display.html import Html, element, fragment
from nbdeploy.display.table import Table
from nbdeploy.display.units import counted, file_size

if TYPE_CHECKING:
    from nbdeploy.containers.bundle import Bundle

__all__ = ["bundle_html", "readme"]

_TOLD = {
    "Dockerfile": "how the image is built",
    ".dockerignore": "what is sent to the engine",
    "compose.yaml": "how it is run",
    "requirements.txt": "the locked packages",
    "README.md": "the commands",
    "rehearsal.json": "rows and answers for check(); never in the image",
}

_NEXT = "check() rehearses it without a container; build().run() starts one"
_NEXT_WITH_IMAGE = "run() starts a container; push(image) sends it to a registry"

_README = """# {name}

A model and everything that serving it needs. nbdeploy wrote this folder.

Build the image, and start it with a token that callers must send:

```sh
docker build --tag {tag} .
export NBDEPLOY_TOKEN="$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
docker compose up --detach --wait
curl http://127.0.0.1:{port}/model/info -H "X-API-Key: $NBDEPLOY_TOKEN"
docker compose down
```

Without compose, with as few rights:

```sh
docker run --rm --publish 127.0.0.1:{port}:{port} --env NBDEPLOY_TOKEN \\
  --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges {tag}
```

`http://127.0.0.1:{port}/docs` describes the service. The container does not start without
`NBDEPLOY_TOKEN`. Where something in front asks for a token, write `serve --no-token` behind the
name of the image, or set `NBDEPLOY_NO_TOKEN=1`.

- SageMaker starts the image with the argument `serve`, for which it listens on port 8080 too, and
  authenticates in front: set `NBDEPLOY_NO_TOKEN=1` there.
- Vertex AI sets `AIP_HTTP_PORT`, `AIP_HEALTH_ROUTE` and `AIP_PREDICT_ROUTE`, and they are followed.
- Python {python} is needed: the model may carry code that was compiled for it.
- The container serves the model of the digest `{digest}` and no other.
"""


def readme(bundle: Bundle) -> str:
    """Write the README of a bundle."""
    return _README.format(
        name=bundle.name,
        tag=bundle.default_tag,
        port=bundle.port,
        python=bundle.python,
        digest=bundle.digest,
    )


def bundle_html(bundle: Bundle, sizes: Mapping[str, int]) -> str:
    """Write the card of a bundle."""
    rows = [(name, file_size(size), _about(name)) for name, size in sizes.items()]
    table = Table(("file", "size", ""), rows, right=("size",), noun="file").element()
    facts = (
        ("Model", element("code", bundle.digest)),
        ("Python", bundle.python),
        ("Image", bundle.image or "none yet: build() makes one"),
        ("Files", _folded(table, len(rows))),
        ("Next", _NEXT if bundle.image is None else _NEXT_WITH_IMAGE),
    )
    listed = (Html(element("dt", label) + element("dd", value)) for label, value in facts)
    head = element("div", element("strong", bundle.name, class_="nbd-name"), class_="nbd-head")
    return fragment(head, element("dl", *listed), class_="nbd-card")


def _folded(table: Html, count: int) -> Html:
    return element("details", element("summary", counted(count, "file")), table)


def _about(name: str) -> str:
    if name.startswith("wheels/"):
        return "a package that no index has"
    if name.startswith("model/"):
        return "its manifest" if name.endswith(".manifest.json") else "the model"
    return _TOLD.get(name, "")
