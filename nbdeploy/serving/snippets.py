"""Copy-paste calls of a service in the languages of its callers."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdeploy.display.html import Html, element, escape, fragment
from nbdeploy.display.mime import ReprMixin

__all__ = ["Snippets", "make_snippets"]


@dataclass(frozen=True, repr=False)
class Snippets(ReprMixin):
    """The same call in several languages; the row is made up, never one of the data.

    Parameters
    ----------
    curl
        For a shell.
    python
        With nbdeploy's own client.
    r
        With the package httr2.
    javascript
        For Node.js, or a page of the same origin.
    """

    curl: str
    python: str
    r: str
    javascript: str

    def __str__(self) -> str:
        return "\n\n".join(f"# {language}\n{code}" for language, code in self._all())

    def __repr__(self) -> str:
        return "<Snippets: .curl, .python, .r, .javascript>"

    def to_html(self) -> str:
        """Write every snippet under its language."""
        parts = (
            Html(
                element("p", element("strong", language))
                + element("pre", escape(code, keep="\n"), class_="nbd-copy")
            )
            for language, code in self._all()
        )
        return fragment(*parts)

    def _all(self) -> tuple[tuple[str, str], ...]:
        return (
            ("curl", self.curl),
            ("Python", self.python),
            ("R", self.r),
            ("JavaScript", self.javascript),
        )


def make_snippets(
    url: str, row: Any, *, token_file: Path | None = None, certificate: Path | None = None
) -> Snippets:
    """Write the snippets of a service.

    Parameters
    ----------
    url
        Where the service is.
    row
        A row that the model takes.
    token_file
        Where the token can be read, if one is needed: the snippets read it when they run.
    certificate
        The file with the certificate of a service that speaks https.
    """
    body = json.dumps({"features": row}, ensure_ascii=False)
    path = _short(token_file) if token_file is not None else None
    trusted = _short(certificate.absolute()) if certificate is not None else None
    return Snippets(
        curl=_curl(url, body, path, trusted),
        python=_python(url, row, path, trusted),
        r=_r(url, body, path, trusted),
        javascript=_javascript(url, body, path, trusted),
    )


def _short(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def _curl(url: str, body: str, token: str | None, certificate: str | None) -> str:
    key = f' \\\n  -H "X-API-Key: $(cat {_unquoted_home(token)})"' if token else ""
    trust = f" --cacert {_unquoted_home(certificate)}" if certificate else ""
    return (
        f"curl{trust} {url}/predict \\\n  -H 'Content-Type: application/json'{key} \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _unquoted_home(path: str) -> str:
    # A quoted ~ would be no home folder to the shell.
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _python(url: str, row: Any, token: str | None, certificate: str | None) -> str:
    lines = ["from nbdeploy import Client"]
    files = {"token": token, "certificate": certificate}
    argument = "".join(f", {name}=Path({path!r})" for name, path in files.items() if path)
    if argument:
        lines.insert(0, "from pathlib import Path")
    call = f"Client({url!r}{argument}).predict({[row] if not isinstance(row, dict) else row!r})"
    return "\n".join([*lines, "", call])


def _r(url: str, body: str, token: str | None, certificate: str | None) -> str:
    trust = f"\n  req_options(cainfo = {json.dumps(certificate)}) |>" if certificate else ""
    key = f'\n  req_headers("X-API-Key" = readLines({json.dumps(token)})) |>' if token else ""
    return (
        "library(httr2)\n"
        f'request("{url}/predict") |>{trust}{key}\n'
        f'  req_body_raw({_r_text(body)}, type = "application/json") |>\n'
        "  req_perform() |> resp_body_json()"
    )


def _r_text(text: str) -> str:
    # R's strings know the escapes of JSON's, but for the slash.
    return json.dumps(text, ensure_ascii=False)


def _javascript(url: str, body: str, token: str | None, certificate: str | None) -> str:
    headers = '"Content-Type": "application/json"'
    lines = []
    if certificate:
        lines.append(f"// Start with NODE_EXTRA_CA_CERTS={_unquoted_home(certificate)} node ...")
    if token:
        path = json.dumps(token)
        lines += [
            'import { readFileSync } from "node:fs";',
            'import { homedir } from "node:os";',
            f'const path = {path}.replace("~", homedir());',
        ]
        headers += ', "X-API-Key": readFileSync(path, "utf8").trim()'
    lines += [
        f'const answer = await fetch("{url}/predict", {{',
        f'  method: "POST", headers: {{{headers}}},',
        f"  body: {json.dumps(body, ensure_ascii=False)},",
        "});",
        "console.log(await answer.json());",
    ]
    return "\n".join(lines)
