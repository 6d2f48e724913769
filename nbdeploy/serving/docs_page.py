"""The ``/docs`` page: Swagger UI from an installed package, so that it works without internet."""

from __future__ import annotations

import secrets
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nbdeploy.display.html import Html, element, escape
from nbdeploy.serving.snippets import make_snippets

if TYPE_CHECKING:
    from nbdeploy.serving.service import ModelService

__all__ = ["add_docs_routes"]

# Every address is relative to the page, so the page is right behind any proxy prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
<link rel="icon" href="data:,">
<style>
#snippets {{ max-width: 1460px; margin: 1em auto; padding: 0 20px; font-family: sans-serif; }}
#snippets pre {{ padding: 0.8em; overflow-x: auto; background: #f3f3f3; border-radius: 4px; }}
</style>
</head>
<body>
{snippets}<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js" nonce="{nonce}"></script>
<script src="docs/assets/start.js" nonce="{nonce}"></script>
</body>
</html>
"""

# The page is seen under addresses that the service does not know: the browser fills in its own.
_ADDRESS = "http://service.invalid"

_START = """"use strict";
const address = new URL(".", window.location.href).href.replace(/[/]$/, "");
for (const code of document.querySelectorAll("#snippets pre")) {
  code.textContent = code.textContent.replaceAll("ADDRESS", address);
}
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
""".replace("ADDRESS", _ADDRESS)

# Swagger UI sets style attributes. Behind a proxy the page shares its origin with a whole Jupyter,
# which serves files that anybody wrote: 'self' would let those run, a nonce names these two alone.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)

_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


def add_docs_routes(app: FastAPI) -> None:
    """Add the routes of the page and of its assets."""
    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/assets/{name}", asset, include_in_schema=False)


async def page(request: Request) -> Response:
    """Give the page."""
    service: ModelService = request.app.state.service
    nonce = secrets.token_urlsafe(16)
    title = escape(request.app.title)
    shown = _PAGE.format(title=title, snippets=_snippets(service), nonce=nonce)
    return HTMLResponse(shown, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})


async def asset(request: Request) -> Response:
    """Give one of the files that the page loads."""
    name = request.path_params["name"]
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    if name not in _TYPES:
        raise HTTPException(404)
    # Half a megabyte that never changes while the service lives: the browser may keep it.
    kept = {"Cache-Control": "private, max-age=3600"}
    return Response(_read(name), media_type=_TYPES[name], headers=kept)


def _snippets(service: ModelService) -> str:
    route = service.inference.route
    if route is None:
        return ""
    variable = "NBDEPLOY_TOKEN" if service.access.token is not None else None
    snippets = make_snippets(_ADDRESS, route.signature.example_row(), token_variable=variable)
    parts = (
        Html(element("h4", language) + element("pre", escape(code, keep="\n")))
        for language, code in snippets.by_language()
    )
    summary = element("summary", "Call it from curl, Python, R or JavaScript")
    return element("details", summary, *parts, id="snippets")


@cache
def _read(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()
