"""``GET /dashboard``: what a service does, live, for those without a notebook; it only reads."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nbdeploy.display.html import Html, escape, sheet
from nbdeploy.monitoring.dashboard_page import DashboardFacts, dashboard

if TYPE_CHECKING:
    from nbdeploy.monitoring.drift import DriftRow
    from nbdeploy.serving.service import ModelService

__all__ = ["PANEL_PATH", "add_dashboard_routes", "panel_of"]

PANEL_PATH = "/dashboard/panel"

# Every address is relative to the page, so the page is right behind any proxy prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style nonce="{nonce}">{style}</style>
</head>
<body>
<main>
<p><button id="pause" type="button" aria-pressed="false">Pause</button> <span id="note"
role="status"></span></p>
<div id="panel">{panel}</div>
</main>
<script src="dashboard/refresh.js" nonce="{nonce}"></script>
</body>
</html>
"""

_STYLE = """
body { margin: 16px; background: Canvas; color: CanvasText; font-family: system-ui, sans-serif; }
main { max-width: 900px; margin: 0 auto; }
"""

_REFRESH = """"use strict";
const panel = document.getElementById("panel");
const note = document.getElementById("note");
const button = document.getElementById("pause");
let paused = false;
button.addEventListener("click", () => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Go on" : "Pause";
});
async function refresh() {
  if (!paused && !document.hidden) {
    try {
      const answer = await fetch("dashboard/panel?bare=true", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      panel.innerHTML = await answer.text();
      note.textContent = "";
    } catch (error) {
      note.textContent = "The service does not answer; this is what it said last.";
    }
  }
  setTimeout(refresh, 1000);
}
setTimeout(refresh, 1000);
"""

# Behind a proxy the page shares its origin with a whole Jupyter: a nonce names what is its own.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_DRIFT_SECONDS = 10.0
_judged: WeakKeyDictionary[ModelService, tuple[float, Sequence[DriftRow]]] = WeakKeyDictionary()


def add_dashboard_routes(app: FastAPI) -> None:
    """Add the routes to an application whose ``state.service`` is set."""
    app.add_api_route("/dashboard", page, include_in_schema=False)
    app.add_api_route(PANEL_PATH, panel, include_in_schema=False)
    app.add_api_route("/dashboard/refresh.js", script, include_in_schema=False)


# No coroutines: to judge drift takes milliseconds, which nobody on the event loop waits for.
def page(request: Request) -> Response:
    """Give the page."""
    nonce = secrets.token_urlsafe(16)
    title = escape(f"{request.app.title} - dashboard")
    style = f"{_STYLE}{sheet('style.css')}{sheet('dashboard.css')}"
    panel = panel_of(request.app.state.service)
    shown = _PAGE.format(title=title, panel=panel, nonce=nonce, style=style)
    return HTMLResponse(shown, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})


def panel(request: Request) -> Response:
    """Give what changes on the page; it has the style there, elsewhere it brings its own."""
    styled = request.query_params.get("bare") != "true"
    return HTMLResponse(panel_of(request.app.state.service, styled=styled))


async def script() -> Response:
    """Give what asks for it again and again."""
    return Response(_REFRESH, media_type="text/javascript")


def _drift(service: ModelService) -> Sequence[DriftRow]:
    """Judge drift now and then: it takes longer than all that is drawn every second."""
    now = time.monotonic()
    judged = _judged.get(service)
    if judged is None or now - judged[0] > _DRIFT_SECONDS:
        judged = _judged[service] = (now, service.monitor.drift().rows)
    return judged[1]


def panel_of(service: ModelService, *, styled: bool = False) -> Html:
    """Draw what is known of a service now."""
    monitor = service.monitor
    _, state = service.health.readiness()
    traffic = service.traffic()
    facts = DashboardFacts(
        name=service.name,
        state=state,
        statistics=monitor.get_statistics(),
        moments=monitor.timeline(),
        shares={} if traffic is None else traffic.shares,
        drift=_drift(service),
        errors=monitor.errors(),
        now=time.time(),
    )
    return Html(dashboard(facts, styled=styled))
